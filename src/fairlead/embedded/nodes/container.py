"""Containers by a docker-compatible program (`docker` or `podman`).

`docker run` in the foreground is the process that this machine can find again, and its output is the log. The container itself belongs to
the engine: it outlives a killed client, so every end of a pod asks the engine what became of it and takes it away.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fairlead.embedded.nodes.execs import ProcessExec
from fairlead.embedded.nodes.process import ProcessRuntime
from fairlead.embedded.nodes.runtime import CannotStart, Ended
from fairlead.kube.transport import Duplex
from fairlead.objects.pod import Container, Pod
from fairlead.objects.quantity import milli, whole
from fairlead.runtime.errors import Unreachable

_ANSWER_SECONDS = 30.0
"""Within this the engine answers, beside the time that was given to the container."""
_CLIENT_SECONDS = 5.0
"""Within this `docker run` reports the end of its container."""
_POLL_SECONDS = 0.05
_REFUSED_CODE = 125
"""`docker run` ends with this where the engine refused; a container may end with it too."""
_START_ERROR_CODE = 128
_KILLED_CODE = 137
_NEVER = "0001-"
"""The year of an engine's times that did not come."""
_UNKNOWN = re.compile(r"no such (container|object|image)|image not known|invalid reference", re.IGNORECASE)
"""How engines say that they know no such thing."""


def engine() -> str | None:
    """The docker-compatible program on PATH; of two, one that answers."""
    found = [p for p in ("docker", "podman") if shutil.which(p)]
    answers = (p for p in found if len(found) == 1 or _answers(p))
    return next(answers, found[0] if found else None)


