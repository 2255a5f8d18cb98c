"""DNS for a cluster that has none: CoreDNS beside its API server, behind the Service `kube-dns` that kubelets give to pods."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.build import COREDNS, Part, binary
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.machines import Service
from tests.parts.cluster.nodes import Node

PART = Part("coredns", COREDNS)
SERVICE = "10.96.0.10"
OUTSIDE, WILDCARD = "outside.test", "corp.test"
"""Every name below the first leads to this machine; every name below the second leads to `ELSEWHERE`, whatever is asked."""
ELSEWHERE = "192.0.2.9"
_PATIENCE = 120.0
_ZONES = """
cluster.local {{
  bind {address}
  errors
  kubernetes cluster.local {{
    kubeconfig {kubeconfig}
  }}
}}
. {{
  bind {address}
  errors
  template IN A {outside} {{
    answer "{{{{ .Name }}}} 5 IN A {machine}"
  }}
  template IN A {wildcard} {{
    answer "{{{{ .Name }}}} 5 IN A {elsewhere}"
  }}
  template IN ANY {outside} {wildcard} {{
    rcode NOERROR
  }}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


@contextmanager
def cluster_names(cluster: Cluster) -> Iterator[Service]:
    """Give CoreDNS, running; pods that start from now on ask it. Afterwards there is none again. Raises: Unavailable, RuntimeError."""
    program, plane, nodes = binary(PART), cluster.control_plane, tuple(cluster.nodes.values())
    file = plane.machine.folder / "Corefile"
    place = {"address": plane.address, "kubeconfig": plane.kubeconfig, "machine": cluster.addresses.outside}
    file.write_text(_ZONES.format(**place, outside=OUTSIDE, wildcard=WILDCARD, elsewhere=ELSEWHERE))
    running = Service(plane.machine, "coredns", [program, "-conf", file, "-dns.port", "53"])
    running.start()
    kubectl = ["kubectl", "--kubeconfig", str(plane.kubeconfig)]
    plane.machine.run(*kubectl, "apply", "-f", "-", given=json.dumps(_service(plane.address)).encode())
    try:
        _until(lambda: _resolves(running), "CoreDNS answers")
        _tell_kubelets(nodes, {"clusterDNS": [SERVICE], "clusterDomain": "cluster.local"})
        yield running
    finally:
        running.kill()
        _tell_kubelets(nodes, {})
        plane.machine.run(*kubectl, "-n", "kube-system", "delete", "service,endpointslice", "kube-dns")


def search(node: Node, *domains: str) -> None:
    """What pods of the node that start from now on find behind the cluster's own search domains, as from the machine's own DNS."""
    file = node.machine.folder / "resolv.conf"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("search")]
    file.write_text("\n".join([*kept, *([f"search {' '.join(domains)}"] if domains else [])]) + "\n")


def _service(address: str) -> dict[str, object]:
    """It has no selector: what is behind it is no pod."""
    ports = [{"name": f"dns-{each.lower()}", "port": 53, "protocol": each} for each in ("UDP", "TCP")]
    meta = {"name": "kube-dns", "namespace": "kube-system"}
    slice_meta = {**meta, "labels": {"kubernetes.io/service-name": "kube-dns"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
    behind = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice_meta}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {**service, "spec": {"clusterIP": SERVICE, "ports": ports}},
            {**behind, "addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [address]}]},
        ],
    }


def _resolves(running: Service) -> bool:
    try:
        running.machine.run("busybox", "nslookup", "kubernetes.default.svc.cluster.local", _address(running))
    except RuntimeError:
        return False
    return True


def _address(running: Service) -> str:
    """Where it listens, by its own file."""
    return Path(running.command[2]).read_text().split("bind ", 1)[1].split()[0]


def _tell_kubelets(nodes: tuple[Node, ...], settings: dict[str, object]) -> None:
    """Restart them with these in place of what they were told before; they then know their GPUs again."""
    known = {node.name: node.gpus.registrations for node in nodes}
    for node in nodes:
        file = node.machine.folder / "kubelet.json"
        usual = {k: v for k, v in json.loads(file.read_text()).items() if k not in ("clusterDNS", "clusterDomain")}
        file.write_text(json.dumps({**usual, **settings}, indent=1))
        node.kubelet.restart()
    _until(lambda: all(node.gpus.registrations > known[node.name] for node in nodes), "kubelets know their GPUs")


def _until(is_so: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not is_so():
        if time.monotonic() > end:
            raise RuntimeError(f"not within {_PATIENCE:g} s: {what}")
        time.sleep(0.2)
