"""How the cluster stands, as conditions of its ClusterConfig: prerequisites once a day, when asked and when what they are judged by is
another, the product's own parts always.

One writer, the leading controllers. Whatever fails here is tried again and holds up none of their other loops.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

import fairlead
from fairlead.cluster.controllers import parts
from fairlead.kube.cache import Cache
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import kinds
from fairlead.objects.builtin import ConfigMap
from fairlead.objects.fields import CHECK_NOW
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import Condition, ObjectMeta
from fairlead.objects.organisation import ClusterConfig, PrerequisitesReport
from fairlead.objects.times import seconds_of, text_of
from fairlead.preflight import standing
from fairlead.preflight.config import config_from
from fairlead.preflight.gather.daily import look
from fairlead.preflight.report import Report, report_of, select, select_daily
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Denied, Invalid, NotFound, Permanent
from fairlead.runtime.logs import logger
from fairlead.runtime.reconcile import Reconciler

NAME: Final = "fairlead"
"""Of the one ClusterConfig."""
CONFIG_MAP: Final = "fairlead-prerequisites"
CONFIG_KEY: Final = "fairlead.yaml"
"""Where the installation keeps the configuration it was made with."""
_SLICES: Final = kinds.foreign("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")

What = Literal["prerequisites", "parts"]


class StandingOptions(Struct, frozen=True, kw_only=True):
    """How often it looks. Units: seconds."""

    namespace: str = "fairlead"
    """Where the product is."""
    node_namespace: str = "fairlead-node"
    """Where the agents of nodes are."""
    settle: float = 300.0
    """Until the first check at the latest, while the product's parts are not ready: what was just installed is not complete."""
    every: float = 86_400.0
    """Between checks of the prerequisites."""
    look: float = 30.0
    """Between looks at the product's parts."""
    patience: float = 120.0
    """A part that is not ready for less is starting."""
    codes: tuple[str, ...] = ()
    """The checks to make; empty for all that need no pods."""
    faults: Callable[[], Mapping[str, str]] | None = None
    """Where all is one process: its parts that are not well, and why. None where they are Deployments."""


