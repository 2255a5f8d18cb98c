"""What a probe does in its pod: it answers others, and when it is asked to it looks at its node and at the ways out of it.

It needs no rights and holds no secrets: what to look at comes on standard input, what was seen goes to standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from fairlead.preflight.gather import nfs, nonce
from fairlead.preflight.gather.reach import Ask, Seen, exchange_word, look_up, name_word, reach
from fairlead.preflight.gather.registry import Wanted, asked
from fairlead.preflight.gather.services import result_of
from fairlead.preflight.gather.stream import Held, Stream, hold
from fairlead.runtime.settings import environment

PORT: Final = 8479
LARGE_BYTES: Final = 6000
"""More than one packet of any usual size, jumbo frames apart: a path that loses large ones shows."""
_MORE_ECHOES: Final = 2
"""The fastest counts: a slow way is slow each time, a busy node now and then."""
_NVIDIA: Final = "0x10de"
_GPU_CLASSES: Final = ("0x0300", "0x0302")
_BRIDGE_CLASS: Final = "0x0680"
_RESOLV: Final = Path("/etc/resolv.conf")
_PATIENCE: Final = 10.0
_NO_NAME: Final = "dns"
_WRITTEN_SECONDS: Final = 5.0
"""A sample that was taken can be queried within this, whoever takes it."""


class Peer(Struct, frozen=True, kw_only=True):
    """Another probe."""

    address: str
    service: str = ""
    """A name by which it is reached through a Service."""
    port: int = PORT


class Orders(Struct, frozen=True, kw_only=True):
    """What to look at. Units: seconds."""

    requests: dict[str, Ask] = field(default_factory=dict)
    read_back: dict[str, Ask] = field(default_factory=dict)
    """By the key of a request that writes: a query to Prometheus that finds what was written."""
    names: tuple[str, ...] = ()
    """Looked up with and without a final dot."""
    peers: dict[str, Peer] = field(default_factory=dict)
    """By node."""
    stream: Stream | None = None
    """The agent's connection, to be held."""
    registry: Wanted | None = None
    """An image to ask a registry for."""
    nfs: str = ""
    """A file server: its name or address."""
    ways_in: tuple[Ask, ...] = ()
    """Requests by a public name, each of which would come back to a probe."""
    any_name: str = ""
    """A name that resolves where any does that is below another."""
    patience: float = _PATIENCE
    """For each name and each connection to a peer."""


class Name(Struct, frozen=True, kw_only=True):
    """How a name was resolved; `same`: with a final dot it leads to the same addresses."""

    plain: str
    with_dot: str
    same: bool


class Link(Struct, frozen=True, kw_only=True):
    """How another probe was reached: words are `ok` or what went wrong."""

    by_address: str
    by_service: str | None = None
    large: str | None = None
    seconds: float = 0.0


class Looked(Struct, frozen=True, kw_only=True):
    """What a probe saw."""

    requests: dict[str, Seen] = field(default_factory=dict)
    read_back: dict[str, bool] = field(default_factory=dict)
    """Whether what was written was found; left out where the query was not answered."""
    names: dict[str, Name] = field(default_factory=dict)
    peers: dict[str, Link] = field(default_factory=dict)
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    pci_nvidia: int | None = None
    nvswitch: bool | None = None
    driver: str | None = None
    nvml_devices: int | None = None
    """GPUs that the loaded driver knows."""
    mig_enabled_devices: int | None = None
    """Those of them that are split into instances."""
    stream: Held | None = None
    registry: dict[str, Any] | None = None
    nfs: str | None = None
    """Whether the file server answers: `ok` or what went wrong."""
    came_back: str | None = None
    """Whether one of the requests by a public name did: `ok` or what went wrong."""
    any_name: str | None = None
    """How that name resolved: `ok` or what went wrong."""
    free_disk_bytes: int | None = None
    api_host: str | None = None


