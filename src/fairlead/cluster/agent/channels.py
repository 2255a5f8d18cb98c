"""Logs, shells, explanations, and what is done to a node: one WebSocket each, dialled by the agent with the grant it was given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from fairlead.cluster.agent.links import Dialler, Link
from fairlead.kube.client import Client, LogOptions
from fairlead.kube.sessions import ExecSession
from fairlead.objects import kinds
from fairlead.objects.json import JsonObject
from fairlead.runtime.errors import FairleadError, Invalid, Unreachable
from fairlead.runtime.logs import logger
from fairlead.wire.agent import Open

_log = logger("agent.channels")
_ERROR = b"\x00error:"
_EXIT = b"\x01exit:"


class Explainer(Protocol):
    """Whoever can say why a workload waits: the scheduler, here or across the cluster."""

    async def explain(self, namespace: str, workload: str) -> bytes:
        """Give the explanation as JSON. Raises: NotFound."""
        ...


class Channels:
    """Serves what `Open` frames ask for."""

    def __init__(self, client: Client, explainer: Explainer, dialler: Dialler) -> None:
        self._client = client
        self._explainer = explainer
        self._dialler = dialler

    async def serve(self, ask: Open) -> None:
        """Dials the channel and serves it to its end; a failure is told to the caller as text."""
        try:
            async with self._dialler.channel(ask.channel, ask.grant) as link:
                try:
                    await self._exchange(ask, link)
                except FairleadError as error:
                    await link.send(_ERROR + str(error).encode())
        except (ConnectionError, FairleadError) as error:
            _log.info("channel.lost", kind=ask.kind, message=str(error))

    async def _exchange(self, ask: Open, link: Link) -> None:
        if ask.kind == "explain":
            await link.send(await self._explainer.explain(ask.namespace, ask.name))
        elif ask.kind == "logs":
            await self._logs(ask, link)
        elif ask.kind == "exec":
            await self._exec(ask, link)
        elif ask.kind in ("cordon", "uncordon"):
            patch: JsonObject = {"spec": {"unschedulable": True if ask.kind == "cordon" else None}}
            await self._client.patch(kinds.NODE, ask.name, patch)
        else:
            raise Invalid(f"This agent does not serve {ask.kind!r}.")

    async def _logs(self, ask: Open, link: Link) -> None:
        options = LogOptions(container=ask.container, follow=ask.follow, tail_lines=ask.tail, previous=ask.previous)
        sending = asyncio.create_task(_forward(self._client.logs(ask.name, ask.namespace, options), link), name="logs")
        closed = asyncio.create_task(_until_closed(link), name="logs-closed")
        try:
            await asyncio.wait({sending, closed}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            closed.cancel()

    async def _exec(self, ask: Open, link: Link) -> None:
        session = await self._client.exec(ask.name, ask.namespace, ask.command, container=ask.container)
        typing = asyncio.create_task(_typed(link, session), name="exec-input")
        try:
            async for _channel, data in session.output():
                await link.send(data)
            if session.exit_code is None:
                raise Unreachable("The connection to the command was lost before it ended.")
            await link.send(_EXIT + str(session.exit_code).encode())
        finally:
            typing.cancel()
            await session.close()


async def _forward(source: AsyncIterator[bytes], link: Link) -> None:
    async for piece in source:
        await link.send(piece)


async def _typed(link: Link, session: ExecSession) -> None:
    """What the caller types; an empty message says that there is no more."""
    async for message in link:
        data = message if isinstance(message, bytes) else message.encode()
        if data:
            await session.send(data)
        else:
            await session.end_input()


async def _until_closed(link: Link) -> None:
    async for _message in link:
        continue
