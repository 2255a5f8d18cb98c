"""`docs/howto/install-with-one-command.md` on a real cluster: stopped by what is missing, cut off half-way, done again, and proven."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.howto import Reader, blocks
from tests.kubernetes.processes import until
from tests.kubernetes.test_preflight import definition
from tests.parts import image
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1800)]

CONNECT, PLAN, ACCEPT, CHANGE = blocks("install-with-one-command")
REHEARSE, INSTALL = PLAN.splitlines()
UPGRADE, UNINSTALL, PURGE = CHANGE.splitlines()
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
    """What the guide has people type, and what it comes to."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        folder.joinpath("fairlead.yaml").write_text(json.dumps(CONFIG))
        folder.joinpath("values.yaml").write_text(json.dumps({"networkPolicy": {"enabled": True}}))
        self._reader = Reader(folder, cluster.kubeconfig)
        self.accepted = ""

    def start(self, command: str, *words: str) -> subprocess.Popen[str]:
        """It, running, with more options than the guide gives it."""
        values = "" if "uninstall" in command else "-f values.yaml"
        return self._reader.start(f"exec {' '.join((command.strip(), values, *words))}")

    def run(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """It, ended."""
        running = self.start(command, *words)
        said, complaint = running.communicate(timeout=900)
        return subprocess.CompletedProcess(running.args, running.returncode, said, complaint)

    def ok(self, command: str, *words: str) -> str:
        """What it said, where it must succeed."""
        done = self.run(command, *words)
        told = self.kubectl("-n", "fairlead", "describe", "pods")[-4000:]
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n{told}"
        return done.stdout + done.stderr

    def types(self, block: str, *words: str) -> str:
        """What other commands printed."""
        return self._reader.types(f"{block.rstrip()} {' '.join(words)}")

    def leftovers(self) -> tuple[str, Any]:
        """The verdict of that check, and what it knows of releases."""
        only = "--no-probe --only leftovers --save-facts facts.json -o json"
        done = self._reader.tries(f"fairlead preflight --config fairlead.yaml {only}")
        (check,) = json.loads(done.stdout)["checks"]
        return check["verdict"], json.loads((self.folder / "facts.json").read_text())["helm_releases"]

    def kubectl(self, *words: str, given: str = "") -> str:
        command = ["kubectl", "--kubeconfig", str(self.cluster.kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, input=given, timeout=100).stdout

    def release(self) -> str:
        """The release's state; empty where there is none."""
        done = self._reader.tries("helm status fairlead -n fairlead -o json")
        return str(json.loads(done.stdout)["info"]["status"]) if done.returncode == 0 else ""


def accepting(told: str) -> str:
    """The options that take all risks which an installation stopped at."""
    return " ".join(f"--accept {code}='a test cluster'" for code in re.findall(r"--accept (\S+)='WHY'", told))


@pytest.fixture(scope="module")
def installer(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installer]:
    """On a cluster whose nodes have the image; afterwards nothing of the product is left."""
    try:
        real_cluster.load_image(image.image())
        found = Installer(real_cluster, tmp_path_factory.mktemp("install"))
        until(lambda: found.kubectl("get", "nodes", "-o", "yaml").count(image.NAME) >= len(real_cluster.nodes), 300)
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield found
    found.run(PURGE, "--yes")


def test_what_is_missing_stops_it_before_anything_is_changed(installer: Installer) -> None:
    done = installer.run(ACCEPT)
    assert done.returncode == 1, done.stderr
    assert "Nothing was changed" in done.stderr
    assert installer.release() == ""
    assert "fairlead" not in installer.kubectl("get", "crds", "-o", "name")
    installer.accepted = accepting(done.stderr)
    assert "system-nodes" not in installer.accepted, "that risk was taken"
    installer.accepted += ACCEPT.partition("fairlead.yaml")[2].rstrip()
    assert "gpu-driver='a test cluster'" in installer.accepted, "its GPUs are simulated"


def test_a_rehearsal_changes_nothing(installer: Installer) -> None:
    told = installer.ok(REHEARSE, "--no-probe", installer.accepted)
    assert re.search(r"The API server takes: .*\b3 Deployment\b", told), told
    assert "repository: localhost/fairlead" in told
    assert installer.release() == ""


def test_a_connection_is_rehearsed_with_the_secret_that_the_guide_makes(installer: Installer) -> None:
    plane = {"url": "https://fairlead.example.com", "cluster": "c1", "token_secret": "fairlead-agent"}
    (installer.folder / "connected.yaml").write_text(json.dumps({**CONFIG, "control_plane": plane}))
    installer.types(CONNECT.replace("=SECRET", "=the-secret"))
    try:
        told = installer.ok(REHEARSE.replace("fairlead.yaml", "connected.yaml"), "--no-probe", installer.accepted)
        read = installer.kubectl("-n", "fairlead", "get", "secret", "fairlead-agent", "-o", "jsonpath={.data.secret}")
    finally:
        installer.kubectl("delete", "namespace", "fairlead")
    assert base64.b64decode(read) == b"the-secret"
    assert "existingSecret: fairlead-agent" in told, told
    assert re.search(r"The API server takes: .*\b4 Deployment\b", told), "the agent's beside the others"


def test_on_openshift_the_rehearsal_brings_its_constraints_and_makes_no_namespaces_where_nobody_may(
    installer: Installer,
) -> None:
    """Its kinds are there, and the object by which it is known; nobody enforces its constraints."""
    look, plan, spaces = blocks("openshift")
    kinds = {"clusterversions": "config", "securitycontextconstraints": "security"}
    definitions = [definition(plural, f"{group}.openshift.io") for plural, group in kinds.items()]
    version = {"apiVersion": "config.openshift.io/v1", "kind": "ClusterVersion", "metadata": {"name": "version"}}
    done = [{"state": "Completed", "version": "4.16.3"}]
    given = {**version, "status": {"desired": {"version": "4.16.3"}, "history": done}}
    more = YAML(typ="safe").load(blocks("openshift", "yaml")[0])
    installer.folder.joinpath("fairlead.yaml").write_text(json.dumps({**CONFIG, **more}))
    try:
        for each in definitions:
            installer.kubectl("create", "-f", "-", given=json.dumps(each))
        until(lambda: "created" in installer.kubectl("create", "-f", "-", given=json.dumps(given)), 60)
        installer.types(spaces)
        assert "OpenShift 4.16.3" in installer.types(look.splitlines()[0], "--no-probe")
        told = installer.ok(plan.splitlines()[0], "--no-probe", installer.accepted)
        assert re.search(r"The API server takes: .*\b2 SecurityContextConstraints\b", told), told
        assert re.search(r"openshift:\s+enabled: true", told), told
        assert not re.search(r"The API server takes: .*Namespace\b", told), told
    finally:
        for each in definitions:
            installer.kubectl("delete", "crd", each["metadata"]["name"])
        installer.kubectl("delete", "namespace", "fairlead", "fairlead-node", "fairlead-reservation")
        installer.folder.joinpath("fairlead.yaml").write_text(json.dumps(CONFIG))


def test_killed_in_the_middle_and_run_again_it_goes_on_and_proves_it_with_a_gpu(installer: Installer) -> None:
    running = installer.start(INSTALL, "--no-probe", installer.accepted)
    until(lambda: installer.release() == "pending-install", 120)
    helms = subprocess.run(["pgrep", "-P", str(running.pid)], capture_output=True, text=True).stdout.split()
    for process in (*map(int, helms), running.pid):
        os.kill(process, signal.SIGKILL)
    running.communicate()
    assert installer.release() == "pending-install"
    told = installer.ok(INSTALL, "--no-probe", installer.accepted)
    assert "what it began is taken back first" in told
    assert "$ helm upgrade fairlead" in told
    for unit in ("fairlead-scheduler: 2 of 2 up", "fairlead-controllers: 2 of 2 up", "fairlead-node: 2 of 2 up"):
        assert unit in told
    assert re.search(r"Fairlead works: a workload ran on one GPU of node-[12]", told), told
    assert "fairlead-verify" not in installer.kubectl("get", "projects.fairlead.dev", "-o", "name")
    assert "fairlead-verify" not in installer.kubectl("get", "namespaces", "-o", "name")
    release = {"namespace": "fairlead", "name": "fairlead", "status": "deployed", "removed_apis": []}
    assert installer.leftovers() == ("pass", [release])


def test_ctrl_c_leaves_a_state_from_which_an_upgrade_goes_on(installer: Installer) -> None:
    running = installer.start(UPGRADE, "--no-probe", installer.accepted)
    until(lambda: installer.release() == "pending-upgrade", 120)
    running.send_signal(signal.SIGINT)
    _, complaint = running.communicate(timeout=60)
    assert running.returncode not in (0, 70), complaint
    assert "it goes on where it is" in complaint
    told = installer.ok(UPGRADE, "--no-probe", installer.accepted)
    assert "Fairlead works" in told


def test_what_holds_a_unit_up_is_told(installer: Installer) -> None:
    values = installer.cluster.kubeconfig.parent / "broken.yaml"
    values.write_text(json.dumps({"image": {"tag": "nowhere"}, "crds": {"install": False}}))
    began = time.monotonic()
    done = installer.run(UPGRADE, "--no-probe", "--timeout", "20s", f"-f {values}", installer.accepted)
    assert done.returncode == 5, done.stderr
    assert "ErrImageNeverPull" in done.stderr
    assert "fairlead-scheduler (" in done.stderr
    assert time.monotonic() - began < 200
    assert "Fairlead works" in installer.ok(UPGRADE, "--no-probe", installer.accepted)


QUOTA: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "small", "namespace": "fairlead"},
    "spec": {"hard": {"limits.cpu": "20"}},
}


def test_a_quota_that_refuses_the_first_job_stops_it_and_is_told_where_that_risk_is_taken(installer: Installer) -> None:
    installer.kubectl("create", "namespace", "fairlead")
    installer.kubectl("create", "-f", "-", given=json.dumps(QUOTA))
    words = ("--no-probe", "--timeout", "25s", installer.accepted)
    try:
        stopped = installer.run(INSTALL, *words)
        assert stopped.returncode == 1, stopped.stderr
        assert "limits.cpu" in stopped.stdout
        assert "patch resourcequota small" in stopped.stdout
        began = time.monotonic()
        done = installer.run(INSTALL, *words, "--accept admission='a test'")
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
    assert "still there" in installer.ok(UNINSTALL)
    assert "kept" in installer.kubectl("get", "projects.fairlead.dev", "-o", "name")
    assert installer.run(UPGRADE, "--no-probe", installer.accepted).returncode == 3, "there is nothing to upgrade"
    told = installer.ok(PURGE, "--yes")
    assert "Fairlead is gone." in told
    assert "fairlead" not in installer.kubectl("get", "crds,namespaces,clusterroles", "-o", "name")
    assert "runai-kept" not in installer.kubectl("get", "namespaces", "-o", "name")
