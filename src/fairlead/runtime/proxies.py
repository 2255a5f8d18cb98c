"""Which proxy an address is reached through, if any: as a setting says, else as HTTPS_PROXY, HTTP_PROXY and NO_PROXY do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from fairlead.runtime.errors import Invalid

_PORTS: Final = {"http": 80, "https": 443}


class Proxy(Struct, frozen=True, kw_only=True):
    """An HTTP proxy that is asked to CONNECT. `told_by`: the setting or variable that names it."""

    scheme: str
    host: str
    port: int
    told_by: str
    user: str = ""
    password: str = ""

    @property
    def shown(self) -> str:
        """Its address without credentials, for people."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """Its address with credentials, for programs."""
        if not self.user:
            return self.shown
        credentials = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return self.shown.replace("://", f"://{credentials}@", 1)


class Way(Struct, frozen=True, kw_only=True):
    """What was set. Empty fields leave it to the environment."""

    proxy: str = ""
    credentials: str = ""
    """USER:PASSWORD; wins over those in the address."""
    no_proxy: str = ""


def proxy_for(url: str, way: Way, env: Mapping[str, str], setting: str) -> Proxy | None:
    """The proxy by which `url` is reached, None where it is reached directly. `setting`: the name of `way.proxy` for people.

    From the environment the loopback addresses are never proxied, as in most programs; a setting is taken at its word.
    Raises: Invalid where what was set is no HTTP proxy, or NO_PROXY holds a range that is none.
    """
    target = urlsplit(url)
    host, port = (target.hostname or "").rstrip("."), target.port or _PORTS.get(target.scheme, 443)
    variable = f"{target.scheme.upper()}_PROXY"
    address = way.proxy or _variable(env, variable)
    if not address or is_exempt(host, port, way.no_proxy or _variable(env, "NO_PROXY")):
        return None
    if not way.proxy and _is_loopback(host):
        return None
    return _parsed(address, way.credentials, setting if way.proxy else variable)


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether a list as in NO_PROXY names this host: `*`, names with what is below them, addresses, ranges; each with or without port.

    Names are not looked up: a range exempts addresses only. Raises: Invalid for a range that is none.
    """
    return any(_names(entry, host.lower(), port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def is_range_exempt(network: str, no_proxy: str) -> bool:
    """Whether a list as in NO_PROXY names every address of a range: `*`, or ranges and addresses that hold it together.

    Raises: Invalid for a range in the list that is none; ValueError where `network` is none.
    """
    wanted = ip_network(network, strict=False)
    entries = [entry for entry in re.split(r"[,\s]+", no_proxy) if entry]
    named = [wide for entry in entries if entry != "*" for wide in _ranges(entry) if wide.version == wanted.version]
    return "*" in entries or any(_holds(wide, wanted) for wide in collapse_addresses(named))  # type: ignore[type-var]


def _ranges(entry: str) -> list[IPv4Network | IPv6Network]:
    """The range of an entry, or the one address it is; none for a name."""
    if "/" in entry:
        return [_range(entry)]
    try:
        return [ip_network(_split(entry)[0])] if _split(entry)[1] is None else []
    except ValueError:
        return []


def _holds(wide: IPv4Network | IPv6Network, narrow: IPv4Network | IPv6Network) -> bool:
    if isinstance(wide, IPv4Network) and isinstance(narrow, IPv4Network):
        return narrow.subnet_of(wide)
    return isinstance(wide, IPv6Network) and isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _is_within(host, entry)
    name, wanted = _split(entry.lower())
    if wanted is not None and wanted != port:
        return False
    try:
        return ip_address(name) == ip_address(host)
    except ValueError:
        name = name.removeprefix("*").lstrip(".").rstrip(".")
        return bool(name) and (host == name or host.endswith("." + name))


def _split(entry: str) -> tuple[str, int | None]:
    """(host, port or None) of HOST, HOST:PORT, [V6], [V6]:PORT or V6."""
    if found := re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+):(\d+)", entry):
        host, port = found[1] or found[3], found[2] or found[4]
        return host, int(port) if port else None
    return entry, None


def _is_within(host: str, entry: str) -> bool:
    wide = _range(entry)
    try:
        return ip_address(host) in wide
    except ValueError:
        return False


def _range(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry, strict=False)
    except ValueError as error:
        raise Invalid(
            f"NO_PROXY names {entry!r}, which is no range of addresses: {error}.",
            hint="Expected something like 10.0.0.0/8 or fd00::/8.",
            code="proxy-settings",
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parsed(address: str, credentials: str, told_by: str) -> Proxy:
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        port = 0
    if parts.scheme not in _PORTS or not parts.hostname or not port:
        raise Invalid(
            f"{told_by} is {re.sub('//[^/]*@', '//', address)!r}, which is no HTTP proxy.",
            hint="Expected http://HOST:PORT or https://HOST:PORT.",
            code="proxy-settings",
        )
    user, _, password = credentials.partition(":")
    return Proxy(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port,
        told_by=told_by,
        user=user or unquote(parts.username or ""),
        password=password if user else unquote(parts.password or ""),
    )


def _variable(env: Mapping[str, str], name: str) -> str:
    """Either spelling; the small one wins, as in curl."""
    return env.get(name.lower(), "") or env.get(name, "")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
