"""The ways out: which host is reached for what, when, and through which proxy. Everything from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fairlead.preflight.config import Config
from fairlead.runtime.proxies import is_exempt

HTTPS: Final = 443
INSTALLATION: Final = "during installation"
RUN_TIME: Final = "after installation"


@dataclass(frozen=True)
class Way:
    """One row of what has to be let out. `hosts`: (host, port). `idle`: why it is not needed, empty where it is."""

    name: str
    row: str
    hosts: tuple[tuple[str, int], ...]
    when: str
    origin: str
    """From where."""
    purpose: str
    idle: str = ""


_NO_OUTSIDE: Final = "air_gap is on"
WORKSTATION: Final = "this machine"
"""From where Helm fetches the chart, and no pod."""


def ways(config: Config) -> tuple[Way, ...]:
    """All rows, in their order."""
    shut = _NO_OUTSIDE if config.air_gap else ""
    default_url = Config().control_plane.url
    return (
        Way(
            "charts",
            INSTALLATION,
            _hosts(config.egress.charts),
            "install and upgrade",
            WORKSTATION,
            "the chart",
            shut or _unset(config.egress.charts, "egress.charts"),
        ),
        Way(
            "product-images",
            INSTALLATION,
            _hosts(config.registry.host),
            "install, upgrade and new nodes",
            "nodes",
            "the product's images",
            shut,
        ),
        Way(
            "third-party-images",
            INSTALLATION,
            _hosts(*config.egress.third_party),
            "install and new nodes",
            "nodes",
            "third-party images",
            shut or _unset(" ".join(config.egress.third_party), "egress.third_party"),
        ),
        Way(
            "metrics",
            RUN_TIME,
            _hosts(config.remote_write.url),
            "always",
            "where Prometheus runs",
            "metrics",
            _unset(config.remote_write.url, "remote_write.url"),
        ),
        Way(
            "control-plane",
            RUN_TIME,
            _hosts(config.control_plane.url),
            "always",
            "system nodes, and browsers",
            "the control plane",
            (shut if config.control_plane.url == default_url else "")
            or _unset(config.control_plane.url, "control_plane.url"),
        ),
        Way(
            "sign-in",
            RUN_TIME,
            _hosts(config.oidc.issuer),
            "always",
            "the control plane, and browsers",
            "sign-in",
            _unset(config.oidc.issuer, "oidc.issuer"),
        ),
    )


def way_named(name: str, config: Config) -> Way:
    """The row of that name."""
    return next(way for way in ways(config) if way.name == name)


def is_proxied(host: str, port: int, config: Config) -> bool:
    """Whether the host is reached through the proxy: there is one, and no_proxy does not name the host."""
    return bool(proxy_of(config)) and not is_exempt(host, port, config.proxy.no_proxy)


def proxy_of(config: Config) -> str:
    """The proxy's address; never with user and password. Empty where there is none."""
    address = config.proxy.https or config.proxy.http
    if not address:
        return ""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _unset(value: str, key: str) -> str:
    return "" if value else f"{key} is not set"


def _hosts(*addresses: str) -> tuple[tuple[str, int], ...]:
    found = (host_and_port(address) for address in addresses if address)
    return tuple(dict.fromkeys(found))


def host_and_port(address: str) -> tuple[str, int]:
    """(host, port) of a URL, HOST or HOST:PORT; a path behind it does not matter."""
    parts = urlsplit(address if "://" in address else f"https://{address}")
    return parts.hostname or address, parts.port or (80 if parts.scheme == "http" else HTTPS)
