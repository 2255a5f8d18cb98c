"""Protobuf as it lies on the wire: fields by their number. What they mean is said where a message is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Part: TypeAlias = bytes | int


def parts(data: bytes) -> Iterator[tuple[int, Part]]:
    """(number, value) of each field. Raises: IndexError, ValueError where the bytes end too early or have no form."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        form = key & 7
        if form == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if form == 2:
            size, at = _varint(data, at)
        elif form in (1, 5):
            size = 8 if form == 1 else 4
        else:
            raise ValueError(form)
        if at + size > len(data):
            raise IndexError(at)
        yield key >> 3, data[at : at + size]
        at += size


def whole(part: Part) -> bytes:
    """The bytes of a field that holds a message or text. Raises: TypeError where it holds a number."""
    if not isinstance(part, bytes):
        raise TypeError(part)
    return part


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError(at)
