"""Containers as processes of this machine: own process group, environment, working directory, log file, exit code.

Each is started through a small shell wrapper that notes its own number before it begins and the exit code when it ends, so that neither
is lost at whatever moment this program is killed: the next one finds the process by the number and the folder in its environment.
What a process is not: isolated. Its image is not used; it sees this machine's files.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import psutil

from fairlead.embedded.nodes import logs
from fairlead.embedded.nodes.execs import ProcessExec
from fairlead.embedded.nodes.leftovers import PLACE, end_leftovers, is_of
from fairlead.embedded.nodes.runtime import CannotStart, Ended
from fairlead.kube.client import LogOptions
from fairlead.kube.transport import Duplex
from fairlead.objects.pod import Pod
from fairlead.objects.quantity import whole

_POLL_SECONDS = 0.1
_NOTED_SECONDS = 0.002
_WRAPPER = (
    'echo $$ > "$FAIRLEAD_PLACE/pid.new" && mv "$FAIRLEAD_PLACE/pid.new" "$FAIRLEAD_PLACE/pid" || exit 1; '
    'trap : TERM INT HUP; exec 3>&2 2>/dev/null 4<>"$FAIRLEAD_PLACE/exit"; (exec "$@" 2>&3 3>&- 4>&-); echo $? >&4'
)
"""What the shell itself says (that a command was ended) is no output of the command. The exit code goes where its space is
taken already: a disk that is full by then loses none."""
_NO_CODE_YET = " " * 15 + "\n"
_KILLED_CODE = 137


class ProcessRuntime:
    """Runs the command of a pod's first container. `folder` keeps a folder a pod."""

    name = "process"
    passed: tuple[str, ...] = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
    """Variables of this program's environment that what it starts sees too."""

    def __init__(self, folder: Path, base_env: Mapping[str, str]) -> None:
        self._folder = folder
        self._base = {k: v for k, v in base_env.items() if k in self.passed}
        self._earlier = logs.EarlierLogs(folder / "earlier-logs")
        self._over_limit: set[str] = set()
        self._children: dict[str, asyncio.subprocess.Process] = {}
        """Processes that this one started: theirs is the end that must be fetched from the system."""
        folder.mkdir(parents=True, exist_ok=True)

    async def start(self, pod: Pod, env: dict[str, str]) -> None:
        """Start the process; one that was started already is left as it is."""
        place = self._place(pod.metadata.uid)
        if (place / "pid").exists():
            return
        argv = self.command_of(pod, env)
        await asyncio.to_thread(self._prepare, place, pod)
        with (place / "container.log").open("ab") as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    "/bin/sh",
                    "-c",
                    _WRAPPER,
                    "sh",
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.directory_of(pod, place),
                    env={**self.environment_of(env), PLACE: str(place)},
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise CannotStart(f"The command cannot be started: {error}") from error
        self._children[pod.metadata.uid] = process
        while not (place / "pid").exists() and process.returncode is None:  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(_NOTED_SECONDS)

    def command_of(self, pod: Pod, env: dict[str, str]) -> list[str]:
        """The words to run. Raises: CannotStart where the pod names no command, or one that is not on this machine."""
        container = pod.spec.containers[0]
        argv = [*container.command, *container.args]
        if not argv:
            raise CannotStart(
                f"The image {container.image} says by itself what to run, and processes have no images. "
                "Name a command: fairlead submit ... -- COMMAND"
            )
        if shutil.which(argv[0], path=env.get("PATH", self._base.get("PATH"))) is None and not Path(argv[0]).is_file():
            raise CannotStart(f"There is no program {argv[0]!r} on this machine.")
        return argv

    def environment_of(self, env: dict[str, str]) -> dict[str, str]:
        """What the program on this machine sees of the pod's environment, beside `passed`."""
        return {**self._base, **env}

    def directory_of(self, pod: Pod, place: Path) -> str:
        """Where the process starts: the working directory it names, else a folder of its own."""
        wanted = pod.spec.containers[0].working_dir
        if wanted and not Path(wanted).is_dir():
            raise CannotStart(f"There is no folder {wanted!r} on this machine to work in.")
        return wanted or str(place / "work")

    async def recover(self, uid: str) -> bool:
        """Whether the process runs, or left its exit code."""
        place = self._place(uid)
        return _number(place / "exit") is not None or self._process(uid) is not None

    def known(self) -> tuple[str, ...]:
        """UIDs that have a folder with a process noted in it."""
        return tuple(sorted(p.name for p in self._folder.iterdir() if (p / "pid").exists()))

    async def wait(self, uid: str) -> Ended:
        """Return when the process has ended; one that vanished without a word counts as failed."""
        place = self._place(uid)
        while (code := _number(place / "exit")) is None and self._process(uid) is not None:
            logs.rotate(place / "container.log")
            self._watch_memory(uid)
            await asyncio.sleep(_POLL_SECONDS)
        code = _number(place / "exit")
        await self._reap(uid)
        await self._sweep(uid)
        if code is None:
            return self._ended(uid, _KILLED_CODE, "The process was killed from outside.")
        return self._ended(uid, code)

    async def stop(self, uid: str, grace_seconds: float) -> None:
        """SIGTERM to the process group, SIGKILL when the grace is over, and to what is left where the process is gone already."""
        self._signal(uid, signal.SIGTERM)
        deadline = asyncio.get_running_loop().time() + grace_seconds
        while self._process(uid) is not None:
            if asyncio.get_running_loop().time() >= deadline:
                self._signal(uid, signal.SIGKILL)
            await asyncio.sleep(_POLL_SECONDS / 2)
        await self._reap(uid)
        await self._sweep(uid)

    async def _sweep(self, uid: str) -> None:
        """Nothing of the pod outlives its process."""
        place = self._place(uid)
        await asyncio.to_thread(end_leftovers, place, _number(place / "pid"))

    async def _reap(self, uid: str) -> None:
        child = self._children.pop(uid, None)
        if child is not None:
            await child.wait()

    async def remove(self, uid: str) -> None:
        """Forget the pod's folder; its log can be had by the pod's name."""
        self._over_limit.discard(uid)
        await asyncio.to_thread(self._clear, self._place(uid))

    def _clear(self, place: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._earlier.keep(place / "container.log", (place / "pod").read_text())
        shutil.rmtree(place, ignore_errors=True)

    def logs(self, uid: str, options: LogOptions) -> AsyncIterator[bytes]:
        """The process's output."""
        return logs.read(self._place(uid) / "container.log", options, lambda: self._process(uid) is None)

    def earlier_log(self, namespace: str, name: str, owner: str) -> Path | None:
        """The log of the last pod of that name and owner that is gone."""
        return self._earlier.find(namespace, name, owner)

    async def exec(self, pod: Pod, command: Sequence[str], query: dict[str, str]) -> Duplex:
        """Run a command in the environment and folder of the pod's process."""
        running = self._process(pod.metadata.uid)
        if running is None:
            raise CannotStart("The process has ended.")
        return await ProcessExec.start(
            command, env=running.environ(), cwd=running.cwd(), tty=query.get("tty") == "true"
        )

    def _prepare(self, place: Path, pod: Pod) -> None:
        meta, limits = pod.metadata, pod.spec.containers[0].resources.limits
        (place / "work").mkdir(parents=True, exist_ok=True)
        (place / "exit").write_text(_NO_CODE_YET)
        (place / "memory").write_text(str(whole(limits.get("memory", 0))))
        owner = next((o.uid for o in meta.owner_references), "")
        (place / "pod").write_text(logs.name_of(meta.namespace, meta.name, owner))

    def _place(self, uid: str) -> Path:
        return self._folder / uid

    def _process(self, uid: str) -> psutil.Process | None:
        """The wrapper's process, where it still runs and is really ours."""
        place = self._place(uid)
        number = _number(place / "pid")
        if number is None:
            return None
        try:
            process = psutil.Process(number)
        except psutil.Error:
            return None
        return process if is_of(process, place) else None

    def _signal(self, uid: str, number: signal.Signals) -> None:
        process = self._process(uid)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _watch_memory(self, uid: str) -> None:
        limit = _number(self._place(uid) / "memory")
        process = self._process(uid) if limit else None
        if process is None or not limit:
            return
        with contextlib.suppress(psutil.Error):
            used = sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))
            if used > limit:
                self._over_limit.add(uid)
                self._signal(uid, signal.SIGKILL)

    def _ended(self, uid: str, code: int, message: str = "") -> Ended:
        if uid in self._over_limit:
            return Ended(exit_code=_KILLED_CODE, message="It used more memory than its limit and was stopped.")
        return Ended(exit_code=code, message=message)


def _number(file: Path) -> int | None:
    """The number a file holds; None where there is no file, or no number yet."""
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() else None
