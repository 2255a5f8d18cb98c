"""Logs, shells, explanations, and what is done to a node: one WebSocket each, dialled by the agent with the grant it was given."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Protocol

from fairlead.cluster.agent.grants import Gate
from fairlead.cluster.agent.links import Dialler, Link
from fairlead.kube.client import Client, LogOptions
from fairlead.kube.sessions import ExecSession, PortSession
from fairlead.objects import kinds
from fairlead.objects.json import JsonObject
from fairlead.runtime.errors import Denied, FairleadError, Invalid, Unreachable
from fairlead.runtime.logs import logger
from fairlead.wire.agent import DATA, NO_MORE, Open

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

    async def serve(self, ask: Open, gate: Gate) -> None:
        """Dials the channel and serves it to its end, if its grant allows it; a failure is told to the caller as text.

        Each leaves two lines in the log, the cluster's own audit: who asked for what, and how that ended.
        """
        log, refusal = _log.bind(**_audited(ask)), None
        try:
            log = log.bind(user=gate.admit(ask))
            log.info("channel.opened")
        except Denied as error:
            refusal = error
        outcome = "the agent stopped"
        try:
            outcome = await self._told(ask, refusal)
        except (ConnectionError, FairleadError) as error:
            outcome = str(refusal or error)
        finally:
            log.log(
                logging.WARNING if refusal else logging.INFO,
                "channel.refused" if refusal else "channel.ended",
                outcome=outcome,
            )

    async def _told(self, ask: Open, refusal: Denied | None) -> str:
        """The outcome, once the caller knows it."""
        async with self._dialler.channel(ask.channel, ask.grant) as link:
            try:
                if refusal is not None:
                    raise refusal
                await self._exchange(ask, link)
            except FairleadError as error:
                await link.send(_ERROR + str(error).encode())
                return str(error)
        return "ended"

    async def _exchange(self, ask: Open, link: Link) -> None:
        if ask.kind == "explain":
            await link.send(await self._explainer.explain(ask.namespace, ask.name))
        elif ask.kind == "logs":
            await self._logs(ask, link)
        elif ask.kind == "exec":
            await self._exec(ask, link)
        elif ask.kind == "port-forward":
            await self._forward_port(ask, link)
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

    async def _forward_port(self, ask: Open, link: Link) -> None:
        """One connection: until both have said all, or either is gone."""
        session, said_all = await self._client.port_forward(ask.name, ask.namespace, ask.port), asyncio.Event()
        typing = asyncio.create_task(_typed(link, session, said_all), name="port-forward-input")
        sending = asyncio.create_task(_from_port(session, link), name="port-forward-output")
        saying = asyncio.create_task(said_all.wait(), name="port-forward-said")
        try:
            await asyncio.wait({typing, sending}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                await asyncio.wait({typing, saying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (typing, sending, saying):
                task.cancel()
            await session.close()


async def _from_port(session: PortSession, link: Link) -> None:
    while (data := await session.receive()) is not None:
        await link.send(DATA + data)
    await link.send(NO_MORE)


def _audited(ask: Open) -> dict[str, Any]:
    """What is asked for, for the log."""
    more = {key: getattr(ask, key) for key in ("container", "command", "port") if getattr(ask, key)}
    return {"verb": ask.kind, "namespace": ask.namespace, "pod": ask.name, "channel": ask.channel, **more}


async def _forward(source: AsyncIterator[bytes], link: Link) -> None:
    async for piece in source:
        await link.send(piece)


async def _typed(link: Link, session: ExecSession | PortSession, said_all: asyncio.Event | None = None) -> None:
    """What the caller types; an empty message says that there is no more."""
    async for message in link:
        data = message if isinstance(message, bytes) else message.encode()
        if data:
            await session.send(data)
        else:
            await session.end_input()
            if said_all is not None:
                said_all.set()


async def _until_closed(link: Link) -> None:
    async for _message in link:
        continue
