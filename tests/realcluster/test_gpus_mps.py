"""Memory of shared GPUs kept apart by MPS on real kubelets, as far as that goes without a GPU: NVIDIA's control program is a stand-in.

What is real: the node agent that keeps the daemon, the claim by which a pod under Pod Security reaches it, and what is said when.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.kubernetes.test_chart import CHART
from tests.parts import standin_mps_control
from tests.parts.cluster.nodes import Node
from tests.realcluster.product import Installed
from tests.realcluster.test_gpus_shared import Shared

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

PROJECT = "runai-team"
PROGRAMS = "/var/lib/mps-programs"
NO_HOST_PATHS = "pod-security.kubernetes.io/enforce"


@pytest.fixture(scope="module")
def with_mps(installed: Installed) -> Iterator[Installed]:
    """MPS for all, in a project whose pods may have no hostPath volumes; afterwards as it was."""
    for node in installed.cluster.nodes.values():
        folder = node.machine.host_path(PROGRAMS)
        folder.mkdir(exist_ok=True)
        shutil.copy(standin_mps_control.__file__, folder / "nvidia-cuda-mps-control")
    installed.kubectl("label", "namespace", PROJECT, f"{NO_HOST_PATHS}=baseline")
    upgrade(installed, f"node.mps.enabled=true,node.mps.pods=all,node.mps.hostPath={PROGRAMS}")
    installed.kubectl("-n", "fairlead-node", "delete", "pods", "--all")  # they are replaced by hand
    until(lambda: len(agents(installed)) == 2 and all(is_ready(pod) for pod in agents(installed)), 120)
    yield installed
    installed.kubectl("label", "namespace", PROJECT, f"{NO_HOST_PATHS}-")
    upgrade(installed, "node.mps.enabled=false")
    installed.kubectl("-n", "fairlead-node", "rollout", "status", "daemonset", "fairlead-node", "--timeout=100s")


@pytest.fixture(autouse=True)
def emptied(with_mps: Installed) -> Iterator[None]:
    """Afterwards nothing of the test is left."""
    yield
    names = [w["name"] for w in with_mps.product.json("list", "-p", "team")]
    if names:
        with_mps.product.run("delete", *names, "-p", "team")
    until(lambda: not with_mps.objects("pods", PROJECT) and not with_mps.objects("pods", "fairlead-reservation"), 120)


def upgrade(installed: Installed, values: str) -> None:
    """The chart with other values, once its pods are ready."""
    done = installed.helm.run(
        *("upgrade", "fairlead", str(CHART), "-n", "fairlead", "--wait", "--timeout", "110s"),
        *("--reuse-values", "--set", values),
    )
    assert done.returncode == 0, f"{done.stderr}\n{installed.told()}"


def agents(installed: Installed) -> list[dict[str, Any]]:
    """Those that are not ending."""
    found = installed.objects("pods", "fairlead-node")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod: dict[str, Any]) -> bool:
    return {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}.get("Ready") == "True"


def said(installed: Installed, name: str) -> tuple[str, str]:
    """How the part of the workload's pod is enforced, and why not."""
    pods = installed.product.json("describe", name, "-p", "team")["pods"]
    return (pods[0]["enforcement"], pods[0]["enforcement_reason"]) if pods else ("", "")


def runs(installed: Installed, name: str) -> Node:
    """The node it runs on."""
    until(lambda: installed.product.phase(name) == "Running", 120)
    (node,) = installed.product.json("describe", name, "-p", "team")["nodes"]
    return installed.cluster.nodes[node]


