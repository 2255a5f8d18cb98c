"""The shared data volume and the product's own, tried out on a real cluster: written on one node, read on all, as a user who is not root.

One test has a real file server that is mounted, GlusterFS over FUSE, and one a real NFS server that is not; the stand-in for one in the
others is a folder of this machine that both nodes see.
What must fail here does: kubelets without a helper for NFS.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster
from tests.parts.gluster import brick
from tests.parts.nfs import nfs_server
from tests.realcluster.test_preflight import LOCAL, Preflight, by_node, check, loaded, preflight

from fairlead.preflight.gather import nfs

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

CODE = ("--only", "shared-volume")


@pytest.fixture
def shared(preflight: Preflight, real_cluster: Cluster) -> Iterator[Path]:
    """A folder that both nodes see, and a bound claim `data` to it in the product's namespace."""
    folder = real_cluster.folder / "shared"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": ""}
    claim = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": "data"}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "data"}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "data"},
            "spec": {**volume, "hostPath": {"path": str(folder), "type": "Directory"}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "data"},
            "spec": {**claim, "resources": {"requests": {"storage": "1Gi"}}},
        },
    ]
    preflight.kubectl("apply", "-f", "-", given=listed(*objects))
    preflight.kubectl("-n", "data", "wait", "pvc/data", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
    yield folder
    preflight.kubectl("delete", "namespace", "data")
    preflight.kubectl("delete", "pv", "data")
    shutil.rmtree(folder)


def listed(*objects: dict[str, Any]) -> str:
    """All of them as one document."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def config(**storage: str) -> dict[str, Any]:
    return {**LOCAL, "namespace": "data", "storage": storage, "prometheus": {"mode": "bundled"}}


def test_a_volume_that_all_nodes_write_to_is_proven_by_use(preflight: Preflight, shared: Path) -> None:
    report = preflight.report(config(shared_claim="data"), *CODE)
    assert by_node(report, "shared-volume") == {"node-1": "pass", "node-2": "pass"}, check(report, "shared-volume")
    volumes = preflight.kubectl("get", "pv", "-o", "name").split()
    assert volumes == ["persistentvolume/data"], "nothing of the trial is left, and the claim's own volume stays"
    assert preflight.kubectl("-n", "data", "get", "pods", "-o", "name") == ""


def test_a_file_server_is_proven_over_the_mount_of_each_node(
    preflight: Preflight, shared: Path, real_cluster: Cluster, tmp_path: Path
) -> None:
    machines = [node.machine for node in real_cluster.nodes.values()]
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(brick(tmp_path / "gluster", real_cluster.addresses.outside))
        except Unavailable as reason:
            pytest.skip(str(reason))
        server.data.chmod(0o777)
        for machine in machines:
            server.mount(machine, shared)
            stack.callback(machine.run, "umount", "--lazy", shared)
        there = preflight.report(config(shared_claim="data"), *CODE)
        server.end()
        gone = check(preflight.report(config(shared_claim="data"), *CODE), "shared-volume")
    assert not list(shared.iterdir()), "all was written to the server, and nothing beside it"
    assert by_node(there, "shared-volume") == {"node-1": "pass", "node-2": "pass"}, check(there, "shared-volume")
    assert (gone["verdict"], "fail" in {each["verdict"] for each in gone["nodes"].values()}) == ("fail", True), gone


def test_a_folder_that_only_root_may_write_is_found(preflight: Preflight, shared: Path) -> None:
    shared.chmod(0o755)
    found = check(preflight.report(config(shared_claim="data"), *CODE), "shared-volume")
    assert (found["verdict"], found["class"]) == ("fail", "root-squash"), found


def test_a_volume_that_is_another_on_each_node_is_found(
    preflight: Preflight, shared: Path, real_cluster: Cluster
) -> None:
    machine = real_cluster.nodes["node-2"].machine
    machine.run("mount", "-t", "tmpfs", "-o", "mode=0777", "elsewhere", shared)
    try:
        found = check(preflight.report(config(shared_claim="data"), *CODE), "shared-volume")
    finally:
        machine.run("umount", shared)
    assert found["verdict"] == "fail", found
    assert found["class"] == "other-content", found["seen"]


def test_a_claim_that_is_not_there_is_told(preflight: Preflight, shared: Path) -> None:
    found = check(preflight.report(config(shared_claim="nowhere"), *CODE), "shared-volume")
    assert found["verdict"] == "fail", found
    assert "nowhere" in found["seen"]


def test_an_export_that_no_kubelet_here_can_mount_is_told_as_such(
    preflight: Preflight, shared: Path, real_cluster: Cluster, tmp_path: Path
) -> None:
    """A real server, at the port that kubelets ask; and none."""
    outside = real_cluster.addresses.outside
    try:
        with nfs_server(tmp_path / "nfs", outside, nfs.PORT):
            there = check(preflight.report(config(nfs=f"{outside}:/data"), *CODE), "shared-volume")
    except Unavailable as reason:
        pytest.skip(str(reason))
    gone = check(preflight.report(config(nfs=f"{outside}:/data"), *CODE), "shared-volume")
    cause = "nfs-kernel" if shutil.which("mount.nfs") else "nfs-helper"
    for found, said in (
        (there, "An NFS server answers pods there"),
        (gone, "No NFS server answers pods there: refused"),
    ):
        assert (found["verdict"], found["class"]) == ("fail", cause), found["seen"]
        assert said in found["seen"], found


@pytest.fixture
def own(preflight: Preflight, real_cluster: Cluster) -> Iterator[Path]:
    """A folder of node-1 that is the volume of a class whose claims wait for their pod."""
    folder = real_cluster.folder / "own"
    folder.mkdir()
    folder.chmod(0o777)
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "own"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "late",
            "hostPath": {"path": str(folder), "type": "Directory"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        },
    }
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "late"}}
    kind |= {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    preflight.kubectl("apply", "-f", "-", given=listed(kind, volume))
    yield folder
    preflight.kubectl("delete", "storageclass", "late")
    preflight.kubectl("delete", "pv", "own", "--ignore-not-found")
    shutil.rmtree(folder)


OWN = ("--only", "storage-class,system-volume")


def test_the_products_own_volume_is_bound_with_a_pod_and_written(preflight: Preflight, own: Path) -> None:
    there = preflight.report(config(**{"class": "late"}), *OWN)
    held = json.loads(preflight.kubectl("get", "pv", "own", "-o", "json"))
    preflight.kubectl("delete", "pv", "own")
    missing = preflight.report(config(**{"class": "late"}), *OWN)
    assert [check(there, code)["verdict"] for code in ("storage-class", "system-volume")] == ["pass", "pass"], there
    assert (held["status"]["phase"], "claimRef" in held["spec"]) == ("Available", False), (
        "it is free for the installation"
    )
    first = check(missing, "storage-class")
    assert (first["verdict"], first["class"]) == ("fail", "not-bound"), first
    assert check(missing, "system-volume")["verdict"] == "unknown", (
        "what was never bound cannot be known to be writable"
    )


def test_a_volume_of_the_product_s_own_that_only_root_may_write_is_found(preflight: Preflight, own: Path) -> None:
    own.chmod(0o755)
    report = preflight.report(config(**{"class": "late"}), *OWN)
    assert check(report, "storage-class")["verdict"] == "pass", "it is bound, and its pod starts"
    found = check(report, "system-volume")
    assert (found["verdict"], found["class"]) == ("fail", "not-writable"), found


__all__ = ["loaded", "preflight"]
