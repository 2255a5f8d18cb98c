"""Hidden addresses: each is another one of the same sort, the same in a whole bundle, and what lay in one range still does.

Two addresses that began with the same n bits begin with the same n bits afterwards, so that ranges, their lengths and what overlaps
can still be judged. Private ranges stay private ones, and what every machine has (loopback, masks, the cloud's metadata service) stays.
Source: Xu, Fan, Ammar, Moon, "Prefix-preserving IP address anonymization" (2002).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

Address = IPv4Address | IPv6Address

_V4: Final = re.compile(r"(?<!\d)(?<!\d\.)(?<!(?i:ffff):)(\d{1,3}(?:\.\d{1,3}){3})(/\d{1,2}(?!\w))?(?!\d)(?!\.\d)")
_V6: Final = re.compile(r"([0-9A-Fa-f:]*:(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*))(/\d{1,3}(?!\w))?")
_DASHED: Final = re.compile(r"(?<![\w])(ip-)(\d{1,3}(?:-\d{1,3}){3})(?![\w-])")
"""As clouds name machines after their address."""
_VERSION: Final = re.compile(
    r"(?i)(?:version|release|build|driver|kernel|chart|tag|revision)s?[\"']?\s*(?:[:=]|is|of)?\s*[\"']?$"
)
_GLUED: Final = re.compile(r"\w[-./_+~]?$|[\w.-]+/[\w./-]*:$")
"""Before four numbers that are mostly a version: `v1.2.3.4`, `pause-1.2.3.4`, `kubectl/1.2.3.4`, `repo/image:1.2.3.4`."""
_PRIVATE: Final = re.compile(r"10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.")
_SUFFIX: Final = re.compile(r"[-+~_](?!\d+\.\d+\.\d+\.\d+)\w")
"""After four numbers that are mostly a version: `1.2.3.4-rc1`."""
_BLOCKS: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/8",
    "2000::/3",
    "fc00::/8",
    "fd00::/8",
    "fe80::/10",
    "ff00::/8",
)
"""Ranges that stay where they are; only what is in them moves."""
_STAY: Final = tuple(
    ip_network(each) for each in ("0.0.0.0/8", "127.0.0.0/8", "169.254.169.254/32", "224.0.0.0/3", "::/127")
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


class Addresses:
    """`salt`: by which addresses are hidden; it is in no file."""

    def __init__(self, salt: str) -> None:
        self._salt = salt
        self._seen: set[str] = set()
        """What is an address beyond doubt, wherever it stands."""
        self._hidden: Callable[[str, int], str] = cache(self._made)

    def learn(self, value: Any, key: str = "") -> None:
        """Notes what is an address in a document or a text. `key`: under which it stands."""
        if isinstance(value, dict):
            for name, inner in value.items():
                self.learn(name)
                self.learn(inner, name)
        elif isinstance(value, list | tuple):
            for inner in value:
                self.learn(inner, key)
        elif isinstance(value, str) and not is_version(key):
            self._seen.update(found[1] for found in _V4.finditer(value) if not _is_version(found))

    def text(self, text: str) -> str:
        """The text with every address hidden, and versions of four numbers as they were."""
        text = _V4.sub(self._v4, text)
        if ":" in text:
            text = _V6.sub(self._v6, text)
        return _DASHED.sub(
            lambda found: found[1] + self._hidden(found[2].replace("-", "."), -1).replace(".", "-"), text
        )

    def _v4(self, found: re.Match[str]) -> str:
        if _is_version(found) and found[1] not in self._seen:
            return found[0]
        return self._hidden(found[1], _bits(found[2])) + (found[2] or "")

    def _v6(self, found: re.Match[str]) -> str:
        before, text, after = found.string[: found.start()], found[1], ""
        lead = ""
        if before[-1:].isalnum() or before[-1:] == "_":  # the end of a word, as in `node:fd00::1`
            lead, _, text = text.partition(":")
            lead += ":"
        elif text.startswith(":") and not text.startswith("::"):
            lead, text = ":", text[1:]
        if text.endswith(":") and not text.endswith("::"):
            text, after = text[:-1], ":"
        return (
            lead + self._hidden(text, _bits(found[2])) + after + (found[2] or "") if text.count(":") > 1 else found[0]
        )

    def _made(self, text: str, bits: int) -> str:
        """The address that stands for another. `bits`: of its range, or -1. What is none is given back."""
        try:
            address = ip_address(text)
        except ValueError:
            return text
        if any(address in each for each in _STAY):
            return text
        if address in _MAPPED and isinstance(address, IPv6Address):
            return f"::ffff:{self._made(str(address.ipv4_mapped), bits - 96 if bits > 96 else -1)}"
        return str(self._moved(address, bits))

    def _moved(self, address: Address, bits: int) -> Address:
        whole = f"{int(address):0{address.max_prefixlen}b}"
        length = bits if 0 <= bits <= len(whole) and "1" not in whole[bits:] else len(whole)
        moved = "".join(
            str(int(bit) ^ self._flip(address.version, whole[:at])) for at, bit in enumerate(whole[:length])
        )
        return type(address)(int(moved.ljust(len(whole), "0"), 2))

    def _flip(self, version: int, prefix: str) -> int:
        """Whether the bit that follows is turned: known by the bits before it alone."""
        if any(block.startswith(prefix) and block != prefix for block in _blocks(version)):
            return 0
        return hashlib.sha256(f"{self._salt}/{version}/{prefix}".encode()).digest()[0] & 1


def is_version(key: str) -> bool:
    """Whether what stands under a key is a version, and no address."""
    return "version" in key.lower()


def _is_version(found: re.Match[str]) -> bool:
    before = found.string[max(0, found.start() - 60) : found.start()]
    if before.endswith("/") and _PRIVATE.match(found[1]):
        return False  # `nodes/10.1.2.3`
    if _VERSION.search(before) or _GLUED.search(before):
        return True
    return not found[2] and _SUFFIX.match(found.string, found.end()) is not None


def _bits(range_: str | None) -> int:
    return int(range_[1:]) if range_ else -1


@cache
def _blocks(version: int) -> tuple[str, ...]:
    found = [each for each in map(ip_network, _BLOCKS) if each.version == version]
    return tuple(f"{int(each.network_address):0{each.max_prefixlen}b}"[: each.prefixlen] for each in found)
