"""The kubelet's PodResources API (v1): which devices it gave to whom."""

from __future__ import annotations

from pathlib import Path

from tests.parts.cluster.protobuf import parts, texts
from tests.parts.cluster.simulated_gpus import call


def devices(socket: Path, resource: str) -> dict[tuple[str, str], list[str]]:
    """Give the devices of a resource by (namespace, name) of the pods that have any. Raises: grpc.RpcError."""
    answer = call(socket, "/v1.PodResourcesLister/List", b"")
    found: dict[tuple[str, str], list[str]] = {}
    for pod in parts(answer, 1):
        (name,), (namespace,) = texts(pod, 1), texts(pod, 2)
        for container in parts(pod, 3):
            for given in parts(container, 2):
                if texts(given, 1) == [resource]:
                    found.setdefault((namespace, name), []).extend(texts(given, 2))
    return found
