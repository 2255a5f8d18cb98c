"""Pods as processes of this machine."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fairlead.embedded.nodes import logs
from fairlead.embedded.nodes.process import ProcessRuntime
from fairlead.embedded.nodes.runtime import CannotStart
from fairlead.kube.client import LogOptions
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements

_PARENT = """
import asyncio, os, sys
sys.path.insert(0, os.getcwd())
from pathlib import Path
from fairlead.embedded.nodes.process import ProcessRuntime
from tests.embedded.nodes.test_process import a_pod
async def main():
    await ProcessRuntime(Path(sys.argv[1]), os.environ).start(a_pod(sys.argv[2], memory=sys.argv[3]), {})
    print("started", flush=True)
    await asyncio.sleep(100)
asyncio.run(main())
"""


_KILLED_IN_BETWEEN = (
    """
import asyncio, os, signal, sys
spawn = asyncio.create_subprocess_exec
async def spawn_and_die(*words, **more):
    await spawn(*words, **more)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.create_subprocess_exec = spawn_and_die
"""
    + _PARENT
)


def a_pod(script: str, *, uid: str = "u-1", memory: str = "") -> Pod:
    """A pod that runs a shell script."""
    resources = ResourceRequirements(limits={"memory": memory} if memory else {})
    container = Container(name="c", image="x", command=("sh", "-c", script), resources=resources)
    return Pod(metadata=ObjectMeta(name="p", uid=uid), spec=PodSpec(containers=(container,)))


@pytest.fixture
def runtime(tmp_path: Path) -> ProcessRuntime:
    return ProcessRuntime(tmp_path / "pods", os.environ)


NAP = 100_000 + os.getpid()
"""Seconds that nobody else sleeps: first digits of them."""


async def _log(runtime: ProcessRuntime, options: LogOptions | None = None) -> str:
    return b"".join([piece async for piece in runtime.logs("u-1", options or LogOptions())]).decode()


async def test_the_exit_code_and_all_output_are_kept(runtime: ProcessRuntime) -> None:
    await runtime.start(a_pod("echo out; echo err >&2; exit 3"), {})
    assert (await runtime.wait("u-1")).exit_code == 3
    assert await _log(runtime) == "out\nerr\n"


async def test_only_the_environment_that_was_given_is_seen(tmp_path: Path) -> None:
    runtime = ProcessRuntime(tmp_path, {"PATH": os.environ["PATH"], "SECRET": "s"})
    await runtime.start(a_pod('echo "$GIVEN-$SECRET"'), {"GIVEN": "g"})
    await runtime.wait("u-1")
    assert await _log(runtime) == "g-\n"


async def test_a_process_may_end_by_itself_when_asked(runtime: ProcessRuntime) -> None:
    await runtime.start(a_pod("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"), {})
    await _said(runtime, "up")
    await runtime.stop("u-1", 10)
    assert (await runtime.wait("u-1")).exit_code == 7
    assert (await _log(runtime)).endswith("bye\n")


async def test_a_process_that_does_not_listen_is_killed_when_its_grace_is_over(runtime: ProcessRuntime) -> None:
    await runtime.start(a_pod("trap '' TERM; echo up; while :; do sleep 0.05; done"), {})
    await _said(runtime, "up")
    began = time.monotonic()
    await runtime.stop("u-1", 0.4)
    assert 0.4 <= time.monotonic() - began < 5
    assert (await runtime.wait("u-1")).exit_code == 137


async def test_children_of_a_process_end_with_it(runtime: ProcessRuntime) -> None:
    await runtime.start(a_pod(f"sleep {NAP}5 & echo up; wait"), {})
    await _said(runtime, "up")
    await runtime.stop("u-1", 5)
    async with asyncio.timeout(5):
        while any(p.info["cmdline"] == ["sleep", f"{NAP}5"] for p in psutil.process_iter(["cmdline"])):  # noqa: ASYNC110  # a process has no event
            await asyncio.sleep(0.05)


def _runs(*words: str) -> bool:
    return any(p.info["cmdline"] == list(words) for p in psutil.process_iter(["cmdline"]))


@pytest.mark.parametrize("start", ["sleep {0} &", "setsid sleep {0} &", "env -i /bin/sleep {0} &"])
async def test_nothing_left_in_the_background_outlives_a_process_that_has_ended(
    runtime: ProcessRuntime, start: str
) -> None:
    await runtime.start(a_pod(f"{start.format(f'{NAP}4')} echo up; sleep 0.2"), {})
    assert (await runtime.wait("u-1")).exit_code == 0
    assert not _runs("sleep", f"{NAP}4")
    assert not _runs("/bin/sleep", f"{NAP}4")


async def test_a_command_whose_wrapper_was_killed_ends_with_it(runtime: ProcessRuntime, tmp_path: Path) -> None:
    await runtime.start(a_pod(f"echo up; exec sleep {NAP}3"), {})
    await _said(runtime, "up")
    wrapper = next(p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", f"{NAP}3"]).parent()
    assert wrapper is not None
    wrapper.kill()
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, ended.message) == (137, "The process was killed from outside.")
    assert not _runs("sleep", f"{NAP}3")


async def test_stopping_ends_what_a_lost_process_left(tmp_path: Path) -> None:
    """As when this machine's Fairlead was down while the wrapper was killed."""
    _orphan(tmp_path, f"exec sleep {NAP}2")
    number = int((tmp_path / "u-1" / "pid").read_text())
    while not _runs("sleep", f"{NAP}2"):  # noqa: ASYNC110  # a process has no event
        await asyncio.sleep(0.02)
    os.kill(number, signal.SIGKILL)
    runtime = ProcessRuntime(tmp_path, os.environ)
    while await runtime.recover("u-1"):  # noqa: ASYNC110  # a process has no event
        await asyncio.sleep(0.02)
    await runtime.stop("u-1", 0.0)
    assert not _runs("sleep", f"{NAP}2")


