"""What the pods of the chart are said to ask for is what its values say, and what quotas and limit ranges make of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from fairlead.preflight import footprint
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.gather.cluster import quota_facts, range_facts
from fairlead.preflight.gather.nodes import amounts

CHART = Path(__file__).parents[2] / "deploy" / "chart"
VALUES: dict[str, Any] = YAML(typ="safe").load((CHART / "values.yaml").read_text())
UNITS = (*footprint.ALWAYS, footprint.AGENT, footprint.SERVER, footprint.PROMETHEUS)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_each_unit_asks_for_what_the_values_say(unit: footprint.Unit) -> None:
    values = VALUES[unit.name]
    assert amounts(values["resources"]["requests"]) == unit.requests()
    assert amounts(values["resources"]["limits"]) == unit.limits()
    assert values.get("replicas", 1) == unit.replicas


def test_the_job_of_the_definitions_asks_for_what_its_template_says() -> None:
    text = (CHART / "templates" / "crds.yaml").read_text()
    found = re.findall(r"(requests|limits): ({[^}]*})", text)
    read = {name: amounts(YAML(typ="safe").load(value)) for name, value in found}
    assert read == {"requests": footprint.CRDS.requests(), "limits": footprint.CRDS.limits()}


def test_what_is_switched_on_is_counted() -> None:
    plain = footprint.wanted(Config())
    connected = footprint.wanted(config_of({"control_plane": {"url": "https://x.example", "cluster": "c"}}))
    assert (plain["pods"], connected["pods"]) == (7, 9)
    assert connected["requests.cpu"] - plain["requests.cpu"] == pytest.approx(0.1)
    assert "limits.cpu" not in plain


def _range(**limit: Any) -> list[str]:
    body = {"metadata": {"namespace": "fairlead", "name": "r"}, "spec": {"limits": [{"type": "Container", **limit}]}}
    (found,) = range_facts([body], {"fairlead"})
    return list(found["refuses"])


def test_a_limit_range_refuses_who_asks_for_more_or_less() -> None:
    assert _range(max={"cpu": "10m"}, default={"cpu": "10m"})[0].startswith("r: at most 10m cpu a container")
    assert _range(default={"cpu": "10m"}) == [
        "r: a limit of 10m cpu for who states none, and ours ask for "
        "crds 50m, scheduler 100m, controllers 50m, admission 50m"
    ]
    assert _range(max={"memory": "1Gi"}) == ["r: at most 1Gi memory a container, and ours take up to scheduler 2048Mi"]
    assert _range(min={"memory": "128Mi"}) == ["r: at least 128Mi memory a container, and ours ask for crds 96Mi"]
    assert _range(max={"cpu": "4", "memory": "8Gi"}, default={"cpu": "1"}, min={"cpu": "10m"}) == []


def _quota(**spec: Any) -> list[dict[str, Any]]:
    body = {"metadata": {"namespace": "fairlead", "name": "q"}, "spec": {"hard": {"limits.cpu": "500m"}, **spec}}
    return quota_facts([body], {"fairlead"})


def test_quotas_that_count_other_pods_are_left_out() -> None:
    assert _quota()[0]["hard"] == {"limits.cpu": 0.5}
    assert _quota(scopes=["NotTerminating"])
    assert not _quota(scopes=["BestEffort"])
    assert not _quota(scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]})
