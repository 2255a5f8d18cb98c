"""The product as a test installs it on a real cluster, and how a person and an administrator of the cluster reach it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kubernetes.processes import processes, until
from tests.kubernetes.test_chart import CHART, Helm
from tests.kubernetes.test_role_processes import Product, _access_key, served_settings
from tests.parts import image
from tests.parts.apiserver import free_ports
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.images import BUSYBOX
from tests.parts.helm import helm

CONNECTED = ("Connected", "MissingPrerequisites", "ServiceIssues")
"""States of a cluster whose agent is heard: this one has no storage class, which its checks find once they were made."""


class Installed:
    """The product, and how a person and an administrator of the cluster reach it."""

    def __init__(self, cluster: Cluster, product: Product, program: Helm) -> None:
        self.cluster, self.product, self.helm = cluster, product, program

    def kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """The finished command."""
        command = ["kubectl", "--kubeconfig", str(self.cluster.kubeconfig), *words]
        return subprocess.run(command, capture_output=True, text=True, input=given, timeout=120)

    def objects(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        """Those of a kind. Pods are asked for again and again, so no command is started for them."""
        if kind == "pods":
            listed: list[dict[str, Any]] = self.cluster.control_plane.ask(f"/api/v1/namespaces/{namespace}/pods")[
                "items"
            ]
            return listed
        found: list[dict[str, Any]] = json.loads(self.kubectl("-n", namespace, "get", kind, "-o", "json").stdout)[
            "items"
        ]
        return found

    def submit(self, name: str, *words: str) -> None:
        """A workload of the project `team` that prints which GPUs it has."""
        script = "echo devices=$NVIDIA_VISIBLE_DEVICES; trap 'exit 0' TERM; sleep 600 & wait"
        done = self.product.run("submit", name, "-p", "team", "-i", BUSYBOX, *words, "--", "sh", "-c", script)
        assert done.returncode == 0, done.stderr

    def judge_by(self, text: str) -> None:
        """Another configuration for the daily checks."""
        patch = json.dumps({"data": {"fairlead.yaml": text}})
        done = self.kubectl("-n", "fairlead", "patch", "configmap", "fairlead-prerequisites", "-p", patch)
        assert done.returncode == 0, done.stderr

    def until_it_stands(self, status: str, reason: str) -> None:
        """Return once the daily checks say so of the prerequisites, in the ClusterConfig."""
        seen: dict[str, Any] = {}

        def stands() -> bool:
            found = self.kubectl("get", "clusterconfig", "fairlead", "-o", "json")
            seen.update(json.loads(found.stdout)["status"] if found.returncode == 0 else {})
            conditions = {each["type"]: each for each in seen.get("conditions", ())}
            each = conditions.get("Prerequisites", {})
            return (each.get("status"), each.get("reason")) == (status, reason)

        try:
            until(stands)
        except AssertionError as error:
            raise AssertionError(f"the prerequisites are not {status} ({reason}): {seen}") from error

    def told(self) -> str:
        """What there is to see of the product's pods, for a failure."""
        return self.kubectl("-n", "fairlead", "describe", "pods").stdout[-6000:]

    def leader(self) -> str:
        """Name of the scheduler's pod that leads."""
        lease = json.loads(self.kubectl("-n", "fairlead", "get", "lease", "fairlead-scheduler", "-o", "json").stdout)
        return str(lease["spec"]["holderIdentity"]).rpartition("_")[0]


@contextlib.contextmanager
def product_on(real_cluster: Cluster, folder: Path) -> Iterator[Installed]:
    """By `helm install --wait`, in a namespace that lets in only what Pod Security `restricted` allows. Raises: Unavailable."""
    archive, program = image.image(), helm(3)
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
        values += f",agent.secret={made['client_secret']},prometheus.enabled=false"  # nobody has its image here
        done = found.helm.run(
            "install", "fairlead", str(CHART), "-n", "fairlead", "--wait", "--timeout", "10m", "--set", values
        )
        assert done.returncode == 0, f"{done.stderr}\n{found.told()}"
        until(lambda: product.json("cluster", "list")[0]["status"]["state"] in CONNECTED)
        assert product.run("project", "create", "team", "--gpus", "16").returncode == 0
        yield found
        found.helm.run("uninstall", "fairlead", "-n", "fairlead", "--wait")
