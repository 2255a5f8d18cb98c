"""The requirements of a cluster: the rows that every check belongs to."""

from __future__ import annotations

from typing import Final

ROWS: Final = {
    "Kubernetes": "1.16 or newer, better 1.20",
    "OpenShift": "4.3 or newer",
    "Pod Security Policy": "used where the cluster uses it; Pod Security Admission from 1.25 on",
    "NVIDIA": "the GPU operator, or drivers and container stack on each GPU node",
    "Prometheus": "comes with the product, or one that is there is used: directly, or by the Prometheus Operator",
    "node-exporter, kube-state-metrics": "have to be there where Prometheus is yours",
    "system nodes": "production: at least one dedicated worker with 4 CPUs, 8 GB of memory, 50 GB of disk",
    "masters": "production: control-plane nodes separate from workers",
    "shared data volume": "read and written from any node; the product's own data on storage not bound to a node",
    "image registry": "public or your own; images may be on the nodes already",
    "images": "a researcher's work is a container image, for the architecture of the nodes",
    "network, inbound": "nothing: nobody connects into a node",
    "network, outbound": "nodes reach each other, names are resolved, proxies are allowed for",
    "during installation": "the chart, the product's images, third-party images: port 443",
    "after installation": "the receiver of metrics, the control plane, the sign-in provider: port 443",
    "user interface": "served by the control plane, not by the cluster",
    "sign-in": "accounts of the control plane, or any OpenID Connect provider",
}
"""Name of a row -> what it asks for."""
