"""Pods as containers of a real engine: podman, with a tiny image of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.parts import podman
from tests.parts.build import Unavailable

from fairlead.embedded.nodes.container import ContainerRuntime, engine
from fairlead.embedded.nodes.kubelet import Kubelet
from fairlead.embedded.nodes.machine import NodeSpec
from fairlead.embedded.nodes.runtime import CannotStart
from fairlead.embedded.store import EmbeddedTransport, Store
from fairlead.kube.client import Client, LogOptions
from fairlead.objects import kinds
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, ResourceRequirements
from fairlead.runtime.clock import SystemClock

NODE = NodeSpec(name="n1", cpu_milli=8000, memory_bytes=1 << 34, devices=(), simulated=True, runtime="container")
_STARTER = """
import asyncio, os, sys
sys.path.insert(0, os.getcwd())
from pathlib import Path
from fairlead.embedded.nodes.container import ContainerRuntime, engine
from tests.embedded.nodes.test_container import a_pod
async def main():
    await ContainerRuntime(Path(sys.argv[1]), os.environ, "podman").start(a_pod(sys.argv[2]), {})
    print("started", flush=True)
    await asyncio.sleep(100)
asyncio.run(main())
"""


def a_pod(script: str = "", **more: Any) -> Pod:
    """A pod whose container runs a shell script."""
    said: dict[str, Any] = {"image": podman.IMAGE, "command": ("sh", "-c", script) if script else ()}
    return Pod(metadata=ObjectMeta(name="p", uid="u-1"), spec=PodSpec(containers=(Container(name="c", **said | more),)))


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment in which podman works."""
    try:
        found = podman.engine(tmp_path_factory.mktemp("podman"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield found
    podman.podman(found, "rm", "--all", "--force")


@pytest.fixture
async def runtime(env: Mapping[str, str], tmp_path: Path) -> AsyncIterator[ContainerRuntime]:
    """A runtime that leaves no container behind."""
    runtime = ContainerRuntime(tmp_path / "containers", env, "podman")
    yield runtime
    await runtime.stop("u-1", 0.0)
    assert _containers(env) == []


async def test_environment_directory_and_exit_code_are_those_of_the_pod(runtime: ContainerRuntime) -> None:
    given = {"LINES": "one\ntwo", "PAIR": "a=b", "PATH": "/bin", "CONTAINERS_CONF": "/nowhere", "EMPTY": ""}
    script = 'echo "$LINES|$PAIR|$CONTAINERS_CONF|${EMPTY-unset}"; pwd; echo problem >&2; exit 3'
    await runtime.start(a_pod(script, working_dir="/bin"), given)
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, ended.message) == (3, "")
    assert await _log(runtime) == "one\ntwo|a=b|/nowhere|\n/bin\nproblem\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "entry command\n"),
        ({"args": ("mine", "--flag")}, "entry mine --flag\n"),
        ({"command": ("echo", "own"), "args": ("-x",)}, "own -x\n"),
        ({"command": ("echo",)}, "\n"),
    ],
)
async def test_command_and_args_stand_for_the_entrypoint_and_command_of_the_image(
    runtime: ContainerRuntime, more: dict[str, Any], said: str
) -> None:
    await runtime.start(a_pod(**more), {})
    assert (await runtime.wait("u-1")).exit_code == 0
    assert await _log(runtime) == said


async def test_a_container_that_ended_is_taken_away_and_its_end_stays_known(
    runtime: ContainerRuntime, env: Mapping[str, str]
) -> None:
    await runtime.start(a_pod("exit 125"), {})
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, ended.reason, _containers(env)) == (125, "", [])
    assert await runtime.wait("u-1") == ended


async def test_a_container_may_end_by_itself_when_asked(runtime: ContainerRuntime) -> None:
    await runtime.start(a_pod("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"), {})
    await _said(runtime, "up")
    await runtime.stop("u-1", 10)
    assert (await runtime.wait("u-1")).exit_code == 7
    assert (await _log(runtime)).endswith("bye\n")


