"""Parts of GPUs on real kubelets: what each pod sees, what the kubelet holds, and that nothing leaks whoever dies when.

The GPUs are simulated; who gives them out, counts them and tells of them is the kubelet.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.parts.cluster.cluster import NODES
from tests.parts.cluster.images import BUSYBOX
from tests.parts.cluster.podresources import devices
from tests.parts.cluster.simulated_gpus import SimulatedGpus
from tests.realcluster.product import Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1500)]

RESERVATIONS, PROJECT = "fairlead-reservation", "runai-team"
GPU = "nvidia.com/gpu"


class Shared:
    """What there is to see of shared GPUs: by the API, in the containers, and by the kubelets."""

    def __init__(self, installed: Installed) -> None:
        self.installed = installed

    def asks(self, name: str, annotations: dict[str, str], node: str = "", asked: dict[str, str] | None = None) -> None:
        """A bare pod of the project for our scheduler."""
        container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "3600"]}
        spec: dict[str, Any] = {
            "schedulerName": "fairlead",
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": "Never",
            "containers": [{**container, "resources": {"limits": asked or {}}}],
        }
        if node:
            spec["nodeSelector"] = {"kubernetes.io/hostname": node}
        meta = {"name": name, "namespace": PROJECT, "annotations": annotations}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
        done = self.installed.kubectl("create", "-f", "-", given=json.dumps(pod))
        assert done.returncode == 0, done.stderr

    def pod(self, name: str) -> dict[str, Any]:
        """As it is; empty where there is none."""
        return next((p for p in self.pods() if p["metadata"]["name"] == name), {})

    def pods(self) -> list[dict[str, Any]]:
        """Those of the project."""
        return self.installed.objects("pods", PROJECT)

    def phase(self, name: str) -> str:
        """Of a pod; empty where there is none."""
        return str(self.pod(name).get("status", {}).get("phase", ""))

    def sees(self, name: str) -> str:
        """What the container of a pod is shown."""
        return self.variable(name, "NVIDIA_VISIBLE_DEVICES")

    def variable(self, name: str, variable: str) -> str:
        """Of the environment of a pod's container."""
        said = self.installed.kubectl("-n", PROJECT, "exec", name, "--", "sh", "-c", f"echo ${variable}")
        assert said.returncode == 0, said.stderr
        return said.stdout.strip()

    def reservations(self) -> list[dict[str, Any]]:
        """Reservation pods."""
        return self.installed.objects("pods", RESERVATIONS)

    def requests(self) -> list[dict[str, Any]]:
        """BindRequests of the project."""
        return self.installed.objects("bindrequests", PROJECT)

    def held(self) -> dict[tuple[str, str], list[str]]:
        """Who holds which devices, in the kubelets' words."""
        found: dict[tuple[str, str], list[str]] = {}
        for node in self.installed.cluster.nodes.values():
            found |= devices(node.pod_resources_socket, GPU)
        return found

    def ends(self, *names: str) -> None:
        """The pods are deleted, and gone."""
        self.installed.kubectl("-n", PROJECT, "delete", "pod", *names, "--wait=false", "--ignore-not-found")
        until(lambda: not any(self.pod(name) for name in names), 300)

    def wrong(self) -> list[str]:
        """Devices held twice, and containers that see another device than the kubelet holds for their group."""
        held, found = self.held(), []
        twice = [device for device, count in Counter(d for ids in held.values() for d in ids).items() if count > 1]
        found += [f"{device} is held twice" for device in twice]
        by_group = {p["metadata"]["labels"]["runai-gpu-group"]: p["metadata"]["name"] for p in self.reservations()}
        for pod in self.pods():
            notes = pod["metadata"].get("annotations", {})
            if pod["status"].get("phase") != "Running" or "runai-gpu-group" not in notes:
                continue
            held_for = [held.get((RESERVATIONS, by_group.get(g, "")), []) for g in notes["runai-gpu-group"].split(",")]
            name = pod["metadata"]["name"]
            if (sees := self.sees(name)) != ",".join(d for ids in held_for for d in ids):
                found.append(f"{name} sees {sees}, and the kubelet holds {held_for} for it")
        return found


@pytest.fixture
def shared(installed: Installed) -> Iterator[Shared]:
    """Afterwards nothing is left, by the API and by the kubelets."""
    found = Shared(installed)
    yield found
    found.ends(*(p["metadata"]["name"] for p in found.pods()))
    until(lambda: not found.reservations(), 300)
    until(lambda: not found.requests(), 300)
    until(lambda: not found.held(), 300)


def test_two_halves_share_one_device_and_a_third_opens_a_second(shared: Shared) -> None:
    for name in ("a", "b"):
        shared.asks(name, {"gpu-fraction": "0.5"}, NODES[0])
    until(lambda: shared.phase("a") == shared.phase("b") == "Running", 300)
    assert shared.sees("a") == shared.sees("b")
    assert shared.sees("a").startswith("GPU-")
    assert [ids for ids in shared.held().values()] == [[shared.sees("a")]]
    shared.asks("c", {"gpu-fraction": "0.5"}, NODES[0])
    until(lambda: shared.phase("c") == "Running", 300)
    assert shared.sees("c") not in ("", shared.sees("a"))
    assert len(shared.reservations()) == 2
    assert not shared.wrong()
    notes = shared.pod("a")["metadata"]["annotations"]
    assert (notes["fairlead.dev/enforcement"], notes["received-resource-type"]) == ("none", "Fraction")
    assert shared.variable("a", "GPU_PORTION") == "0.50"