def inside(installed: Installed, name: str, script: str) -> str:
    """What a shell in the workload's container prints."""
    done = installed.kubectl("-n", PROJECT, "exec", f"{name}-0", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def report(installed: Installed, node: str) -> dict[str, Any]:
    """What the node's agent reports."""
    done = installed.kubectl("get", "nodereport", node, "-o", "json")
    return dict(json.loads(done.stdout)["status"])


def test_half_a_gpu_is_a_client_of_mps_and_what_is_said_follows_the_daemon(with_mps: Installed) -> None:
    claimed = "jsonpath={.metadata.annotations.fairlead\\.dev/mps-claim}"
    until(lambda: with_mps.kubectl("get", "namespace", PROJECT, "-o", claimed).stdout == "fairlead-mps", 60)
    with_mps.submit("half", "-g", "0.5")
    node = runs(with_mps, "half")
    until(lambda: said(with_mps, "half") == ("memory", ""), 30)
    device = inside(with_mps, "half", "echo $NVIDIA_VISIBLE_DEVICES")
    pipe = f"/run/fairlead/mps/{device}/pipe"
    assert (
        inside(with_mps, "half", "echo $CUDA_MPS_PIPE_DIRECTORY $CUDA_MPS_PINNED_DEVICE_MEM_LIMIT")
        == f"{pipe} 0=40779M"
    )
    assert (
        inside(with_mps, "half", "cat $CUDA_MPS_PIPE_DIRECTORY/devices; test -S $CUDA_MPS_PIPE_DIRECTORY/control")
        == device
    )
    node.machine.run("sh", "-c", "echo here > /run/fairlead/mps/shm/of-the-daemon")
    assert inside(with_mps, "half", "cat /dev/shm/of-the-daemon") == "here"
    until(lambda: report(with_mps, node.name)["enforcement"] == "mps", 30)

    refuse = node.machine.host_path(PROGRAMS) / "refuse"
    refuse.touch()
    node.machine.run("sh", "-c", f"kill -9 $(cat {pipe}/nvidia-cuda-mps-control.pid)")
    until(lambda: said(with_mps, "half")[0] == "none", 30)
    until(lambda: said(with_mps, "half")[1] == "the MPS daemon of its GPU is away: it ended with exit code 3", 30)
    told = with_mps.product.run("describe", "half", "-p", "team").stdout
    assert "Enforcement of half-0 is none: the MPS daemon of its GPU is away: it ended with exit code 3." in told
    until(lambda: report(with_mps, node.name)["enforcement"] == "none", 30)
    assert report(with_mps, node.name)["findings"][-1].startswith(f"The memory of {device} is not kept apart: ")

    refuse.unlink()
    until(lambda: "the MPS daemon of its GPU only since" in said(with_mps, "half")[1], 90)
    assert said(with_mps, "half")[0] == "none"
    with_mps.submit("other", "-g", "0.5")
    assert runs(with_mps, "other").name == node.name
    assert inside(with_mps, "other", "echo $NVIDIA_VISIBLE_DEVICES") == device
    until(lambda: said(with_mps, "other") == ("memory", ""), 30)


def test_who_shares_two_gpus_at_once_runs_without_mps_and_says_why(with_mps: Installed) -> None:
    shared = Shared(with_mps)
    shared.asks("two", {"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"})
    until(lambda: shared.phase("two") == "Running", 120)
    notes = shared.pod("two")["metadata"]["annotations"]
    assert notes["fairlead.dev/enforcement"] == "none"
    why = "it shares 2 GPUs, and a program can use the MPS daemon of one"
    assert notes["fairlead.dev/enforcement-reason"] == why
    assert shared.variable("two", "CUDA_MPS_PIPE_DIRECTORY") == ""
    shared.ends("two")


def test_when_the_nodes_agent_dies_its_daemons_do_and_that_is_said(with_mps: Installed) -> None:
    with_mps.submit("half", "-g", "0.5")
    node = runs(with_mps, "half")
    until(lambda: said(with_mps, "half") == ("memory", ""), 30)
    where = f"--field-selector=spec.nodeName={node.name}"
    done = with_mps.kubectl("-n", "fairlead-node", "delete", "pod", where, "--wait=false")
    assert done.returncode == 0, done.stderr
    until(lambda: said(with_mps, "half")[0] == "none", 30)
    until(lambda: "the MPS daemon of its GPU only since" in said(with_mps, "half")[1], 120)
