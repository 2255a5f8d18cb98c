"""Create, change and delete: the verbs that move the state on."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import orjson

from fairlead.embedded.store import defaults, patches, shapes, validation
from fairlead.embedded.store.lifecycle import Lifecycle, is_ending
from fairlead.embedded.store.memory import Entry, Memory, Place
from fairlead.embedded.store.routes import Route
from fairlead.embedded.store.schemas import prune, schema_for
from fairlead.embedded.store.status import (
    JSON_HEADERS,
    Doc,
    already_exists,
    bad_media_type,
    bad_request,
    conflict,
    forbidden,
    invalid,
    no_such_method,
    not_found,
    success,
    unsupported,
    wrong,
)
from fairlead.kube.transport import MERGE_PATCH, STRATEGIC_PATCH, Request, Response
from fairlead.objects.kinds import (
    CRON_JOB,
    CUSTOM_RESOURCE_DEFINITION,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    MUTATING_WEBHOOK,
    NAMESPACE,
    PRIORITY_CLASS,
    REPLICA_SET,
    STATEFUL_SET,
    VALIDATING_WEBHOOK,
)
from fairlead.objects.times import text_of
from fairlead.runtime.clock import Clock

UNMANAGED: Final = frozenset(
    kind.resource for kind in (CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, REPLICA_SET, STATEFUL_SET)
)
"""Kinds that mean nothing without controllers that are not here."""

_FIXED: Final = {
    CUSTOM_RESOURCE_DEFINITION.resource: "other custom kinds than those it serves from the start",
    MUTATING_WEBHOOK.resource: "admission webhooks",
    VALIDATING_WEBHOOK.resource: "admission webhooks",
}
_HARMLESS: Final = frozenset({"fieldManager", "fieldValidation", "pretty", "timeoutSeconds", "timeout"})
_DELETE_OPTIONS: Final = ("gracePeriodSeconds", "propagationPolicy")


class Writes:
    """The writing verbs over one memory. `accept_unmanaged`: store kinds whose controllers are not here."""

    def __init__(self, memory: Memory, clock: Clock, rng: Random, *, accept_unmanaged: bool = False) -> None:
        self._memory = memory
        self._clock = clock
        self._rng = rng
        self._accept_unmanaged = accept_unmanaged
        self.lifecycle = Lifecycle(memory, clock)

    def create(self, route: Route, request: Request) -> Response:
        """Answer a POST on a collection."""
        _only(request, _HARMLESS)
        self._check_served(route)
        doc = shapes.of_kind(route, document_of(request.body))
        self._check_identity(route, doc)
        metadata = defaults.metadata_of(route, doc.get("metadata") or {}, text_of(self._clock.now()), self._rng)
        self._check_namespace(route, metadata.get("name", ""))
        doc = _without_status(route, self._shaped(route, {**doc, "metadata": metadata}, request))
        validation.check_new(route, doc)
        place = Place(route.kind.resource, route.namespace, metadata["name"])
        if self._memory.get(place):
            raise already_exists(route.kind, place.name)
        entry = self._memory.put(place, defaults.fill(route, doc, self._priorities(route)))
        return _answer(self.lifecycle.settle(place, entry), 201)

    def patch(self, route: Route, request: Request) -> Response:
        """Answer a PATCH of an object or its status."""
        accepted = [MERGE_PATCH] if route.is_custom else [MERGE_PATCH, STRATEGIC_PATCH]
        if request.media not in accepted:
            raise bad_media_type(accepted)
        _only(request, _HARMLESS)
        place, entry = self.existing(route)
        patch = document_of(request.body)
        return self._replace(route, place, entry, _patched(route, entry.doc, patch, request.media), request)

    def put(self, route: Route, request: Request) -> Response:
        """Answer a PUT of an object or its status."""
        _only(request, _HARMLESS)
        place, entry = self.existing(route)
        doc = shapes.of_kind(route, document_of(request.body))
        self._check_identity(route, doc)
        metadata = {**(doc.get("metadata") or {})}
        _check_name(route, metadata)
        if route.is_custom and not metadata.get("resourceVersion"):
            raise invalid(
                route.kind, route.name, [wrong("metadata.resourceVersion", 0, "must be specified for an update")]
            )
        for key in (*validation.IMMUTABLE, "resourceVersion", "generation"):
            if key in entry.doc["metadata"]:
                metadata.setdefault(key, entry.doc["metadata"][key])
        return self._replace(route, place, entry, {**doc, "metadata": metadata}, request)

    def delete(self, route: Route, request: Request) -> Response:
        """Answer a DELETE of an object."""
        _only(request, _HARMLESS | set(_DELETE_OPTIONS))
        self._check_served(route)
        place, entry = self.existing(route)
        options = document_of(request.body) if request.body else {}
        for key in _DELETE_OPTIONS:
            if value := request.parameter(key):
                options[key] = _number_or_text(value)
        options = shapes.of_type(shapes.DeleteOptions, options)
        after, gone = self.lifecycle.delete(place, entry, options)
        if not gone or route.kind.resource in ("pods", "services", "persistentvolumeclaims", "serviceaccounts"):
            return _answer(after)
        metadata = after.doc["metadata"]
        details = {"name": route.name, "group": route.kind.group, "kind": route.kind.plural, "uid": metadata["uid"]}
        return success(details={key: value for key, value in details.items() if value})

    def existing(self, route: Route) -> tuple[Place, Entry]:
        """Give what the route names. Raises: StatusError 404."""
        place = Place(route.kind.resource, route.namespace, route.name)
        entry = self._memory.get(place)
        if entry is None:
            raise not_found(route.kind, route.name)
        return place, entry

    def store(self, route: Route, place: Place, before: Entry, after: Doc) -> Entry:
        """Keep a changed document, checked, with its generation; the same document moves nothing."""
        if after == before.doc:
            return before
        validation.check_change(route, before.doc, after)
        if defaults.has_generation(route) and _body_of(after) != _body_of(before.doc):
            generation = before.doc["metadata"].get("generation", 0) + 1
            after = {**after, "metadata": {**after["metadata"], "generation": generation}}
        return self.lifecycle.settle(place, self._memory.put(place, after))

    def _replace(self, route: Route, place: Place, entry: Entry, wanted: Doc, request: Request) -> Response:
        before = entry.doc
        self._check_guards(route, before["metadata"], wanted.get("metadata") or {})
        wanted = self._shaped(route, wanted, request)
        if route.subresource == "status":
            kept = before if route.is_custom else {**before, "metadata": wanted["metadata"]}
            after = {**kept, "status": wanted["status"]} if "status" in wanted else _less(kept, "status")
        elif route.kind.has_status:
            after = {**wanted, "status": before["status"]} if "status" in before else _less(wanted, "status")
        else:
            after = wanted
        system = {
            key: before["metadata"][key] for key in ("resourceVersion", "generation") if key in before["metadata"]
        }
        after = {**after, "metadata": _less({**after["metadata"], **system}, "managedFields")}
        if place.resource == "secrets":
            after = defaults.secret(after)
        return _answer(self.store(route, place, entry, after))

    def _check_guards(self, route: Route, before: Doc, wanted: Doc) -> None:
        version = wanted.get("resourceVersion")
        if version and version != before["resourceVersion"]:
            raise conflict(route.kind, route.name)
        uid = wanted.get("uid")
        if uid and uid != before["uid"]:
            raise invalid(route.kind, route.name, [wrong("metadata.uid", uid, "field is immutable")])
        _check_name(route, wanted)

    def _shaped(self, route: Route, doc: Doc, request: Request) -> Doc:
        """Give the document under its kind, a custom one without fields its schema does not know."""
        doc = {**doc, "apiVersion": route.kind.api_version, "kind": route.kind.kind}
        if not route.is_custom:
            return doc
        pruned: Doc = prune(schema_for(route.kind), doc)
        if request.parameter("fieldValidation") == "Strict" and (unknown := _unknown(doc, pruned, "")):
            listed = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise bad_request(
                f"{route.kind.kind} in version {route.kind.version!r} cannot be handled as a {route.kind.kind}: "
                f"strict decoding error: {listed}".replace("'", '"')
            )
        return pruned

    def _check_served(self, route: Route) -> None:
        if why := _FIXED.get(route.kind.resource):
            raise unsupported(why)
        if route.kind.resource in UNMANAGED and not self._accept_unmanaged:
            raise unsupported(
                f"{route.kind.plural}: their controllers are not here; submit a fairlead workload instead"
            )

    def _check_identity(self, route: Route, doc: Doc) -> None:
        if route.is_custom and not (doc.get("kind") and doc.get("apiVersion")):
            raise bad_request(
                f"the object provided is unrecognized (must be of type {route.kind.kind}): Object 'Kind' is missing"
            )
        kind, version = doc.get("kind") or route.kind.kind, doc.get("apiVersion") or route.kind.api_version
        if (kind, version) != (route.kind.kind, route.kind.api_version):
            raise bad_request(
                f'{kind} in version "{version}" does not match the expected kind {route.kind.kind} '
                f'in version "{route.kind.api_version}"'
            )
        namespace = (doc.get("metadata") or {}).get("namespace") or route.namespace
        if namespace != route.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
                if route.namespace
                else "namespace may not be set on a cluster-scoped object"
            )

    def _check_namespace(self, route: Route, name: str) -> None:
        if not route.kind.namespaced:
            return
        if not route.namespace:
            raise no_such_method()
        home = self._memory.get(Place(NAMESPACE.resource, "", route.namespace))
        if home is None:
            raise not_found(NAMESPACE, route.namespace)
        if is_ending(home.doc):
            message = f"namespace {route.namespace} is being terminated"
            cause = {"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}
            why = f"unable to create new content in namespace {route.namespace} because it is being terminated"
            raise forbidden(route.kind, name, why, [cause])

    def _priorities(self, route: Route) -> dict[str, Doc]:
        if route.kind.resource != "pods":
            return {}
        return {place.name: entry.doc for place, entry in self._memory.within(PRIORITY_CLASS.resource)}


def document_of(body: bytes) -> Doc:
    """Give the JSON object of a body. Raises: StatusError 400."""
    try:
        document: Any = orjson.loads(body)
        orjson.dumps(document)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the object provided is unrecognized (must be JSON): {error}") from error
    except orjson.JSONEncodeError as error:
        raise bad_request("the object provided is nested too deeply") from error
    if not isinstance(document, dict):
        raise bad_request("the object provided is unrecognized (must be a JSON object)")
    return document


def _patched(route: Route, before: Doc, patch: Doc, media: str) -> Doc:
    after = patches.merge(before, patch) if media == MERGE_PATCH else patches.strategic(before, patch)
    head = {"apiVersion": route.kind.api_version, "kind": route.kind.kind}
    if not route.is_custom:
        head |= {key: after[key] for key in head if after.get(key)}
        after = {**after, **head}
    return shapes.of_patched(route, {"metadata": {}, **after})


def _number_or_text(value: str) -> int | str:
    return int(value) if value.removeprefix("-").isdecimal() and value.isascii() and len(value) < 20 else value


def _check_name(route: Route, metadata: Doc) -> None:
    name = metadata.get("name", "")
    if name != route.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({route.name})")


def _only(request: Request, known: frozenset[str]) -> None:
    for key, value in request.query:
        if key not in known and value:
            raise unsupported(f"the parameter {key}")


def _answer(entry: Entry, status: int = 200) -> Response:
    return Response(status=status, headers=JSON_HEADERS, body=entry.data)


def _less(doc: Doc, key: str) -> Doc:
    return {name: value for name, value in doc.items() if name != key}


def _without_status(route: Route, doc: Doc) -> Doc:
    drops = route.kind.has_status and (route.is_custom or route.kind.resource != "nodes")
    return _less(doc, "status") if drops else doc


def _body_of(doc: Doc) -> Doc:
    return {key: value for key, value in doc.items() if key not in ("metadata", "status")}


def _unknown(doc: Any, pruned: Any, path: str) -> list[str]:
    """Give the paths of what pruning took away."""
    if isinstance(doc, list):
        return [found for index, item in enumerate(doc) for found in _unknown(item, pruned[index], f"{path}[{index}]")]
    if not isinstance(doc, dict):
        return []
    found: list[str] = []
    for key, value in doc.items():
        here = f"{path}.{key}" if path else key
        found += _unknown(value, pruned[key], here) if key in pruned else [here]
    return found
