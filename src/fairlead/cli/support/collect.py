"""Gathers a bundle: facts, objects, logs, the scheduler's input. Each part by itself: what cannot be had is a line of what was left out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from msgspec import Struct

import fairlead
from fairlead.cli.support.bundle import Bundle
from fairlead.cli.support.snapshot import as_json, as_scenario, snapshots
from fairlead.kube.client import Client, LogOptions
from fairlead.objects import kinds
from fairlead.objects.fields import PROJECT
from fairlead.objects.times import seconds_of, text_of
from fairlead.preflight.config import Config, config_from
from fairlead.preflight.gather.api import Api
from fairlead.preflight.gather.daily import look
from fairlead.preflight.report import as_document, report_of, select_daily
from fairlead.runtime.errors import FairleadError, Invalid, Unreachable

Document = dict[str, Any]

_CLUSTER: Final[tuple[kinds.Kind[Any], ...]] = (
    kinds.NODE,
    kinds.PROJECT,
    kinds.DEPARTMENT,
    kinds.QUEUE,
    kinds.NODE_POOL,
    kinds.NODE_REPORT,
    kinds.CLUSTER_CONFIG,
    kinds.POD_GROUP,
    kinds.BIND_REQUEST,
    *kinds.WORKLOAD_KINDS,
)
"""What is listed in the whole cluster; a name is hidden as what it was learnt first."""
_IN_OURS: Final[tuple[kinds.Kind[Any], ...]] = (kinds.DEPLOYMENT, kinds.DAEMON_SET, kinds.LEASE)
"""What is listed in the namespaces of the product."""
_IN_PROJECTS_TOO: Final[tuple[kinds.Kind[Any], ...]] = (kinds.POD, kinds.EVENT)
_CONFIG_MAPS: Final = ("fairlead-settings", "fairlead-prerequisites")
"""Ours; no other is read."""
_LINES: Final = 5_000
"""Of the log of a container, from its end."""
_LOG_SECONDS: Final = 30.0
_AT_ONCE: Final = 8
_ERRORS: Final = (FairleadError, TimeoutError, OSError, ValueError)


class Asked(Struct, frozen=True, kw_only=True):
    """What the bundle is to hold."""

    namespace: str
    node_namespace: str
    reservation_namespace: str
    since_seconds: float

    @property
    def ours(self) -> tuple[str, ...]:
        """The namespaces of the product."""
        return (self.namespace, self.node_namespace, self.reservation_namespace)


class Collector:
    """Fills a bundle. `tell`: progress, a line at a time."""

    def __init__(self, client: Client, asked: Asked, bundle: Bundle, tell: Callable[[str], None]) -> None:
        self._client, self._asked, self._bundle, self._tell = client, asked, bundle, tell
        self._api = Api(client, patience=30.0)
        self._texts: dict[str, str] = {}
        """What our ConfigMaps hold, by key."""
        self._unreached = ""
        """Why the cluster did not answer at all."""

    async def run(self) -> None:
        """Gathers what can be had. A cluster that does not answer is asked once; preflight says what is wrong with the way there."""
        await self._part("versions", self._versions)
        await self._part("settings", self._config_maps)
        await self._part("preflight", self._preflight)
        for kind in _CLUSTER:
            await self._part(f"objects/{kind.plural}", partial(self._objects, kind, ()))
        for kind in _IN_OURS:
            for namespace in self._asked.ours:
                await self._part(f"objects/{namespace}/{kind.plural}", partial(self._objects, kind, (namespace,)))
        for kind in _IN_PROJECTS_TOO:
            await self._part(f"objects/{kind.plural}", partial(self._in_projects, kind))
        await self._part("logs", self._logs)
        await self._part("scheduler", self._scheduler)

    async def _part(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """One part; where it fails, that is said in the bundle."""
        if self._unreached and name != "preflight":
            self._bundle.leave_out(name, self._unreached)
            return
        self._tell(f"Gathering {name} ...")
        with self._bundle.noting(name, _ERRORS):
            await work()

    async def _versions(self) -> None:
        try:
            found = await self._client.version()
        except Unreachable as error:
            self._unreached = str(error)
            raise
        told = {"program": fairlead.__version__, "kubernetes": found, "at": text_of(self._client.clock.now())}
        self._bundle.add_json("versions.json", told)

    async def _config_maps(self) -> None:
        for name in _CONFIG_MAPS:
            found = await self._client.find(kinds.CONFIG_MAP, name, self._asked.namespace)
            for key, text in (found.data if found is not None else {}).items():
                self._bundle.add_text(f"settings/{name}/{key}", text)
                self._texts[key] = text

    async def _preflight(self) -> None:
        config = _config(self._texts.get("fairlead.yaml", ""), self._bundle)
        facts = await look(self._client, config)
        self._bundle.add_facts(facts)
        self._bundle.add_json("preflight/report.json", as_document(report_of(facts, config, select_daily())))

    async def _objects(self, kind: kinds.Kind[Any], namespaces: Iterable[str]) -> None:
        for namespace in namespaces or ("",):
            found = await self._listed(kind, namespace)
            folder = f"objects/{namespace}/" if namespace else "objects/"
            self._bundle.add_objects(f"{folder}{kind.plural}.json", kind, found)

    async def _in_projects(self, kind: kinds.Kind[Any]) -> None:
        """Of the product and of projects; of nobody else."""
        wanted = {*self._asked.ours, *await self._projects()}
        oldest = self._client.clock.now() - self._asked.since_seconds
        found = [each for each in await self._listed(kind, "") if each["metadata"].get("namespace") in wanted]
        if kind is kinds.EVENT:
            found = [each for each in found if _is_newer(each, oldest)]
        self._bundle.add_objects(f"objects/{kind.plural}.json", kind, found)

    async def _projects(self) -> set[str]:
        listing = await self._client.list(kinds.NAMESPACE, labels=PROJECT)
        names = {each.metadata.name for each in listing.items}
        for name in sorted(names):
            self._bundle.names.note("namespace", name)
        return names

    async def _listed(self, kind: kinds.Kind[Any], namespace: str) -> list[Document]:
        served = await self._client.served(kind)
        found = await self._api.list(served.api_version, kind.plural, namespace)
        return [{"apiVersion": served.api_version, "kind": kind.kind, **each} for each in found]

    async def _logs(self) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        for namespace in self._asked.ours:
            with self._bundle.noting(f"logs/{namespace}", _ERRORS):
                pods = await self._api.list("v1", "pods", namespace)
                wanted = [(pod, name, before) for pod in pods for name, before in _containers(pod)]
                await asyncio.gather(*(self._log(gate, pod, name, previous=before) for pod, name, before in wanted))

    async def _log(self, gate: asyncio.Semaphore, pod: Document, container: str, *, previous: bool) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        file = f"logs/{namespace}/{name}/{container}{'.previous' if previous else ''}.log"
        options = LogOptions(
            container=container,
            tail_lines=_LINES,
            since_seconds=None if previous else int(self._asked.since_seconds),
            previous=previous,
            timestamps=True,
        )
        async with gate:
            with self._bundle.noting(file, _ERRORS):
                async with asyncio.timeout(_LOG_SECONDS):
                    pieces = [piece async for piece in self._client.logs(name, namespace, options)]
                self._bundle.add_text(file, b"".join(pieces).decode(errors="replace"))

    async def _scheduler(self) -> None:
        for pool, snapshot in (await snapshots(self._client, self._texts.get("settings.yaml", ""))).items():
            self._bundle.add_json(f"scheduler/{pool}.json", as_json(snapshot))
            scenario = as_scenario(snapshot, self._client.clock.now())
            self._bundle.add_json(f"scheduler/{pool}.scenario.yaml", scenario.document)


def _containers(pod: Document) -> Iterator[tuple[str, bool]]:
    """(container, whether the log of the run before is meant): all that ran, and those that were started again too."""
    status = pod.get("status") or {}
    for each in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        if "waiting" not in (each.get("state") or {}) or each.get("restartCount"):
            yield each["name"], False
        if each.get("restartCount"):
            yield each["name"], True


def _is_newer(event: Document, oldest: float) -> bool:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    at = next((seconds_of(each) for each in times if each), None)
    return at is None or at >= oldest


def _config(text: str, bundle: Bundle) -> Config:
    try:
        return config_from(text)
    except Invalid as error:
        bundle.leave_out("preflight", f"the configuration of the installation cannot be read: {error}")
        return Config()
