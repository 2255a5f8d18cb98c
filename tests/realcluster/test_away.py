"""The control plane killed and away: the cluster works on, and then both sides say the same.

`FAIRLEAD_AWAY_SECONDS` says for how long; hours of it are in `tests/simulation/test_away.py`.
"""

from __future__ import annotations

import json
import os
import time

import pytest
from tests.kubernetes.processes import until
from tests.parts.cluster.images import BUSYBOX
from tests.realcluster.product import CONNECTED, Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.usefixtures("no_work_left")]

AWAY_SECONDS = float(os.environ.get("FAIRLEAD_AWAY_SECONDS") or 20)
NAMESPACE = "runai-team"


def submit(installed: Installed, name: str, seconds: int) -> None:
    """A workload with one GPU that ends by itself."""
    words = ("submit", name, "-p", "team", "-i", BUSYBOX, "-g", "1", "--", "sleep", str(seconds))
    done = installed.product.run(*words)
    assert done.returncode == 0, done.stderr


def in_cluster(installed: Installed) -> dict[str, str]:
    """Trainings and their phases, as the cluster has them."""
    found = installed.objects("trainings", NAMESPACE)
    return {each["metadata"]["name"]: each.get("status", {}).get("phase", "") for each in found}


def in_control_plane(installed: Installed) -> dict[str, str]:
    """The same, as people see them."""
    return {each["name"]: each["phase"] for each in installed.product.json("list", "-p", "team")}


def test_the_cluster_works_on_while_nobody_answers_and_then_both_say_the_same(installed: Installed) -> None:
    for name, seconds in (("ends", 12), ("stays", 3000), ("goes", 3000)):
        submit(installed, name, seconds)
    until(lambda: in_control_plane(installed) == dict.fromkeys(("ends", "stays", "goes"), "Running"))
    processes = installed.product.cluster
    (server,) = (each for each in processes.processes if each.role == "server")
    server.popen.kill()
    server.popen.wait()
    left = time.monotonic() + AWAY_SECONDS
    spec = {"image": BUSYBOX, "command": ["sleep", "1"], "cpuMilli": 100, "gpuDevices": 1}
    by_hand = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "Training", "metadata": {"name": "by-hand"}, "spec": spec}
    assert installed.kubectl("-n", NAMESPACE, "create", "-f", "-", given=json.dumps(by_hand)).returncode == 0
    assert installed.kubectl("-n", NAMESPACE, "delete", "training", "goes").returncode == 0
    worked_on = {"ends": "Completed", "stays": "Running", "by-hand": "Completed"}
    until(lambda: in_cluster(installed) == worked_on)
    time.sleep(max(left - time.monotonic(), 0))
    assert in_cluster(installed) == worked_on
    processes.processes.remove(server)
    processes.start("server")
    until(lambda: installed.product.run("list").returncode == 0)
    until(lambda: installed.product.json("cluster", "list")[0]["status"]["state"] in CONNECTED)
    until(lambda: in_control_plane(installed) == worked_on)
    assert in_cluster(installed) == worked_on
    assert installed.product.run("delete", "ends", "stays", "by-hand", "-p", "team").returncode == 0