async def test_a_container_that_does_not_listen_is_killed_when_its_grace_is_over(runtime: ContainerRuntime) -> None:
    await runtime.start(a_pod("trap '' TERM; echo up; while :; do sleep 0.05; done"), {})
    await _said(runtime, "up")
    began = time.monotonic()
    await runtime.stop("u-1", 1)
    assert 1 <= time.monotonic() - began < 8
    assert (await runtime.wait("u-1")).exit_code == 137
    assert not await runtime.recover("u-2")


async def test_a_container_is_found_again_with_its_log_after_its_starter_was_killed(
    runtime: ContainerRuntime, env: Mapping[str, str], tmp_path: Path
) -> None:
    _orphan(tmp_path / "containers", "echo begun; sleep 1; echo ended; exit 4", env)
    assert (runtime.known(), await runtime.recover("u-1")) == (("u-1",), True)
    assert (await runtime.wait("u-1")).exit_code == 4
    assert await _log(runtime) == "begun\nended\n"


async def test_a_container_whose_client_was_killed_is_reported_and_not_left_running(
    runtime: ContainerRuntime, env: Mapping[str, str]
) -> None:
    await runtime.start(a_pod("echo up; sleep 1000"), {})
    await _said(runtime, "up")
    os.killpg(int((runtime._place("u-1") / "pid").read_text()), signal.SIGKILL)
    assert len(_containers(env)) == 1
    assert await runtime.recover("u-1")
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, "killed from outside" in ended.message, _containers(env)) == (137, True, [])


async def test_an_image_that_cannot_be_had_is_named_with_what_to_do(runtime: ContainerRuntime) -> None:
    await runtime.start(a_pod("true", image="localhost/missing:7", image_pull_policy="Never"), {})
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, ended.reason) == (128, "ErrImagePull")
    assert "The image localhost/missing:7 is not on this machine" in ended.message
    assert "`podman pull localhost/missing:7`" in ended.message


async def test_a_command_that_the_image_lacks_is_a_start_error(runtime: ContainerRuntime) -> None:
    await runtime.start(a_pod(command=("/bin/nothing-of-the-kind",)), {})
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, ended.reason) == (128, "StartError")
    assert "/bin/nothing-of-the-kind" in ended.message


@pytest.mark.parametrize("image", ["", "--privileged", "-v=/:/host"])
async def test_an_image_that_would_be_an_option_is_refused(tmp_path: Path, image: str) -> None:
    runtime = ContainerRuntime(tmp_path, os.environ, "podman")
    with pytest.raises(CannotStart, match="not the name of an image"):
        runtime.command_of(a_pod("true", image=image), {})


async def test_an_engine_that_does_not_answer_is_said_before(tmp_path: Path) -> None:
    runtime = ContainerRuntime(tmp_path, os.environ, "no-such-engine")
    with pytest.raises(CannotStart, match="`no-such-engine info` must work"):
        await runtime.start(a_pod("true"), {})


@pytest.mark.parametrize(
    ("codes", "found"),
    [
        ({}, None),
        ({"docker": 1}, "docker"),
        ({"docker": 1, "podman": 0}, "podman"),
        ({"docker": 0, "podman": 0}, "docker"),
    ],
)
def test_of_two_engines_the_one_that_answers_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codes: dict[str, int], found: str | None
) -> None:
    for name, code in codes.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine() == found


def test_limits_and_devices_are_options_of_the_run(tmp_path: Path) -> None:
    limits = ResourceRequirements(limits={"memory": "100Mi", "cpu": "1500m"})
    shown = {"NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2"}
    words = {
        p: ContainerRuntime(tmp_path, {}, p).command_of(a_pod("true", resources=limits), shown)
        for p in ("docker", "podman")
    }
    assert {"--memory=104857600", "--cpus=1.5"} <= set(words["docker"]) & set(words["podman"])
    assert {"--device=nvidia.com/gpu=GPU-1", "--device=nvidia.com/gpu=GPU-2"} <= set(words["podman"])
    assert words["docker"][words["docker"].index("--gpus") + 1] == '"device=GPU-1,GPU-2"'
    assert "--gpus" not in words["podman"]


