"""One sample as Prometheus remote write takes it. Pure. Source: Prometheus remote-write specification 1.0; Snappy block format."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

HEADERS: Final = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
NAME: Final = "fairlead_preflight"
_LONGEST_LITERAL: Final = 60


def write_request(labels: Mapping[str, str], value: float, at: float) -> bytes:
    """The body of a request that writes one sample. `at`: seconds since the epoch."""
    named = sorted({"__name__": NAME, **labels}.items())
    series = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in named)
    sample = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(at * 1000))
    return _uncompressed(_field(1, series + _field(2, sample)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _uncompressed(data: bytes) -> bytes:
    """A Snappy block of literals: a few bytes are not worth a compressor."""
    pieces = [data[at : at + _LONGEST_LITERAL] for at in range(0, len(data), _LONGEST_LITERAL)]
    return _varint(len(data)) + b"".join(bytes([len(piece) - 1 << 2]) + piece for piece in pieces)