async def look(orders: Orders) -> Looked:
    """Look at everything that is asked for, side by side."""
    (seen, found), named, linked, registry, stream, (file_server, came_back, any_name) = await asyncio.gather(
        _asked(orders),
        asyncio.gather(*(_look_up(name, orders.patience) for name in orders.names)),
        asyncio.gather(*(_link(peer, orders.patience) for peer in orders.peers.values())),
        _registry(orders.registry),
        _held(orders.stream),
        asyncio.gather(_file_server(orders), _way_in(orders), _any_name(orders)),
    )
    servers, search, ndots = resolver(_text(_RESOLV))
    gpus, switches = devices(Path("/sys/bus/pci/devices"))
    return Looked(
        requests=seen,
        read_back=found,
        names=dict(zip(orders.names, named, strict=True)),
        peers=dict(zip(orders.peers, linked, strict=True)),
        nameservers=servers,
        search=search,
        ndots=ndots,
        pci_nvidia=gpus,
        nvswitch=None if switches is None else switches > 0,
        nvml_devices=_count(Path("/proc/driver/nvidia/gpus")),
        mig_enabled_devices=split_devices(Path("/proc/driver/nvidia/capabilities")),
        registry=registry,
        stream=stream,
        nfs=file_server,
        came_back=came_back,
        any_name=any_name,
        driver=driver_version(_text(Path("/proc/driver/nvidia/version"))),
        free_disk_bytes=_free_disk(),
        api_host=environment().get("KUBERNETES_SERVICE_HOST"),
    )


