"""What the product is made of in a cluster, and how far each is: told while it comes up, and why it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from fairlead.preflight.gather.api import Api
from fairlead.runtime.errors import FairleadError, Unreachable

Document = Mapping[str, Any]

LABELS: Final = "app.kubernetes.io/part-of=fairlead,app.kubernetes.io/managed-by=Helm"
_PODS: Final = "app.kubernetes.io/name"
_KINDS: Final = ("deployments", "daemonsets", "statefulsets")
_POLL: Final = 1.0
_REFUSED: Final = " is forbidden: "
"""Before it is the name of a pod, another one each time."""
_PATIENT: Final = ("ContainerCreating", "PodInitializing", "")


class Unit(Struct, frozen=True, kw_only=True):
    """One Deployment, DaemonSet or StatefulSet. `trouble`: why it is not whole, as far as the cluster says."""

    name: str
    namespace: str
    wanted: int
    ready: int
    is_current: bool
    """Whether its controller has seen its last change."""
    trouble: str = ""

    @property
    def is_up(self) -> bool:
        """Whether all of it runs as it was last said."""
        return self.is_current and self.ready >= self.wanted


async def look(api: Api, namespaces: Sequence[str]) -> list[Unit]:
    """All units, by name. Raises: FairleadError."""
    found: list[Unit] = []
    for namespace in namespaces:
        lists = await asyncio.gather(*(api.list("apps/v1", kind, namespace, labels=LABELS) for kind in _KINDS))
        pods = await api.list("v1", "pods", namespace)
        found += [_unit(each, pods) for each in (item for listed in lists for item in listed)]
    return sorted(found, key=lambda unit: unit.name)


async def wait(api: Api, namespaces: Sequence[str], seconds: float, tell: Callable[[str], None]) -> None:
    """Until all are up. `tell`: each as it comes up, and each trouble once. Raises: Unreachable naming what is not, and why."""
    began, told = api.clock.monotonic(), set[str]()
    while True:
        try:
            units = await look(api, namespaces)
        except FairleadError as error:
            units, missing = [], f"the cluster does not tell: {error}"
        else:
            missing = "; ".join(_named(unit) for unit in units if not unit.is_up) or ("" if units else "there is none")
        waited = api.clock.monotonic() - began
        for line in _lines(units, waited):
            if line.split(" (")[0] not in told:
                told.add(line.split(" (")[0])
                tell(line)
        if not missing:
            return
        if waited > seconds:
            raise Unreachable(
                f"Not up after {seconds:g} s: {missing}.",
                hint="Mend it and run the command again: it goes on where it is.",
                code="not-up",
            )
        await api.clock.sleep(_POLL)


def _lines(units: Sequence[Unit], waited: float) -> Iterator[str]:
    for unit in units:
        if unit.is_up:
            yield f"  {unit.name}: {unit.ready} of {unit.wanted} up ({waited:.0f} s)"
        elif unit.trouble:
            yield f"  {unit.name}: {unit.trouble}"


def _named(unit: Unit) -> str:
    return f"{unit.name} ({unit.ready} of {unit.wanted}" + (f": {unit.trouble})" if unit.trouble else ")")


def _unit(document: Document, pods: Sequence[Document]) -> Unit:
    meta, spec, status = document["metadata"], document["spec"], document.get("status") or {}
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    mine = [pod for pod in pods if selector.items() <= (pod["metadata"].get("labels") or {}).items()]
    is_daemon = "desiredNumberScheduled" in status
    wanted = int(status["desiredNumberScheduled"] if is_daemon else spec.get("replicas", 1))
    updated = int(status.get("updatedNumberScheduled" if is_daemon else "updatedReplicas") or 0)
    ready = int(status.get("numberReady" if is_daemon else "readyReplicas") or 0)
    by_hand = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    return Unit(
        name=meta["name"],
        namespace=meta["namespace"],
        wanted=wanted,
        ready=min(ready, wanted if by_hand else updated),
        is_current=int(status.get("observedGeneration") or 0) >= int(meta.get("generation") or 0),
        trouble=next(filter(None, (_of_unit(status), *(trouble_of(pod) for pod in mine))), ""),
    )


def _of_unit(status: Document) -> str:
    """Pods that are refused are told by the unit alone."""
    return next(
        (
            str(condition.get("message"))
            for condition in status.get("conditions") or ()
            if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
        ),
        "",
    )


def trouble_of(pod: Document) -> str:
    """What holds a pod up, as far as it says; empty where nothing does."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting, ended = ((container.get("state") or {}).get(key) or {} for key in ("waiting", "terminated"))
        if ended.get("exitCode"):
            return _last_words(ended)
        if waiting.get("reason", "") not in _PATIENT:
            before = (container.get("lastState") or {}).get("terminated") or {}
            told = f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            return f"{told}; before, {_last_words(before)}" if before.get("exitCode") else told
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"no node for it: {condition.get('message', '')}"
    return ""


def _last_words(ended: Document) -> str:
    """How a container ended, and the last line of what it said."""
    said = [line for line in str(ended.get("message") or "").splitlines() if line.strip()]
    return f"it ended with exit code {ended['exitCode']}" + (f": {said[-1].strip()}" if said else "")


async def troubles(api: Api, namespaces: Sequence[str]) -> list[str]:
    """What holds pods of ours up, a line each: of Jobs of the chart too, which are no units. Raises: FairleadError."""
    found = []
    for namespace in namespaces:
        for pod in await api.list("v1", "pods", namespace):
            name = (pod["metadata"].get("labels") or {}).get(_PODS, "")
            if name.startswith("fairlead-") and (why := trouble_of(pod)):
                found.append(f"{name}: {why}")
        if jobs := await api.list("batch/v1", "jobs", namespace, labels=LABELS):
            events = await api.list("v1", "events", namespace, fields="involvedObject.kind=Job,type=Warning")
            found += of_jobs(jobs, events)
    return list(dict.fromkeys(found))


def of_jobs(jobs: Sequence[Document], events: Sequence[Document]) -> Iterator[str]:
    """What Jobs say by their last warnings: pods that are refused are told by these alone."""
    names = {job["metadata"]["uid"]: job["metadata"]["name"] for job in jobs}
    last: dict[str, tuple[str, str]] = {}
    for event in events:
        uid = (event.get("involvedObject") or {}).get("uid", "")
        when = str(event.get("lastTimestamp") or event.get("eventTime") or "")
        if uid in names and when >= last.get(uid, ("",))[0]:
            last[uid] = (when, str(event.get("message", "")))
    for uid, (_, message) in last.items():
        yield f"{names[uid]}: {message.rpartition(_REFUSED)[2]}"
