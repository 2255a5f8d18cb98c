"""A command beside a running container, spoken to over Kubernetes' remote command channels."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import Mapping, Sequence

import msgspec

from fairlead.embedded.nodes.runtime import CannotStart
from fairlead.kube.sessions import CLOSE, ERROR, STDERR, STDIN, STDOUT

_PIECE = 32 << 10


class ProcessExec:
    """A `Duplex` around a process: channel 0 in, 1 and 2 out, 3 how it ended."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int | None) -> None:
        self._process = process
        self._terminal = terminal
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue(64)
        self._pump = asyncio.create_task(self._run(), name="exec.output")

    @classmethod
    async def start(cls, command: Sequence[str], *, env: Mapping[str, str], cwd: str, tty: bool) -> ProcessExec:
        """Run it. Raises: CannotStart."""
        terminal, inner = pty.openpty() if tty else (None, None)
        stream = inner if tty else asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=stream, stdout=stream, stderr=stream, env=dict(env), cwd=cwd, start_new_session=True
            )
        except OSError as error:
            raise CannotStart(
                f"{command[0]!r} cannot be started on its node: {(error.strerror or str(error)).lower()}."
            ) from error
        finally:
            if inner is not None:
                os.close(inner)
        return cls(process, terminal)

    async def send(self, message: bytes) -> None:
        """Input, or the word that there is no more."""
        channel, data = message[0], message[1:]
        if channel == STDIN and self._terminal is not None:
            os.write(self._terminal, data)
        elif channel == STDIN and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        elif channel == CLOSE and self._process.stdin is not None:
            self._process.stdin.close()

    async def receive(self) -> bytes | None:
        """The next message, None when all is said."""
        return await self._out.get()

    async def close(self) -> None:
        """End the command where it still runs."""
        if self._process.returncode is None:
            self._process.kill()
        self._pump.cancel()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    async def _run(self) -> None:
        if self._terminal is not None:
            await self._from_terminal(self._terminal)
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._from(self._process.stdout, STDOUT), name="exec.stdout")
                group.create_task(self._from(self._process.stderr, STDERR), name="exec.stderr")
        await self._out.put(bytes([ERROR]) + _status(await self._process.wait()))
        await self._out.put(None)

    async def _from(self, stream: asyncio.StreamReader | None, channel: int) -> None:
        while stream is not None and (data := await stream.read(_PIECE)):
            await self._out.put(bytes([channel]) + data)

    async def _from_terminal(self, terminal: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.run_in_executor(None, os.read, terminal, _PIECE)
            except OSError:
                return
            if not data:
                return
            await self._out.put(bytes([STDOUT]) + data)


def _status(code: int) -> bytes:
    """The final Status as Kubernetes sends it."""
    if code == 0:
        return msgspec.json.encode({"status": "Success"})
    cause = {"reason": "ExitCode", "message": str(code if code > 0 else 128 - code)}
    return msgspec.json.encode({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}})
