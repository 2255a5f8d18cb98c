"""The NVIDIA row on a real kubelet: pods that ask for a GPU get what a device plug-in gives, and a stand-in for the driver's libraries.

Real are the kubelet, its device plug-in interface, containerd and RuntimeClasses. The cards are simulated, and so is the driver: one C file
that answers what the GPU pod asks (`tests/parts/cluster/standin_driver.c`).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.kubernetes.processes import until
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.nodes import GPU_LABELS
from tests.parts.cluster.simulated_gpus import SimulatedGpus
from tests.realcluster.test_preflight import LOCAL, Preflight, by_node, check, loaded, preflight

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed: the stand-in library cannot be made"),
]

SOURCE = Path(__file__).parents[1] / "parts" / "cluster" / "standin_driver.c"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
PRODUCT = GPU_LABELS["nvidia.com/gpu.product"]
ROW = "gpu-nodes,gpu-driver,gpu-container-stack"
CLASS = """
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: nvidia}
handler: nvidia
"""

Install = Callable[..., None]


@pytest.fixture
def driver(real_cluster: Cluster) -> Iterator[Install]:
    """Puts the libraries where containers with a GPU of a node find them. Options are the compiler's."""
    nodes = real_cluster.nodes

    def install(node: str, *options: str) -> None:
        folder = nodes[node].machine.folder / "driver"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in ("libnvidia-ml.so.1", "libcuda.so.1"):
            subprocess.run(["gcc", "-shared", "-fPIC", *options, "-o", str(folder / name), str(SOURCE)], check=True)
            nodes[node].gpus.brings[f"{LIBRARIES}/{name}"] = folder / name

    yield install
    for each in nodes.values():
        each.gpus.brings.clear()


def causes(report: dict[str, Any], code: str) -> tuple[str, str | None]:
    found = check(report, code)
    return found["verdict"], found["class"]


def test_a_pod_that_used_its_gpu_is_the_proof(preflight: Preflight, driver: Install) -> None:
    for node in ("node-1", "node-2"):
        driver(node)
    report = preflight.report(LOCAL, "--only", ROW)
    assert by_node(report, "gpu-driver") == {"node-1": "pass", "node-2": "pass"}, check(report, "gpu-driver")
    assert by_node(report, "gpu-container-stack") == {"node-1": "pass", "node-2": "pass"}


def test_what_differs_from_node_to_node_is_told_of_each(preflight: Preflight, driver: Install) -> None:
    driver("node-1", "-DCUINIT=803")
    driver("node-2", "-DCOUNT=2")
    report = preflight.report(LOCAL, "--only", ROW)
    assert by_node(report, "gpu-driver") == {"node-1": "fail", "node-2": "pass"}
    assert "kernel module loaded, library 550.54.15" in check(report, "gpu-driver")["nodes"]["node-1"]["seen"]
    assert by_node(report, "gpu-container-stack") == {"node-1": "unknown", "node-2": "fail"}
    assert causes(report, "gpu-container-stack") == ("fail", "isolation"), "it asked for one GPU and saw two"


def test_a_fabric_that_is_not_ready_is_another_cause_than_a_driver(preflight: Preflight, driver: Install) -> None:
    for node in ("node-1", "node-2"):
        driver(node, "-DCUINIT=802")
    report = preflight.report(LOCAL, "--only", ROW)
    assert causes(report, "gpu-driver") == ("fail", "fabric-manager")


def test_a_runtime_class_without_a_handler_is_only_a_name(preflight: Preflight, driver: Install) -> None:
    """Neither node's runtime knows the handler. On node-1 a pod has its GPU without it; node-2 has no driver, which comes first."""
    driver("node-1")
    preflight.kubectl("apply", "-f", "-", given=CLASS)
    try:
        report = preflight.report(LOCAL, "--only", ROW, "--save-facts", str(preflight.folder / "facts.yaml"))
    finally:
        preflight.kubectl("delete", "runtimeclass", "nvidia")
    assert "no runtime for" in (preflight.folder / "facts.yaml").read_text()
    assert by_node(report, "gpu-driver") == {"node-1": "pass", "node-2": "fail"}
    assert by_node(report, "gpu-container-stack") == {"node-1": "pass", "node-2": "unknown"}


def test_gpus_that_are_all_in_use_leave_it_unknown(preflight: Preflight, driver: Install) -> None:
    for node in ("node-1", "node-2"):
        driver(node)
    pods = [_holder(node) for node in ("node-1", "node-2")]
    preflight.kubectl("apply", "-f", "-", given="---\n".join(pods))
    try:
        report = preflight.report(LOCAL, "--only", ROW, "--timeout", "3m")
    finally:
        preflight.kubectl("delete", "pod", "holds-node-1", "holds-node-2", "--grace-period=0", "--force")
    assert by_node(report, "gpu-container-stack") == {"node-1": "unknown", "node-2": "unknown"}


