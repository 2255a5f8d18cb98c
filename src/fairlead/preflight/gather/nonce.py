"""A request by a public name that has to come back to a probe of this cluster: how a probe answers it, and how one asks.

The answer is made from the path and is not in it: a page that repeats what it is asked for is not taken for a probe.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Final

from fairlead.preflight.gather.reach import Ask, Seen, failure_of, reach

GET: Final = b"GET "
"""What a request begins with that is answered."""
ANSWERED: Final = "answered with "
"""How what is told begins where somebody else answers."""
PATIENCE: Final = 4.0
"""For one request. Units: seconds."""
_TAKEN_UP: Final = 25.0
"""Within this a controller serves an Ingress that is new. Units: seconds."""


def path_of(run: str) -> str:
    """Where the probes of a run are asked."""
    return f"/.fairlead-preflight-{run}"


def answer(path: str) -> bytes:
    """The body that belongs to a path."""
    return f"fairlead-preflight {hashlib.sha256(path.encode()).hexdigest()}".encode()


async def answered(first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a request, its first line read. Raises: OSError, ValueError."""
    while (await reader.readline()).strip():
        pass
    body = answer(first.split()[1].decode("ascii"))
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def came_back(asks: Sequence[Ask], path: str, seconds: float = _TAKEN_UP) -> str:
    """`ok` where one of them came back; else what became of the one that got farthest.

    As long as somebody else answers it is asked again: the controller may not have taken the way up yet.
    """
    end = time.monotonic() + seconds
    while True:
        seen = await asyncio.gather(*(reach(each) for each in asks))
        if any(each.status == 200 and each.body == answer(path) for each in seen):
            return "ok"
        farthest = next((each for each in seen if each.reached), seen[0])
        if not farthest.reached or time.monotonic() >= end:
            return _word(farthest)
        await asyncio.sleep(1)


def _word(seen: Seen) -> str:
    return f"{ANSWERED}{seen.status}" if seen.reached else failure_of(seen)