class Standing:
    """Keeps the conditions true. Only the leader may run it."""

    def __init__(self, client: Client, clock: Clock, rng: Random, options: StandingOptions) -> None:
        self._client, self._clock, self._options = client, clock, options
        self._patience = parts.Patience(options.patience)
        self._settled = False
        self._writes = asyncio.Lock()
        self._loop: Reconciler[What] = Reconciler("standing", self._reconcile, clock=clock, rng=rng, workers=2)
        self._log = logger("standing")
        self._texts: Cache[ConfigMap] = Cache(
            client, kinds.CONFIG_MAP, options.namespace, fields=f"metadata.name={CONFIG_MAP}"
        )
        self._configs: Cache[ClusterConfig] = Cache(client, kinds.CLUSTER_CONFIG, fields=f"metadata.name={NAME}")
        self._texts.on_change(lambda _key, _before, _after: self._mark_once_seen(self._texts))
        self._configs.on_change(lambda _key, _before, after: self._heed(after))

    async def run(self) -> None:
        """Runs until cancelled."""
        self._loop.mark_later("parts", self._options.look)
        self._loop.mark_later("prerequisites", self._options.settle)
        async with asyncio.TaskGroup() as group:
            for cache in (self._texts, self._configs):
                group.create_task(self._follow(cache), name=f"standing.cache.{cache.kind.plural}")
            group.create_task(self._loop.run(), name="standing.loop")

    async def _follow(self, cache: Cache[Any]) -> None:
        """Watches; without the right to, changes are seen once a day."""
        while True:
            try:
                await cache.run()
            except Permanent as error:
                self._log.warning("standing.refused", what=cache.kind.plural, code=error.code, message=str(error))
            await self._clock.sleep(self._options.settle)

    def _mark_once_seen(self, cache: Cache[Any]) -> None:
        """What is there at the start is no change: the first check waits until all has settled."""
        if cache.synced.is_set():
            self._loop.mark("prerequisites")

    def _heed(self, config: ClusterConfig | None) -> None:
        if _asked(config) != _report_of(config).answered:
            self._loop.mark("prerequisites")

    async def _reconcile(self, what: What) -> float:
        try:
            return await (self._look() if what == "parts" else self._check())
        except Permanent as error:
            self._log.warning("standing.refused", what=what, code=error.code, message=str(error))
            return self._options.settle  # a right that lacks may be given

    async def _look(self) -> float:
        """The product's parts."""
        try:
            found = self._options.faults() if self._options.faults else parts.faults(await self._parts())
            self._settle_once(well=not found)
            condition = parts.condition(self._patience.lasting(found, self._clock.monotonic()))
        except Denied as error:
            condition = Condition(type=parts.SERVICES, status="Unknown", reason="Forbidden", message=str(error))
        await self._write(condition)
        return self._options.look

    def _settle_once(self, *, well: bool) -> None:
        """The first time that all parts are ready, the prerequisites are due."""
        if well and not self._settled:
            self._settled = True
            self._loop.mark("prerequisites")

    async def _check(self) -> float:
        """The prerequisites, unless they were checked within a day by this version and configuration, and nobody asks."""
        present = await self._client.find(kinds.CLUSTER_CONFIG, NAME)
        earlier, asked, text = _report_of(present), _asked(present), await self._text()
        by = hashlib.sha256(text.encode()).hexdigest()[:16]
        if (asked, by) == (earlier.answered, earlier.judged_by) and (wait := self._until_due(earlier)) > 0:
            return wait
        try:
            report = await self._report(text)
        except Invalid as error:
            message = f"{CONFIG_KEY} of the ConfigMap {CONFIG_MAP} cannot be used: {error}"
            await self._write(
                Condition(type=standing.PREREQUISITES, status="Unknown", reason="Configuration", message=message)
            )
            self._log.warning("prerequisites.configuration", message=str(error))
            return self._options.settle
        found = standing.standing(report, earlier, fairlead.__version__)
        kept = msgspec.structs.replace(found, answered=asked, judged_by=by)
        condition = standing.condition(report)
        await self._write(condition, kept)
        self._log.info("prerequisites.checked", status=condition.status, message=condition.message, news=len(kept.news))
        return self._options.every

    def _until_due(self, earlier: PrerequisitesReport) -> float:
        """Seconds until the next daily check."""
        at = seconds_of(earlier.at)
        if at is None or earlier.version != fairlead.__version__:
            return 0.0
        return min(at + self._options.every - self._clock.now(), self._options.every)

    async def _report(self, text: str) -> Report:
        """What the checks say. Raises: Invalid where the configuration cannot be used."""
        config = msgspec.structs.replace(config_from(text, CONFIG_KEY), namespace=self._options.namespace)
        facts = await look(self._client, config, self._options.node_namespace)
        checks = select(self._options.codes) if self._options.codes else select_daily()
        return await asyncio.to_thread(report_of, facts, config, checks)

    async def _text(self) -> str:
        """The configuration that the product was installed with; empty, which is the usual one, where it is not kept."""
        kept = await self._client.find(kinds.CONFIG_MAP, CONFIG_MAP, self._options.namespace)
        return kept.data.get(CONFIG_KEY, "") if kept is not None else ""

    async def _parts(self) -> parts.Parts:
        ours, client = self._options.namespace, self._client
        named = f"metadata.name={NAME}"
        webhooks: list[Any] = []
        for kind in (kinds.MUTATING_WEBHOOK, kinds.VALIDATING_WEBHOOK):
            webhooks += (await client.list(kind, fields=named)).items
        try:
            service = f"kubernetes.io/service-name={parts.ADMISSION}"
            slices: tuple[Any, ...] | None = (await client.list(_SLICES, ours, labels=service)).items
        except NotFound:
            slices = None
        return parts.Parts(
            deployments=(await client.list(kinds.DEPLOYMENT, ours, labels=parts.PART_OF)).items,
            daemonsets=(await client.list(kinds.DAEMON_SET, self._options.node_namespace, labels=parts.PART_OF)).items,
            webhooks=tuple(webhooks),
            slices=slices,
        )

    async def _write(self, condition: Condition, report: PrerequisitesReport | None = None) -> None:
        """Puts a condition, and a report, into the status; the object is made where it is not there."""
        async with self._writes:
            present = await self._client.find(kinds.CLUSTER_CONFIG, NAME)
            if present is None:
                present = await self._made()
            conditions = parts.conditions_with(present.status.conditions, condition, text_of(self._clock.now()))
            if report is None and conditions == present.status.conditions:
                return
            status: JsonObject = {"conditions": msgspec.to_builtins(conditions), "version": fairlead.__version__}
            if report is not None:
                status["prerequisites"] = _whole(report)
            await self._client.patch_status(kinds.CLUSTER_CONFIG, NAME, status)

    async def _made(self) -> ClusterConfig:
        try:
            return await self._client.create(kinds.CLUSTER_CONFIG, ClusterConfig(metadata=ObjectMeta(name=NAME)))
        except AlreadyExists:
            return await self._client.get(kinds.CLUSTER_CONFIG, NAME)


def _whole(report: PrerequisitesReport) -> JsonObject:
    """The report with every field: a merge patch keeps what is left out, and null removes it."""
    names = {each.encode_name: None for each in msgspec.structs.fields(report)}
    return {**names, **msgspec.to_builtins(report)}


def _report_of(present: ClusterConfig | None) -> PrerequisitesReport:
    return present.status.prerequisites if present is not None else PrerequisitesReport()


def _asked(present: ClusterConfig | None) -> str:
    """The value of the annotation; empty where nobody asks."""
    return present.metadata.annotations.get(CHECK_NOW, "") if present is not None else ""
