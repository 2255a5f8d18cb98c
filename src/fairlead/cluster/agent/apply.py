"""What the control plane wants, as calls: typed objects only, and only of kinds named here."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import to_builtins

from fairlead.cluster.agent.rows import workload_id
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import kinds
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import Kind
from fairlead.objects.meta import Object
from fairlead.runtime.errors import Conflict, FairleadError, Invalid, NotFound, Permanent
from fairlead.wire.agent import ApplyError, Desired, DesiredObject

ORGANISATION: Final[dict[str, Kind[Any]]] = {k.kind: k for k in (kinds.NODE_POOL, kinds.DEPARTMENT, kinds.PROJECT)}
WORKLOADS: Final[dict[str, Kind[Any]]] = {
    k.kind: k for k in (kinds.WORKSPACE, kinds.TRAINING, kinds.DISTRIBUTED_TRAINING)
}
_MANAGED: Final = "fairlead.dev/managed-by"
_BY: Final = "control-plane"
_NAMESPACE_TRIES: Final = 50
_NAMESPACE_WAIT: Final = 0.2
"""Seconds between tries."""
_TRIES: Final = 5
"""Of an object that somebody else changed or removed between our looking and our writing."""


class _Taken(Conflict):
    """The name belongs to somebody else's object: trying again gives the same."""

    code = "name-taken"


class _NoNamespace(NotFound):
    """The namespace did not come in time."""


class Applier:
    """Brings objects to what a `Desired` frame says. Doing it twice does no harm."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def apply(self, frame: Desired) -> tuple[ApplyError, ...]:
        """Tries every object; gives back what was refused for good.

        Raises: Retryable where the API is away; nothing is lost, the frame comes again.
        """
        errors = []
        for wanted in frame.objects:
            try:
                await self._settled(wanted)
            except (Permanent, msgspec.ValidationError) as error:
                errors.append(_refusal(wanted, error))
        if frame.full:
            await self._remove_others(frame)
        return tuple(errors)

    async def _settled(self, wanted: DesiredObject) -> None:
        """Looks again where the object changed, came or went meanwhile."""
        for left in reversed(range(_TRIES)):
            try:
                await self._one(wanted)
                return
            except (Conflict, NotFound) as error:
                if isinstance(error, _Taken | _NoNamespace) or not left:
                    raise
                await self._client.clock.sleep(_NAMESPACE_WAIT)

    async def _one(self, wanted: DesiredObject) -> None:
        kind = ORGANISATION.get(wanted.kind) or WORKLOADS.get(wanted.kind)
        if kind is None:
            raise Invalid(
                f"The control plane asked for an object of kind {wanted.kind!r}, which this agent does not make."
            )
        if wanted.object is None:
            await self._remove(kind, wanted)
            return
        made = msgspec.convert({**wanted.object}, kind.type)
        labelled = _labelled(made)
        present = await self._client.find(kind, wanted.name, wanted.namespace)
        if present is None:
            try:
                await self._create(kind, labelled, wanted)
                return
            except AlreadyExists:
                present = await self._client.get(kind, wanted.name, wanted.namespace)
        await self._bring(kind, present, labelled, wanted)

    async def _create(self, kind: Kind[Any], made: Object, wanted: DesiredObject) -> None:
        """A workload may come before the namespace of its project is there: then it waits a little."""
        for _ in range(_NAMESPACE_TRIES):
            try:
                await self._client.create(kind, made, wanted.namespace)
                return
            except NotFound:
                await self._client.clock.sleep(_NAMESPACE_WAIT)
        raise _NoNamespace(f"The namespace {wanted.namespace} of its project was not made in time.")

    async def _bring(self, kind: Kind[Any], present: Any, made: Any, wanted: DesiredObject) -> None:
        if wanted.kind in WORKLOADS:
            if present.spec.workload_id != made.spec.workload_id:
                raise _Taken(f"{wanted.name!r} exists already in {wanted.namespace}, made by somebody else.")
            if present.spec.suspended != made.spec.suspended:
                patch: JsonObject = {"spec": {"suspended": made.spec.suspended}}
                await self._client.patch(kind, wanted.name, patch, wanted.namespace, uid=present.metadata.uid)
        elif present.spec != made.spec:
            patch = {"spec": _replacing(to_builtins(present.spec), to_builtins(made.spec))}
            await self._client.patch(kind, wanted.name, patch, uid=present.metadata.uid)

    async def _remove(self, kind: Kind[Any], wanted: DesiredObject) -> None:
        """A workload only where it is the one that is meant: another may have its name by now."""
        uid = ""
        if wanted.kind in WORKLOADS and wanted.id:
            present = await self._client.find(kind, wanted.name, wanted.namespace)
            if present is None or workload_id(present) != wanted.id:
                return
            uid = present.metadata.uid
        await self._delete(kind, wanted.name, wanted.namespace, uid)

    async def _delete(self, kind: Kind[Any], name: str, namespace: str = "", uid: str = "") -> None:
        try:
            await self._client.delete(kind, name, namespace, uid=uid)
        except NotFound:
            return

    async def _remove_others(self, frame: Desired) -> None:
        """Organisation objects of ours that the control plane no longer names."""
        for name, kind in ORGANISATION.items():
            named = {o.name for o in frame.objects if o.kind == name}
            present = await self._client.list(kind, labels=f"{_MANAGED}={_BY}")
            for item in present.items:
                if item.metadata.name not in named:
                    await self._delete(kind, item.metadata.name)


def _labelled(made: Any) -> Any:
    meta = msgspec.structs.replace(made.metadata, labels={**made.metadata.labels, _MANAGED: _BY})
    return msgspec.structs.replace(made, metadata=meta)


def _replacing(before: JsonObject, after: JsonObject) -> JsonObject:
    """A merge patch that leaves `after` and nothing of `before`."""
    return {**dict.fromkeys(before), **after}


def _refusal(wanted: DesiredObject, error: Exception) -> ApplyError:
    code = error.code if isinstance(error, FairleadError) else "invalid"
    return ApplyError(kind=wanted.kind, namespace=wanted.namespace, name=wanted.name, code=code, message=str(error))
