"""Dashboards for Grafana, and the copies of rules and dashboards that the chart carries (Helm reads no file outside of it).

`make gen` writes what `files()` gives: text by path below `deploy/`. A panel is one line
here: what it shows, in which unit, by which query.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

_HERE = Path(__file__).parent
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_WIDTH, _HEIGHT = 24, 8


class Panel(NamedTuple):
    """One picture. `width`: of 24; `legend`: by labels, as {{label}}; `unit`: as Grafana calls it."""

    title: str
    query: str
    legend: str = ""
    unit: str = "short"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 12


class Dashboard(NamedTuple):
    """`choices`: variables a person may choose, each with the query that lists its values."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    choices: tuple[tuple[str, str], ...] = ()


def _stat(title: str, query: str, unit: str = "short") -> Panel:
    return Panel(title, query, unit=unit, kind="stat", width=4)


CLUSTER = Dashboard(
    "cluster",
    "Fairlead: cluster",
    (
        _stat("GPUs", "sum(fairlead_node_pool_gpus)"),
        _stat("Allocated", 'sum(fairlead_node_pool_gpus{state="allocated"})'),
        _stat("Free", 'sum(fairlead_node_pool_gpus{state="free"})'),
        _stat("Workloads that run", 'sum(fairlead_workloads{status="Running"})'),
        _stat("Workloads that wait", 'sum(fairlead_workloads{status="Pending"})'),
        _stat("Longest wait within quota", "max(fairlead_queue_waiting_within_quota_seconds)", "s"),
        Panel("GPUs by state", "sum by (state) (fairlead_node_pool_gpus)", "{{state}}"),
        Panel("GPUs in use by project", "runai_allocated_gpu_count_per_project", "{{project}}"),
        Panel("Part of each node pool that is in use", "fairlead:gpus_allocated:ratio", "{{node_pool}}", "percentunit"),
        Panel("How busy GPUs are, by node", "runai_gpu_utilization_per_node", "{{node}}", "percent"),
        Panel("What waits, by cause", "sum by (reason) (fairlead_waiting)", "{{reason}}"),
        Panel("Evictions", "fairlead:evictions:rate5m", "{{action}}", "ops"),
        Panel("Decisions: 99 of 100 are faster", "fairlead:scheduler_decision_seconds:p99", "{{node_pool}}", "s"),
        Panel("Pods bound", "sum by (result) (rate(fairlead_binds_total[$__rate_interval]))", "{{result}}", "ops"),
        Panel("Who leads", "sum by (role) (fairlead_leader)", "{{role}}"),
        Panel(
            "Control loops that fail",
            'sum by (loop, result) (rate(fairlead_reconcile_total{result!="done"}[$__rate_interval]))',
            "{{loop}} {{result}}",
            "ops",
        ),
        Panel("Pods that hold shared GPUs", "sum by (state) (fairlead_reservation_pods)", "{{state}}"),
        Panel("Connected to the control plane", "max(fairlead_agent_connected)", "connected"),
        Panel(
            "Reviews by admission",
            "sum by (webhook, result) (rate(fairlead_admission_reviews_total[$__rate_interval]))",
            "{{webhook}} {{result}}",
            "ops",
        ),
        Panel(
            "Reviews: 99 of 100 are faster",
            "histogram_quantile(0.99, sum by (webhook, le) (rate(fairlead_admission_seconds_bucket[$__rate_interval])))",
            "{{webhook}}",
            "s",
        ),
    ),
)
PROJECT = Dashboard(
    "project",
    "Fairlead: project",
    (
        _stat("Guaranteed", 'sum(runai_project_guaranteed_gpus{project=~"$project"})'),
        _stat("Fair share now", 'sum(fairlead_queue_fair_share_gpus{project=~"$project",project!=""})'),
        _stat("In use", 'sum(runai_allocated_gpu_count_per_project{project=~"$project"})'),
        _stat("In use and waited for", 'sum(fairlead_queue_requested_gpus{project=~"$project",project!=""})'),
        _stat("Workloads that wait", 'sum(fairlead_workloads{project=~"$project",status="Pending"})'),
        _stat("How busy its GPUs are", 'avg(runai_gpu_utilization_per_project{project=~"$project"})', "percent"),
        Panel("GPUs in use", 'runai_allocated_gpu_count_per_project{project=~"$project"}', "{{project}}"),
        Panel(
            "Guaranteed, and its fair share",
            'sum by (project) (fairlead_queue_fair_share_gpus{project=~"$project",project!=""})',
            "{{project}}",
        ),
        Panel("In use by workload", 'runai_job_allocated_gpus{project=~"$project"} > 0', "{{job_name}} ({{job_type}})"),
        Panel(
            "How busy its GPUs are, by workload",
            'runai_gpu_utilization_per_workload{project=~"$project"}',
            "{{job_name}}",
            "percent",
        ),
        Panel(
            "Waits since", 'fairlead_workload_waiting_seconds{project=~"$project"}', "{{job_name}} ({{job_type}})", "s"
        ),
        Panel("What waits, by cause", 'sum by (reason) (fairlead_waiting{project=~"$project"})', "{{reason}}"),
        Panel("Workloads", 'runai_job_status_with_info{project=~"$project"}', kind="table", width=24),
    ),
    (("project", "label_values(runai_project_info, project)"),),
)
NODES = Dashboard(
    "nodes",
    "Fairlead: nodes",
    (
        _stat("Nodes", "sum(fairlead_nodes)"),
        _stat("GPUs that node agents see", 'sum(fairlead_node_devices{node=~"$node"})'),
        _stat("Idle for an hour, in use by somebody", 'sum(fairlead:gpus_idle:count{node=~"$node"}) or vector(0)'),
        _stat("Not given out", 'sum(fairlead_device_healthy{node=~"$node"} == bool 0)'),
        _stat("Nodes that lack something", 'count(fairlead_node_findings{node=~"$node"} > 0) or vector(0)'),
        _stat("MPS daemons away", 'sum(fairlead_mps_daemons{state="away"}) or vector(0)'),
        Panel("How busy each GPU is", 'runai_gpu_utilization_per_gpu{node=~"$node"}', "{{node}} {{gpu}}", "percent"),
        Panel(
            "Memory of each GPU",
            'runai_gpu_memory_used_mebibytes_per_gpu{node=~"$node"} '
            '/ (runai_gpu_memory_total_mebibytes_per_gpu{node=~"$node"} > 0)',
            "{{node}} {{gpu}}",
            "percentunit",
        ),
        Panel(
            "GPUs in use, by node",
            'runai_allocated_gpu_count_per_node{node=~"$node"} / runai_gpu_count_per_node{node=~"$node"}',
            "{{node}}",
            "percentunit",
        ),
        Panel(
            "Idle since, of GPUs in use",
            'time() - runai_gpu_last_active_time{node=~"$node"} and on (node, gpu) runai_gpu_is_allocated == 1',
            "{{node}} {{gpu}}",
            "s",
        ),
        Panel("Cores asked for", 'runai_node_cpu_requested_cores{node=~"$node"}', "{{node}}"),
        Panel("Memory asked for", 'runai_node_requested_memory_bytes{node=~"$node"}', "{{node}}", "bytes"),
        Panel("Nodes by state", "sum by (node_pool, state) (fairlead_nodes)", "{{node_pool}} {{state}}"),
        Panel("Devices", 'fairlead_device_info{node=~"$node"}', kind="table"),
    ),
    (("node", "label_values(runai_gpu_count_per_node, node)"),),
)
DASHBOARDS = (CLUSTER, PROJECT, NODES)


