"""The product on a real cluster: its image, its chart with its hooks, every role as a pod, a control plane outside, work on the nodes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.howto import Reader, blocks
from tests.kubernetes.processes import until
from tests.parts.cluster.cluster import NODES
from tests.parts.cluster.images import BUSYBOX
from tests.realcluster.product import Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

FOLLOWED_WITHIN = 20.0
"""Seconds after which another scheduler decides when the one that leads is gone."""


def test_work_runs_on_a_gpu_and_is_seen_from_outside(installed: Installed) -> None:
    product = installed.product
    installed.submit("one", "-g", "1")
    until(lambda: product.phase("one") == "Running")
    log = product.run("logs", "one", "-p", "team").stdout
    assert log.startswith("devices=GPU-"), log
    assert "," not in log
    said = product.run("exec", "one", "-p", "team", "--", "sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES")
    assert (said.returncode, said.stdout.strip()) == (0, log.strip().removeprefix("devices="))
    assert product.run("delete", "one", "-p", "team").returncode == 0


def test_a_gang_of_two_runs_on_both_nodes(installed: Installed) -> None:
    installed.submit("pair", "-g", "8", "--workers", "2")
    until(lambda: installed.product.phase("pair") == "Running")
    pods = [p for p in installed.objects("pods", "runai-team") if p["metadata"]["name"].startswith("pair")]
    assert {p["spec"]["nodeName"] for p in pods} == set(NODES)
    installed.submit("third", "-g", "1")
    until(lambda: installed.product.phase("third") == "Pending")

    def reasons() -> list[str]:
        return [each["message"] for each in installed.product.json("explain", "third", "-p", "team")["reasons"]]

    until(lambda: any("GPU" in reason for reason in reasons()))
    for name in ("pair", "third"):
        assert installed.product.run("delete", name, "-p", "team").returncode == 0


def test_a_leader_that_is_killed_is_followed_within_20_seconds(installed: Installed) -> None:
    leader = installed.leader()
    installed.kubectl("-n", "fairlead", "delete", "pod", leader, "--grace-period=0", "--force")
    began = time.monotonic()
    installed.submit("after", "-g", "1")
    until(lambda: installed.product.phase("after") in ("Initializing", "Running"), 300)
    assert time.monotonic() - began <= FOLLOWED_WITHIN
    assert installed.leader() != leader
    assert installed.product.run("delete", "after", "-p", "team").returncode == 0


def test_admission_refuses_what_cannot_be(installed: Installed) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "odd", "annotations": {"gpu-fraction": "7"}},
        "spec": {"containers": [{"name": "c", "image": BUSYBOX}], "schedulerName": "fairlead"},
    }
    done = installed.kubectl("-n", "runai-team", "create", "-f", "-", given=json.dumps(pod))
    assert (done.returncode != 0, "validate.fairlead.dev" in done.stderr) == (True, True), done.stderr


def test_a_prerequisite_that_breaks_and_is_mended_is_the_state_of_the_cluster(
    installed: Installed, tmp_path: Path
) -> None:
    # another configuration is judged by at once; GPUs that are simulated have no driver
    look, again = blocks("after-the-install")[0].splitlines()
    reader = Reader(tmp_path, installed.cluster.kubeconfig)
    installed.judge_by("{prometheus: {mode: none}, accept: {gpu-driver: GPUs are simulated}}")
    installed.until_it_stands("True", "Met")
    until(lambda: installed.product.json("cluster", "list")[0]["status"]["state"] == "Connected")

    level = "pod-security.kubernetes.io/enforce"
    installed.kubectl("label", "namespace", "fairlead-node", f"{level}=restricted", "--overwrite")
    reader.types(again)
    installed.until_it_stands("False", "PodSecurity")
    assert "pod-security" in reader.types(look)
    until(lambda: installed.product.json("cluster", "list")[0]["status"]["state"] == "MissingPrerequisites")
    said = installed.product.run("cluster", "list").stdout
    assert ("MissingPrerequisites" in said, "pod-security" in said) == (True, True), said

    installed.kubectl("label", "namespace", "fairlead-node", f"{level}=privileged", "--overwrite")
    reader.types(again)
    installed.until_it_stands("True", "Met")
    until(lambda: installed.product.json("cluster", "list")[0]["status"]["state"] == "Connected")


def test_uninstalling_takes_away_what_runs_and_nothing_of_anybodys(installed: Installed) -> None:
    assert installed.helm.run("uninstall", "fairlead", "-n", "fairlead", "--wait").returncode == 0
    until(lambda: not installed.objects("pods", "fairlead"))
    kinds = {item["metadata"]["name"] for item in installed.objects("customresourcedefinitions", "default")}
    assert {"projects.fairlead.dev", "queues.scheduling.run.ai", "podgroups.scheduling.run.ai"} <= kinds
    assert [p["metadata"]["name"] for p in installed.objects("projects.fairlead.dev", "default")] == ["team"]
    assert installed.objects("queues.scheduling.run.ai", "default")
