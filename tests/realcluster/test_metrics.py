"""The Prometheus that the chart brings, as a pod on a real cluster: it finds every role by the cluster's names, and knows the work."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kubernetes.processes import until
from tests.kubernetes.test_chart import CHART
from tests.parts.build import Unavailable
from tests.parts.cluster.images import PROMETHEUS, prometheus_image
from tests.parts.cluster.names import cluster_names
from tests.realcluster.product import Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Gives the series of a query."""
    repository, _, tag = PROMETHEUS.partition(":")
    chosen = {
        "enabled": True,
        "scrapeInterval": "2s",
        "storage": {"enabled": False, "size": "1Gi"},
        "image": {"repository": repository, "tag": tag},
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
    }
    try:
        archive = prometheus_image(tmp_path_factory.mktemp("prometheus"))
        with cluster_names(installed.cluster):
            installed.cluster.load_image(archive)
            upgrade(installed, archive.parent, chosen)
            yield lambda query: asked(installed, f"query?query={urllib.parse.quote(query)}")["result"]
            upgrade(installed, archive.parent, {"enabled": False})
    except Unavailable as reason:
        pytest.skip(str(reason))


def upgrade(installed: Installed, folder: Path, prometheus: dict[str, Any]) -> None:
    """The release with these values of `prometheus`, all else as it was."""
    file = folder / "values.json"
    file.write_text(json.dumps({"prometheus": prometheus}))
    words = ("upgrade", "fairlead", str(CHART), "-n", "fairlead", "--reuse-values", "--wait", "--timeout", "8m")
    done = installed.helm.run(*words, "-f", str(file))
    assert done.returncode == 0, f"{done.stderr}\n{installed.told()}"


def asked(installed: Installed, path: str) -> dict[str, Any]:
    """What the pod answers, through the API server."""
    service = "/api/v1/namespaces/fairlead/services/fairlead-prometheus:http/proxy/api/v1"
    done = installed.kubectl("get", "--raw", f"{service}/{path}")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["data"])


def test_every_pod_of_the_product_is_found_by_its_name_and_scraped(installed: Installed, ask: Ask) -> None:
    pods = [*installed.objects("pods", "fairlead"), *installed.objects("pods", "fairlead-node")]
    roles = {
        pod["status"]["podIP"]: pod["metadata"]["labels"]["app.kubernetes.io/name"]
        for pod in pods
        if pod["metadata"].get("annotations", {}).get("prometheus.io/scrape") == "true"
        and pod["status"]["phase"] == "Running"
    }
    assert {"fairlead-scheduler", "fairlead-controllers", "fairlead-admission", "fairlead-agent"} < set(roles.values())

    def scraped() -> set[str]:
        return {series["metric"]["instance"].partition(":")[0] for series in ask("up == 1")}

    until(lambda: scraped() >= set(roles), 120)


def test_what_runs_and_what_waits_is_counted_and_rules_are_evaluated(installed: Installed, ask: Ask) -> None:
    installed.submit("counted", "-g", "3")
    installed.submit("waits", "-g", "8", "--workers", "2")
    until(lambda: installed.product.phase("counted") == "Running")
    query = 'sum by (project) (runai_allocated_gpu_count_per_project{project="team"})'
    until(lambda: [float(series["value"][1]) for series in ask(query)] == [3.0], 120)
    until(lambda: [float(s["value"][1]) for s in ask('sum(fairlead_workloads{status="Pending"})')] == [1.0], 120)
    health = {rule["health"] for group in asked(installed, "rules")["groups"] for rule in group["rules"]}
    assert health == {"ok"}
    assert installed.product.run("delete", "counted", "waits", "-p", "team").returncode == 0