def test_memory_is_shared_and_two_devices_can_be_shared_at_once(shared: Shared) -> None:
    shared.asks("m", {"gpu-memory": "20000"}, NODES[1])
    shared.asks("two", {"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"}, NODES[1])
    until(lambda: shared.phase("m") == shared.phase("two") == "Running", 300)
    both = shared.sees("two").split(",")
    assert len(set(both)) == 2
    assert shared.sees("m") in both  # 20,000 of 81,559 MiB fit beside a half
    assert not shared.wrong()


def test_a_workload_of_ours_shares_and_its_enforcement_is_said(shared: Shared) -> None:
    product = shared.installed.product
    shared.installed.submit("part", "-g", "0.25")
    until(lambda: product.phase("part") == "Running", 300)
    log = product.run("logs", "part", "-p", "team").stdout
    assert log.startswith("devices=GPU-"), log
    (pod,) = product.json("describe", "part", "-p", "team")["pods"]
    assert pod["enforcement"] == "none"
    assert not shared.wrong()
    assert product.run("delete", "part", "-p", "team").returncode == 0


Look = Callable[[Shared], object]
STEPS: dict[str, Look] = {
    "asked": lambda s: s.requests(),
    "reserved": lambda s: s.reservations(),
    "told": lambda s: [p for p in s.reservations() if "run.ai/reserve_for_gpu_index" in p["metadata"]["annotations"]],
    "bound": lambda s: s.pod("a").get("spec", {}).get("nodeName"),
    "running": lambda s: s.phase("a") == "Running",
}


def _leader_dies(role: str) -> Callable[[Installed], None]:
    def kill(installed: Installed) -> None:
        lease = json.loads(installed.kubectl("-n", "fairlead", "get", "lease", f"fairlead-{role}", "-o", "json").stdout)
        pod = str(lease["spec"]["holderIdentity"]).rpartition("_")[0]
        installed.kubectl("-n", "fairlead", "delete", "pod", pod, "--grace-period=0", "--force")

    return kill


def _node_agent_dies(installed: Installed) -> None:
    where = f"--field-selector=spec.nodeName={NODES[0]}"
    done = installed.kubectl("-n", "fairlead-node", "delete", "pod", where, "--grace-period=0", "--force")
    assert done.returncode == 0, done.stderr


def _kubelet_dies(installed: Installed) -> None:
    installed.cluster.nodes[NODES[0]].kubelet.restart()


KILLS: dict[str, Callable[[Installed], None]] = {
    "scheduler": _leader_dies("scheduler"),
    "binder": _leader_dies("controllers"),
    "node agent": _node_agent_dies,
    "kubelet": _kubelet_dies,
}


@pytest.mark.parametrize("who", KILLS)
def test_whoever_dies_at_whichever_step_nothing_leaks_and_no_device_is_held_twice(shared: Shared, who: str) -> None:
    for step, is_reached in STEPS.items():
        shared.asks("a", {"gpu-fraction": "0.6"}, NODES[0])
        _soon(partial(is_reached, shared))
        KILLS[who](shared.installed)
        shared.asks("b", {"gpu-fraction": "0.4"}, NODES[0])
        until(lambda: shared.phase("a") == shared.phase("b") == "Running", 300)
        assert not shared.wrong(), step
        assert len(shared.reservations()) == 1, step
        shared.ends("a", "b")
        until(lambda: not shared.reservations() and not shared.held(), 300)
    shared.asks("a", {"gpu-fraction": "0.6"}, NODES[0])
    until(lambda: shared.phase("a") == "Running", 300)
    shared.installed.kubectl("-n", PROJECT, "delete", "pod", "a", "--wait=false")
    KILLS[who](shared.installed)  # while the device is being given back: the fixture sees that it is


def _soon(look: Callable[[], object], seconds: float = 60) -> None:
    """Looks often: the step is to be caught while it lasts."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "the step was not reached"
        time.sleep(0.02)


def test_instances_of_a_mig_profile_are_given_by_the_kubelet_and_kept_apart_by_the_hardware(shared: Shared) -> None:
    profile, node = "nvidia.com/mig-1g.10gb", shared.installed.cluster.nodes[NODES[1]]
    instances = SimulatedGpus(node.machine.host_path("/var/lib/kubelet/device-plugins"), node.name, 2, profile)
    instances.start()
    try:
        for name in ("a", "b"):
            shared.asks(name, {}, asked={profile: "1"})
        until(lambda: shared.phase("a") == shared.phase("b") == "Running", 300)
        assert {shared.sees("a"), shared.sees("b")} == set(instances.uuids)
        assert shared.pod("a")["metadata"]["annotations"]["fairlead.dev/enforcement"] == "hardware"
    finally:
        shared.ends("a", "b")
        instances.stop()
