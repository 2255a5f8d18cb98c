"""Streams: lines out of pieces that know nothing of lines, and an end to what is no longer read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give each line without its end; a last one that was cut off is dropped, for half an event is no event."""
    rest = b""
    async with closing(pieces):
        async for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n") if rest else piece.split(b"\n")
            for line in whole:
                if line:
                    yield line


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Give the stream, and end it at once when the block is left: its connection must not wait for the collector."""
    try:
        yield stream
    finally:
        if close := getattr(stream, "aclose", None):
            await close()
