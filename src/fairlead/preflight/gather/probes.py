"""One probe on every real node, so many at a time: started, asked to look, and taken away; whatever happens, what was seen is kept.

A probe that does not start in time, or of which the cluster says that it will not, is a result too and holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from textwrap import shorten
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from fairlead.kube.sessions import STDOUT
from fairlead.objects.pod import NO_IMAGE, NO_START
from fairlead.preflight.checks.registry import cause_of
from fairlead.preflight.gather import pods
from fairlead.preflight.gather.api import Api, path_of
from fairlead.preflight.gather.look import LOOKED, Looked, Orders, Peer, encoded
from fairlead.preflight.gather.pods import Place
from fairlead.runtime.errors import FairleadError

Document = Mapping[str, Any]
Tell = Callable[[str], None]

_NEIGHBOURS: Final = 3
"""Probes before and behind in the ring that a probe asks: each pair is asked both ways."""
_AT_RANDOM: Final = 2
_LATE_TOO: Final = 3
"""So many times the usual number are in the cluster where many are late."""
_EVENTS_SECONDS: Final = 5.0
"""Between looks at events, while some probe is late."""
_TOLD: Final = 100
"""Most that a line of progress quotes of a message: the finding has it whole. Units: characters."""
_NO_PULL: Final = "image_pull_failed"
REFUSED: Final = "refused"
"""Status of a probe whose pod the API server did not take."""
_NO_SANDBOX: Final = "FailedCreatePodSandBox"
_ANCHORS: Final = 2
"""Probes that stay to the end, so that late ones have somebody to ask."""


class Limits(Struct, frozen=True, kw_only=True):
    """How many and how long. Units: seconds."""

    at_once: int = 50
    start: float = 120.0
    """A pull of the image included."""
    late: float = 15.0
    """Others are started in the place of a probe that is not up after this."""
    settle: float = 3.0
    """Probes that are up wait so long for others to look together with."""
    look: float = 60.0
    second_pull: float = 30.0
    """A kubelet that has not read the pull secret yet asks without it, is refused, and asks again some 10 s later: what fails so long
    after the first refusal was seen proves nothing of the secret."""
    poll: float = 1.0


class Probed(Struct, frozen=True, kw_only=True):
    """What came of a node's probe. Units: seconds."""

    state: str
    """finished, not_started, image_pull_failed or timeout."""
    event: str = ""
    """Reason of the last warning about its pod, where that did not start; `message` is then the event's."""
    status: str = ""
    image: str = ""
    message: str = ""
    looked: Looked | None = None
    offset: float | None = None
    """The node's clock minus ours."""
    round_trip: float | None = None
    pull: str | None = None
    """`ok`, or what the node's runtime said; None where it was not tried."""
    exit: int | str | None = None


class _Living(Struct):
    """A probe that is in the cluster."""

    node: str
    name: str
    since: float
    address: str = ""
    refused: float | None = None
    """When its first pull that failed was seen."""
    document: Document = field(default_factory=dict)


_WHATEVER_THE_SECRET: Final = frozenset(("tls", "scheme", "dns", "proxy", "platform", "disk"))
"""Causes of pulls that fail with the pull secret as without it."""


