"""`fairlead install`, `upgrade`, `uninstall` on a real cluster: stopped by what is missing, cut off half-way, done again, and proven."""

from __future__ import annotations

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
from tests.kubernetes.processes import until
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster
from tests.parts.helm import helm

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

CONFIG = {
    "control_plane": {"url": ""},
    "registry": {"host": "localhost", "local_images": True},
    "images": {"tag": "test"},
    "egress": {"third_party": []},
    "prometheus": {"mode": "none"},
    "system_nodes": {"label": "example.com/system"},
}
"""The nodes have the image; neither names nor anything outside are to be had there."""


class Installer:
    """The commands, as a person with a kubeconfig types them."""

    def __init__(self, cluster: Cluster, folder: Path, config: dict[str, Any]) -> None:
        self.cluster = cluster
        self._folder = folder
        folder.joinpath("fairlead.yaml").write_text(json.dumps(config))
        self._values = folder / "values.yaml"
        self._values.write_text(json.dumps({"networkPolicy": {"enabled": True}}))
        homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        plain = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        self._env = {**plain, **homes, "KUBECONFIG": str(cluster.kubeconfig)}
        self.accepted: list[str] = []

    def start(self, verb: str, *words: str) -> subprocess.Popen[str]:
        """It, running."""
        config = ["--config", str(self._folder / "fairlead.yaml"), "--helm", str(helm(3))]
        values = [] if verb == "uninstall" else ["-f", str(self._values)]
        command = [sys.executable, "-m", "fairlead.cli.main", verb, *config, *values, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=self._env)

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """It, ended."""
        running = self.start(verb, *words)
        said, complaint = running.communicate(timeout=900)
        return subprocess.CompletedProcess(running.args, running.returncode, said, complaint)

    def ok(self, verb: str, *words: str) -> str:
        """What it said, where it must succeed."""
        done = self.run(verb, *words)
        told = self.kubectl("-n", "fairlead", "describe", "pods")[-4000:]
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n{told}"
        return done.stdout + done.stderr

    def accepting(self, told: str) -> list[str]:
        """The options that take all risks which an installation stopped at."""
        codes = re.findall(r"--accept (\S+)='WHY'", told)
        return [word for code in codes for word in ("--accept", f"{code}=a test cluster")]

    def kubectl(self, *words: str, given: str = "") -> str:
        done = subprocess.run(
            ["kubectl", *words], capture_output=True, text=True, input=given, timeout=100, env=self._env
        )
        return done.stdout

    def release(self) -> str:
        """The release's state; empty where there is none."""
        command = [str(helm(3)), "status", "fairlead", "-n", "fairlead", "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, env=self._env)
        return str(json.loads(done.stdout)["info"]["status"]) if done.returncode == 0 else ""


@pytest.fixture(scope="module")
def installer(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installer]:
    """On a cluster whose nodes have the image; afterwards nothing of the product is left."""
    try:
        real_cluster.load_image(image.image())
        found = Installer(real_cluster, tmp_path_factory.mktemp("install"), CONFIG)
        helm(3)
        until(lambda: found.kubectl("get", "nodes", "-o", "yaml").count(image.NAME) >= len(real_cluster.nodes), 300)
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield found
    found.run("uninstall", "--purge", "--yes")


def test_what_is_missing_stops_it_before_anything_is_changed(installer: Installer) -> None:
    done = installer.run("install")
    assert done.returncode == 1, done.stderr
    assert "Nothing was changed" in done.stderr
    assert installer.release() == ""
    assert "fairlead" not in installer.kubectl("get", "crds", "-o", "name")
    installer.accepted = installer.accepting(done.stderr)
    assert "gpu-driver=a test cluster" in installer.accepted, "its GPUs are simulated"


def test_a_rehearsal_changes_nothing(installer: Installer) -> None:
    told = installer.ok("install", "--dry-run", "--no-probe", *installer.accepted)
    assert re.search(r"The API server takes: .*\b3 Deployment\b", told), told
    assert "repository: localhost/fairlead" in told
    assert installer.release() == ""


def test_killed_in_the_middle_and_run_again_it_goes_on_and_proves_it_with_a_gpu(installer: Installer) -> None:
    running = installer.start("install", "--no-probe", *installer.accepted)
    until(lambda: installer.release() == "pending-install", 120)
    helms = subprocess.run(["pgrep", "-P", str(running.pid)], capture_output=True, text=True).stdout.split()
    for process in (*map(int, helms), running.pid):
        os.kill(process, signal.SIGKILL)
    running.communicate()
    assert installer.release() == "pending-install"
    told = installer.ok("install", "--no-probe", *installer.accepted)
    assert "what it began is taken back first" in told
    assert "$ helm upgrade fairlead" in told
    for unit in ("fairlead-scheduler: 2 of 2 up", "fairlead-controllers: 2 of 2 up", "fairlead-node: 2 of 2 up"):
        assert unit in told
    assert re.search(r"Fairlead works: a workload ran on one GPU of node-[12]", told), told
    assert "fairlead-verify" not in installer.kubectl("get", "projects.fairlead.dev", "-o", "name")
    assert "fairlead-verify" not in installer.kubectl("get", "namespaces", "-o", "name")


def test_ctrl_c_leaves_a_state_from_which_an_upgrade_goes_on(installer: Installer) -> None:
    running = installer.start("upgrade", "--no-probe", *installer.accepted)
    until(lambda: installer.release() == "pending-upgrade", 120)
    running.send_signal(signal.SIGINT)
    _, complaint = running.communicate(timeout=60)
    assert running.returncode not in (0, 70), complaint
    assert "it goes on where it is" in complaint
    told = installer.ok("upgrade", "--no-probe", *installer.accepted)
    assert "Fairlead works" in told


def test_what_holds_a_unit_up_is_told(installer: Installer) -> None:
    values = installer.cluster.kubeconfig.parent / "broken.yaml"
    values.write_text(json.dumps({"image": {"tag": "nowhere"}, "crds": {"install": False}}))
    began = time.monotonic()
    done = installer.run("upgrade", "--no-probe", "--timeout", "20s", "-f", str(values), *installer.accepted)
    assert done.returncode == 5, done.stderr
    assert "ErrImageNeverPull" in done.stderr
    assert "fairlead-scheduler (" in done.stderr
    assert time.monotonic() - began < 200
    assert "Fairlead works" in installer.ok("upgrade", "--no-probe", *installer.accepted)


QUOTA: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small", "namespace": "fairlead"},
    "spec": {"hard": {"limits.cpu": "20"}},
}


