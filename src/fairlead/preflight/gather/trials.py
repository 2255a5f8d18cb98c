"""Things tried out in the cluster: a GPU used, a volume written on one node and read on the others, a pod sent without being made."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from fairlead.preflight.config import Config
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import Api, path_of, unknown
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.probes import events_of
from fairlead.preflight.gather.samples import Sample, samples
from fairlead.runtime.errors import FairleadError, NotFound

Facts = dict[str, Any]
Document = Mapping[str, Any]
T = TypeVar("T")
R = TypeVar("R")

GPU_SECONDS: Final = 60.0
VOLUME_SECONDS: Final = 90.0
_POLL: Final = 1.0
_AT_ONCE: Final = 50
"""Pods of one kind of trial."""
_CODES: Final = ("InvalidArgument", "ResourceExhausted", "Unavailable")
"""gRPC codes of drivers that tell something."""


async def gpu_trials(api: Api, place: Place, nodes: Sequence[Facts], classes: Sequence[str]) -> dict[str, Facts]:
    """Node -> what its GPU pod saw. `nodes`: facts of those that have GPUs to give; `classes`: RuntimeClasses there are."""
    found = await _few_at_a_time(lambda at, node: _gpu(api, place, node, at, classes), nodes)
    return {node["name"]: each for node, each in zip(nodes, found, strict=True)}


async def _few_at_a_time(trial: Callable[[int, T], Awaitable[R]], items: Sequence[T]) -> list[R]:
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
        body = pods.gpu_pod(place, node["name"], index * 10 + at, runtime_class)
        pod, (reason, message) = await _ended(api, place, body, GPU_SECONDS)
        told = last_words(pod)
        if told.get("cuda_init") is not None or told.get("devices_seen"):
            seen = {key: told[key] for key in ("cuda_init", "devices_seen") if told.get(key) is not None}
            more = {"driver_library": told["driver_library"]} if "driver_library" in told else {}
            return more | {"gpu_pod": {"ran": True, "asked": 1, "runtime_class": runtime_class, **seen}}
        last = _not_run(pod, reason, message or str(told.get("nvml_error", "")))
    return last


def _not_run(pod: Document | None, reason: str, message: str) -> Facts:
    phase = ((pod or {}).get("status") or {}).get("phase")
    if reason == "FailedScheduling" and "nsufficient" in message:
        return {"gpu_pod": {"pending": "no-free-gpu"}}
    found: Facts = {"gpu_pod": {"ran": phase in ("Running", "Succeeded")}}
    return found | ({"gpu_pod_event": message} if message else {})


async def system_volume(api: Api, place: Place, config: Config) -> Facts:
    """The claim that the product's own data will use: bound with a pod, and written."""
    name = "system"
    await _claim(api, place, pods.claim(place, name, config.storage.class_, "ReadWriteOnce"))
    await api.clock.sleep(2 * _POLL)
    before = await _phase(api, place, name)
    body = pods.volume_pod(place, "system-volume", _of_claim(name), ["write", place.run])
    pod, _ = await _ended(api, place, body, VOLUME_SECONDS)
    told = last_words(pod)
    found: Facts = {
        "claim_phase_before_pod": before,
        "claim_phase_after_pod": await _phase(api, place, name),
        "pod_ran": bool(told),
        **({"wrote": told["wrote"]} if "wrote" in told else {}),
        **({"write_error": told["write_error"]} if "write_error" in told else {}),
    }
    return found | await _events(api, place, name) | await _node_bound(api, place, name)


async def shared_volume(api: Api, place: Place, config: Config, nodes: Sequence[str]) -> Facts:
    """A trial of a volume that all nodes write to: one writes as uid 1000, all read and write back."""
    storage, name = config.storage, "shared"
    found: Facts = {"access_modes": ["ReadWriteMany"]}
    volume = _of_nfs(storage.nfs) if storage.nfs else _of_claim(name)
    if not storage.nfs:
        try:
            await _claim(api, place, pods.claim(place, name, storage.shared_class, "ReadWriteMany"))
            found["claim_created"] = True
        except FairleadError as error:
            return found | {"claim_created": False, "event_message": str(error)}
    body = pods.volume_pod(place, "writer", volume, ["write", place.run])
    writer, event = await _ended(api, place, body, VOLUME_SECONDS)
    if writer is None:
        return unknown(f"the pod that was to write is refused: {event[1]}")
    told, node = last_words(writer), (writer.get("spec") or {}).get("nodeName")
    if node:
        found["writer_scheduled_on"] = node
    if told.get("wrote"):
        found |= {"wrote_on": node, **await _read_everywhere(api, place, volume, nodes)}
    elif "write_error" in told:
        found["write_error"] = told["write_error"]
    elif node and event[0] in ("FailedMount", "FailedAttachVolume"):
        found["mount_failed_on"] = {node: event[1]}
    if not storage.nfs:
        found |= {"claim_phase": await _phase(api, place, name), **await _events(api, place, name)}
    return found


