"""NVIDIA's GPU operator by its objects on a real API server: there, missing, and there but broken. Its kinds and pods are made by hand,
as it makes them; nobody here runs them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.test_preflight import definition, look, make, make_none
from tests.kubernetes.test_preflight_nodes import LARGE, a_node
from tests.parts.apiserver import ApiServer

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

SPACE = "gpu-operator"
KIND = definition("clusterpolicies", "nvidia.com")
OWNED = {
    "app.kubernetes.io/managed-by": "gpu-operator",
    "app.kubernetes.io/version": "v25.3.0",
}


def policy(state: str) -> dict[str, Any]:
    """What the operator says of itself."""
    return {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": {"driver": {"enabled": False}},
        "status": {"state": state},
    }


def daemonset(name: str, image: str) -> dict[str, Any]:
    """One of its operands, which tolerates the usual taint of GPU nodes."""
    labels = {"app": name}
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": SPACE, "labels": OWNED},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": image}], "tolerations": tolerations},
            },
        },
    }


PLUGIN = daemonset("nvidia-device-plugin-daemonset", "nvcr.io/nvidia/k8s-device-plugin:v0.17.0")
TOOLKIT = daemonset("nvidia-container-toolkit-daemonset", "nvcr.io/nvidia/k8s/container-toolkit:v1.17.0")


class Stack:
    """The operator's objects."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.config = server.write_kubeconfig(folder / "config")
        self._server, self._folder = server, folder

    def made(self, *objects: dict[str, Any]) -> None:
        """Create or change them."""
        make(self._server, self._folder, *objects)

    def pod(self, of: str, node: str, **status: Any) -> None:
        """A pod of a DaemonSet on a node, as its kubelet tells of it."""
        owner = json.loads(self.kubectl("get", "daemonset", of, "-o", "json"))["metadata"]["uid"]
        name = f"{of}-{node}"
        reference = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": of, "uid": owner, "controller": True}
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "x"}]}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": SPACE, "ownerReferences": [reference]},
            "spec": spec,
        }
        self.made(body)
        self.kubectl("patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))

    def said(self) -> dict[str, Any]:
        """What preflight says of the operator by the API alone."""
        return look(self.config, self._folder, "--only", "gpu-operator").check("gpu-operator")

    def kubectl(self, *words: str) -> str:
        """What a command that must succeed said."""
        command = ["kubectl", f"--kubeconfig={self.config}", "-n", SPACE, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=240).stdout


RUNNING: dict[str, Any] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
CRASHING: dict[str, Any] = {
    "phase": "Running",
    "containerStatuses": [
        {
            "name": "c",
            "image": "x",
            "imageID": "",
            "ready": False,
            "restartCount": 7,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        }
    ],
}


def gpu_node(name: str, taint: str = "") -> dict[str, Any]:
    """A node that the operator found a card on."""
    node = a_node(name, taint=taint, has={**LARGE, "nvidia.com/gpu": "8"} if not taint else LARGE)
    node["metadata"]["labels"] = {"nvidia.com/gpu.present": "true"}
    return node


@pytest.fixture
def stack(server: ApiServer, tmp_path: Path) -> Iterator[Stack]:
    """The operator says that it is ready, and its pods run on the one GPU node."""
    found = Stack(server, tmp_path)
    found.made({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    found.made(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": SPACE}}, KIND
    )
    found.kubectl("wait", "--for=condition=Established", "crd/clusterpolicies.nvidia.com", "--timeout=60s")
    found.made(policy("ready"), PLUGIN, TOOLKIT)
    for _ in range(2):  # a new node is tainted as not ready, whatever it says
        found.made(gpu_node("g1"))
    for each in (PLUGIN, TOOLKIT):
        found.pod(each["metadata"]["name"], "g1", **RUNNING)
    yield found
    pods = [f"pod/{each['metadata']['name']}-{node}" for each in (PLUGIN, TOOLKIT) for node in ("g1", "g2")]
    sets = [f"daemonset/{each['metadata']['name']}" for each in (PLUGIN, TOOLKIT)]
    make_none(server, tmp_path, "-n", SPACE, "--ignore-not-found", "--force", "--grace-period=0", *pods, *sets)
    make_none(server, tmp_path, "--ignore-not-found", "node/g1", "node/g2", "crd/clusterpolicies.nvidia.com")


def test_it_is_ready_where_its_pods_run_on_every_gpu_node(stack: Stack) -> None:
    found = stack.said()
    assert found["verdict"] == "pass", found


def test_a_taint_that_its_pods_do_not_tolerate_is_told_though_it_says_that_it_is_ready(stack: Stack) -> None:
    for _ in range(2):
        stack.made(gpu_node("g2", taint="dedicated"))
    found = stack.said()
    assert (found["verdict"], found["class"]) == ("fail", "taint"), found
    assert "g2" in found["seen"]
    assert "dedicated" in found["remedy"]


@pytest.mark.parametrize(
    ("of", "what"), [(PLUGIN, "CrashLoopBackOff"), (TOOLKIT, "container-toolkit: CrashLoopBackOff")]
)
def test_a_pod_of_it_that_does_not_run_is_told_of_its_node(stack: Stack, of: dict[str, Any], what: str) -> None:
    stack.made({**gpu_node("g1"), "status": {**a_node("g1")["status"], "allocatable": LARGE}})
    stack.pod(of["metadata"]["name"], "g1", **CRASHING)
    found = stack.said()
    assert (found["verdict"], found["class"]) == ("fail", "operand-missing"), found
    assert what in found["seen"]


def test_it_says_of_itself_that_it_is_not_ready(stack: Stack) -> None:
    stack.made(policy("notReady"))
    found = stack.said()
    assert (found["verdict"], found["class"]) == ("warn", "not-ready"), found


def test_without_it_driver_and_stack_by_hand_decide(server: ApiServer, tmp_path: Path) -> None:
    for _ in range(2):
        make(server, tmp_path, gpu_node("g1"))
    try:
        config = server.write_kubeconfig(tmp_path / "config")
        found = look(config, tmp_path, "--only", "gpu-operator").check("gpu-operator")
    finally:
        make_none(server, tmp_path, "node/g1")
    assert found["verdict"] == "unknown", "only a pod can tell of a driver"
    assert found["seen"] == "there is no GPU operator; gpu-driver and gpu-container-stack say what is missing"