async def _asked(orders: Orders) -> tuple[dict[str, Seen], dict[str, bool]]:
    """What came of all requests, and whether what they wrote is there."""
    answers = await asyncio.gather(*(reach(each) for each in orders.requests.values()))
    seen = dict(zip(orders.requests, answers, strict=True))
    written = {key: ask for key, ask in orders.read_back.items() if (seen[key].status or 0) // 100 == 2}
    found = await asyncio.gather(*(_is_found(each) for each in written.values()))
    return seen, {key: each for key, each in zip(written, found, strict=True) if each is not None}


async def _is_found(query: Ask) -> bool | None:
    """Whether it gives a series, at once or soon; None where it is not answered."""
    end = time.monotonic() + _WRITTEN_SECONDS
    while not (found := result_of(await reach(query))) and time.monotonic() < end:  # noqa: ASYNC110  # it is asked, it does not tell
        await asyncio.sleep(0.5)
    return None if found is None else bool(found)


async def _held(stream: Stream | None) -> Held | None:
    return None if stream is None else await hold(stream)


async def _file_server(orders: Orders) -> str | None:
    return await nfs.answers(orders.nfs, orders.patience) if orders.nfs else None


async def _way_in(orders: Orders) -> str | None:
    ways = orders.ways_in
    return await nonce.came_back(ways, urlsplit(ways[0].url).path) if ways else None


async def _any_name(orders: Orders) -> str | None:
    return (await _addresses(f"{orders.any_name}.", orders.patience))[0] if orders.any_name else None


async def _registry(wanted: Wanted | None) -> dict[str, Any] | None:
    return None if wanted is None else await asked(wanted)


def resolver(text: str) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """(nameservers, search domains, ndots) of a resolv.conf."""
    servers, search, ndots = [], [], 1
    for line in text.splitlines():
        word, *rest = line.split() or [""]
        if word == "nameserver":
            servers += rest[:1]
        elif word in ("search", "domain"):
            search = rest
        elif word == "options":
            ndots = next((int(o[6:]) for o in rest if o.startswith("ndots:") and o[6:].isdigit()), ndots)
    return tuple(servers), tuple(search), ndots


def devices(folder: Path) -> tuple[int | None, int | None]:
    """(GPUs, switches between them) of NVIDIA on the PCI bus; None where the bus cannot be seen."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return None, None
    classes = [_text(e / "class").strip()[:6] for e in entries if _text(e / "vendor").strip() == _NVIDIA]
    return sum(c in _GPU_CLASSES for c in classes), sum(c == _BRIDGE_CLASS for c in classes)


def driver_version(text: str) -> str | None:
    """The version in /proc/driver/nvidia/version: the first word of its first line that looks like one."""
    for word in text.partition("\n")[0].split():
        parts = word.split(".")
        if len(parts) >= 2 and all(part.isdigit() for part in parts):
            return word
    return None


def split_devices(folder: Path) -> int | None:
    """GPUs that have MIG instances, by the driver's folder of capabilities; None where it has none: it knows of no MIG."""
    if not folder.is_dir():
        return None
    return len({instance.parent.parent for instance in folder.glob("gpu*/mig/gi*")})


@contextlib.asynccontextmanager
async def answering(port: int = PORT, host: str | None = None) -> AsyncIterator[int]:
    """Answer other probes, each with what it sent, until the end of the block; gives the port."""
    server = await asyncio.start_server(_answer, host, port)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError, EOFError, ValueError, IndexError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            first = await reader.readline()
            if first.startswith(nonce.GET):
                await nonce.answered(first, reader, writer)
                return
            size = int(first)
            writer.write(await reader.readexactly(min(size, 1 << 20)))
            await writer.drain()


async def _link(peer: Peer, patience: float) -> Link:
    by_address, took = await _first_echo(peer, patience)
    if by_address != "ok":
        return Link(by_address=by_address, seconds=took)
    for _ in range(_MORE_ECHOES):
        again, sooner = await _timed_echo(peer, patience)
        took = min(took, sooner) if again == "ok" else took
    return Link(
        by_address=by_address,
        large=await _echo(peer.address, peer.port, LARGE_BYTES, patience),
        by_service=await _by_service(peer, patience) if peer.service else None,
        seconds=took,
    )


async def _first_echo(peer: Peer, patience: float) -> tuple[str, float]:
    """What came, and after how many seconds. Its container runs; on a slow node its program may need a moment yet to answer."""
    end = time.monotonic() + patience
    while True:
        told, took = await _timed_echo(peer, patience)
        if told != "refused" or time.monotonic() >= end:
            return told, took
        await asyncio.sleep(0.5)


async def _timed_echo(peer: Peer, patience: float) -> tuple[str, float]:
    began = time.monotonic()
    told = await _echo(peer.address, peer.port, 64, patience)
    return told, round(time.monotonic() - began, 3)


async def _by_service(peer: Peer, patience: float) -> str:
    """What came by its name. A name that is not known, or not in time, is told as that: it is no fault of the way."""
    word, addresses = await _addresses(peer.service, patience)
    return await _echo(addresses[0], peer.port, 64, patience) if word == "ok" else _NO_NAME


async def _echo(host: str, port: int, size: int, patience: float) -> str:
    sent = secrets.token_bytes(size)
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"%d\n" % size + sent)
                return "ok" if await reader.readexactly(size) == sent else "other content"
            finally:
                writer.close()
    except (OSError, EOFError) as error:
        return exchange_word(error)


async def _look_up(name: str, patience: float) -> Name:
    bare = name.rstrip(".")
    (plain, here), (dotted, there) = await asyncio.gather(_addresses(bare, patience), _addresses(f"{bare}.", patience))
    return Name(plain=plain, with_dot=dotted, same=plain == dotted and (here == there or bool(set(here) & set(there))))


async def _addresses(name: str, patience: float) -> tuple[str, tuple[str, ...]]:
    try:
        async with asyncio.timeout(patience):
            return "ok", await look_up(name)
    except TimeoutError:
        return "timeout", ()
    except OSError as error:
        return name_word(error), ()


def _count(folder: Path) -> int | None:
    """Entries of a folder; None where there is none."""
    try:
        return len(list(folder.iterdir()))
    except OSError:
        return None


def _free_disk() -> int | None:
    """Free bytes of the disk that this pod's own folder is on, which is that of the kubelet's folder."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage("/scratch").free
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


ORDERS: Final = msgspec.json.Decoder(Orders)
LOOKED: Final = msgspec.json.Decoder(Looked)


def encoded(value: Orders | Looked) -> bytes:
    """As it travels. Bytes become base64, as JSON has it."""
    return msgspec.json.encode(value)
