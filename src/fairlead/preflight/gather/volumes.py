"""Volumes tried out: the product's own bound and written, and the shared one written on one node and read on the others."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead.objects.kinds import VOLUME
from fairlead.preflight.config import Config
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import Api, path_of, unknown
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.probes import events_of
from fairlead.preflight.gather.trials import ended, few_at_a_time, last_words, runs
from fairlead.runtime.errors import Denied, FairleadError, NotFound

Facts = dict[str, Any]
Document = Mapping[str, Any]

VOLUME_SECONDS: Final = 90.0
_POLL: Final = 1.0
_SHARED: Final = "shared"
_MANY: Final = "ReadWriteMany"
_NOT_COPIED: Final = ("claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "volumeAttributesClassName")
"""Of the volume of a claim that is there: the rest says where its data is."""
_PROVISIONED: Final = "pv.kubernetes.io/provisioned-by"
_GONE_SECONDS: Final = 15.0
"""Within this a claim goes whose pod has ended."""
_NOT_MOUNTED: Final = ("FailedMount", "FailedAttachVolume")
_CODES: Final = ("InvalidArgument", "ResourceExhausted", "Unavailable")
"""gRPC codes of drivers that tell something."""


async def system_volume(api: Api, place: Place, config: Config, nodes: Sequence[str] = ()) -> Facts:
    """The claim that the product's own data will use: bound with a pod, and written; in production also read on another node.

    `nodes`: those that the product's pods may be on.
    """
    name = "system"
    await _claim(api, place, pods.claim(place, name, config.storage.class_, "ReadWriteOnce"))
    await api.clock.sleep(2 * _POLL)
    before = await _phase(api, place, name)
    body = pods.volume_pod(place, "system-volume", _of_claim(name), ["write", place.run])
    pod, _ = await ended(api, place, body, VOLUME_SECONDS)
    told = last_words(pod)
    found: Facts = {
        "claim_phase_before_pod": before,
        "claim_phase_after_pod": await _phase(api, place, name),
        "pod_ran": bool(told),
        **({"wrote": told["wrote"]} if "wrote" in told else {}),
        **({"write_error": told["write_error"]} if "write_error" in told else {}),
    }
    found |= await _events(api, place, name) | await _node_bound(api, place, name)
    if config.production and found.get("wrote") and not found.get("node_bound"):
        found["moved"] = await _moved(api, place, name, nodes, str((pod or {}).get("spec", {}).get("nodeName")))
    with contextlib.suppress(FairleadError):
        await _given_back(api, place, name)
    return found


async def _moved(api: Api, place: Place, name: str, nodes: Sequence[str], first: str) -> str | Facts:
    """`ok` where what was written on the first node is read on another; else why not."""
    other = next((node for node in nodes if node != first), None)
    if other is None:
        return unknown(f"there is no system node beside {first} to attach it on")
    body = pods.volume_pod(place, "system-moved", _of_claim(name), ["read", place.run, "--wait", "5"], other)
    pod, (reason, message) = await ended(api, place, body, VOLUME_SECONDS)
    read = last_words(pod).get("read")
    if read == "same_content":
        return "ok"
    if read or reason:
        return str(read) if read else f"{reason}: {message}"
    return unknown(f"a pod with it on {other} did not end within {VOLUME_SECONDS:g} s")


async def _given_back(api: Api, place: Place, name: str) -> None:
    """A volume that somebody made by hand is free again once its claim is gone; of itself it would stay Released. Raises: FairleadError."""
    path = path_of("v1", "persistentvolumeclaims", name, place.namespace)
    claim = await api.get(path)
    if not (bound := claim["spec"].get("volumeName")):
        return
    volume = await api.get(path_of("v1", "persistentvolumes", bound))
    by_hand = _PROVISIONED not in (volume["metadata"].get("annotations") or {})
    if not by_hand or volume["spec"].get("persistentVolumeReclaimPolicy") != "Retain":
        return
    await api.call("DELETE", path)
    end = api.clock.monotonic() + _GONE_SECONDS
    while api.clock.monotonic() < end:
        held = ((await api.get(path_of("v1", "persistentvolumes", bound)))["spec"].get("claimRef") or {}).get("uid")
        if held != claim["metadata"]["uid"]:
            return
        if await _phase(api, place, name) == "Lost":
            await api.client.patch(VOLUME, bound, {"spec": {"claimRef": None}})
            return
        await api.clock.sleep(_POLL)


async def shared_volume(api: Api, place: Place, config: Config, nodes: Sequence[str]) -> Facts:
    """A trial of a volume that all nodes write to: one writes as uid 1000, all read and write back."""
    found: Facts = {"access_modes": ["ReadWriteMany"]}
    async with contextlib.AsyncExitStack() as volume:
        try:
            await _shared_claim(api, place, config, volume)
            found["claim_created"] = True
        except Denied as error:
            return unknown(f"forbidden: {error}")
        except FairleadError as error:
            return found | {"claim_created": False, "event_message": str(error)}
        tried = await _written_and_read(api, place, nodes)
        return tried if "unknown" in tried else found | tried


async def _shared_claim(api: Api, place: Place, config: Config, until: contextlib.AsyncExitStack) -> None:
    """The claim of the trial: a new one of a class, or one to the very volume that is there already. Raises: FairleadError."""
    storage = config.storage
    if not storage.shared_claim and not storage.nfs:
        await _claim(api, place, pods.claim(place, _SHARED, storage.shared_class, _MANY))
        return
    source = _of_nfs(storage.nfs)
    if storage.shared_claim:
        there = await api.get(path_of("v1", "persistentvolumeclaims", storage.shared_claim, config.namespace))
        bound = await api.get(path_of("v1", "persistentvolumes", there["spec"].get("volumeName") or "none"))
        source = {key: value for key, value in bound["spec"].items() if key not in _NOT_COPIED}
    ours = await api.get(path_of("v1", "namespaces", place.namespace))
    volume = pods.volume(place, _SHARED, source, ours)
    path = path_of("v1", "persistentvolumes")
    await api.call("POST", path, volume)
    until.push_async_callback(_removed, api, f"{path}/{volume['metadata']['name']}")
    body = pods.claim(place, _SHARED, "", _MANY)
    body["spec"] |= {"storageClassName": "", "volumeName": volume["metadata"]["name"]}
    await _claim(api, place, body)


async def _removed(api: Api, path: str) -> None:
    with contextlib.suppress(FairleadError):
        await api.call("DELETE", path)


async def _written_and_read(api: Api, place: Place, nodes: Sequence[str]) -> Facts:
    volume, found = _of_claim(_SHARED), Facts()
    writer, event = await ended(
        api, place, pods.volume_pod(place, "writer", volume, ["write", place.run]), VOLUME_SECONDS
    )
    if writer is None:
        return unknown(f"the pod that was to write is refused: {event[1]}")
    told, node = last_words(writer), (writer.get("spec") or {}).get("nodeName")
    if node:
        found["writer_scheduled_on"] = node
    if told.get("wrote"):
        found |= {"wrote_on": node, **await _read_everywhere(api, place, volume, nodes)}
    elif "write_error" in told:
        found["write_error"] = told["write_error"]
    elif node and event[0] in _NOT_MOUNTED:
        found["mount_failed_on"] = {node: event[1]}
    elif node:
        found["wrote_on"] = _not_ended("write", event)
    return found | {"claim_phase": await _phase(api, place, _SHARED), **await _events(api, place, _SHARED)}


async def _read_everywhere(api: Api, place: Place, volume: Facts, nodes: Sequence[str]) -> Facts:
    async def one(at: int, node: str) -> tuple[Document | None, tuple[str, str]]:
        words = ["read", place.run, "--wait", "30", "--back", f"{place.run}-{at}"]
        return await ended(api, place, pods.volume_pod(place, f"reader-{at}", volume, words, node), VOLUME_SECONDS)

    ends = await few_at_a_time(one, nodes)
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
        elif reason in _NOT_MOUNTED:
            unmounted[node] = message
        elif runs(pod):
            read[node] = "timeout"
        else:
            read[node] = _not_ended("read", (reason, message))
    found: Facts = {"read_on": read, "appended_on": back, "seconds_until_seen": slowest}
    return found | ({"mount_failed_on": unmounted} if unmounted else {})


def _not_ended(act: str, warning: tuple[str, str]) -> Facts:
    said = f": {warning[0]}: {warning[1]}" if warning[0] else ""
    return unknown(f"the pod that was to {act} did not end within {VOLUME_SECONDS:g} s{said}")


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
        if not (bound := claim["spec"].get("volumeName")):
            return {}
        volume = await api.get(path_of("v1", "persistentvolumes", bound))
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
