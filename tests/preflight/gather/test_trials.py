"""What is tried out and read from the answer: the driver's library and fabric."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.cli.probe import fabric_state
from fairlead.preflight.check import judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import Config
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import trials
from fairlead.preflight.gather.pods import Place

PLACE = Place(run="1", namespace="fairlead-preflight-1", image="x", expires=0, seconds=300)


@pytest.mark.parametrize(("number", "word"), [(0, "not_supported"), (2, "in_progress"), (3, "completed"), (9, None)])
def test_the_state_of_the_fabric_is_told_in_a_word(number: int, word: str | None) -> None:
    import pynvml

    def fill(_device: Any, told: Any) -> None:
        told._obj.state = number

    nvml = SimpleNamespace(
        NVMLError=pynvml.NVMLError,
        c_nvmlGpuFabricInfoV_t=pynvml.c_nvmlGpuFabricInfoV_t,
        nvmlDeviceGetHandleByIndex=int,
        nvmlDeviceGetGpuFabricInfoV=fill,
    )
    assert fabric_state(nvml) == word


async def test_a_gpu_pod_that_did_not_use_its_gpu_still_tells_of_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ran(*_: Any) -> Any:
        said = json.dumps({"cuda_init": None, "nvidia_smi_exit": 18, "nvml_error": "Driver/library version mismatch"})
        return {
            "status": {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"message": said}}}]}
        }, ("", "")

    monkeypatch.setattr(trials, "ended", ran)
    api: Any = None
    found = await trials.gpu_trials(api, PLACE, [{"name": "g1", "allocatable": {"nvidia.com/gpu": 1}}], [])
    assert found["g1"]["nvidia_smi_exit"] == 18
    node = {"name": "g1", "pci_nvidia": 1, "driver": "550.90.07", "allocatable": {"nvidia.com/gpu": 1}, **found["g1"]}
    judgement = judged(BY_CODE["gpu-driver"], facts_of({"nodes": [node]}), Config())
    assert judgement.nodes["g1"].cause == "library-mismatch"
