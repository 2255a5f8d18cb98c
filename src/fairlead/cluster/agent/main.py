"""The agent role: one outbound connection to the control plane; desired state comes down, observed state goes up."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

import msgspec

import fairlead
from fairlead.cluster.agent.apply import Applier
from fairlead.cluster.agent.channels import Channels, Explainer
from fairlead.cluster.agent.grants import Gate
from fairlead.cluster.agent.links import AgentOptions, Dialler, Link
from fairlead.cluster.agent.observe import Observer
from fairlead.cluster.agent.ways import Ways
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.runtime.errors import Denied, FairleadError, Retryable, Unreachable
from fairlead.runtime.instruments import counter, gauge
from fairlead.runtime.logs import logger
from fairlead.runtime.retry import FOREVER
from fairlead.wire.agent import REFUSED, AgentFrame, Applied, Desired, Hello, Open, Welcome, decode_from_server, encode

_CONNECTED: Final = gauge("fairlead_agent_connected")
_CONNECTIONS: Final = counter("fairlead_agent_connections_total")
_FRAMES: Final = counter("fairlead_agent_frames_total", ("received",), ("sent",))


class Agent:
    """Runs until cancelled. Only the leader may run it."""

    def __init__(
        self, client: Client, explainer: Explainer, options: AgentOptions, rng: Random, dialler: Dialler | None = None
    ) -> None:
        self.observer = Observer(client)
        self.connected = asyncio.Event()
        self.trouble: FairleadError | None = None
        """Why the last try to connect failed; None while it is connected, and where nobody answered."""
        self._client = client
        self._options = options
        self._dialler = dialler or Ways(options, client.clock)
        self._channels = Channels(client, explainer, self._dialler)
        self._rng = rng
        self._applier = Applier(client)
        self._applied = 0
        self._log = logger("agent", cluster=options.cluster)

    async def run(self) -> None:
        """Fill the caches, then keep the connection up."""
        async with asyncio.TaskGroup() as group:
            for cache in self.observer.caches():
                group.create_task(cache.run(), name=f"agent.cache.{cache.kind.plural}")
            for cache in self.observer.caches():
                await cache.synced.wait()
            await self._stay_connected()

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            began = self._client.clock.monotonic()
            try:
                await self._connection()
            except (ConnectionError, TimeoutError, FairleadError) as error:
                self.trouble = error if isinstance(error, FairleadError) else None
                self._log.warning("connection.lost", message=str(error) or type(error).__name__)
            finally:
                self.connected.clear()
                _CONNECTED.set(0)
            lasted = self._client.clock.monotonic() - began
            failures = 1 if lasted > FOREVER.most else failures + 1
            await self._client.clock.sleep(FOREVER.wait(failures, self._rng))

    async def _connection(self) -> None:
        _CONNECTIONS.inc()
        async with self._dialler.control() as link:
            word = f"{self._rng.getrandbits(128):032x}"
            await _send(link, await self._hello(word))
            await self._converse(link, Gate(self._options.cluster, word, self._client.clock.now))

    async def _hello(self, connection: str) -> Hello:
        system = await self._client.get(kinds.NAMESPACE, "kube-system")
        return Hello(
            cluster=self._options.cluster,
            kube_uid=system.metadata.uid,
            version=fairlead.__version__,
            kubernetes=await self._client.version(),
            applied=self._applied,
            connection=connection,
        )

    async def _converse(self, link: Link, gate: Gate) -> None:
        wanted: asyncio.Queue[Desired] = asyncio.Queue()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._report(link), name="agent.report")
                group.create_task(self._follow(link, wanted), name="agent.follow")
                await self._receive(link, gate, wanted, group)
        except* (ConnectionError, FairleadError) as errors:
            raise errors.exceptions[0] from None

    async def _receive(self, link: Link, gate: Gate, wanted: asyncio.Queue[Desired], group: asyncio.TaskGroup) -> None:
        async for data in link:
            self.connected.set()
            self.trouble = None
            _CONNECTED.set(1)
            _FRAMES.labels("received").inc()
            try:
                frame = decode_from_server(data)
            except msgspec.MsgspecError as error:
                self._log.warning("frame.malformed", message=str(error))
                continue
            if isinstance(frame, Welcome):
                gate.trust(frame.grant_key)
            elif isinstance(frame, Desired):
                wanted.put_nowait(frame)
            elif isinstance(frame, Open):
                group.create_task(self._channels.serve(frame, gate), name=f"agent.channel.{frame.kind}")
        if link.close_code == REFUSED:
            raise Denied(
                f"The control plane refused this cluster: {link.close_reason or 'it did not say why.'}",
                hint="Each cluster has an id and a secret of its own: `fairlead cluster secret NAME` gives out a new secret, "
                "`fairlead cluster create NAME` both. A secret that was replaced is read at the next try.",
                code="cluster-denied",
            )
        raise Unreachable("The control plane closed the connection.")

    async def _report(self, link: Link) -> None:
        """Everything first, then what changes; where nothing does, that we are there."""
        seq = 1
        await _send(link, self.observer.everything(seq))
        while True:
            is_due = False
            try:
                async with asyncio.timeout(self._options.heartbeat):
                    await self.observer.changed.wait()
            except TimeoutError:
                is_due = True
            await self._client.clock.sleep(self._options.settle)
            frame = self.observer.delta(seq + 1)
            if frame.rows or frame.gone or frame.health is not None or is_due:
                seq += 1
                await _send(link, frame)

    async def _follow(self, link: Link, wanted: asyncio.Queue[Desired]) -> None:
        """Applies frames in order; one that the API cannot take now is tried again, not skipped."""
        while True:
            frame = await wanted.get()
            while True:
                try:
                    errors = await self._applier.apply(frame)
                    break
                except Retryable as error:
                    self._log.info("apply.again", message=str(error))
                    await self._client.clock.sleep(error.after or 1.0)
            self._applied = max(self._applied, frame.revision)
            await _send(link, Applied(revision=frame.revision, errors=errors))


async def _send(link: Link, frame: AgentFrame) -> None:
    await link.send(encode(frame))
    _FRAMES.labels("sent").inc()
