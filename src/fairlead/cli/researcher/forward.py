"""`fairlead port-forward`."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.parse
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

import click

from fairlead.cli.lookup import PROJECT, workload_of
from fairlead.cli.output import note
from fairlead.cli.rest import Rest, error_of
from fairlead.runtime.errors import Conflict, FairleadError, Invalid

_HOST = "127.0.0.1"
_PIECE = 64 << 10


class Ports(click.ParamType[tuple[int, int]]):
    """LOCAL:REMOTE, or one number for both; LOCAL 0 is a free one."""

    name = "ports"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """(local, remote). Raises: Invalid."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(?:(\d{1,5}):)?(\d{1,5})", str(value))
        local, remote = (int(found[1] or found[2]), int(found[2])) if found else (-1, 0)
        if not 0 <= local <= 65535 or not 1 <= remote <= 65535:
            raise Invalid(
                f"{value!r} names no ports.",
                hint="Write LOCAL:REMOTE, such as `8888:8888`, or one number for both; from 1 to 65535, and 0:REMOTE for a free one.",
            )
        return local, remote


@click.command(name="port-forward")
@click.argument("name")
@click.argument("ports", nargs=-1, required=True, type=Ports(), metavar="LOCAL:REMOTE ...")
@PROJECT
@click.option("--pod", default="", help="Pod of a gang; the first that runs if left out.")
def port_forward(name: str, ports: tuple[tuple[int, int], ...], project: str | None, pod: str) -> None:
    """Reach ports of a workload at this machine, until Ctrl-C. Any number of connections at once.

    \b
    Examples:
      fairlead port-forward notebook 8888 -p demo
      fairlead port-forward train 6007:6006 9000:9000 -p demo
    """
    rest = Rest()
    row = workload_of(rest, name, project)
    if row["phase"] != "Running":
        raise Conflict(
            f"Nothing of it runs: {name!r} is {str(row['phase']).lower()}.",
            hint=f"`fairlead explain {name}` says what becomes of it.",
            code="nothing-runs",
        )
    with suppress(KeyboardInterrupt):
        asyncio.run(_Forward(rest, row["id"], pod).listen(ports))


class _Forward:
    """Listens, and carries each connection over a WebSocket of its own."""

    def __init__(self, rest: Rest, workload_id: str, pod: str) -> None:
        self._rest, self._pod = rest, pod
        self._path = f"/api/fairlead/v1/workloads/{workload_id}/port-forward"

    async def listen(self, ports: Sequence[tuple[int, int]]) -> None:
        """Until it is cancelled. Raises: Conflict where a port is taken."""
        async with AsyncExitStack() as stack:
            for local, remote in ports:
                server = await stack.enter_async_context(await self._server(local, remote))
                click.echo(f"{_HOST}:{server.sockets[0].getsockname()[1]} -> {remote}")
            note("Ctrl-C ends it.")
            await asyncio.Event().wait()

    async def _server(self, local: int, remote: int) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._carry(reader, writer, remote)

        try:
            return await asyncio.start_server(serve, _HOST, local)
        except OSError as error:
            raise Conflict(
                f"Port {local} of {_HOST} cannot be used: {error.strerror or error}.",
                hint=f"Something else may listen there; `0:{remote}` takes a free one.",
                code="port-taken",
            ) from None

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, remote: int) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        address, options = self._rest.socket(
            self._path + "?" + urllib.parse.urlencode({"port": remote, "pod": self._pod})
        )
        try:
            async with connect(address, **options, compression=None, proxy=True) as socket:
                up = asyncio.create_task(_up(reader, socket), name="port-forward-up")
                try:
                    await _down(socket, writer)
                finally:
                    up.cancel()
        except FairleadError as error:
            note(f"Port {remote}: {error}")
        except (OSError, WebSocketException) as error:
            note(f"Port {remote}: the connection was lost: {error}")
        finally:
            writer.close()


async def _up(reader: asyncio.StreamReader, socket: Any) -> None:
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed, OSError):
        while data := await reader.read(_PIECE):
            await socket.send(data)
        await socket.send("eof")


async def _down(socket: Any, writer: asyncio.StreamWriter) -> None:
    """What comes from the pod, to its end; "eof" says that there is no more. Raises: what the server tells went wrong."""
    async for message in socket:
        if isinstance(message, bytes):
            writer.write(message)
            await writer.drain()
        elif message == "eof":
            writer.write_eof()
        else:
            told = json.loads(message)["error"]
            raise error_of(told["code"], told)