class Probes:
    """All probes of a run."""

    def __init__(self, api: Api, place: Place, limits: Limits, tell: Tell) -> None:
        self._api = api
        self._clock = api.clock
        self._rng = api.client.rng
        self._place = place
        self._limits = limits
        self._tell = tell
        self._told: dict[str, int] = {}
        self._living: dict[str, _Living] = {}
        """By node: those whose pod is in the cluster and has not been looked from."""
        self._anchors: dict[str, _Living] = {}
        self._events: dict[str, tuple[str, str]] = {}
        """Pod -> its last warning, as read last."""
        self._events_read = -_EVENTS_SECONDS
        self.results: dict[str, Probed] = {}
        """By node, as they come; complete once `run` has returned."""

    async def run(self, nodes: Sequence[str], orders: Callable[[str], Orders]) -> None:
        """Probe them. `orders`: what the probe of a node is to look at, its peers apart."""
        waiting = list(nodes)
        try:
            async with asyncio.TaskGroup() as looking:
                while waiting or self._living:
                    while waiting and self._has_room():
                        await self._start(waiting.pop(0), len(nodes) - len(waiting))
                    await self._see()
                    if batch := self._batch():
                        looking.create_task(self._look(batch, orders))
                    await self._read_events()
                    self._give_up()
                    self._progress(len(nodes))
                    await self._clock.sleep(self._limits.poll)
        finally:
            for node in nodes:
                self.results.setdefault(node, Probed(state="timeout", status="the run ended before it was looked at"))

    def _has_room(self) -> bool:
        """Whether one more may be started. Late ones are waited for and take nobody's turn, up to a point: all may be pulling."""
        now, most = self._clock.monotonic(), self._limits.at_once
        prompt = sum(now - each.since < self._limits.late for each in self._living.values())
        return prompt < most and len(self._living) < _LATE_TOO * most

    async def _start(self, node: str, index: int) -> None:
        body = pods.probe(self._place, node, index)
        name = body["metadata"]["name"]
        try:
            await self._api.call("POST", path_of("v1", "pods", namespace=self._place.namespace), body)
        except FairleadError as error:
            self.results[node] = Probed(state="not_started", status=REFUSED, message=str(error))
            return
        self._living[node] = _Living(node=node, name=name, since=self._clock.monotonic())

    async def _see(self) -> None:
        """Look at all pods of the run at once."""
        with contextlib.suppress(FairleadError):
            listed = await self._api.list("v1", "pods", self._place.namespace)
            by_name = {each["metadata"]["name"]: each for each in listed}
            for living in self._living.values():
                living.document = by_name.get(living.name, living.document)
                living.address = _address(living.document)

    def _batch(self) -> list[_Living]:
        """Those that are up, once others have had a moment to come up as well."""
        up = [each for each in self._living.values() if each.address]
        now, settle = self._clock.monotonic(), self._limits.settle
        young = any(now - each.since < settle for each in self._living.values() if not each.address)
        if young and len(up) < self._limits.at_once:
            return []
        for each in up:
            del self._living[each.node]
        return up

    async def _look(self, batch: list[_Living], orders: Callable[[str], Orders]) -> None:
        for each in batch[: max(0, _ANCHORS - len(self._anchors))]:
            self._anchors[each.node] = each
        known = {each.node: each for each in (*self._anchors.values(), *batch)}
        looks = [self._look_from(each, replace(orders(each.node), peers=self._peers(each, known))) for each in batch]
        for each, found in zip(batch, await asyncio.gather(*looks), strict=True):
            self.results[each.node] = found
        await asyncio.gather(*(self._remove(each) for each in batch if each.node not in self._anchors))

    def _peers(self, me: _Living, known: Mapping[str, _Living]) -> dict[str, Peer]:
        ring = sorted(known)
        at = ring.index(me.node)
        near = {ring[(at + step) % len(ring)] for step in range(-_NEIGHBOURS, _NEIGHBOURS + 1)} - {me.node}
        others = sorted(set(ring) - near - {me.node})
        near |= set(self._rng.sample(others, min(_AT_RANDOM, len(others))))
        suffix = f"{pods.SERVICE}.{self._place.namespace}.svc"
        return {
            node: Peer(address=known[node].address, service=f"{known[node].name}.{suffix}") for node in sorted(near)
        }

    async def _look_from(self, living: _Living, orders: Orders) -> Probed:
        seen = _so_far(living.document)
        patience = self._limits.look + (orders.stream.seconds if orders.stream else 0)
        try:
            async with asyncio.timeout(patience):
                seen = await self._ask(living.name, seen, orders)
        except TimeoutError:
            return replace(seen, state="timeout", status=f"it did not answer within {patience:g} s")
        except (FairleadError, msgspec.DecodeError) as error:
            return replace(seen, state="timeout", status=f"it could not be asked: {error}")
        return replace(seen, pull=await self._pulled(living))

    async def _ask(self, pod: str, seen: Probed, orders: Orders) -> Probed:
        """With what it saw, and how its clock goes. Raises: FairleadError."""
        session = await self._api.client.exec(
            pod, self._place.namespace, ["fairlead", "probe", "look"], container="probe", stdin=True
        )
        try:
            lines = _lines(session.output())
            await anext(lines)  # it has started
            sent = self._clock.now()
            body = encoded(orders)
            await session.send(b"%d\n" % len(body) + body)
            told = msgspec.json.decode(await anext(lines), type=dict[str, float])
            answered = self._clock.now()
            return replace(
                seen,
                state="finished",
                looked=LOOKED.decode(await anext(lines)),
                offset=round(told["time"] - (sent + answered) / 2, 3),
                round_trip=round(answered - sent, 3),
            )
        except StopAsyncIteration as error:
            raise FairleadError(f"the probe ended with exit code {session.exit_code} before it had looked") from error
        finally:
            await session.close()

    async def _pulled(self, living: _Living) -> str | None:
        """What came of the second container, for whose image the node's runtime had to ask the registry."""
        if not self._place.pulls:
            return None
        end = self._clock.monotonic() + self._limits.start / 4
        while True:
            with contextlib.suppress(FairleadError):
                path = path_of("v1", "pods", living.name, self._place.namespace)
                pod = await self._api.get(path)
                if _is_pulled(pod):
                    return "ok"
                waits = (_container(pod, "pull").get("state") or {}).get("waiting") or {}
                said = str(waits.get("message") or "")
                if _in_vain(waits) and not self._is_pulled_again(living, said):
                    return said or str(waits["reason"])
            if self._clock.monotonic() >= (
                end if living.refused is None else living.refused + 2 * self._limits.second_pull
            ):
                return "timeout"
            await self._clock.sleep(self._limits.poll)

    async def _read_events(self) -> None:
        """Why late ones are late: a node whose network is broken says so in events alone."""
        now = self._clock.monotonic()
        late = any(now - each.since >= self._limits.late for each in self._living.values() if not each.address)
        if late and now - self._events_read >= _EVENTS_SECONDS:
            self._events_read = now
            with contextlib.suppress(FairleadError):
                self._events = await events_of(self._api, self._place.namespace)

    def _give_up(self) -> None:
        """On those of which the cluster says that they will not start, and on late ones."""
        now = self._clock.monotonic()
        for living in list(self._living.values()):
            event, message = self._events.get(living.name, ("", ""))
            late = now - living.since >= (self._limits.late if event == _NO_SANDBOX else self._limits.start)
            state = _hopeless(living.document) or ("not_started" if late else "")
            if state == _NO_PULL and self._is_pulled_again(living, _so_far(living.document).message):
                continue
            if state and not living.address:
                del self._living[living.node]
                seen = _so_far(living.document)
                own = "" if _ECHO.fullmatch(seen.message) else seen.message
                pull = "ok" if _is_pulled(living.document) else None
                found = replace(seen, state=state, event=event, message=own or message or seen.message, pull=pull)
                self.results[living.node] = found
                self._tell(f"{living.node}: {_in_words(found)}")

    def _is_pulled_again(self, living: _Living, said: str) -> bool:
        """Whether a pull that failed may be one that its node made without the pull secret, by what was said of it.

        Notes when the first was seen.
        """
        if not self._place.pull_secret or cause_of(said) in _WHATEVER_THE_SECRET:
            return False
        now = self._clock.monotonic()
        living.refused = now if living.refused is None else living.refused
        return now - living.refused < self._limits.second_pull

    def _progress(self, total: int) -> None:
        waits = next((each for each in self._living.values() if not each.address), None)
        if waits is not None and self._clock.monotonic() - waits.since > 5:
            for_ = round(self._clock.monotonic() - waits.since)
            if for_ < self._told.get(waits.node, 0) * 2:
                return  # each time after twice as long as before
            self._told[waits.node] = for_
            self._tell(
                f"{waits.node}: {_in_words(_so_far(waits.document))} {for_} s ({len(self.results)} of {total} nodes)"
            )

    async def _remove(self, living: _Living) -> None:
        with contextlib.suppress(FairleadError):
            await self._api.call("DELETE", path_of("v1", "pods", living.name, self._place.namespace))


