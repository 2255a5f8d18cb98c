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
