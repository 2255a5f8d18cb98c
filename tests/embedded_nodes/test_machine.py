"""What a machine is: its real GPUs as the driver's library reports them, else simulated ones that say so.

There is no NVIDIA driver here: `standin_nvml.c` is a stand-in for its library that reports two devices, compiled by the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.embedded.nodes.machine import SIMULATED_MODEL, simulated_nodes, this_machine

SOURCE = Path(__file__).parent / "standin_nvml.c"
ASK = (
    "import json; from fairlead.embedded.nodes.machine import this_machine; n = this_machine('process', 4); "
    "print(json.dumps([n.simulated, n.driver, [[d.index, d.uuid, d.model, d.memory_mib] for d in n.devices]]))"
)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_a_standin_driver_library_gives_real_devices(tmp_path: Path) -> None:
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True)
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=env, check=True)
    simulated, driver, devices = json.loads(done.stdout)
    assert (simulated, driver) == (False, "550.54.15")
    assert devices == [
        [0, "GPU-standin-0", "NVIDIA-H100-80GB-HBM3", 81920],
        [1, "GPU-standin-1", "NVIDIA-H100-80GB-HBM3", 81920],
    ]


def test_without_a_driver_the_gpus_are_simulated_and_say_so() -> None:
    node = this_machine("process", 3)
    if not node.simulated:
        pytest.skip("this machine has real GPUs")
    assert [d.index for d in node.devices] == [0, 1, 2]
    assert {d.model for d in node.devices} == {SIMULATED_MODEL}
    assert this_machine("process", 3).devices == node.devices


def test_simulated_nodes_are_named_in_order_and_share_no_device() -> None:
    nodes = simulated_nodes("12x8")
    assert [n.name for n in nodes] == sorted(n.name for n in nodes)
    assert len({d.uuid for n in nodes for d in n.devices}) == 96
    with pytest.raises(ValueError, match="4 x 8"):
        simulated_nodes("4 x 8")