def test_time_slicing_is_found_by_the_api_alone_by_its_labels_or_by_its_name(
    preflight: Preflight, real_cluster: Cluster
) -> None:
    """node-1: eight GPUs from two cards, as the labels of feature discovery say. node-2: the plug-in renames what it shares."""
    labels = {"sharing-strategy": "time-slicing", "replicas": "4", "count": "2", "product": f"{PRODUCT}-SHARED"}
    before = preflight.report(LOCAL, "--no-probe", "--only", "gpu-sharing")
    assert by_node(before, "gpu-sharing") == {"node-1": "unknown", "node-2": "unknown"}, "nobody counted the cards"
    with labelled(preflight, "node-1", labels), a_plugin(preflight, real_cluster, "nvidia.com/gpu.shared", 4):
        report = preflight.report(LOCAL, "--no-probe", "--only", "gpu-sharing")
    assert by_node(report, "gpu-sharing") == {"node-1": "fail", "node-2": "fail"}
    assert causes(report, "gpu-sharing") == ("fail", "replicas")
    said = {node: each["seen"] for node, each in check(report, "gpu-sharing")["nodes"].items()}
    assert "8, and labels say that each card comes 4 times" in said["node-1"]
    assert said["node-2"] == "the device plug-in offers 4 replicas", "how many cards, nobody counted"


def test_cards_that_are_all_split_are_tried_out_by_a_slice_and_ghosts_beside_slices_are_found(
    preflight: Preflight, real_cluster: Cluster, driver: Install
) -> None:
    """MIG, mixed strategy, on node-2. How many cards there are is filled in: only a driver could count them."""
    driver("node-2")
    node = real_cluster.nodes["node-2"]
    strategy = {"nvidia.com/mig.strategy": "mixed"}
    slices = a_plugin(preflight, real_cluster, "nvidia.com/mig-1g.10gb", 14, node.gpus.brings)
    with labelled(preflight, "node-2", strategy), slices:
        assert causes(counted(preflight, 8, 2, "--no-probe"), "gpu-sharing") == ("fail", "mig-ghosts")
        node.gpus.set_unhealthy(*node.gpus.uuids)
        try:
            offers(preflight, "node-2", "nvidia.com/gpu", 0)
            facts = str(preflight.folder / "facts.yaml")
            report = preflight.report(LOCAL, "--only", f"{ROW},gpu-sharing", "--save-facts", facts)
            all_split = judged_again(preflight, 2, 2)
        finally:
            node.gpus.set_unhealthy()
            offers(preflight, "node-2", "nvidia.com/gpu", 8)
    assert by_node(report, "gpu-driver")["node-2"] == "pass", check(report, "gpu-driver")
    assert by_node(report, "gpu-container-stack")["node-2"] == "pass", "the pod asked for a slice, and saw one"
    assert by_node(report, "gpu-sharing")["node-2"] == "unknown"
    assert check(all_split, "gpu-sharing")["nodes"]["node-2"]["verdict"] == "pass"
    assert "14 slices" in check(all_split, "gpu-sharing")["nodes"]["node-2"]["seen"]


@contextlib.contextmanager
def labelled(preflight: Preflight, node: str, labels: Mapping[str, str]) -> Iterator[None]:
    """The node has these as well, and then those it had. Names without a domain are of GPU feature discovery."""
    named = {key if "/" in key else f"nvidia.com/gpu.{key}": value for key, value in labels.items()}
    preflight.kubectl("label", "node", node, "--overwrite", *(f"{key}={value}" for key, value in named.items()))
    try:
        yield
    finally:
        was = [f"{key}={GPU_LABELS[key]}" if key in GPU_LABELS else f"{key}-" for key in named]
        preflight.kubectl("label", "node", node, "--overwrite", *was)


@contextlib.contextmanager
def a_plugin(
    preflight: Preflight, cluster: Cluster, name: str, count: int, brings: Mapping[str, Path] | None = None
) -> Iterator[None]:
    """A further device plug-in on node-2, once the kubelet offers what it has."""
    node = cluster.nodes["node-2"]
    found = SimulatedGpus(node.machine.host_path("/var/lib/kubelet/device-plugins"), node.name, count, name)
    found.brings.update(brings or {})
    found.start()
    try:
        offers(preflight, node.name, name, count)
        yield
    finally:
        found.stop()
        offers(preflight, node.name, name, 0)


def offers(preflight: Preflight, node: str, name: str, count: int) -> None:
    """Returns once the node does."""

    def offered() -> str:
        allocatable = json.loads(preflight.kubectl("get", "node", node, "-o", "json"))["status"]["allocatable"]
        return str(allocatable.get(name, "0"))

    until(lambda: offered() == str(count), 120)


def counted(preflight: Preflight, cards: int, split: int, *words: str) -> dict[str, Any]:
    """What `gpu-sharing` says of the cluster as it is, had the driver of node-2 counted so many cards, so many of them split."""
    preflight.report(LOCAL, *words, "--only", "gpu-sharing", "--save-facts", str(preflight.folder / "facts.yaml"))
    return judged_again(preflight, cards, split)


def judged_again(preflight: Preflight, cards: int, split: int) -> dict[str, Any]:
    """The same of the facts that were saved last."""
    file = preflight.folder / "facts.yaml"
    yaml = YAML(typ="safe", pure=True)
    facts = yaml.load(file.read_text())
    next(each for each in facts["nodes"] if each["name"] == "node-2").update(
        nvml_devices=cards, mig_enabled_devices=split
    )
    yaml.dump(facts, file)
    return preflight.report(LOCAL, "--facts", str(file), "--only", "gpu-sharing")


def _holder(node: str) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: holds-{node}, namespace: default}}
spec:
  nodeName: {node}
  terminationGracePeriodSeconds: 0
  containers:
    - name: holds
      image: localhost/fairlead:test
      imagePullPolicy: Never
      args: [probe, idle]
      resources: {{limits: {{nvidia.com/gpu: "8"}}}}
"""


__all__ = ["loaded", "preflight"]
