"""The Prometheus that the chart brings, as a pod on a real cluster: it finds every role by the cluster's names, and knows the work.

Looked at and sent on as `docs/howto/metrics.md` says.
"""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.howto import Reader, blocks
from tests.kubernetes.processes import until
from tests.kubernetes.test_chart import CHART
from tests.parts.apiserver import free_ports
from tests.parts.build import Unavailable
from tests.parts.cluster.images import PROMETHEUS, prometheus_image
from tests.parts.cluster.names import cluster_names
from tests.parts.prometheus import prometheus
from tests.realcluster.product import Installed

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

LOOK, SEND = blocks("metrics")

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
            upgrade(installed, archive.parent, {"enabled": False}, remoteWrite={"url": "", "existingSecret": ""})
    except Unavailable as reason:
        pytest.skip(str(reason))


def upgrade(installed: Installed, folder: Path, collected: dict[str, Any], **more: Any) -> None:
    """The release with these values of `prometheus` and of `more`, all else as it was."""
    file = folder / "values.json"
    file.write_text(json.dumps({"prometheus": collected, **more}))
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


def test_it_is_looked_at_and_sends_on_what_is_ours_as_the_guide_says(
    installed: Installed, ask: Ask, tmp_path: Path
) -> None:
    assert ask("up"), "it is there"
    reader = Reader(tmp_path, installed.cluster.kubeconfig)
    (port,) = free_ports(1)
    looking = reader.start(f"exec {LOOK}", {"9090": f"{port}:9090"})
    try:
        until(lambda: _series(f"http://127.0.0.1:{port}", "fairlead_build_info"))
    finally:
        looking.kill()
        looking.communicate()
    here = installed.cluster.addresses.outside
    with prometheus(tmp_path / "receiver", {}, "--web.enable-remote-write-receiver", host=here) as receiver:
        reader.types("kubectl -n fairlead create secret generic metrics --from-literal=token=t")
        reader.types(SEND, {"https://metrics.example.com": receiver.url})
        sent = until(lambda: _series(receiver.url, "fairlead_build_info"), 120)
        clusters = [each["uuid"] for each in installed.product.json("cluster", "list")]
        assert {series["metric"]["cluster"] for series in sent} == set(clusters)
        assert not _series(receiver.url, "process_open_fds")


def _series(url: str, query: str) -> list[dict[str, Any]]:
    """Those of a query; none while nobody answers."""
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"{url}/api/v1/query?query={query}", timeout=20) as answer,
    ):
        return list(json.loads(answer.read())["data"]["result"])
    return []