class ContainerRuntime(ProcessRuntime):
    """Runs the image of a pod's first container, on this machine's network: as with processes, pods find each other at 127.0.0.1."""

    name = "container"
    passed = (
        *("PATH", "HOME", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "REGISTRY_AUTH_FILE"),
        *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "CONTAINER_HOST"),
        *("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    )

    def __init__(self, folder: Path, base_env: Mapping[str, str], program: str) -> None:
        super().__init__(folder, base_env)
        self._program = program

    async def start(self, pod: Pod, env: dict[str, str]) -> None:
        """Start the container; one that was started already is left as it is. Raises: CannotStart."""
        try:
            await self._ask("version")
        except Unreachable as error:
            raise CannotStart(str(error)) from error
        await super().start(pod, env)

    def command_of(self, pod: Pod, env: dict[str, str]) -> list[str]:
        """`docker run` with the pod's image, environment, limits and devices. Raises: CannotStart for an image that is none."""
        container = pod.spec.containers[0]
        if not container.image or container.image.startswith("-"):
            raise CannotStart(
                f"{container.image!r} is not the name of an image. Name one such as ubuntu:24.04: fairlead submit ... -i IMAGE"
            )
        words = [self._program, "run", "--network=host", "--stop-timeout=0", f"--name={_name(pod.metadata.uid)}"]
        words += [f"--env={k}={v}" for k, v in env.items()]
        words += [f"--workdir={container.working_dir}"] if container.working_dir else []
        words += [*_limits(container), *_pull(container), *self._devices(env)]
        entry, *rest = container.command or ("",)
        words += [f"--entrypoint={entry}"] if entry else []
        return [*words, container.image, *rest, *container.args]

    def environment_of(self, env: dict[str, str]) -> dict[str, str]:
        """Nothing of the pod's: it is the container's, and would tell the client which engine to use and which libraries to load."""
        return self._base

    def directory_of(self, pod: Pod, place: Path) -> str:
        """The client's own folder; the container's is an option of the run."""
        return str(place / "work")

    async def recover(self, uid: str) -> bool:
        """Whether the client runs or left an exit code, or the engine has a container whose client is gone."""
        return await super().recover(uid) or await self._state(uid) is not None

    async def wait(self, uid: str) -> Ended:
        """Return when it has ended and its container is taken away."""
        ended, noted = await super().wait(uid), self._place(uid) / "ended"
        if noted.exists():
            return msgspec.json.decode(noted.read_bytes(), type=Ended)
        ended = await self._judged(uid, ended)
        noted.write_bytes(msgspec.json.encode(ended))
        await self._take_away(uid)
        return ended

    async def stop(self, uid: str, grace_seconds: float) -> None:
        """The image's stop signal, SIGKILL when the grace is over (whole seconds); no container is left."""
        grace = math.ceil(grace_seconds)
        with contextlib.suppress(Unreachable, TimeoutError):
            if await self._ask("stop", "-t", str(grace), _name(uid), seconds=grace + _ANSWER_SECONDS) is not None:
                async with asyncio.timeout(_CLIENT_SECONDS):
                    while self._process(uid) is not None:  # noqa: ASYNC110  # not a child of ours after a restart
                        await asyncio.sleep(_POLL_SECONDS)
        await super().stop(uid, 0.0)
        await self._take_away(uid)

    async def remove(self, uid: str) -> None:
        """Forget the pod's folder, once its container is gone."""
        await self._take_away(uid)
        await super().remove(uid)

    async def exec(self, pod: Pod, command: Sequence[str], query: dict[str, str]) -> Duplex:
        """`docker exec` in the running container."""
        tty = query.get("tty") == "true"
        words = [self._program, "exec", "-i", *(["-t"] if tty else []), _name(pod.metadata.uid), *command]
        return await ProcessExec.start(words, env=self._base, cwd="/", tty=tty)

    def _devices(self, env: dict[str, str]) -> list[str]:
        devices = env.get("NVIDIA_VISIBLE_DEVICES", "void")
        if devices == "void" or "FAIRLEAD_SIMULATED_GPU" in env:
            return []
        if self._program == "podman":
            return [f"--device=nvidia.com/gpu={d}" for d in devices.split(",")]
        return ["--gpus", f'"device={devices}"']

    def _prepare(self, place: Path, pod: Pod) -> None:
        super()._prepare(place, pod)
        (place / "image").write_text(pod.spec.containers[0].image)

    def _watch_memory(self, uid: str) -> None:
        """The engine holds the limit; the client's own memory is not the pod's."""

    async def _sweep(self, uid: str) -> None:
        """The engine ends what is in the container; its own helpers, which the client may have started, are not the pod's."""

    async def _judged(self, uid: str, ended: Ended) -> Ended:
        """The end with its reason, as the engine knows it."""
        state = await self._state(uid)
        if ended.message:
            return ended
        if state is None and ended.exit_code == _REFUSED_CODE:
            return await self._refused(uid)
        if state is not None and str(state["StartedAt"]).startswith(_NEVER):
            return self._not_started(uid)
        limit = (self._place(uid) / "memory").read_text()
        if state is not None and (state["OOMKilled"] or (ended.exit_code == _KILLED_CODE and limit != "0")):
            text = f"It was killed, most likely for using more memory than its limit of {limit} bytes."
            return Ended(exit_code=ended.exit_code, reason="OOMKilled", message=text)
        return ended

    async def _refused(self, uid: str) -> Ended:
        """Why the engine made no container: mostly an image it has not and cannot get."""
        image = (self._place(uid) / "image").read_text()
        if await self._ask("image", "inspect", image) is not None:
            return self._not_started(uid)
        text = (
            f"The image {image} is not on this machine and could not be fetched: {self._said(uid)} "
            f"Check its name; `{self._program} pull {image}` tries again, `{self._program} login` signs in to a registry."
        )
        return Ended(exit_code=_START_ERROR_CODE, reason="ErrImagePull", message=text)

    def _not_started(self, uid: str) -> Ended:
        text = f"The container could not be started: {self._said(uid)}"
        return Ended(exit_code=_START_ERROR_CODE, reason="StartError", message=text)

    def _said(self, uid: str) -> str:
        """The engine's last word on an error."""
        lines = (self._place(uid) / "container.log").read_text(errors="replace").splitlines()
        errors = [line for line in lines if "rror" in line] or lines
        return errors[-1].strip() if errors else f"{self._program} gave no reason."

    async def _state(self, uid: str) -> dict[str, Any] | None:
        """The engine's view of the container; None where there is none. Raises: Unreachable."""
        said = await self._ask("container", "inspect", "--format", "{{json .State}}", _name(uid))
        return None if said is None else msgspec.json.decode(said, type=dict[str, Any])

    async def _take_away(self, uid: str) -> None:
        if await self._state(uid) is not None:
            await self._ask("rm", "--force", "--volumes", _name(uid))

    async def _ask(self, *words: str, seconds: float = _ANSWER_SECONDS) -> bytes | None:
        """The engine's answer; None where it knows no such thing. Raises: Unreachable where it gave none."""
        try:
            async with asyncio.timeout(seconds):
                code, out, err = await _run((self._program, *words), self._base)
        except (OSError, TimeoutError) as error:
            raise self._no_answer(str(error) or f"nothing within {seconds:.0f} s") from error
        if code == 0:
            return out
        said = err.decode(errors="replace").strip()
        if _UNKNOWN.search(said):
            return None
        raise self._no_answer(said)

    def _no_answer(self, said: str) -> Unreachable:
        return Unreachable(
            f"{self._program} does not run containers at present: {said}.",
            hint=f"`{self._program} info` must work for the user that runs Fairlead.",
        )


def _limits(container: Container) -> list[str]:
    limits = container.resources.limits
    words = [f"--memory={whole(limits['memory'])}"] if "memory" in limits else []
    return words + ([f"--cpus={milli(limits['cpu']) / 1000:g}"] if "cpu" in limits else [])


def _pull(container: Container) -> list[str]:
    return {"Always": ["--pull=always"], "Never": ["--pull=never"]}.get(container.image_pull_policy, [])


async def _run(words: Sequence[str], env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """(exit code, output, errors) of a command; it does not outlive the wait for it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=dict(env)
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out, err


def _answers(program: str) -> bool:
    try:
        return subprocess.run([program, "version"], capture_output=True, timeout=_CLIENT_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _name(uid: str) -> str:
    return f"fairlead-{uid}"
