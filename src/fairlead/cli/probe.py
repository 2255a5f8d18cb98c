"""`fairlead probe`: what preflight's pods do on the nodes of a cluster. People do not type it."""

from __future__ import annotations

import asyncio
import ctypes
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from fairlead.preflight.gather import files, keeper
from fairlead.preflight.gather.look import ORDERS, answering, encoded, look
from fairlead.runtime.settings import environment

_LAST_WORDS = Path("/dev/termination-log")


@click.group(hidden=True)
def probe() -> None:
    """What the pods of `fairlead preflight` do. Example: fairlead probe serve."""


@probe.command()
def serve() -> None:
    """Answer other probes until somebody ends it."""

    async def for_ever() -> None:
        async with answering():
            await asyncio.Event().wait()

    asyncio.run(for_ever())


@probe.command()
def idle() -> None:
    """Do nothing: that it started is the answer."""
    time.sleep(3600)


@probe.command()
@click.argument("namespace")
@click.option("--after", default=300.0, help="Seconds from now.")
def keep(namespace: str, after: float) -> None:
    """Have a namespace deleted, should whoever made it not have done so until then."""
    keeper.keep(namespace, after, environment())


@probe.command("look")
def look_() -> None:
    """Look at what is asked for on standard input: its length on a line, then JSON."""
    _say(b"ready")
    size = int(sys.stdin.buffer.readline())
    orders = sys.stdin.buffer.read(size)
    _say(msgspec.json.encode({"time": time.time()}))
    _say(encoded(asyncio.run(look(ORDERS.decode(orders)))))


@probe.command()
@click.argument("nonce")
@click.option("--wait", default=60.0, help="Seconds to wait for what others write.")
@click.option("--back", default="", help="Write this back under a name of its own once it was read.")
def read(nonce: str, wait: float, back: str) -> None:
    """Read on /data what another pod wrote, and write back."""
    _tell(files.read(Path("/data"), nonce, wait, back))


@probe.command()
@click.argument("nonce")
def write(nonce: str) -> None:
    """Write on /data what others read."""
    _tell(files.write(Path("/data"), nonce))


@probe.command()
def gpu() -> None:
    """Use the GPU that this pod was given: what the driver says, and whether CUDA starts."""
    _tell(_gpu())


def _gpu() -> dict[str, Any]:
    found: dict[str, Any] = {"cuda_init": _cuda_init(), "nvidia_smi_exit": _nvidia_smi()}
    try:
        import pynvml  # only where there is a GPU

        pynvml.nvmlInit()
        found["devices_seen"] = pynvml.nvmlDeviceGetCount()
        found["driver_library"] = str(pynvml.nvmlSystemGetDriverVersion())
        found["fabric_state"] = fabric_state(pynvml)
    except Exception as error:  # noqa: BLE001  # whatever the library says is what is told
        found["nvml_error"] = str(error)
    return found


_FABRIC: Final = ("not_supported", "not_started", "in_progress", "completed")
"""By NVML's numbers. Source: nvml.h, NVML_GPU_FABRIC_STATE_."""


def fabric_state(nvml: Any) -> str | None:
    """The state of the fabric between the GPUs, by the first of them; None where the library does not know."""
    info = nvml.c_nvmlGpuFabricInfoV_t()
    try:
        nvml.nvmlDeviceGetGpuFabricInfoV(nvml.nvmlDeviceGetHandleByIndex(0), ctypes.byref(info))
        return _FABRIC[info.state]
    except (nvml.NVMLError, IndexError, AttributeError):
        return None


def _nvidia_smi() -> int | None:
    """Its exit code; None where the container stack did not bring it."""
    if (program := shutil.which("nvidia-smi")) is None:
        return None
    try:
        return subprocess.run([program, "-L"], capture_output=True, timeout=_SMI_SECONDS).returncode
    except (OSError, subprocess.TimeoutExpired):
        return None


_SMI_SECONDS: Final = 20.0


def _cuda_init() -> int | None:
    try:
        return int(ctypes.CDLL("libcuda.so.1").cuInit(0))
    except (OSError, AttributeError):
        return None


def _tell(found: dict[str, Any]) -> None:
    """As its last words, which the pod's status keeps, and on standard output."""
    text = msgspec.json.encode(found)
    if _LAST_WORDS.exists():
        _LAST_WORDS.write_bytes(text)
    _say(text)


def _say(text: bytes) -> None:
    sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()
