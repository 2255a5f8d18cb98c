"""A cluster with one running pod, for a test to kill."""

from __future__ import annotations

import contextlib
import time

import msgspec
from tests.parts.cluster.cluster import Cluster, cluster
from tests.realcluster.pods import a_spec

PODS = "/api/v1/namespaces/default/pods"


def main() -> None:
    """Says where the cluster is, then stays."""
    with cluster() as running:
        run_a_pod(running)
        first = running.nodes["node-1"].machine.first.pid
        print(running.folder, f"fairlead{str(running.folder)[-1]}", first, flush=True)
        time.sleep(600)


def run_a_pod(running: Cluster) -> None:
    """Return once a pod runs on node-1."""
    spec = {**msgspec.to_builtins(a_spec()), "nodeName": "node-1"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "held"}, "spec": spec}
    phase = ""
    while phase != "Running":
        time.sleep(0.1)
        with contextlib.suppress(OSError):  # the default service account comes a moment after the server
            if not phase:
                running.control_plane.ask(PODS, pod)
            phase = running.control_plane.ask(f"{PODS}/held")["status"]["phase"]


if __name__ == "__main__":
    main()
