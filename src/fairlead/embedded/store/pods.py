"""What pods can do besides being stored: be bound, be evicted, be looked into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

from msgspec import convert

from fairlead.embedded.store import shapes
from fairlead.embedded.store.lifecycle import is_ending
from fairlead.embedded.store.memory import Memory, Place
from fairlead.embedded.store.routes import Route
from fairlead.embedded.store.status import (
    Doc,
    StatusError,
    bad_request,
    busy,
    conflict,
    invalid,
    required,
    success,
    unsupported,
)
from fairlead.embedded.store.writes import Writes, document_of
from fairlead.kube.client import LogOptions
from fairlead.kube.transport import Duplex, Request, Response
from fairlead.objects import selectors
from fairlead.objects.kinds import DISRUPTION_BUDGET, POD
from fairlead.objects.meta import LabelSelector
from fairlead.objects.times import text_of
from fairlead.runtime.clock import Clock

_BUDGET: Final = "Cannot evict pod as it would violate the pod's disruption budget."
_LOG_PARAMETERS: Final = frozenset(
    {"container", "follow", "tailLines", "sinceSeconds", "previous", "timestamps", "pretty"}
)


class PodDoor(Protocol):
    """Where pods really run: the embedded nodes."""

    def logs(self, pod: Doc, options: LogOptions) -> AsyncIterator[bytes]:
        """Give the output of a container. Raises: StatusError."""
        ...

    def has_earlier_log(self, namespace: str, name: str) -> bool:
        """Whether the output of a pod of that name that is gone was kept."""
        ...

    async def exec(self, pod: Doc, container: str, command: list[str], query: dict[str, str]) -> Duplex:
        """Give the connection to a command run in a container. `query`: stdin, stdout, stderr, tty."""
        ...

    async def port_forward(self, pod: Doc, port: int) -> Duplex:
        """Give one connection to a port."""
        ...


class Pods:
    """The subresources of pods."""

    def __init__(self, memory: Memory, writes: Writes, clock: Clock) -> None:
        self._memory = memory
        self._writes = writes
        self._clock = clock
        self.door: PodDoor | None = None

    def bind(self, route: Route, request: Request) -> Response:
        """Answer a POST of a Binding."""
        body = shapes.of_type(shapes.Binding, document_of(request.body))
        target = body.get("target") or {}
        if target.get("kind") not in (None, "", "Node"):
            raise bad_request(f"unsupported binding target kind {target['kind']}")
        if not target.get("name"):
            raise invalid(POD, route.name, [required("target.name")])
        place, entry = self._writes.existing(route)
        self._check_bindable(route, entry.doc, body.get("metadata") or {})
        after = _bound(entry.doc, body, target["name"], text_of(self._clock.now()))
        self._writes.lifecycle.settle(place, self._memory.put(place, after))
        return success(201)

    def evict(self, route: Route, request: Request) -> Response:
        """Answer a POST of an Eviction; a disruption budget may forbid it."""
        body = shapes.of_type(shapes.Eviction, document_of(request.body))
        options = body.get("deleteOptions") or {}
        place, entry = self._writes.existing(route)
        phase = (entry.doc.get("status") or {}).get("phase")
        if phase == "Running" and not is_ending(entry.doc):
            self._check_budgets(place, entry.doc)
        self._writes.lifecycle.delete(place, entry, options)
        return success(201)

    def log_target(self, route: Route, request: Request) -> tuple[Doc, LogOptions]:
        """Give the pod and what of its output is wanted. Raises: StatusError.

        Beyond what an API server does: the output of the last pod of that name can be had after the pod is gone, by `previous`.
        """
        options = _log_options(request)
        try:
            _, entry = self._writes.existing(route)
        except StatusError:
            if self.door is None or not options.previous or not self.door.has_earlier_log(route.namespace, route.name):
                raise
            return {"metadata": {"namespace": route.namespace, "name": route.name}, "spec": {}}, options
        name = _container(entry.doc, options.container)
        return entry.doc, LogOptions(
            container=name,
            follow=options.follow,
            tail_lines=options.tail_lines,
            since_seconds=options.since_seconds,
            previous=options.previous,
            timestamps=options.timestamps,
        )

    async def upgrade(self, route: Route, request: Request) -> Duplex:
        """Give the connection of an exec or a port-forward. Raises: StatusError."""
        door, pod = self._reachable(route, request)
        if route.subresource == "portforward":
            return await door.port_forward(pod, _port(request))
        container = _container(pod, request.parameter("container"))
        command = [value for key, value in request.query if key == "command"]
        return await door.exec(pod, container, command, dict(request.query))

    def no_upgrade(self, route: Route, request: Request) -> Response:
        """Answer an exec or a port-forward that does not ask for an upgrade: with what is wrong, or with that."""
        self._reachable(route, request)
        raise bad_request("Upgrade request required")

    def _reachable(self, route: Route, request: Request) -> tuple[PodDoor, Doc]:
        """Give the way to the pod. Raises: StatusError for what stands in the way."""
        _, entry = self._writes.existing(route)
        if self.door is None or route.subresource not in ("exec", "portforward"):
            raise unsupported(f"pods/{route.subresource}")
        if not entry.doc["spec"].get("nodeName"):
            raise bad_request(f"pod {route.name} does not have a host assigned")
        if route.subresource == "portforward":
            _port(request)
            return self.door, entry.doc
        _container(entry.doc, request.parameter("container"))
        if not request.parameter("command"):
            raise bad_request("you must specify at least 1 command for the container")
        return self.door, entry.doc

    def _check_bindable(self, route: Route, doc: Doc, metadata: Doc) -> None:
        uid, name = metadata.get("uid"), route.name
        if uid and uid != doc["metadata"]["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {doc['metadata']['uid']}"
            raise conflict(POD, name, why)
        if is_ending(doc):
            raise conflict(POD, name, f"pod {name} is being deleted, cannot be assigned to a host", "binding")
        if node := doc["spec"].get("nodeName"):
            raise conflict(POD, name, f'pod {name} is already assigned to node "{node}"', "binding")
        if doc["spec"].get("schedulingGates"):
            raise conflict(POD, name, f"pod {name} has non-empty .spec.schedulingGates", "binding")

    def _check_budgets(self, place: Place, doc: Doc) -> None:
        for budget in self._budgets(place, doc):
            healthy, needed = self._health(place.namespace, budget)
            may_go = healthy > needed or (not _is_healthy(doc) and healthy >= needed > 0)
            if not may_go:
                text = (
                    f"The disruption budget {budget['metadata']['name']} needs {needed} healthy pods and has {healthy}"
                )
                raise busy(_BUDGET, 0, [{"reason": "DisruptionBudget", "message": f"{text} currently"}])

    def _budgets(self, place: Place, doc: Doc) -> list[Doc]:
        labels = doc["metadata"].get("labels") or {}
        found = self._memory.within(DISRUPTION_BUDGET.resource, place.namespace)
        return [budget.doc for _, budget in found if selectors.matches(_selector(budget.doc), labels)]

    def _health(self, namespace: str, budget: Doc) -> tuple[int, int]:
        """Give how many of a budget's pods are healthy and how many must be."""
        selector = _selector(budget)
        pods = [
            entry.doc
            for _, entry in self._memory.within(POD.resource, namespace)
            if selectors.matches(selector, entry.doc["metadata"].get("labels") or {})
        ]
        spec = budget.get("spec") or {}
        if spec.get("maxUnavailable") is not None:
            needed = len(pods) - _share(spec["maxUnavailable"], len(pods))
        else:
            needed = _share(spec.get("minAvailable", 1), len(pods))
        return sum(_is_healthy(pod) for pod in pods), max(0, needed)


