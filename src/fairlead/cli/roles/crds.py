"""The custom resource definitions: what a Job does before an installation or an upgrade, to its end."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from msgspec import Struct

from fairlead.cli.roles.process import client_of
from fairlead.cli.roles.settings import RoleTree
from fairlead.kube.client import Client
from fairlead.kube.errors import AlreadyExists
from fairlead.objects.crds import OURS, definitions
from fairlead.objects.json import JsonObject
from fairlead.objects.kinds import CUSTOM_RESOURCE_DEFINITION
from fairlead.objects.meta import Condition, ObjectMeta, condition_of
from fairlead.runtime.errors import Invalid, Retryable
from fairlead.runtime.logs import logger

_SERVED_SECONDS = 60.0
"""Within this a new kind is served."""
_LOOK_SECONDS = 0.2
_log = logger("crds")


class _Version(Struct, frozen=True, kw_only=True):
    name: str
    served: bool = True


class _Spec(Struct, frozen=True, kw_only=True):
    versions: tuple[_Version, ...] = ()

    @property
    def served(self) -> tuple[str, ...]:
        """Versions that clients may ask for."""
        return tuple(each.name for each in self.versions if each.served)


class _Status(Struct, frozen=True, kw_only=True):
    conditions: tuple[Condition, ...] = ()


class _Definition(Struct, frozen=True, kw_only=True):
    """As much of a definition as is looked at."""

    metadata: ObjectMeta
    spec: _Spec = _Spec()
    status: _Status = _Status()


async def main(settings: RoleTree) -> None:
    """Makes the kinds that are missing, brings ours up to date, and leaves alone those that somebody else put there.

    Raises: Invalid where somebody else's does not serve what we read, Retryable where the API server does not come to serve one.
    """
    wanted = {msgspec.convert(made, _Definition).metadata.name: made for made in definitions()}
    async with client_of(settings) as client:
        for name, definition in wanted.items():
            await ensure(client, name, definition)
        try:
            async with asyncio.timeout(_SERVED_SECONDS):
                for name in wanted:
                    await _served(client, name)
        except TimeoutError as late:
            raise Retryable(f"The API server did not come to serve {name} within {_SERVED_SECONDS:.0f} s.") from late


async def ensure(client: Client, name: str, wanted: JsonObject) -> None:
    """Makes one that is missing, brings ours up to date. Raises: Invalid where another's does not serve what we read."""
    if await client.find(CUSTOM_RESOURCE_DEFINITION, name) is None:
        with contextlib.suppress(AlreadyExists):
            await client.create(CUSTOM_RESOURCE_DEFINITION, wanted)
            _log.info("crd.made", name=name)
            return
    found, needed = await _read(client, name), msgspec.convert(wanted, _Definition).spec.served
    if found.metadata.labels.get(OURS[0]) != OURS[1]:
        if not set(needed) <= set(found.spec.served):
            raise Invalid(
                f"{name} was defined by somebody else and serves {', '.join(found.spec.served) or 'nothing'};"
                f" Fairlead needs {', '.join(needed)}.",
                hint=f"See whose it is: kubectl get crd {name} -o yaml. Upgrade or remove what brought it.",
                code="foreign-kinds",
            )
        _log.info("crd.of_others", name=name, message="It was there before and is left as it is.")
        return
    await client.patch(CUSTOM_RESOURCE_DEFINITION, name, {"spec": wanted["spec"]})
    _log.info("crd.up_to_date", name=name)


async def _served(client: Client, name: str) -> None:
    while True:
        found = condition_of((await _read(client, name)).status.conditions, "Established")
        if found is not None and found.status == "True":
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def _read(client: Client, name: str) -> _Definition:
    return msgspec.convert(await client.get(CUSTOM_RESOURCE_DEFINITION, name), _Definition)