def files() -> Iterator[tuple[str, str]]:
    """Every file, and what must be in it."""
    yield "chart/files/rules.yaml", (_HERE / "rules.yaml").read_text()
    for each in DASHBOARDS:
        text = json.dumps(dashboard(each), indent=1) + "\n"
        yield f"metrics/dashboards/{each.name}.json", text
        yield f"chart/files/dashboards/{each.name}.json", text


def dashboard(made_of: Dashboard) -> dict[str, Any]:
    """As Grafana imports it."""
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": f"fairlead-{made_of.name}",
        "title": made_of.title,
        "tags": ["fairlead"],
        "schemaVersion": 36,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source, *(_choice(name, query) for name, query in made_of.choices)]},
        "panels": list(_placed(made_of.panels)),
    }


def _choice(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(panels: tuple[Panel, ...]) -> Iterator[dict[str, Any]]:
    """Side by side, and below each other where a row is full."""
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > _WIDTH:
            x, y = 0, y + height
        height = _HEIGHT // 2 if panel.kind == "stat" else _HEIGHT
        yield _panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": height})
        x += panel.width


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    target: dict[str, Any] = {"refId": "A", "datasource": _SOURCE, "expr": panel.query, "legendFormat": panel.legend}
    if panel.kind != "timeseries":
        target["instant"] = True
    if panel.kind == "table":
        target["format"] = "table"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "gridPos": place,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [target],
    }