def _bound(doc: Doc, body: Doc, node: str, now: str) -> Doc:
    status = doc.get("status") or {}
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    others = [item for item in status.get("conditions") or () if item.get("type") != "PodScheduled"]
    metadata = doc["metadata"]
    if more := (body.get("metadata") or {}).get("annotations"):
        metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **more}}
    return {
        **doc,
        "metadata": metadata,
        "spec": {**doc["spec"], "nodeName": node},
        "status": {**status, "conditions": [*others, condition]},
    }


def _selector(budget: Doc) -> selectors.Selector:
    return selectors.of_object(convert((budget.get("spec") or {}).get("selector") or {}, LabelSelector))


def _share(amount: Any, total: int) -> int:
    """Give a number of pods; a percentage is rounded up."""
    if isinstance(amount, str) and amount.endswith("%"):
        return -(-int(amount[:-1]) * total // 100)
    return int(amount)


def _is_healthy(pod: Doc) -> bool:
    status = pod.get("status") or {}
    ready = any(item.get("type") == "Ready" and item.get("status") == "True" for item in status.get("conditions") or ())
    return ready and status.get("phase") == "Running" and not is_ending(pod)


def _container(pod: Doc, name: str) -> str:
    names = [container["name"] for key in ("containers", "initContainers") for container in pod["spec"].get(key) or ()]
    pod_name, mains = pod["metadata"]["name"], [container["name"] for container in pod["spec"]["containers"]]
    if not name and len(mains) > 1:
        listed = " ".join(mains)
        raise bad_request(f"a container name must be specified for pod {pod_name}, choose one of: [{listed}]")
    if name and name not in names:
        raise bad_request(f"container {name} is not valid for pod {pod_name}")
    return name or mains[0]


def _log_options(request: Request) -> LogOptions:
    values = dict(request.query)
    for key in values:
        if key not in _LOG_PARAMETERS and values[key]:
            raise unsupported(f"the parameter {key}")
    return LogOptions(
        container=values.get("container", ""),
        follow=values.get("follow") == "true",
        tail_lines=_count(values, "tailLines"),
        since_seconds=_count(values, "sinceSeconds"),
        previous=values.get("previous") == "true",
        timestamps=values.get("timestamps") == "true",
    )


def _count(values: dict[str, str], name: str) -> int | None:
    text = values.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise bad_request(f'{name}: Invalid value: "{text}": must be a number that is not negative')
    return int(text) if text else None


def _port(request: Request) -> int:
    text = request.parameter("ports")
    if not (text.isascii() and text.isdigit() and int(text[:6]) < 1 << 16):
        raise bad_request(f'you must specify at least 1 port, got "{text}"')
    return int(text)