def test_a_quota_that_refuses_the_first_job_stops_it_and_is_told_where_that_risk_is_taken(installer: Installer) -> None:
    installer.kubectl("create", "namespace", "fairlead")
    installer.kubectl("create", "-f", "-", given=json.dumps(QUOTA))
    words = ("--no-probe", "--timeout", "25s", *installer.accepted)
    try:
        stopped = installer.run("install", *words)
        assert stopped.returncode == 1, stopped.stderr
        assert "limits.cpu" in stopped.stdout
        assert "patch resourcequota small" in stopped.stdout
        began = time.monotonic()
        done = installer.run("install", *words, "--accept", "admission=a test")
        assert "fairlead-crds: failed quota: small: must specify limits.cpu for: crds" in done.stderr
        assert "What holds it up: fairlead-crds" in done.stderr
        assert done.returncode not in (0, 70)
        assert time.monotonic() - began < 250, "Helm alone would wait for 5 minutes"
    finally:
        installer.kubectl("-n", "fairlead", "delete", "resourcequota", "small")


def test_uninstalled_its_projects_stay_and_a_purge_removes_all(installer: Installer) -> None:
    project: dict[str, Any] = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Project", "metadata": {"name": "kept"}}
    department = {**project, "kind": "Department", "metadata": {"name": "default"}}
    for each in (department, project):
        installer.kubectl("create", "-f", "-", given=json.dumps(each))
    until(lambda: "runai-kept" in installer.kubectl("get", "namespaces", "-o", "name"), 60)
    assert "still there" in installer.ok("uninstall")
    assert "kept" in installer.kubectl("get", "projects.fairlead.dev", "-o", "name")
    assert installer.run("upgrade", "--no-probe", *installer.accepted).returncode == 3, "there is nothing to upgrade"
    told = installer.ok("uninstall", "--purge", "--yes")
    assert "Fairlead is gone." in told
    assert "fairlead" not in installer.kubectl("get", "crds,namespaces,clusterroles", "-o", "name")
    assert "runai-kept" not in installer.kubectl("get", "namespaces", "-o", "name")
