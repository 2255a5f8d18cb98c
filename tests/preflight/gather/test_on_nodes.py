"""What is tried out beside the probes: no more than the checks that are made need."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.preflight.check import Verdict
from fairlead.preflight.config import Config
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather.on_nodes import Asked, not_seen
from fairlead.preflight.gather.trials import not_run
from fairlead.preflight.report import report_of, select


@pytest.mark.parametrize(
    ("codes", "trials"),
    [
        ((), {"gpu", "dry_run", "system_volume_trial", "shared_volume_trial", "user_image"}),
        (("node-connectivity",), set()),
        (("gpu-driver",), {"gpu"}),
        (("shared-volume",), {"shared_volume_trial"}),
        (("system-volume", "admission"), {"system_volume_trial", "dry_run"}),
        (("user-images",), {"user_image"}),
    ],
)
def test_only_what_the_checks_need_is_tried(codes: tuple[str, ...], trials: set[str]) -> None:
    asked = Asked(config=Config(), codes=codes)
    tried = {
        fact for fact in ("dry_run", "system_volume_trial", "shared_volume_trial", "user_image") if asked.needs(fact)
    }
    assert tried | ({"gpu"} if asked.tells_of("NVIDIA") else set()) == trials


def test_a_gpu_pod_that_waits_for_its_image_says_nothing_of_the_gpu() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    pod = {"status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}}
    found = {"gpu_pod": {"pending": "no-image"}, "gpu_pod_event": "ImagePullBackOff: Back-off pulling image"}
    assert not_run(pod, "Failed", "Error: ImagePullBackOff") == found
    starting = {"status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "Creating"}}}]}}
    broken = {"gpu_pod": {"ran": False}, "gpu_pod_event": "no runtime for nvidia"}
    assert not_run(starting, "FailedCreatePodSandBox", "no runtime for nvidia") == broken


def test_where_no_pod_could_be_made_what_only_pods_tell_is_unknown_by_its_first_cause() -> None:
    said = 'Internal error occurred: failed calling webhook "guard.policies.example": no endpoints available'
    found: dict[str, Any] = {"nodes": [{"name": "g1", "labels": {}, "allocatable": {"nvidia.com/gpu": 8}}]}
    found["webhook_failures"] = [{"name": "guard.policies.example", "message": said}]
    not_seen(found, said)
    results = report_of(facts_of(found), Config(), select()).results
    by_code = {each.check.code: each.finding for each in results}
    assert [code for code, each in by_code.items() if "guard" in each.seen and each.verdict is Verdict.FAIL] == [
        "admission"
    ]
    told = ("permissions", "clock-skew", "dns", "node-connectivity", "gpu-driver", "gpu-container-stack", "gpu-nodes")
    assert {code: by_code[code].verdict for code in told} == dict.fromkeys(told, Verdict.UNKNOWN)
    assert {code for code in told if "see admission" not in by_code[code].seen} == set()
    assert by_code["node-exporter"].cause == by_code["remote-write"].cause == "not-needed"
