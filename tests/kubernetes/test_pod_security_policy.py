"""A cluster that enforces PodSecurityPolicy (1.24): the chart goes in, and its pods are let in as what they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.test_chart import CHART, CONNECTED, Helm
from tests.parts.apiserver import USER_TOKEN, ApiServer, api_server
from tests.parts.build import OLDER, Unavailable
from tests.parts.helm import helm

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(900)]

KIND = ("--api-versions", "policy/v1beta1/PodSecurityPolicy")


class Enforcing:
    """The API server, by an administrator's kubeconfig."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.helm = Helm(helm(3), folder, server.write_kubeconfig(folder / "kubeconfig"))
        self._config = folder / "kubeconfig"

    def kubectl(self, *words: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        """The finished command."""
        command = ["kubectl", f"--kubeconfig={self._config}", "-n", "fairlead", *words]
        return subprocess.run(command, capture_output=True, text=True, input=json.dumps(given), timeout=240)

    def made(self, template: dict[str, Any], name: str) -> subprocess.CompletedProcess[str]:
        """A pod as a controller without rights of its own makes it: its account's are those that count."""
        pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"name": name}}
        return self.kubectl(f"--token={USER_TOKEN}", "create", "-f", "-", "-o", "json", given=pod)


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforcing]:
    """The chart is installed; a user may make pods, and use no policy."""
    try:
        with api_server(version=OLDER, extra=("--enable-admission-plugins=PodSecurityPolicy",)) as server:
            found = Enforcing(server, tmp_path_factory.mktemp("psp"))
            found.kubectl("create", "priorityclass", "unused", "--value=1")
            found.helm.ok(
                "install", "fairlead", str(CHART), "-n", "fairlead", "--create-namespace", "--no-hooks", *CONNECTED
            )
            found.kubectl("create", "role", "makes-pods", "--verb=create", "--resource=pods")
            found.kubectl("create", "rolebinding", "makes-pods", "--role=makes-pods", "--user=user")
            yield found
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_every_pod_of_the_chart_is_let_in_under_its_own_policy(enforcing: Enforcing) -> None:
    objects = enforcing.helm.objects(*CONNECTED, *KIND)
    hooks = [o for o in objects if o["metadata"].get("annotations", {}).get("helm.sh/hook") and o["kind"] != "Job"]
    for one in hooks:
        assert enforcing.kubectl("apply", "-f", "-", given=one).returncode == 0, one
    pods = [o for o in objects if o["kind"] in ("Deployment", "StatefulSet", "Job")]
    assert len(pods) == 6
    for one in pods:
        spec = {**one["spec"]["template"]["spec"], "priorityClassName": ""}
        for claim in one["spec"].get("volumeClaimTemplates", ()):
            volume = {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "made-for-it"}}
            spec["volumes"] = [*spec["volumes"], volume]
        done = enforcing.made({"spec": spec}, one["metadata"]["name"])
        assert done.returncode == 0, (one["metadata"]["name"], done.stderr)
        assert json.loads(done.stdout)["metadata"]["annotations"]["kubernetes.io/psp"].startswith("fairlead")


def test_what_the_policy_forbids_is_refused_to_the_same_accounts(enforcing: Enforcing) -> None:
    container = {"name": "c", "image": "x", "securityContext": {"privileged": True}}
    spec = {"serviceAccountName": "fairlead-scheduler", "containers": [container]}
    done = enforcing.made({"spec": spec}, "privileged")
    assert done.returncode != 0
    assert "Privileged containers are not allowed" in done.stderr


def test_it_is_upgraded_rolled_back_and_removed(enforcing: Enforcing) -> None:
    program = enforcing.helm
    program.ok("upgrade", "fairlead", str(CHART), "-n", "fairlead", "--no-hooks", "--set", "scheduler.replicas=3")
    program.ok("rollback", "fairlead", "1", "-n", "fairlead", "--no-hooks")
    program.ok("uninstall", "fairlead", "-n", "fairlead", "--no-hooks")
    assert "fairlead" not in enforcing.kubectl("get", "podsecuritypolicies", "-o", "name").stdout.replace(
        "fairlead-crds", ""
    )


def test_where_the_kind_is_gone_nothing_of_it_is_rendered(tmp_path: Path) -> None:
    try:
        objects = Helm(helm(3), tmp_path).objects(*CONNECTED)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert not any("psp" in o["metadata"]["name"] or o["kind"] == "PodSecurityPolicy" for o in objects)


@pytest.fixture(scope="module")
def bare() -> Iterator[ApiServer]:
    """It enforces policies, and has none."""
    try:
        enforced = ("--enable-admission-plugins=PodSecurityPolicy",)
        with api_server(version=OLDER, extra=enforced, controllers="namespace,serviceaccount") as server:
            yield server
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_preflight_says_that_policies_are_enforced_and_none_lets_our_pods_in(bare: ApiServer, tmp_path: Path) -> None:
    config = bare.write_kubeconfig(tmp_path / "kubeconfig")
    refused = _pod_security(config, tmp_path)
    assert (refused["verdict"], refused["class"], refused["remedy"]) == ("fail", "psp", "Set podSecurityPolicy: on")
    assert "PodSecurityPolicy: no providers available" in refused["seen"]
    brought = _pod_security(config, tmp_path, podSecurityPolicy="on")
    assert brought["verdict"] == "pass", brought
    assert "the chart brings one" in brought["seen"]
    anything = {rule: {"rule": "RunAsAny"} for rule in ("runAsUser", "seLinux", "fsGroup", "supplementalGroups")}
    policy = {
        "apiVersion": "policy/v1beta1",
        "kind": "PodSecurityPolicy",
        "metadata": {"name": "anything"},
        "spec": {**anything, "privileged": True, "allowPrivilegeEscalation": True, "volumes": ["*"]},
    }
    policy["metadata"]["annotations"] = {"seccomp.security.alpha.kubernetes.io/allowedProfileNames": "*"}
    command = ["kubectl", f"--kubeconfig={config}", "create", "-f", "-"]
    subprocess.run(command, input=json.dumps(policy), capture_output=True, text=True, check=True, timeout=60)
    assert _pod_security(config, tmp_path)["verdict"] == "pass"


def _pod_security(config: Path, folder: Path, **more: str) -> dict[str, Any]:
    """What preflight says of it, with pods sent to be judged. `more`: of its configuration."""
    file = folder / "fairlead.yaml"
    file.write_text(json.dumps({"registry": {"host": "localhost", "local_images": True}, **more}))
    words = ["preflight", "--kubeconfig", str(config), "--config", str(file), "--only", "pod-security", "-o", "json"]
    plain = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", *words], capture_output=True, text=True, timeout=300, env=plain
    )
    found: dict[str, Any] = json.loads(done.stdout)["checks"][0]
    return found
