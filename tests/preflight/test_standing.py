"""What is kept of a daily run: the condition, and what is new since the run before."""

from __future__ import annotations

from typing import Any

from fairlead.objects.organisation import PrerequisitesReport
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.report import Report, report_of, select_daily
from fairlead.preflight.standing import condition, reason_of, standing, verdict

NODE = {
    "name": "n1",
    "ready": True,
    "pressure": [],
    "unschedulable": False,
    "virtual": False,
    "os": "linux",
    "labels": {},
    "taints": [],
    "capacity": {"cpu": 8},
    "allocatable": {"cpu": 8, "memory": 1 << 35},
    "requested": {},
    "kubelet": "v1.34.0",
    "heartbeat_age_seconds": 10,
    "lease_age_seconds": 5,
}
GPU = {"labels": {"nvidia.com/gpu.present": "true"}, "allocatable": {"cpu": 8, "nvidia.com/gpu": 4}, "driver": "570.1"}
CLASS = {"name": "standard", "default": True, "provisioner": "csi.example"}


def a_report(
    *nodes: dict[str, Any], at: str = "2026-01-01T00:00:00Z", config: Config | None = None, **more: Any
) -> Report:
    """Of a cluster that is well but for what is said."""
    facts = {
        "facts_version": 1,
        "run": {"id": "r", "at": at, "after_install": True, "probes": False},
        "access": {"api_version_endpoint": "ok", "api_group_list": "ok", "list_nodes": "ok", "seconds": 0.1},
        "server": {"git_version": "v1.34.0", "major": "1", "minor": "34"},
        "api_versions": _served(),
        "api_groups": [],
        "api_services": [],
        "openshift": {"cluster_version_object": "not_found"},
        "gpu_operator": {"installed": False},
        "runtime_classes": [],
        "webhooks": [],
        "quotas": [],
        "limit_ranges": [],
        "storage_classes": [CLASS],
        "crds": [],
        "nodes": [NODE | {"name": f"n{number}"} | each for number, each in enumerate(nodes, 1)],
    }
    return report_of(facts_of(facts | more), config or Config(), select_daily())


def _served() -> list[str]:
    from fairlead.preflight.checks.cluster import _RENDERED

    return sorted({each[0] for each in _RENDERED})


def test_a_cluster_that_has_what_it_needs_is_true_though_a_pod_could_tell_more() -> None:
    report = a_report({}, GPU)
    found = condition(report)
    assert (found.status, found.reason) == ("True", "Met"), found.message
    assert "gpu-driver" in {each.check.code for each in report.results}, "it is looked at"
    assert str(verdict(report)) in ("pass", "warn")


def test_what_fails_is_named_with_what_was_seen() -> None:
    found = condition(a_report({"ready": False}))
    assert (found.status, found.reason) == ("False", "NodeHealth")
    assert found.message.startswith("node-health: ")


def test_what_the_api_should_tell_and_does_not_is_unknown() -> None:
    found = condition(a_report({}, openshift={"cluster_version_object": "forbidden"}))
    assert (found.status, found.reason) == ("Unknown", "OpenshiftVersion")
    assert "forbidden" in found.message


def test_a_risk_that_was_accepted_is_a_warning() -> None:
    config = config_of({"accept": {"node-health": "it is being replaced"}})
    report = a_report({"ready": False}, config=config)
    assert condition(report).status == "True"
    kept = standing(report, PrerequisitesReport(), "1")
    (health,) = [each for each in kept.checks if each.code == "node-health"]
    assert (health.verdict, health.counts, health.accepted) == ("fail", "warn", "it is being replaced")


def test_the_first_run_tells_no_news_and_the_next_only_what_changed() -> None:
    first = standing(a_report({}, GPU), PrerequisitesReport(), "1")
    assert (first.news, first.news_since) == ((), None)
    same = standing(a_report({}, GPU, at="2026-01-02T00:00:00Z"), first, "1")
    assert (same.news, same.news_since) == ((), first.at)
    lost = standing(a_report({}, GPU | {"driver": None}, at="2026-01-03T00:00:00Z"), same, "1")
    (news,) = [line for line in lost.news if line.startswith("gpu-driver on n2")]
    assert "fail, was unknown" in news
    (driver,) = [each for each in lost.checks if each.code == "gpu-driver"]
    assert (driver.since, driver.nodes["n2"]) == ("2026-01-03T00:00:00Z", "fail")
    still = standing(a_report({}, GPU | {"driver": None}, at="2026-01-04T00:00:00Z"), lost, "1")
    assert still.news == ()
    assert next(e for e in still.checks if e.code == "gpu-driver").since == "2026-01-03T00:00:00Z"


def test_a_node_that_came_since_is_new_and_one_that_went_is_gone() -> None:
    first = standing(a_report({}), PrerequisitesReport(), "1")
    more = standing(a_report({}, {"pressure": ["DiskPressure"]}, at="2026-01-02T00:00:00Z"), first, "1")
    assert [line.partition(" (")[0] for line in more.news if "node-health" in line] == [
        "node-health on n2: warn, was not looked at"
    ]


def test_a_thousand_bad_nodes_stay_small_and_are_told_as_one() -> None:
    import msgspec

    well = standing(a_report(*({} for _ in range(1000))), PrerequisitesReport(), "1")
    bad = a_report(*({"pressure": ["DiskPressure"]} for _ in range(1000)), at="2026-01-02T00:00:00Z")
    kept = standing(bad, well, "1")
    health = next(each for each in kept.checks if each.code == "node-health")
    assert (len(health.nodes), health.more_nodes) == (100, 900)
    assert len([line for line in kept.news if line.startswith("node-health")]) == 1
    assert len(msgspec.json.encode(kept)) < 100_000


def test_a_code_as_a_reason() -> None:
    assert reason_of("gpu-driver") == "GpuDriver"