async def events_of(api: Api, namespace: str, name: str = "", *, warnings: bool = True) -> dict[str, tuple[str, str]]:
    """Name of an object -> (reason, message) of its last event that tells a cause. `name`: of it alone; `warnings`: of those alone."""
    last: dict[str, tuple[bool, str, str, str]] = {}
    chosen = f"involvedObject.name={name}" if name else ""
    for event in await api.list("v1", "events", namespace, fields=chosen):
        about, reason = (event.get("involvedObject") or {}).get("name", ""), str(event.get("reason", ""))
        if reason in _BESIDE or (event.get("type") == "Normal" and warnings):
            continue
        when = str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"))
        said = str(event.get("message", ""))
        told = (_ECHO.fullmatch(said) is None, when, reason, said)
        if told[:2] >= last.get(about, (False, ""))[:2]:
            last[about] = told
    return {about: found[2:] for about, found in last.items()}


_BESIDE: Final = frozenset(("MissingClusterDNS", "DNSConfigForming", "CheckLimitsForResolvConf"))
"""Reasons of warnings that hold nothing up: the kubelet gives them for every pod of its node."""
_ECHO: Final = re.compile(r'Error: \w+|Back-off pulling image "[^"]*"')
"""What follows a failure and says nothing of its cause."""


async def _lines(output: AsyncIterator[tuple[int, bytes]]) -> AsyncIterator[bytes]:
    rest = b""
    async for channel, data in output:
        if channel != STDOUT:
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line


