"""What the exporters serve is the table of metrics: no more, and no less; and the numbers are those of the cluster."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.metrics.exporters import RAN_SECONDS, SERVED, exporters

from fairlead.runtime.left_out import NOT_SERVED
from fairlead.runtime.metrics import METRICS

Labels = frozenset[tuple[str, str]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert SERVED
    with (
        exporters(tmp_path_factory.mktemp("exporters")) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer,
    ):
        yield answer.read().decode()


def test_every_name_of_the_table_is_served_with_its_labels_and_nothing_else_is(text: str) -> None:
    served = {}
    for family in text_string_to_metric_families(text):
        name = family.name + {"counter": "_total"}.get(family.type, "")
        if family.samples and not name.startswith(("process_", "python_")):
            served[name] = set().union(*(s.labels for s in family.samples)) - {"le"}
    assert served == {m.name: set(m.labels) for m in METRICS if m.source != "rule"}


def test_the_numbers_are_those_of_the_cluster(text: str) -> None:
    values: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name, frozenset(sample.labels.items())] = sample.value

    def value(name: str, **labels: str) -> float:
        found = [v for (n, ls), v in values.items() if n == name and frozenset(labels.items()) <= ls]
        assert len(found) == 1, (name, labels, found)
        return found[0]

    assert value("runai_allocated_gpus") == 2.75
    assert value("runai_allocated_gpu_count_per_project", project="vision") == 2.75
    assert value("runai_project_guaranteed_gpus", project="speech") == 2
    assert value("runai_project_info", project="vision", department_name="research", gpu_guaranteed_quota="4") == 1
    chat = {"job_name": "chat", "job_type": "Inference", "job_uuid": "7a", "project": "vision"}
    assert value("runai_job_allocated_gpus", **chat) == 2
    assert value("runai_job_status_with_info", **chat, status="Running") == 1
    assert value("runai_active_job_cpu_requested_cores", job_uuid="7a") == 4
    assert value("runai_active_job_memory_requested_bytes", job_uuid="7a") == 8 << 30
    assert value("runai_running_job_memory_limit_bytes", job_uuid="7a") == 8 << 30
    assert value("runai_running_job_cpu_requested_cores", job_uuid="7a") == 4
    assert value("runai_job_image", job_name="chat", image="x") == 1
    assert RAN_SECONDS <= value("runai_job_total_runtime", job_uuid="7a") < RAN_SECONDS + 600
    assert value("runai_allocated_millicpus_per_pod", pod_name="chat-0") == 2000
    assert value("runai_mig_mode_gpu_count") == 1
    assert value("runai_node_cpu_utilization") == 0.25
    assert value("runai_node_memory_utilization") == 0.25
    assert value("runai_job_requested_gpu_memory", job_name="sized") == 20_000 << 20
    assert value("runai_job_allocated_gpus", job_name="large") == 0
    assert value("runai_job_requested_gpus", job_name="large") == 9
    assert value("fairlead_workloads", project="vision", status="Pending") == 2
    queue = {"queue": "vision", "project": "vision", "department": "research", "node_pool": "default"}
    assert value("fairlead_queue_requested_gpus", **queue) == 12.75
    assert value("fairlead_queue_allocated_gpus", queue="department-research", project="") == 2.75
    waited = value("fairlead_workload_waiting_seconds", job_name="owed")
    assert 0 < value("fairlead_queue_waiting_within_quota_seconds", **queue) <= waited < 60
    assert value("fairlead_queue_waiting_within_quota_seconds", queue="speech") == 0
    assert value("fairlead_nodes", state="cordoned") == 1
    states = {state: value("fairlead_node_pool_gpus", state=state) for state in ("allocated", "foreign", "unusable")}
    assert sum(states.values()) + value("fairlead_node_pool_gpus", state="free") == 6
    assert value("runai_gpu_last_active_time", gpu="2") < value("runai_gpu_last_active_time", gpu="0")
    assert value("fairlead_binds_total", result="done") >= 3


def test_the_table_has_each_name_once_and_keeps_to_the_two_families() -> None:
    names = [m.name for m in METRICS]
    assert len(set(names)) == len(names)
    assert all(name.startswith(("runai_", "fairlead_", "fairlead:")) for name in names)
    assert not {name for name, _ in NOT_SERVED} & set(names)
    assert not {"pod", "namespace", "job", "instance", "service", "user"} & {
        label for m in METRICS for label in m.labels
    }
