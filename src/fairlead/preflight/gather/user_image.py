"""An image of the customer's own, started under the rules of a project (`preflight.keys.storage`: user_image)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fairlead.objects.pod import NO_IMAGE, NO_START
from fairlead.preflight.check import webhook_in
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import Api, unknown
from fairlead.preflight.gather.pods import Place
from fairlead.preflight.gather.trials import ended

Facts = dict[str, Any]
Document = Mapping[str, Any]

SECONDS: Final = 120.0
"""A pull of it included."""
_NOT_BEGUN: Final = ("StartError", "ContainerCannotRun", "ContainerStatusUnknown")
"""Reasons of a container that ended and whose program never ran."""
_OTHER_MACHINE: Final = "exec format error"


async def tried(api: Api, place: Place, image: str) -> Facts:
    """Whether a pod of it starts."""
    pod, (reason, message) = await ended(api, place, pods.sample_pod(place, image), SECONDS, is_decided)
    return {"image": image, **image_facts(pod, reason, message)}


def is_decided(pod: Document) -> bool:
    """Whether it started, or its node said that it will not."""
    state = _state(pod)
    waits = state.get("waiting") or {}
    return "running" in state or "terminated" in state or waits.get("reason") in NO_IMAGE | NO_START


def image_facts(pod: Document | None, reason: str, message: str) -> Facts:
    """What became of its pod. `reason`, `message`: of the last warning about it.

    That a program ends, be it with an error, is its own affair: it started. Where nobody came to try, nothing is known of the image.
    """
    if pod is None:
        return {"ran": unknown(message)} if webhook_in(message) else {"ran": False, "event": message}
    state = _state(pod)
    if end := state.get("terminated"):
        said = str(end.get("message") or "")
        if end.get("reason") in _NOT_BEGUN or _OTHER_MACHINE in said:
            return {"ran": False, "event": said or str(end["reason"])}
        return {"ran": True}
    if "running" in state:
        return {"ran": True}
    waits = state.get("waiting") or {}
    if waits.get("reason") in NO_IMAGE | NO_START:
        return {"ran": False, "event": f"{waits['reason']}: {waits.get('message', '')}".rstrip(": ")}
    why = f"{reason}: {message}" if reason else str(waits.get("reason") or "its pod waits for a node")
    return {"ran": unknown(f"it had not started within {SECONDS:g} s: {why}")}


def _state(pod: Document) -> Document:
    """Of its only container."""
    listed: Sequence[Document] = (pod.get("status") or {}).get("containerStatuses") or ({},)
    state: Document = listed[0].get("state") or {}
    return state