async def test_a_process_over_its_memory_limit_is_stopped_and_told_so(runtime: ProcessRuntime) -> None:
    greedy = f"{sys.executable} -c 'x = bytearray(200 << 20); import time; time.sleep(60)'"
    await runtime.start(a_pod(greedy, memory="100Mi"), {})
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, "more memory than its limit" in ended.message) == (137, True)


@pytest.mark.parametrize(
    ("command", "told"), [((), "Name a command"), (("no-such-program-here",), "There is no program")]
)
def test_what_cannot_be_started_is_said_before(runtime: ProcessRuntime, command: tuple[str, ...], told: str) -> None:
    pod = Pod(metadata=ObjectMeta(uid="u"), spec=PodSpec(containers=(Container(name="c", image="x", command=command),)))
    with pytest.raises(CannotStart, match=told):
        runtime.command_of(pod, {})


async def test_a_log_is_read_from_its_end_and_followed_to_its_end(runtime: ProcessRuntime) -> None:
    await runtime.start(a_pod("echo 1; echo 2; echo 3; sleep 0.3; echo 4"), {})
    await _said(runtime, "3")
    assert await _log(runtime, LogOptions(tail_lines=1, follow=True)) == "3\n4\n"


def test_a_large_log_is_moved_aside_once_and_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "ROTATE_BYTES", 10)
    log = tmp_path / "container.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"first part\n")
        logs.rotate(log)
        writer.write(b"second\n")

    async def read() -> bytes:
        return b"".join([piece async for piece in logs.read(log, LogOptions(), lambda: True)])

    assert log.read_bytes() == b"second\n"
    assert asyncio.run(read()) == b"first part\nsecond\n"


def _orphan(folder: Path, script: str, memory: str = "") -> None:
    """A process whose starter is killed at once."""
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(folder), script, memory], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.send_signal(signal.SIGKILL)


async def test_a_process_outlives_the_one_that_started_it_and_is_found_again(tmp_path: Path) -> None:
    _orphan(tmp_path, "echo begun; sleep 0.5; echo ended; exit 4")
    runtime = ProcessRuntime(tmp_path, os.environ)
    assert (runtime.known(), await runtime.recover("u-1")) == (("u-1",), True)
    assert (await runtime.wait("u-1")).exit_code == 4
    assert await _log(runtime) == "begun\nended\n"


def _kill_in_between(folder: Path, script: str) -> None:
    """A process whose starter is killed right after starting it, before it could write anything."""
    words = [sys.executable, "-c", _KILLED_IN_BETWEEN, str(folder), script, ""]
    assert subprocess.run(words, stdout=subprocess.PIPE).returncode == -signal.SIGKILL


async def test_a_starter_killed_before_it_learns_of_its_process_does_not_start_a_second(tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    script = f"echo begun >> {counted}; sleep 1; exit 4"
    _kill_in_between(tmp_path / "pods", script)
    async with asyncio.timeout(90):
        while not counted.exists():  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(0.01)
    runtime = ProcessRuntime(tmp_path / "pods", os.environ)
    await runtime.start(a_pod(script), {})
    assert (await runtime.wait("u-1")).exit_code == 4
    assert counted.read_text() == "begun\n"


async def test_a_process_that_was_found_again_keeps_its_memory_limit(tmp_path: Path) -> None:
    greedy = f"{sys.executable} -c 'import time; time.sleep(1); x = bytearray(200 << 20); time.sleep(60)'"
    _orphan(tmp_path, greedy, "100Mi")
    ended = await ProcessRuntime(tmp_path, os.environ).wait("u-1")
    assert (ended.exit_code, "more memory than its limit" in ended.message) == (137, True)


async def test_what_was_never_started_is_not_found(runtime: ProcessRuntime) -> None:
    assert not await runtime.recover("u-1")


async def test_a_removed_pod_leaves_nothing(runtime: ProcessRuntime) -> None:
    await runtime.start(a_pod("true"), {})
    await runtime.wait("u-1")
    await runtime.remove("u-1")
    assert runtime.known() == ()


async def _said(runtime: ProcessRuntime, text: str) -> None:
    async with asyncio.timeout(90):
        while text not in await _log(runtime):  # noqa: ASYNC110  # a log has no event
            await asyncio.sleep(0.02)
