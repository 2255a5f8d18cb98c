"""Whether the product's own parts are well: its Deployments, the agents of nodes, and whoever answers for its webhooks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from fairlead.objects.meta import Condition

Document = Mapping[str, Any]

SERVICES: Final = "ServicesReady"
"""Type of the condition."""
READY: Final = "Ready"
PART_OF: Final = "app.kubernetes.io/part-of=fairlead"
"""Labels of what the chart makes."""
ADMISSION: Final = "fairlead-admission"
"""The Service that webhooks are called by."""
EXPECTED: Final = ("fairlead-controllers", "fairlead-scheduler")
"""Deployments without which there is no product."""


class Parts(Struct, frozen=True, kw_only=True):
    """What was listed. `slices`: EndpointSlices of the webhooks' Service; None where the cluster serves none."""

    deployments: tuple[Document, ...] = ()
    daemonsets: tuple[Document, ...] = ()
    webhooks: tuple[Document, ...] = ()
    slices: tuple[Document, ...] | None = None


def faults(parts: Parts) -> dict[str, str]:
    """What is not well: name of the part -> a sentence about it."""
    there = {_name(each) for each in parts.deployments}
    found = {name: "its Deployment is gone" for name in EXPECTED if name not in there}
    for each in parts.deployments:
        wanted, ready = int(each.get("spec", {}).get("replicas", 1)), int(_status(each).get("readyReplicas") or 0)
        if ready < wanted:
            found[_name(each)] = f"{ready} of {wanted} pods are ready"
    for each in parts.daemonsets:
        status = _status(each)
        wanted, ready = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
        if ready < wanted:
            found[_name(each)] = f"ready on {ready} of {wanted} nodes"
    return found | _webhook_faults(parts)


def _webhook_faults(parts: Parts) -> dict[str, str]:
    if not parts.webhooks:
        return {}
    hooks = [hook for each in parts.webhooks for hook in each.get("webhooks") or ()]
    if any(not (hook.get("clientConfig") or {}).get("caBundle") for hook in hooks):
        return {"webhooks": "they have no authority by which the API server could know them"}
    if parts.slices is not None and not any(_answers(each) for each in parts.slices):
        return {"webhooks": f"nobody answers behind the Service {ADMISSION}"}
    return {}


def condition(lasting: Mapping[str, str]) -> Condition:
    """True, or False with every part that is not well. `lasting`: faults that are no passing ones."""
    if not lasting:
        return Condition(type=SERVICES, status="True", reason=READY, message="all parts are ready")
    first = min(lasting)
    reason = "".join(part.capitalize() for part in first.split("-"))
    return Condition(
        type=SERVICES,
        status="False",
        reason=reason,
        message="; ".join(f"{name}: {lasting[name]}" for name in sorted(lasting)),
    )


class Patience:
    """Tells which faults last: a Deployment that is rolled out has pods missing for a while, and that is no fault."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[str, float] = {}

    def lasting(self, found: Mapping[str, str], now: float) -> dict[str, str]:
        """Those that have been there for that long."""
        self._since = {name: self._since.get(name, now) for name in found}
        return {name: text for name, text in found.items() if now - self._since[name] >= self._seconds}


def conditions_with(present: Iterable[Condition], new: Condition, now: str) -> tuple[Condition, ...]:
    """The list with that condition in its place; the time of its last change stays where its status does."""
    kept = [each for each in present if each.type != new.type]
    before = next((each for each in present if each.type == new.type), None)
    since = before.last_transition_time if before is not None and before.status == new.status else now
    dated = Condition(
        type=new.type, status=new.status, reason=new.reason, message=new.message, last_transition_time=since
    )
    return tuple(sorted([*kept, dated], key=lambda each: each.type))


def _answers(slice_: Document) -> bool:
    return any((each.get("conditions") or {}).get("ready", True) for each in slice_.get("endpoints") or ())


def _status(each: Document) -> Document:
    return each.get("status") or {}


def _name(each: Document) -> str:
    return str(each["metadata"]["name"])
