"""Which version of a kind is spoken with servers of 1.16 to 1.34, by what real ones of each serve."""

from __future__ import annotations

import pytest

from fairlead.kube.negotiate import Resource, Resources, choose, eviction_version, read
from fairlead.objects.kinds import CRON_JOB, DISRUPTION_BUDGET, Kind
from fairlead.objects.pod import Pod

BUDGETS, JOBS, CRON_JOBS = "poddisruptionbudgets", "jobs", "cronjobs"
SERVED = {
    "1.16": {"policy/v1beta1": (BUDGETS,), "batch/v1": (JOBS,), "batch/v1beta1": (CRON_JOBS,)},
    "1.20": {"policy/v1beta1": (BUDGETS,), "batch/v1": (JOBS,), "batch/v1beta1": (CRON_JOBS,)},
    "1.24": {
        "policy/v1": (BUDGETS,),
        "policy/v1beta1": (BUDGETS, "podsecuritypolicies"),
        "batch/v1": (CRON_JOBS, JOBS),
        "batch/v1beta1": (CRON_JOBS,),
    },
    "1.34": {"policy/v1": (BUDGETS,), "batch/v1": (CRON_JOBS, JOBS)},
}


def documents(version: str) -> dict[str, Resources]:
    """What discovery says there."""
    return {
        at: Resources(resources=tuple(Resource(name=name) for name in names)) for at, names in SERVED[version].items()
    }


@pytest.mark.parametrize(
    ("version", "budgets", "cron_jobs"),
    [
        ("1.16", "policy/v1beta1", "batch/v1beta1"),
        ("1.20", "policy/v1beta1", "batch/v1beta1"),
        ("1.24", "policy/v1", "batch/v1"),
        ("1.34", "policy/v1", "batch/v1"),
    ],
)
def test_a_kind_is_spoken_in_the_newest_version_that_is_served(version: str, budgets: str, cron_jobs: str) -> None:
    served = documents(version)
    assert choose(DISRUPTION_BUDGET, served).api_version == budgets
    assert choose(CRON_JOB, served).api_version == cron_jobs


def test_a_group_that_is_served_without_the_kind_does_not_count() -> None:
    """batch/v1 is there in 1.20, with Jobs alone."""
    assert choose(CRON_JOB, documents("1.20")).path("night", "team") == (
        "/apis/batch/v1beta1/namespaces/team/cronjobs/night"
    )


def test_a_kind_that_is_not_served_is_asked_for_by_its_own_name() -> None:
    assert choose(DISRUPTION_BUDGET, {}) == DISRUPTION_BUDGET
    assert choose(Kind(type=Pod, kind="Pod", plural="pods"), {}).api_version == "v1"


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_evictions_are_written_as_the_server_reads_them(version: str) -> None:
    entry = (
        '{"name":"pods/eviction","singularName":"","namespaced":true,"group":"policy","version":"%s","kind":"Eviction"}'
    )
    core = f'{{"kind":"APIResourceList","groupVersion":"v1","resources":[{{"name":"pods"}},{entry % version}]}}'
    assert eviction_version(read(core.encode())) == f"policy/{version}"


def test_a_server_that_does_not_say_reads_them_in_the_newest() -> None:
    assert eviction_version(Resources()) == "policy/v1"
