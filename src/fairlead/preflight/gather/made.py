"""What a run makes in the cluster, and takes away again: a namespace, and in it one Job to which all else belongs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from fairlead.kube.errors import AlreadyExists
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import Api, path_of
from fairlead.preflight.gather.cluster import PART
from fairlead.preflight.gather.pods import Place
from fairlead.runtime.errors import FairleadError, NotFound, Retryable

_GONE_SECONDS: Final = 30.0

_HOLD_UP: Final = ("NamespaceDeletionDiscoveryFailure", "NamespaceDeletionGroupVersionParsingFailure")
"""Conditions of a namespace that say so."""
MISSING: Final = "missing"
UNREAD: Final = "unread"


@contextlib.asynccontextmanager
async def made(api: Api, place: Place, product: str, tell: Callable[[str], None]) -> AsyncIterator[Place]:
    """The place, there until the end of the block. `product`: the namespace that may hold the pull secret.

    Raises: FairleadError where it may not be made.
    """
    async with space(api, pods.namespace(place), lambda: _take_away(api, place, tell)):
        if place.pull_secret and (why := await not_copied(api, place.pull_secret, product, place.namespace)):
            said = "is not there" if why == MISSING else "could not be read: what nodes pull with it is unknown"
            tell(f"The pull secret {place.pull_secret} of {product} {said}.")
            place = replace(place, pull_secret="", no_secret=why, pulls=False)
        body = pods.owner(place, keeps=await _keeper(api, place, tell))
        owner = await api.call("POST", path_of("batch/v1", "jobs", namespace=place.namespace), body)
        place = replace(place, owner=owner["metadata"]["uid"])
        await _add(api, "networking.k8s.io/v1", "networkpolicies", place, pods.open_policy(place))
        await _add(api, "v1", "services", place, pods.service(place))
        await _account(api, place)
        yield place


async def _keeper(api: Api, place: Place, tell: Callable[[str], None]) -> bool:
    """Give the Job's pod its right; whether it has it."""
    try:
        for group_version, plural, body in pods.keeper_rights(place):
            await _add(api, group_version, plural, place, body)
    except Retryable:
        raise
    except FairleadError as error:
        tell(f"Should this program be killed, the namespace {place.namespace} stays, empty: {error}")
        return False
    return True


@contextlib.asynccontextmanager
async def space(api: Api, body: Mapping[str, Any], take_away: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """A namespace, there until the end of the block. Where no answer came, or whoever asked was stopped, it may be there, too.

    Raises: FairleadError where it may not be made.
    """
    try:
        await api.call("POST", "/api/v1/namespaces", body)
    except (asyncio.CancelledError, Retryable):
        await take_away()
        raise
    try:
        yield
    finally:
        await take_away()


async def _add(api: Api, group_version: str, plural: str, place: Place, body: dict[str, Any]) -> None:
    with contextlib.suppress(AlreadyExists):
        await api.call("POST", path_of(group_version, plural, namespace=place.namespace), body)


async def not_copied(api: Api, secret: str, source: str, target: str) -> str:
    """Puts the secret of a namespace into another, for pods use secrets of their own only. Gives why it is not there: MISSING or UNREAD;
    empty where it is.

    Raises: FairleadError where it may not be written.
    """
    try:
        found = await api.get(path_of("v1", "secrets", secret, source))
    except NotFound:
        return MISSING
    except FairleadError:
        return UNREAD
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret, "namespace": target, "labels": {PART: "fairlead"}},
        "type": found.get("type"),
        "data": found.get("data"),
    }
    try:
        await api.call("POST", path_of("v1", "secrets", namespace=target), body)
    except AlreadyExists:
        await api.call("PUT", path_of("v1", "secrets", secret, target), body)
    return ""


async def _account(api: Api, place: Place) -> None:
    """Wait for the account that pods are made under: the cluster makes it a moment after the namespace."""
    end = api.clock.monotonic() + _GONE_SECONDS
    while True:
        try:
            await api.get(path_of("v1", "serviceaccounts", "default", place.namespace))
        except NotFound:
            if api.clock.monotonic() < end:
                await api.clock.sleep(0.3)
                continue
        except FairleadError:
            return  # whoever may not look finds out when making the first pod
        return


async def _take_away(api: Api, place: Place, tell: Callable[[str], None]) -> None:
    """Delete the namespace with all that is in it, and see that it goes; pods of dead nodes are removed without asking them."""
    path = path_of("v1", "namespaces", place.namespace)
    try:
        await api.call("DELETE", path)
    except NotFound:
        return
    except FairleadError as error:
        tell(
            f"The namespace {place.namespace} could not be removed: {error}. Remove it: kubectl delete namespace {place.namespace}"
        )
        return
    end = api.clock.monotonic() + _GONE_SECONDS
    forced = False
    while api.clock.monotonic() < end:
        try:
            await api.get(path)
        except NotFound:
            return
        except FairleadError:
            pass  # it may be there still
        if not forced and api.clock.monotonic() > end - _GONE_SECONDS / 2:
            forced = True
            await _force(api, place)
        await api.clock.sleep(0.5)
    held_up = await _held_up(api, path)
    goes = f"it waits for this: {held_up}" if held_up else "it goes by itself"
    tell(f"The namespace {place.namespace} is being removed still; {goes}.")


async def _held_up(api: Api, path: str) -> str:
    """What a namespace's end waits for beyond its pods, in the cluster's words: a group of the API that does not answer holds up all."""
    with contextlib.suppress(FairleadError):
        conditions = (await api.get(path)).get("status", {}).get("conditions") or ()
        for each in conditions:
            if each.get("type") in _HOLD_UP and each.get("status") == "True":
                return str(each.get("message", "")).rstrip(".")
    return ""


async def _force(api: Api, place: Place) -> None:
    with contextlib.suppress(FairleadError):
        for pod in await api.list("v1", "pods", place.namespace):
            path = path_of("v1", "pods", pod["metadata"]["name"], place.namespace)
            with contextlib.suppress(FairleadError):
                await api.call("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
