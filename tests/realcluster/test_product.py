"""The product on a real cluster: its image, its chart with its hooks, every role as a pod, a control plane outside, work on the nodes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kubernetes.processes import processes, until
from tests.kubernetes.test_chart import CHART, Helm
from tests.kubernetes.test_role_processes import Product, _access_key, served_settings
from tests.parts import image
from tests.parts.apiserver import free_ports
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import NODES, Cluster
from tests.parts.cluster.images import BUSYBOX
from tests.parts.helm import helm

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

FOLLOWED_WITHIN = 20.0
"""Seconds after which another scheduler decides when the one that leads is gone."""


class Installed:
    """The product, and how a person and an administrator of the cluster reach it."""

    def __init__(self, cluster: Cluster, product: Product, program: Helm) -> None:
        self.cluster, self.product, self.helm = cluster, product, program

    def kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """The finished command."""
        command = ["kubectl", "--kubeconfig", str(self.cluster.kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, input=given, timeout=120)

    def objects(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        """Those of a kind."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("-n", namespace, "get", kind, "-o", "json").stdout)[
            "items"
        ]
        return found

    def submit(self, name: str, *words: str) -> None:
        """A workload of the project `team` that prints which GPUs it has."""
        script = "echo devices=$NVIDIA_VISIBLE_DEVICES; trap 'exit 0' TERM; sleep 600 & wait"
        done = self.product.run("submit", name, "-p", "team", "-i", BUSYBOX, *words, "--", "sh", "-c", script)
        assert done.returncode == 0, done.stderr

    def told(self) -> str:
        """What there is to see of the product's pods, for a failure."""
        return self.kubectl("-n", "fairlead", "describe", "pods").stdout[-6000:]


@pytest.fixture(scope="module")
def installed(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """By `helm install --wait`, in a namespace that lets in only what Pod Security `restricted` allows."""
    try:
        archive, program = image.image(), helm(3)
    except Unavailable as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("product")
    real_cluster.load_image(archive)
    (port,) = free_ports(1)
    here = f"{real_cluster.control_plane.address.rsplit('.', 2)[0]}.255.1"
    settings = served_settings(folder, port)
    settings["server"]["host"] = here
    with processes(real_cluster.kubeconfig, folder, **settings) as cluster:
        cluster.start("server")
        product = Product(cluster, None, "", f"http://{here}:{port}")  # type: ignore[arg-type]  # nobody asks it for a client
        product.sign_in(until(lambda: _access_key(product.url)))
        found = Installed(real_cluster, product, Helm(program, folder, real_cluster.kubeconfig))
        made = product.json("cluster", "create", "real")
        confined = "pod-security.kubernetes.io/enforce=restricted"
        found.kubectl("create", "namespace", "fairlead")
        found.kubectl("label", "namespace", "fairlead", confined)
        values = (
            f"image.repository=localhost/fairlead,image.tag=test,agent.url={product.url},agent.cluster={made['uuid']}"
        )
        values += f",agent.secret={made['client_secret']}"
        done = found.helm.run(
            "install", "fairlead", str(CHART), "-n", "fairlead", "--wait", "--timeout", "5m", "--set", values
        )
        assert done.returncode == 0, f"{done.stderr}\n{found.told()}"
        until(lambda: product.json("cluster", "list")[0]["status"]["state"] == "Connected")
        assert product.run("project", "create", "team", "--gpus", "16").returncode == 0
        yield found
        found.helm.run("uninstall", "fairlead", "-n", "fairlead", "--wait")


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
    reasons = until(lambda: installed.product.json("explain", "third", "-p", "team")["reasons"])
    assert any("GPU" in reason["message"] for reason in reasons)
    for name in ("pair", "third"):
        assert installed.product.run("delete", name, "-p", "team").returncode == 0


def test_a_leader_that_is_killed_is_followed_within_20_seconds(installed: Installed) -> None:
    leader = _leader(installed)
    installed.kubectl("-n", "fairlead", "delete", "pod", leader, "--grace-period=0", "--force")
    began = time.monotonic()
    installed.submit("after", "-g", "1")
    until(lambda: installed.product.phase("after") in ("Initializing", "Running"), 60)
    assert time.monotonic() - began <= FOLLOWED_WITHIN
    assert _leader(installed) != leader
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


def test_uninstalling_takes_away_what_runs_and_nothing_of_anybodys(installed: Installed) -> None:
    assert installed.helm.run("uninstall", "fairlead", "-n", "fairlead", "--wait").returncode == 0
    until(lambda: not installed.objects("pods", "fairlead"))
    kinds = {item["metadata"]["name"] for item in installed.objects("customresourcedefinitions", "default")}
    assert {"projects.fairlead.dev", "queues.scheduling.run.ai", "podgroups.scheduling.run.ai"} <= kinds
    assert [p["metadata"]["name"] for p in installed.objects("projects.fairlead.dev", "default")] == ["team"]
    assert installed.objects("queues.scheduling.run.ai", "default")


def _leader(installed: Installed) -> str:
    lease = json.loads(installed.kubectl("-n", "fairlead", "get", "lease", "fairlead-scheduler", "-o", "json").stdout)
    return str(lease["spec"]["holderIdentity"]).rpartition("_")[0]
