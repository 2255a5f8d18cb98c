"""System nodes, control-plane nodes and storage classes, as a real API server has them: there, missing, and there but wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.test_preflight import look, make, make_none
from tests.parts.apiserver import ApiServer

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

SYSTEM, MASTER = "node-role.kubernetes.io/fairlead-system", "node-role.kubernetes.io/control-plane"
LARGE = {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"}
SMALL = {**LARGE, "memory": "4Gi"}


def a_node(name: str, role: str = "", *, taint: str = "", has: dict[str, str] = LARGE) -> dict[str, Any]:
    """A node whose kubelet says that it is well."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {role: ""} if role else {}},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}] if taint else []},
        "status": {
            "capacity": has,
            "allocatable": has,
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"operatingSystem": "linux", "architecture": "amd64", "kubeletVersion": "v1.34.0"},
        },
    }


def busy(name: str) -> dict[str, Any]:
    """A pod on that node which asks for nearly all of it."""
    container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": "7800m", "memory": "1Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"busy-{name}", "namespace": "default"},
        "spec": {"nodeName": name, "containers": [container]},
    }


ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}


def a_class(name: str, *, default: bool) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": name,
            "annotations": {"storageclass.kubernetes.io/is-default-class": str(default).lower()},
        },
        "provisioner": "example.com/none",
    }


@pytest.fixture
def made(server: ApiServer, tmp_path: Path) -> Iterator[list[str]]:
    """What a test makes, taken away afterwards."""
    names: list[str] = []
    yield names
    if names:
        make_none(server, tmp_path, "--ignore-not-found", "--force", "--grace-period=0", *names)


@pytest.mark.parametrize(
    ("nodes", "verdict", "cause"),
    [
        ([a_node("s1", SYSTEM, taint=SYSTEM), a_node("s2", SYSTEM, taint=SYSTEM)], "pass", ""),
        ([a_node("s1", SYSTEM, taint=SYSTEM), a_node("w1")], "warn", "one"),
        ([a_node("s1", SYSTEM), a_node("s2", SYSTEM)], "warn", "no-taint"),
        ([a_node("w1"), a_node("w2")], "fail", "none"),
        ([a_node("s1", SYSTEM, has=SMALL), a_node("s2", SYSTEM, has=SMALL)], "fail", "too-small"),
        ([a_node("s1", SYSTEM, taint="dedicated"), a_node("w1")], "fail", "tainted"),
        (
            [ACCOUNT, a_node("s1", SYSTEM, taint=SYSTEM), a_node("s2", SYSTEM, taint=SYSTEM), busy("s1"), busy("s2")],
            "warn",
            "full",
        ),
        ([ACCOUNT, a_node("s1", SYSTEM, taint=SYSTEM), a_node("s2", SYSTEM, taint=SYSTEM), busy("s1")], "pass", ""),
    ],
)
def test_nodes_of_the_products_own(
    server: ApiServer, tmp_path: Path, made: list[str], nodes: list[dict[str, Any]], verdict: str, cause: str
) -> None:
    _make(server, tmp_path, made, nodes)
    config = server.write_kubeconfig(tmp_path / "config")
    found = look(config, tmp_path, "--only", "system-nodes", production=True).check("system-nodes")
    assert (found["verdict"], found["class"] or "") == (verdict, cause), found


@pytest.mark.parametrize(
    ("nodes", "verdict", "cause"),
    [
        ([a_node("m1", MASTER, taint=MASTER), a_node("w1")], "pass", ""),
        ([a_node("m1", MASTER), a_node("w1")], "warn", "untainted"),
        ([a_node("w1"), a_node("w2")], "unknown", "not-known"),
    ],
)
def test_control_plane_nodes(
    server: ApiServer, tmp_path: Path, made: list[str], nodes: list[dict[str, Any]], verdict: str, cause: str
) -> None:
    _make(server, tmp_path, made, nodes)
    config = server.write_kubeconfig(tmp_path / "config")
    found = look(config, tmp_path, "--only", "control-plane-nodes", production=True).check("control-plane-nodes")
    assert (found["verdict"], found["class"] or "") == (verdict, cause), found


@pytest.mark.parametrize(
    ("classes", "verdict", "cause"),
    [
        ([], "fail", "no-default"),
        ([a_class("a", default=False)], "fail", "no-default"),
        ([a_class("a", default=True), a_class("b", default=True)], "warn", "two-defaults"),
        ([a_class("a", default=True)], "unknown", "not-known"),  # only a pod can tell
    ],
)
def test_the_class_of_claims_that_name_none(
    server: ApiServer, tmp_path: Path, made: list[str], classes: list[dict[str, Any]], verdict: str, cause: str
) -> None:
    _make(server, tmp_path, made, classes)
    config = server.write_kubeconfig(tmp_path / "config")
    found = look(config, tmp_path, "--only", "storage-class").check("storage-class")
    assert (found["verdict"], found["class"] or "") == (verdict, cause), found


def _make(server: ApiServer, folder: Path, made: list[str], objects: list[dict[str, Any]]) -> None:
    made += [f"{each['kind'].lower()}/{each['metadata']['name']}" for each in objects]
    for _ in range(2 if objects else 0):  # a new node is tainted as not ready, whatever it says
        make(server, folder, *objects)