async def test_a_container_over_its_memory_limit_is_killed_and_told_so(
    runtime: ContainerRuntime, env: Mapping[str, str]
) -> None:
    if not podman.holds_limits(env):
        pytest.skip("podman has no control groups here: it cannot hold a container to a limit")
    limits = ResourceRequirements(limits={"memory": "20Mi"})
    await runtime.start(a_pod("x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done", resources=limits), {})
    ended = await runtime.wait("u-1")
    assert (ended.exit_code, ended.reason, "limit of 20971520 bytes" in ended.message) == (137, "OOMKilled", True)


async def test_a_client_larger_than_the_limit_of_its_container_is_left_alone(runtime: ContainerRuntime) -> None:
    limits = ResourceRequirements(limits={"memory": "8Mi"})
    await runtime.start(a_pod("echo up; sleep 1; echo over", resources=limits), {})
    assert (await runtime.wait("u-1")).exit_code == 0


async def test_a_command_runs_beside_a_container_in_its_environment(runtime: ContainerRuntime) -> None:
    await runtime.start(a_pod("echo up; sleep 1000", working_dir="/bin"), {"GIVEN": "g"})
    await _said(runtime, "up")
    session = await runtime.exec(a_pod(), ["sh", "-c", 'echo "$GIVEN"; pwd; exit 5'], {})
    messages = []
    while (message := await session.receive()) is not None:
        messages.append(message)
    await session.close()
    assert b"".join(m[1:] for m in messages if m[0] == 1) == b"g\n/bin\n"
    assert b'"ExitCode","message":"5"' in messages[-1]


async def test_a_pod_on_a_node_of_containers_runs_and_goes(env: Mapping[str, str], tmp_path: Path) -> None:
    clock = SystemClock()
    store = Store(clock, Random(1))
    client = Client(EmbeddedTransport(store), clock, Random(2))
    runtime = ContainerRuntime(tmp_path, env, "podman")
    node = asyncio.create_task(Kubelet(client, clock, Random(3), [NODE], {"container": runtime}).run())
    await _until(lambda: client.find(kinds.NODE, "n1"))
    for name, said in {
        "ends": a_pod("exit 2"),
        "missing": a_pod("true", image="localhost/no:1"),
        "stays": a_pod("sleep 99"),
    }.items():
        await client.create(kinds.POD, Pod(metadata=ObjectMeta(name=name), spec=said.spec), "default")
        await client.bind(name, "default", "n1")
    ended, missing, _ = [
        await _until(lambda n=n, p=p: _in(client, n, p))
        for n, p in (("ends", "Failed"), ("missing", "Failed"), ("stays", "Running"))
    ]
    found = [p.status.container_statuses[0].state.terminated for p in (ended, missing)]
    assert [(t["exitCode"], t["reason"]) for t in found] == [(2, "Error"), (128, "ErrImagePull")]
    assert "localhost/no:1" in missing.status.message
    await _until(lambda: _answer(len(_containers(env)) == 1))
    await client.delete(kinds.POD, "stays", "default", grace_seconds=1)
    await _until(lambda: _answer(_containers(env) == []))
    await _until(lambda: _gone(client, "stays"))
    node.cancel()


def _orphan(folder: Path, script: str, env: Mapping[str, str]) -> None:
    """A container whose starter is killed at once."""
    words = [sys.executable, "-c", _STARTER, str(folder), script]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=dict(env)) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.send_signal(signal.SIGKILL)


def _containers(env: Mapping[str, str]) -> list[str]:
    return podman.podman(env, "ps", "--all", "--format", "{{.Names}}").stdout.split()


async def _log(runtime: ContainerRuntime) -> str:
    return b"".join([piece async for piece in runtime.logs("u-1", LogOptions())]).decode()


async def _said(runtime: ContainerRuntime, text: str) -> None:
    async with asyncio.timeout(90):
        while text not in await _log(runtime):  # noqa: ASYNC110  # a log has no event
            await asyncio.sleep(0.02)


async def _until(answer: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(90):
        while not (found := await answer()):  # noqa: ASYNC110  # the engine has no event
            await asyncio.sleep(0.05)
    return found


async def _in(client: Client, name: str, phase: str) -> Pod | None:
    pod = await client.get(kinds.POD, name, "default")
    return pod if pod.status.phase == phase else None


async def _gone(client: Client, name: str) -> bool:
    return await client.find(kinds.POD, name, "default") is None


async def _answer(found: bool) -> bool:
    return found
