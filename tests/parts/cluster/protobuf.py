"""As much of protobuf's encoding as the kubelet's plugin interfaces need; messages are fields by their number."""

from __future__ import annotations

from collections.abc import Iterable

Field = tuple[int, bytes | str | int | bool]
Message = dict[int, list[bytes | int]]
"""The values of each field that is there, in order."""


def encode(fields: Iterable[Field]) -> bytes:
    """Give a message: text and messages length-delimited, numbers as varints."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(int(value))
        else:
            content = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(content)) + content
    return bytes(out)


def decode(message: bytes) -> Message:
    """Give the fields of a message. Raises: ValueError for a wire type that these interfaces do not use."""
    fields: Message = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if tag & 7 == 2:
            fields.setdefault(tag >> 3, []).append(message[at : at + value])
            at += value
        elif tag & 7 == 0:
            fields.setdefault(tag >> 3, []).append(value)
        else:
            raise ValueError(f"wire type {tag & 7}")
    return fields


def parts(message: bytes, number: int) -> list[bytes]:
    """Give the values of a field that holds messages or text."""
    return [value for value in decode(message).get(number, []) if isinstance(value, bytes)]


def texts(message: bytes, number: int) -> list[str]:
    """Give the values of a field that holds text."""
    return [value.decode() for value in parts(message, number)]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        shift += 7
        at += 1
        if message[at - 1] < 0x80:
            return value, at