async def _read_everywhere(api: Api, place: Place, volume: Facts, nodes: Sequence[str]) -> Facts:
    async def one(at: int, node: str) -> tuple[Document | None, tuple[str, str]]:
        words = ["read", place.run, "--wait", "30", "--back", f"{place.run}-{at}"]
        return await _ended(api, place, pods.volume_pod(place, f"reader-{at}", volume, words, node), VOLUME_SECONDS)

    ends = await _few_at_a_time(one, nodes)
    read: Facts = {}
    back: Facts = {}
    unmounted: Facts = {}
    slowest = 0.0
    for node, (pod, (reason, message)) in zip(nodes, ends, strict=True):
        told = last_words(pod)
        if "read" in told:
            read[node] = told["read"]
            slowest = max(slowest, float(told.get("seconds", 0)))
            if "appended" in told:
                back[node] = told["appended"]
        elif reason in ("FailedMount", "FailedAttachVolume"):
            unmounted[node] = message
        else:
            read[node] = "timeout"
    found: Facts = {"read_on": read, "appended_on": back, "seconds_until_seen": slowest}
    return found | ({"mount_failed_on": unmounted} if unmounted else {})


async def dry_runs(api: Api, place: Place, config: Config) -> list[Facts]:
    """What the API says to objects like those of the installation, which are sent only to be judged."""
    agents = f"{place.namespace}-node"
    await api.call("POST", "/api/v1/namespaces", pods.namespace(replace(place, namespace=agents), "privileged"))
    try:
        return list(await asyncio.gather(*(_dry_run(api, each, config) for each in samples(place, agents))))
    finally:
        with contextlib.suppress(FairleadError):
            await api.call("DELETE", path_of("v1", "namespaces", agents))


async def _dry_run(api: Api, sample: Sample, config: Config) -> Facts:
    found: Facts = {"object": sample.name, "as": "our account"}
    if sample.namespace_labels:
        found |= {"namespace": config.namespace, "labels": sample.namespace_labels}
    try:
        status, message = await api.judged(sample.path, sample.body)
    except FairleadError as error:
        return found | {"message_mentions": str(error)}
    return found | {"http_status": status} | ({"message_mentions": message} if message else {})


def last_words(pod: Document | None) -> Facts:
    """What a pod's container said when it ended, where that is an object."""
    for status in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        with contextlib.suppress(ValueError):
            read = json.loads(((status.get("state") or {}).get("terminated") or {}).get("message") or "null")
            if isinstance(read, dict):
                return read
    return {}


async def _ended(api: Api, place: Place, body: Facts, patience: float) -> tuple[Document | None, tuple[str, str]]:
    """(the pod once it has ended, or as it was last; its last warning). What never starts is not waited for longer than that."""
    name = body["metadata"]["name"]
    path = path_of("v1", "pods", name, place.namespace)
    try:
        await api.call("POST", path_of("v1", "pods", namespace=place.namespace), body)
    except FairleadError as error:
        return None, ("Refused", str(error))
    end, pod, warning = api.clock.monotonic() + patience, None, ("", "")
    try:
        while api.clock.monotonic() < end:
            with contextlib.suppress(FairleadError):
                pod = await api.get(path)
                if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                    return pod, warning
                warning = (await events_of(api, place.namespace, name)).get(name, warning)
                if warning[0] in ("FailedMount", "FailedScheduling") and api.clock.monotonic() > end - patience / 2:
                    return pod, warning
            await api.clock.sleep(_POLL)
        return pod, warning
    finally:
        with contextlib.suppress(FairleadError):
            await api.call("DELETE", path)


async def _claim(api: Api, place: Place, body: Facts) -> None:
    await api.call("POST", path_of("v1", "persistentvolumeclaims", namespace=place.namespace), body)


async def _phase(api: Api, place: Place, name: str) -> str:
    try:
        found = await api.get(path_of("v1", "persistentvolumeclaims", name, place.namespace))
    except NotFound:
        return "Lost"
    return str((found.get("status") or {}).get("phase") or "Pending")


async def _events(api: Api, place: Place, name: str) -> Facts:
    """The last event of a claim, normal ones included: that it waits for its first pod is one."""
    reason, message = (await events_of(api, place.namespace, name, warnings=False)).get(name, ("", ""))
    if not reason:
        return {}
    code = next((word for word in _CODES if word in message), "")
    return {"event_reason": reason, "event_message": message} | ({"event_code": code} if code else {})


async def _node_bound(api: Api, place: Place, name: str) -> Facts:
    with contextlib.suppress(FairleadError):
        claim = await api.get(path_of("v1", "persistentvolumeclaims", name, place.namespace))
        volume = await api.get(path_of("v1", "persistentvolumes", claim["spec"]["volumeName"]))
        terms = (((volume["spec"].get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms")) or ()
        keys = {e["key"] for term in terms for e in (term.get("matchExpressions") or ())}
        return {
            "node_bound": "kubernetes.io/hostname" in keys or "hostPath" in volume["spec"] or "local" in volume["spec"]
        }
    return {}


def _of_claim(name: str) -> Facts:
    return {"persistentVolumeClaim": {"claimName": name}}


def _of_nfs(export: str) -> Facts:
    server, _, path = export.partition(":")
    return {"nfs": {"server": server, "path": path}}
