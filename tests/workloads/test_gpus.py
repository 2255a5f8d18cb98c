"""What a pod asks of GPUs, as its object says it."""

from __future__ import annotations

import pytest

from fairlead.objects import fields
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Pod
from fairlead.workloads.gpus import gpu_of


@pytest.mark.parametrize(
    ("written", "milli"), [("0.5", 500), ("0.9996", 999), ("0.0004", 1), ("0.3334", 333), ("1.0", 0), ("half", 0)]
)
def test_a_part_of_a_device_is_never_rounded_to_none_or_to_a_whole_one(written: str, milli: int) -> None:
    pod = Pod(metadata=ObjectMeta(name="p", annotations={fields.GPU_FRACTION: written}))
    assert gpu_of(pod).portion_milli == milli


@pytest.mark.parametrize(("says", "has"), [("0.5", 500), ("0.1", 500), ("", 500), ("0.504", 504)])
def test_a_pod_that_shares_a_device_has_what_it_was_given_whatever_it_says_since(says: str, has: int) -> None:
    given = {fields.GPU_GROUP: "g", fields.GPU_PORTION: "0.50"}
    notes = given | ({fields.GPU_FRACTION: says} if says else {})
    found = gpu_of(Pod(metadata=ObjectMeta(name="p", annotations=notes)))
    assert (found.devices, found.portion_milli) == (1, has)
