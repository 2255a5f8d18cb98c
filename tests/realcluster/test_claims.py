"""Volume claims on a real cluster: its volume controller binds them, its kubelets mount them. Who makes volumes on demand is a stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.parts.cluster.cluster import NODES
from tests.parts.cluster.images import BUSYBOX
from tests.realcluster.product import Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

PROJECT, DISK = "runai-team", "/var/lib/kubelet/a-disk"


@pytest.fixture(autouse=True)
def emptied(installed: Installed) -> Iterator[None]:
    """Afterwards nothing of the test is left."""
    for node in installed.cluster.nodes.values():
        node.machine.run("mkdir", "-p", DISK)
    yield
    installed.kubectl("-n", PROJECT, "delete", "pods,pvc", "--all", "--wait=false", "--grace-period=1")
    until(lambda: not installed.objects("pods", PROJECT), 300)
    installed.kubectl("delete", "pv,storageclasses", "--all", "--wait=false")
    until(lambda: not installed.objects("bindrequests", PROJECT), 300)


def make(installed: Installed, *objects: dict[str, Any]) -> None:
    """Creates them."""
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    done = installed.kubectl("create", "-f", "-", given=given)
    assert done.returncode == 0, done.stderr


def a_class(name: str, provisioner: str) -> dict[str, Any]:
    meta = {"name": name}
    late = {"provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer"}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": meta, **late}


def a_claim(name: str, klass: str) -> dict[str, Any]:
    spec = {"storageClassName": klass, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": name, "namespace": PROJECT}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def a_volume(name: str, klass: str, node: str, claim: str = "") -> dict[str, Any]:
    line = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    spec = {
        "storageClassName": klass,
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "local": {"path": DISK},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [line]}]}},
    }
    if claim:
        spec["claimRef"] = {"namespace": PROJECT, "name": claim}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def a_pod(name: str, claim: str = "", script: str = "sleep 3600") -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "main",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    }
    spec: dict[str, Any] = {"schedulerName": "fairlead", "terminationGracePeriodSeconds": 1, "containers": [container]}
    if claim:
        container["volumeMounts"] = [{"name": "disk", "mountPath": "/disk"}]
        spec["volumes"] = [{"name": "disk", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": PROJECT}, "spec": spec}


def pod(installed: Installed, name: str) -> dict[str, Any]:
    """As it is."""
    return next(p for p in installed.objects("pods", PROJECT) if p["metadata"]["name"] == name)


def runs(installed: Installed, name: str) -> str:
    """The node the pod runs on, once it does."""
    until(lambda: pod(installed, name)["status"].get("phase") == "Running", 300)
    return str(pod(installed, name)["spec"]["nodeName"])


def test_a_claim_gets_the_volume_that_is_on_a_node_and_its_pod_goes_there(installed: Installed) -> None:
    make(installed, a_class("by-hand", "kubernetes.io/no-provisioner"), a_volume("disk", "by-hand", NODES[1]))
    make(installed, a_claim("data", "by-hand"), a_pod("writes", "data", "echo kept > /disk/file; sleep 3600"))
    assert runs(installed, "writes") == NODES[1]
    (claim,) = installed.objects("pvc", PROJECT)
    assert (claim["status"]["phase"], claim["spec"]["volumeName"]) == ("Bound", "disk")
    installed.kubectl("-n", PROJECT, "delete", "pod", "writes", "--wait")
    make(installed, a_pod("reads", "data", "cat /disk/file; sleep 3600"))
    assert runs(installed, "reads") == NODES[1]
    until(lambda: installed.kubectl("-n", PROJECT, "logs", "reads").stdout == "kept\n")


def test_a_provisioner_stand_in_is_told_the_node_and_others_go_on_meanwhile(installed: Installed) -> None:
    make(installed, a_class("made", "example.com/disks"), a_claim("late", "made"), a_pod("waits", "late"))
    until(lambda: _selected(installed))
    make(installed, a_pod("other"))
    runs(installed, "other")
    assert not pod(installed, "waits")["spec"].get("nodeName")
    node = _selected(installed)
    make(installed, a_volume("made", "made", node, claim="late"))
    assert runs(installed, "waits") == node


def test_a_claim_that_nobody_serves_is_the_reason_its_pod_tells(installed: Installed) -> None:
    make(installed, a_pod("lacks", "nothing"))
    until(lambda: "the claim nothing does not exist" in json.dumps(pod(installed, "lacks")["status"]))


def _selected(installed: Installed) -> str:
    (claim,) = installed.objects("pvc", PROJECT)
    return str(claim["metadata"].get("annotations", {}).get("volume.kubernetes.io/selected-node", ""))
