"""MPS daemons as a node's agent keeps them, by a stand-in for NVIDIA's program: started, asked, started anew, ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.parts import standin_mps_control

from fairlead.cluster.node.daemon import MpsOptions
from fairlead.cluster.node.mps import Mps
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.retry import Backoff

ONE, TWO = "GPU-1", "GPU-2"


class Node:
    """A folder with the program, and one for the daemons. `changes`: how often something was to be told."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.folder = folder / "bin", folder / "mps"
        self.program = self.programs / "standin"
        self.programs.mkdir()
        shutil.copy(standin_mps_control.__file__, self.program)
        self.changes = 0

    def options(self, **more: Any) -> MpsOptions:
        """Everything soon."""
        times: dict[str, Any] = {"ask": 0.2, "answer": 1.0, "start": 5.0, "end": 2.0}
        return MpsOptions(
            program=str(self.program),
            directory=self.folder,
            environment={"PATH": os.environ["PATH"]},
            **{**times, "backoff": Backoff(first=0.1, most=0.4, jitter=0), **more},
        )

    @asynccontextmanager
    async def keeping(self, *devices: str, **more: Any) -> AsyncIterator[Mps]:
        """Daemons for the devices, until the block ends."""
        mps = Mps(self.options(**more), SystemClock(), Random(1), self._changed)
        task = asyncio.create_task(mps.run())
        await asyncio.sleep(0)
        mps.keep(devices)
        yield mps
        task.cancel()
        await asyncio.wait([task])

    def pid(self, device: str = ONE) -> int:
        """Of the device's daemon."""
        return int((self.folder / device / "pipe" / "nvidia-cuda-mps-control.pid").read_text())

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def until(good: Callable[[], object], seconds: float = 20) -> None:
    """Returns once it is so."""
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether no such process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_each_device_has_a_daemon_of_its_own_that_sees_it_alone_and_ends_with_the_agent(node: Node) -> None:
    async with node.keeping(ONE, TWO) as mps:
        await until(lambda: mps.of(ONE).since and mps.of(TWO).since)
        pids = {node.pid(ONE), node.pid(TWO)}
        assert len(pids) == 2
        assert [(node.folder / d / "pipe" / "devices").read_text() for d in (ONE, TWO)] == [ONE, TWO]
        assert (node.folder / "shm").stat().st_mode & 0o7777 == 0o1777
        assert mps.findings() == ()
        assert node.changes == 2
    assert all(is_gone(pid) for pid in pids)
    assert not (node.folder / ONE).exists()


async def test_a_daemon_of_a_device_that_nobody_shares_any_more_is_ended_and_the_others_go_on(node: Node) -> None:
    async with node.keeping(ONE, TWO) as mps:
        await until(lambda: mps.of(ONE).since and mps.of(TWO).since)
        first, second = node.pid(ONE), node.pid(TWO)
        mps.keep({TWO})
        await until(lambda: is_gone(first) and not (node.folder / ONE).exists())
        mps.keep({ONE, TWO})
        await until(lambda: mps.of(ONE).since)
        assert (node.pid(ONE) != first, node.pid(TWO)) == (True, second)


async def test_a_daemon_that_died_is_said_to_be_away_at_once_and_started_anew(node: Node) -> None:
    async with node.keeping(ONE, backoff=Backoff(first=0.5, most=0.5, jitter=0)) as mps:
        await until(lambda: mps.of(ONE).since)
        before, pid = mps.of(ONE).since, node.pid()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: mps.of(ONE).since is None, 0.4)
        assert mps.of(ONE).why == "it ended with exit code -9"
        assert mps.findings() == (
            "The memory of GPU-1 is not kept apart: the MPS daemon of its GPU is away: it ended with exit code -9.",
        )
        await until(lambda: mps.of(ONE).since)
        since = mps.of(ONE).since
        assert before is not None
        assert since is not None
        assert since > before
        assert node.pid() != pid


async def test_one_that_does_not_start_is_tried_again_later_each_time(node: Node) -> None:
    (node.programs / "refuse").touch()
    async with node.keeping(ONE, backoff=Backoff(first=0.1, most=10, jitter=0)) as mps:
        await until(lambda: mps.of(ONE).why == "it ended with exit code 3")
        assert mps.of(ONE).is_settled
        await asyncio.sleep(2)
        assert 3 <= mps._daemons[ONE].starts <= 6  # after 0.1, 0.2, 0.4, 0.8 and 1.6 s: not every 0.1 s
        (node.programs / "refuse").unlink()
        await until(lambda: mps.of(ONE).since)


async def test_one_that_hangs_is_away_then_killed_and_started_anew(node: Node) -> None:
    async with node.keeping(ONE, answer=0.3) as mps:
        await until(lambda: mps.of(ONE).since)
        pid = node.pid()
        (node.folder / ONE / "pipe" / "hang").touch()
        await until(lambda: mps.of(ONE).since is None)
        assert mps.of(ONE).why == "it does not answer within 0.3 s"
        assert not is_gone(pid), "one question without an answer does not end it: its clients would end too"
        await until(lambda: is_gone(pid))
        await until(lambda: mps.of(ONE).since)


async def test_where_the_program_is_not_there_that_is_said_and_looked_at_again(node: Node) -> None:
    away = node.programs / "elsewhere"
    node.program.rename(away)
    async with node.keeping(ONE) as mps:
        await until(lambda: mps.of(ONE).is_settled)
        assert (
            mps.of(ONE).why
            == f"the program {node.program} is not on this node (node.runtimeClassName or node.mps.hostPath bring it)"
        )
        assert mps.findings() == (f"MPS is switched on, and {mps.of(ONE).why}.",)
        away.rename(node.program)
        await until(lambda: mps.of(ONE).since)


async def test_instances_of_mig_have_no_daemon(node: Node) -> None:
    async with node.keeping("MIG-1", ONE) as mps:
        await until(lambda: mps.of(ONE).since)
        assert (mps.of("MIG-1").since, mps.of("MIG-1").is_settled) == (None, True)
        assert "MIG" in mps.of("MIG-1").why
        assert not (node.folder / "MIG-1").exists()