def _address(pod: Document) -> str:
    """Its address, once its probe answers."""
    if "running" in (_container(pod, "probe").get("state") or {}):
        return str((pod.get("status") or {}).get("podIP") or "")
    return ""


def _container(pod: Document, name: str) -> Document:
    listed = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((each for each in listed if each.get("name") == name), {})


def _is_pulled(pod: Document) -> bool:
    """Whether the second container's image was pulled: it came to its start, whatever became of that."""
    state = _container(pod, "pull").get("state") or {}
    return "running" in state or "terminated" in state


def _hopeless(pod: Document) -> str:
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return "not_started"
    return _in_vain((_container(pod, "probe").get("state") or {}).get("waiting") or {})


def _in_vain(waits: Document) -> str:
    """What becomes of a probe that waits like that; empty where it may start yet."""
    if waits.get("reason") in NO_IMAGE:
        return _NO_PULL
    return "not_started" if waits.get("reason") in NO_START | {"CrashLoopBackOff"} else ""


def _so_far(pod: Document) -> Probed:
    status = pod.get("status") or {}
    container = _container(pod, "probe")
    waits = (container.get("state") or {}).get("waiting") or {}
    ended = (container.get("state") or {}).get("terminated") or {}
    image = next((c.get("image", "") for c in (pod.get("spec") or {}).get("containers") or ()), "")
    said = str(waits.get("message") or status.get("message") or ended.get("message") or "")
    return Probed(
        state="not_started",
        status=str(waits.get("reason") or status.get("reason") or status.get("phase") or "Pending"),
        image=str(image),
        message=said,
        exit=_OTHER_PLATFORM if _OTHER_PLATFORM in f"{said} {ended.get('message')}" else ended.get("exitCode"),
    )


_OTHER_PLATFORM: Final = "exec format error"
"""What the kernel says of a program that was made for another architecture."""


def _in_words(probed: Probed) -> str:
    words = {"ContainerCreating": "its probe is being made", "Pending": "its probe waits for its node"}
    told = words.get(probed.status, probed.status)
    return f"{told}: {shorten(probed.message, _TOLD, placeholder=' …')}" if probed.message else told
