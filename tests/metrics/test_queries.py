"""Every query of the dashboards, and every rule, asked of a real Prometheus that scrapes the real exporters."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.metrics.exporters import exporters, stand_in_for_cadvisor
from tests.metrics.test_rules import RULES, rules
from tests.parts.build import Unavailable
from tests.parts.generate import ROOT
from tests.parts.prometheus import node_exporter, prometheus

from fairlead.runtime.metrics import METRICS

DASHBOARDS = sorted((ROOT / "deploy" / "metrics" / "dashboards").glob("*.json"))
_PATIENCE = 120.0
LAST = (
    "fairlead:scheduler_decision_seconds:p99 > 0",
    "runai_gpu_idle_time_per_workload",
    "runai_job_cpu_usage",
    "runai_cluster_cpu_utilization",
)
"""What is seen once everything has been seen twice."""
Ask = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Gives the series of a query, once everything has been scraped twice and the rules were evaluated."""
    folder = tmp_path_factory.mktemp("queries")
    try:
        with (
            exporters(folder) as port,
            stand_in_for_cadvisor() as containers,
            node_exporter(folder) as machine,
            prometheus(
                folder / "p", {"fairlead": port, "containers": containers, "node": machine}, rule_files=(RULES,)
            ) as server,
        ):

            def asked(query: str) -> list[dict[str, Any]]:
                return list(_get(f"{server.url}/api/v1/query?query={urllib.parse.quote(query)}")["result"])

            end = time.monotonic() + _PATIENCE
            while not all(map(asked, LAST)):
                assert time.monotonic() < end, "not everything was seen within two minutes"
                time.sleep(0.5)
            asked.url = server.url  # type: ignore[attr-defined]  # for what is no query
            yield asked
    except Unavailable as reason:
        pytest.skip(str(reason))


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=20) as answer:
        document = json.loads(answer.read())
    assert document["status"] == "success", document
    return dict(document["data"])


def _panels(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def _as_grafana_asks(query: str) -> str:
    return query.replace("$__rate_interval", "30s").replace("$project", "vision|speech").replace("$node", ".*")


PANELS = [
    pytest.param(query, legend, id=f"{file.stem}: {title}")
    for file in DASHBOARDS
    for title, query, legend in _panels(json.loads(file.read_text()))
]
VALUES = {
    "GPUs": 6,
    "Allocated": 2.75,
    "Workloads that run": 3,
    "Workloads that wait": 2,
    "Guaranteed": 6,
    "In use": 2.75,
    "In use and waited for": 12.75,
    "How busy its GPUs are": 40,
    "GPUs that node agents see": 4,
    "Idle for an hour, in use by somebody": 1,
    "Not given out": 1,
    "Nodes that lack something": 1,
    "MPS daemons away": 0,
    "Connected to the control plane": 0,
}
"""What the panels with one value must show of the state that is known."""


@pytest.mark.parametrize(("query", "legend"), PANELS)
def test_a_panel_shows_series_and_each_has_what_its_legend_names(ask: Ask, query: str, legend: str) -> None:
    found = ask(_as_grafana_asks(query))
    assert found, query
    for series in found:
        for label in re.findall(r"{{(\w+)}}", legend):
            assert label in series["metric"], (query, series)


def test_panels_of_one_value_show_that_of_the_cluster(ask: Ask) -> None:
    shown = {}
    for file in DASHBOARDS:
        for title, query, _ in _panels(json.loads(file.read_text())):
            if title in VALUES:
                (series,) = ask(_as_grafana_asks(query))
                shown[title] = float(series["value"][1])
    assert shown == VALUES


@pytest.mark.parametrize("rule", [r for r in rules() if "record" in r], ids=lambda r: r["record"])
def test_what_a_rule_records_is_there(ask: Ask, rule: dict[str, Any]) -> None:
    assert ask(rule["record"])


def test_work_is_joined_with_the_devices_it_has(ask: Ask) -> None:
    (series,) = ask('runai_gpu_utilization_per_workload{job_name="chat"}')
    labels = {k: v for k, v in series["metric"].items() if k != "__name__"}
    assert labels == {"job_name": "chat", "job_type": "Inference", "job_uuid": "7a", "project": "vision"}
    assert float(series["value"][1]) == 40


def test_what_a_rule_records_has_the_labels_of_the_table(ask: Ask) -> None:
    for metric in METRICS:
        if metric.source == "rule":
            for series in ask(metric.name):
                assert set(series["metric"]) - {"__name__"} == set(metric.labels), metric.name


def test_what_is_recorded_of_work_is_that_of_its_devices_and_containers(ask: Ask) -> None:
    def value(query: str) -> float:
        (series,) = ask(query)
        return float(series["value"][1])

    assert value('runai_gpu_memory_used_mebibytes_per_workload{job_name="chat"}') == 20_000
    assert value('runai_job_used_gpu_memory_bytes{job_uuid="7a"}') == 20_000 << 20
    assert value('runai_job_used_gpu_memory_bytes_with_gpu_node{job_name="chat",gpu="0"}') == 20_000 << 20
    assert value('runai_gpu_utilization_non_fractional_jobs{job_uuid="7a",gpu="1",node="n1"}') == 20
    assert value('runai_gpu_utilization_per_pod_per_gpu{pod_name="chat-0",pod_uuid=~".+"}') == 60
    assert 0 <= value('runai_gpu_idle_seconds_per_workload{job_name="chat"}') < 3600
    assert (
        value('runai_job_cpu_usage{job_uuid="7a",project="vision"}') > 0
    )  # how much: alerts.yaml, with five minutes at hand
    assert value('runai_job_memory_used_bytes{job_uuid="7a"}') == 2 << 30
    swapped = ask("runai_job_swap_memory_used_bytes")
    assert sum(float(each["value"][1]) for each in swapped) == 8192
    assert 0 < value("runai_cluster_memory_utilization") < 1
    assert 0 <= value("runai_cluster_cpu_utilization") <= 1


def test_alerts_that_the_state_calls_for_are_seen_coming_with_their_sentences_filled_in(ask: Ask) -> None:
    alerts = _get(f"{ask.url}/api/v1/alerts")["alerts"]  # type: ignore[attr-defined]
    found = {alert["labels"]["alertname"]: alert["annotations"] for alert in alerts}
    assert set(found) == {
        "FairleadAgentDisconnected",
        "FairleadNodePrerequisitesMissing",
        "FairleadNodeAgentMissing",
        "FairleadDeviceUnhealthy",
        "FairleadGpusIdle",
    }
    assert found["FairleadNodeAgentMissing"]["summary"] == "No node agent is seen on n2, which has GPUs."
    assert found["FairleadGpusIdle"]["summary"].startswith("1 GPUs of n1 ")
    assert not [text for notes in found.values() for text in notes.values() if "{{" in text or "error" in text]


def test_each_dashboard_has_an_id_and_no_two_panels_in_one_place() -> None:
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text())
        assert dashboard["uid"] == f"fairlead-{file.stem}"
        taken: set[tuple[int, int]] = set()
        for place in (panel["gridPos"] for panel in dashboard["panels"]):
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert place["x"] + place["w"] <= 24
            taken |= cells
