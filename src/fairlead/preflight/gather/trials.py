"""Things tried out in the cluster: a GPU used, a pod sent without being made."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from fairlead.objects.fields import GPU_RESOURCE, MIG_PREFIX
from fairlead.objects.pod import NO_IMAGE
from fairlead.preflight.config import Config
from fairlead.preflight.footprint import NODE_NAMESPACE
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import Api, known, path_of
from fairlead.preflight.gather.made import space
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.probes import events_of
from fairlead.preflight.gather.samples import Sample, samples
from fairlead.runtime.errors import FairleadError

Facts = dict[str, Any]
Document = Mapping[str, Any]
T = TypeVar("T")
R = TypeVar("R")

GPU_SECONDS: Final = 60.0
_POLL: Final = 1.0
_OF_NODE: Final = ("driver_library", "nvidia_smi_exit", "fabric_state")
"""What a GPU pod tells of its node beside."""
_AT_ONCE: Final = 50
"""Pods of one kind of trial."""


async def gpu_trials(api: Api, place: Place, nodes: Sequence[Facts], classes: Sequence[str]) -> dict[str, Facts]:
    """Node -> what its GPU pod saw. `nodes`: facts of those that have GPUs to give; `classes`: RuntimeClasses there are."""
    found = await few_at_a_time(lambda at, node: _gpu(api, place, node, at, classes), nodes)
    return {node["name"]: each for node, each in zip(nodes, found, strict=True)}


def device_of(node: Facts) -> str:
    """The name by which a pod asks for a GPU of a node: whole ones first, else a MIG slice or a replica; empty where it offers none."""
    given = [name for name, amount in sorted(node["allocatable"].items()) if amount]
    parts = [name for name in given if name.startswith((MIG_PREFIX, f"{GPU_RESOURCE}."))]
    return GPU_RESOURCE if GPU_RESOURCE in given else next(iter(parts), "")


async def few_at_a_time(trial: Callable[[int, T], Awaitable[R]], items: Sequence[T]) -> list[R]:
    """What the trial of each gives, in their order. `trial` gets the position too."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(at: int, item: T) -> R:
        async with gate:
            return await trial(at, item)

    return list(await asyncio.gather(*(one(at, item) for at, item in enumerate(items))))


async def _gpu(api: Api, place: Place, node: Facts, index: int, classes: Sequence[str]) -> Facts:
    tries: list[str | None] = [None, *(["nvidia"] if "nvidia" in classes else [])]
    last: Facts = {}
    for at, runtime_class in enumerate(tries):
        body = pods.gpu_pod(place, node["name"], index * 10 + at, device_of(node), runtime_class)
        pod, (reason, message) = await ended(api, place, body, GPU_SECONDS)
        told = last_words(pod)
        if told.get("cuda_init") is not None or told.get("devices_seen"):
            seen = {key: told[key] for key in ("cuda_init", "devices_seen") if told.get(key) is not None}
            more = {key: told[key] for key in _OF_NODE if told.get(key) is not None}
            return more | {"gpu_pod": {"ran": True, "asked": 1, "runtime_class": runtime_class, **seen}}
        last = not_run(pod, reason, message or str(told.get("nvml_error", "")))
        last |= {key: told[key] for key in _OF_NODE if told.get(key) is not None}
    return last


def not_run(pod: Document | None, reason: str, message: str) -> Facts:
    """What it says that a GPU pod did not come to use its GPU. `reason`, `message`: of its last warning."""
    phase = ((pod or {}).get("status") or {}).get("phase")
    if reason == "FailedScheduling" and "nsufficient" in message:
        return {"gpu_pod": {"pending": "no-free-gpu"}}
    if (why := _without_image(pod)) is not None:
        return {"gpu_pod": {"pending": "no-image"}, "gpu_pod_event": why or message or reason}
    found: Facts = {"gpu_pod": {"ran": phase in ("Running", "Succeeded")}}
    return found | ({"gpu_pod_event": message} if message else {})


