"""`fairlead preflight` on a real cluster: what holds, what is missing, what is broken; and nothing of it is left, however it ends.

The cluster has no DNS here and its GPUs are simulated, so names and drivers are what is missing.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.howto import Reader, blocks
from tests.kubernetes.processes import until
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster
from tests.parts.registry import PASSWORD, USER, Registry, registry
from tests.realcluster.trust import trusts

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

MADE = "fairlead-preflight-"
LOCAL = {
    "registry": {"host": "localhost", "local_images": True},
    "images": {"tag": "test"},
    "egress": {"third_party": []},
    "prometheus": {"mode": "none"},
}
"""The image of Prometheus is nowhere here."""


class Preflight:
    """The command, as a person with a kubeconfig types it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder

    def command(self, config: dict[str, Any], *words: str) -> list[str]:
        file = self.folder / "fairlead.yaml"
        file.write_text(json.dumps(config))
        given = ["--config", str(file), "--kubeconfig", str(self.cluster.kubeconfig), "-o", "json"]
        return [sys.executable, "-m", "fairlead.cli.main", "preflight", *given, *words]

    def start(self, config: dict[str, Any], *words: str) -> subprocess.Popen[str]:
        """It, running."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(config, *words), stdout=pipe, stderr=pipe, text=True, env=_environment())

    def report(self, config: dict[str, Any], *words: str) -> dict[str, Any]:
        """What it says, once it has ended."""
        done = subprocess.run(
            self.command(config, *words), capture_output=True, text=True, timeout=400, env=_environment()
        )
        assert done.returncode in (0, 1, 5), done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found | {"exit": done.returncode, "progress": done.stderr}

    def kubectl(self, *words: str, given: str = "") -> str:
        command = ["kubectl", "--kubeconfig", str(self.cluster.kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, input=given, timeout=100, check=True).stdout

    def left(self) -> list[str]:
        """Namespaces of preflight that are there."""
        names = self.kubectl("get", "namespaces", "-o", "name").split()
        return [name.removeprefix("namespace/") for name in names if MADE in name]


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}


def check(report: dict[str, Any], code: str) -> dict[str, Any]:
    """What the report says of a check."""
    found: dict[str, Any] = next(each for each in report["checks"] if each["code"] == code)
    return found


def by_node(report: dict[str, Any], code: str) -> dict[str, str]:
    """The verdicts of a check by node."""
    return {node: each["verdict"] for node, each in check(report, code)["nodes"].items()}


@pytest.fixture(scope="module")
def loaded(real_cluster: Cluster) -> Cluster:
    """A cluster whose nodes have the product's image."""
    try:
        real_cluster.load_image(image.image())
    except Unavailable as reason:
        pytest.skip(str(reason))
    return real_cluster


@pytest.fixture
def preflight(loaded: Cluster, tmp_path: Path) -> Iterator[Preflight]:
    found = Preflight(loaded, tmp_path)
    yield found
    for name in found.left():
        found.kubectl("delete", "namespace", name, "--wait=false")


def test_what_holds_and_what_is_missing_is_told_and_nothing_is_left(preflight: Preflight) -> None:
    report = preflight.report(LOCAL)
    holds = [
        "cluster-connectivity",
        "permissions",
        "kubernetes-version",
        "kubernetes-apis",
        "node-health",
        "clock-skew",
    ]
    holds += ["openshift-version", "pod-security", "admission", "node-connectivity", "local-images", "prometheus"]
    assert {code: check(report, code)["verdict"] for code in holds} == dict.fromkeys(holds, "pass"), report
    assert by_node(report, "node-connectivity") == {"node-1": "pass", "node-2": "pass"}
    assert by_node(report, "gpu-driver") == {"node-1": "fail", "node-2": "fail"}
    assert check(report, "gpu-container-stack")["verdict"] == "unknown", "the first cause is the finding"
    assert by_node(report, "dns") == {"node-1": "fail", "node-2": "fail"}
    assert (report["verdict"], report["exit"]) == ("fail", 1)
    assert "Starting a probe on 2 nodes" in report["progress"]
    until(lambda: not preflight.left(), 300)


def test_without_pods_what_only_they_can_tell_is_unknown(preflight: Preflight) -> None:
    report = preflight.report(LOCAL, "--no-probe")
    assert check(report, "kubernetes-version")["verdict"] == "pass"
    assert {check(report, code)["verdict"] for code in ("dns", "node-connectivity", "gpu-driver")} == {"unknown"}
    assert "probe" not in report["progress"]


def test_the_guide_to_a_check_is_followed(preflight: Preflight) -> None:
    look, accept, keep = blocks("check-a-cluster")
    reader = Reader(preflight.folder, preflight.cluster.kubeconfig)
    theirs = {"mode": "existing", "url": "http://127.0.0.1:9"}
    (preflight.folder / "fairlead.yaml").write_text(json.dumps({**LOCAL, "prometheus": theirs}))
    without = {"fairlead.yaml": "fairlead.yaml --no-probe"}
    told = reader.tries(look, without)
    assert (told.returncode, "gpu-driver" in told.stdout) == (1, True), told.stderr
    accepted = reader.tries(accept, without)
    assert "no dashboards here" in accepted.stdout
    save, judge = keep.splitlines()
    reader.tries(save, without)
    assert not re.search(r"\bnode-[12]\b", (preflight.folder / "facts.yaml").read_text()), "names are hidden"
    again = reader.tries(judge)
    assert (again.returncode, "gpu-driver" in again.stdout) == (1, True), again.stderr


def test_a_network_that_is_cut_between_two_nodes_is_found_while_others_answer(preflight: Preflight) -> None:
    one, two = preflight.cluster.nodes.values()
    pods = f"{one.address.rsplit('.', 2)[0]}.1.0/24"
    two.machine.run("ip", "route", "replace", "blackhole", pods)
    try:
        report = preflight.report(LOCAL, "--only", "node-connectivity,node-health")
    finally:
        two.machine.run("ip", "route", "del", "blackhole", pods)
        two.machine.run("ip", "route", "replace", pods, "via", one.address)
    assert check(report, "node-connectivity")["verdict"] == "fail"
    assert check(report, "node-health")["verdict"] == "pass"
    assert "node-2 -> node-1" in check(report, "node-connectivity")["seen"]


def test_ctrl_c_takes_everything_away_and_tells_what_was_found(preflight: Preflight) -> None:
    until(lambda: not preflight.left(), 300)
    running = preflight.start(LOCAL)
    until(preflight.left, 300)
    running.send_signal(signal.SIGINT)
    told, progress = running.communicate(timeout=90)
    report = json.loads(told)
    assert check(report, "kubernetes-version")["verdict"] == "pass"
    assert "Stopped: what was found until now is judged." in progress
    until(lambda: not preflight.left(), 300)


def test_after_kill_9_all_is_gone_soon_after_its_time(preflight: Preflight) -> None:
    until(lambda: not preflight.left(), 300)
    running = preflight.start(LOCAL, "--timeout", "20s")
    name = min(until(preflight.left, 60))
    until(lambda: preflight.kubectl("-n", name, "get", "pods", "-o", "name").split(), 300)
    running.kill()
    running.communicate()
    assert name in preflight.left()
    until(lambda: not preflight.left(), 240)


@pytest.fixture
def private(preflight: Preflight, tmp_path: Path) -> Iterator[Registry]:
    """A registry with a password, that only node-1's runtime trusts."""
    here = f"{preflight.cluster.control_plane.address.rsplit('.', 2)[0]}.255.1"
    try:
        with registry(tmp_path, here) as found:
            found.push(image.image(), "fairlead:test")
            one, _ = preflight.cluster.nodes.values()
            trusts(one, found)
            yield found
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_each_node_s_own_runtime_has_to_pull(preflight: Preflight, private: Registry) -> None:
    """node-2 does not trust the registry's authority, whoever else does."""
    pull_secret(preflight, private, PASSWORD)
    config = {**LOCAL, "registry": {"host": private.address, "pull_secret": "pull"}, "namespace": "pulls"}
    report = preflight.report(config, "--only", "registry-pull")
    assert by_node(report, "registry-pull") == {"node-1": "pass", "node-2": "fail"}
    assert check(report, "registry-pull")["class"] == "tls"
    pull_secret(preflight, private, "not-the-password")
    preflight.kubectl("get", "nodes")
    time.sleep(1)
    wrong = preflight.report(config, "--only", "registry-pull")
    assert (by_node(wrong, "registry-pull")["node-1"], check(wrong, "registry-pull")["class"]) == ("fail", "auth")
    pull_secret(preflight, private, PASSWORD)
    missing = preflight.report({**config, "images": {"tag": "no-such-tag"}}, "--only", "registry-pull")
    assert "not found" in check(missing, "registry-pull")["nodes"]["node-1"]["seen"]
    nowhere = preflight.report({**LOCAL, "registry": {"host": "nowhere.invalid:5000"}}, "--only", "registry-pull")
    assert check(nowhere, "registry-pull")["class"] == "dns", check(nowhere, "registry-pull")
    preflight.kubectl("-n", "pulls", "delete", "secret", "pull")
    none = preflight.report(config, "--only", "registry-pull")
    assert (
        "the pull secret pull of the namespace pulls is not there"
        in check(none, "registry-pull")["nodes"]["node-1"]["seen"]
    )
    assert (by_node(none, "registry-pull")["node-1"], "create secret" in str(check(none, "registry-pull"))) == (
        "fail",
        True,
    )
    preflight.kubectl("delete", "namespace", "pulls", "--wait=false")


def pull_secret(preflight: Preflight, private: Registry, password: str) -> None:
    """The Secret `pull` of the namespace `pulls`, with that password."""
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    data = base64.b64encode(json.dumps({"auths": {private.address: {"auth": token}}}).encode()).decode()
    body = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pulls"}},
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "pull", "namespace": "pulls"},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": data},
            },
        ],
    }
    preflight.kubectl("apply", "-f", "-", given=json.dumps(body))