def _without_image(pod: Document | None) -> str | None:
    """What a pod says that waits for its image; None where none does."""
    for status in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        waits = (status.get("state") or {}).get("waiting") or {}
        if waits.get("reason") in NO_IMAGE:
            return f"{waits['reason']}: {waits.get('message', '')}".rstrip(": ")
    return None


async def dry_runs(api: Api, place: Place, config: Config) -> list[Facts]:
    """What the API says to objects like those of the installation, which are sent only to be judged.

    The agents' pod goes into a namespace with the labels that theirs will have; where administrators make namespaces, into theirs.
    """
    if not config.create_namespaces:
        return await _sent(api, place, NODE_NAMESPACE, config)
    agents = f"{place.namespace}-node"

    async def take_away() -> None:
        with contextlib.suppress(FairleadError):
            await api.call("DELETE", path_of("v1", "namespaces", agents))

    owner = await known(api.get(path_of("v1", "namespaces", place.namespace)))
    goes_with = owner if "metadata" in owner else None
    async with space(api, pods.namespace(replace(place, namespace=agents), "privileged", goes_with), take_away):
        return await _sent(api, place, agents, config)


async def _sent(api: Api, place: Place, agents: str, config: Config) -> list[Facts]:
    return list(await asyncio.gather(*(_dry_run(api, each) for each in samples(place, config.namespace, agents))))


async def _dry_run(api: Api, sample: Sample) -> Facts:
    found: Facts = {"object": sample.name, "as": "our account"}
    if sample.stands_for:
        found |= {"namespace": sample.stands_for, "labels": sample.namespace_labels}
    return found | await api.verdict(sample.path, sample.body)


def last_words(pod: Document | None) -> Facts:
    """What a pod's container said when it ended, where that is an object."""
    for status in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        with contextlib.suppress(ValueError):
            read = json.loads(((status.get("state") or {}).get("terminated") or {}).get("message") or "null")
            if isinstance(read, dict):
                return read
    return {}


def is_over(pod: Document) -> bool:
    """Whether its containers have ended."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def runs(pod: Document | None) -> bool:
    """Whether one of its containers runs now."""
    listed = ((pod or {}).get("status") or {}).get("containerStatuses") or ()
    return any("running" in (status.get("state") or {}) for status in listed)


_NONE: Final = ("", "")
"""No warning."""
_FOR_GOOD: Final = frozenset(("ErrImageNeverPull", "InvalidImageName"))
"""What a container waits for that will not come."""


def _hopeless_after(pod: Document, warning: tuple[str, str]) -> float:
    """After which part of the patience such a warning is the end of it: what is refused for good, or was tried again often by then."""
    reason, message = warning
    waiting = {
        ((status.get("state") or {}).get("waiting") or {}).get("reason")
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
    }
    if (reason == "FailedCreatePodSandBox" and "no runtime for" in message) or waiting & _FOR_GOOD:
        return 0.0
    return {"FailedMount": 1 / 4, "FailedScheduling": 1 / 2}.get(reason, 1.0)


async def ended(
    api: Api, place: Place, body: Facts, patience: float, over: Callable[[Document], bool] = is_over
) -> tuple[Document | None, tuple[str, str]]:
    """(the pod once it is over, or as it was last; its last warning). What never starts is not waited for longer than that.

    What held up the start of a container that runs (a mount that was tried twice) is no warning any more.
    """
    name = body["metadata"]["name"]
    path = path_of("v1", "pods", name, place.namespace)
    try:
        await api.call("POST", path_of("v1", "pods", namespace=place.namespace), body)
    except FairleadError as error:
        return None, ("Refused", str(error))
    end, pod, warning = api.clock.monotonic() + patience, None, _NONE
    try:
        while api.clock.monotonic() < end:
            with contextlib.suppress(FairleadError):
                pod = await api.get(path)
                if over(pod):
                    return pod, warning
                told = await events_of(api, place.namespace, name)
                warning = _NONE if runs(pod) else told.get(name, warning)
                if api.clock.monotonic() > end - patience * (1 - _hopeless_after(pod, warning)):
                    return pod, warning
            await api.clock.sleep(_POLL)
        return pod, warning
    finally:
        with contextlib.suppress(FairleadError):
            await api.call("DELETE", path)
