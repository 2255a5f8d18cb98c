"""The ways out: which host is reached for what, when, and through which proxy. Everything from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fairlead.preflight.config import Config, image_home
from fairlead.preflight.facts import Facts
from fairlead.preflight.hide import hidden_name, is_address
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
    key: str
    """Of the configuration: what names the hosts."""
    idle: str = ""
    tried_by: str = ""
    """Code of the check that tells whether it is open, where this way is not asked itself."""
    has_browsers: bool = False
    """Whether the browsers of users take it, too, from wherever they are."""


_NO_OUTSIDE: Final = "air_gap is on"
_ON_NODES: Final = "registry.local_images is on: images are on the nodes and are never pulled"
WORKSTATION: Final = "this machine"
"""From where Helm fetches the chart, and no pod."""


def ways(config: Config) -> tuple[Way, ...]:
    """All rows, in their order."""
    return (_chart(config), *_images(config), *_run_time(config))


def _chart(config: Config) -> Way:
    chart = config.egress.charts
    return Way(
        name="charts",
        row=INSTALLATION,
        hosts=_hosts(registry_in(chart) if chart.startswith("oci://") else chart),
        when="install and upgrade",
        origin=WORKSTATION,
        purpose="the chart",
        key="egress.charts",
        idle=(_shut(config) if chart == Config().egress.charts else "") or _unset(chart, "egress.charts"),
    )


def _images(config: Config) -> tuple[Way, Way]:
    own, third = image_home(config), _third_party(config)
    has_own = config.air_gap and own != Config().registry.host and not config.registry.local_images
    mirrors, are_usual = config.registry.mirrors[:1], third == Config().egress.third_party
    product = Way(
        name="product-images",
        row=INSTALLATION,
        hosts=_hosts(registry_in(own)),
        when="install, upgrade and new nodes",
        origin="nodes",
        purpose="the product's images",
        key="registry.mirrors" if mirrors else "registry.host",
        idle=_ON_NODES
        if config.registry.local_images
        else f"{_NO_OUTSIDE}; registry-pull tries your own registry"
        if has_own
        else _shut(config),
        tried_by="registry-pull" if has_own else "",
    )
    others = Way(
        name="third-party-images",
        row=INSTALLATION,
        hosts=_hosts(*map(registry_in, mirrors or third)),
        when="install and new nodes",
        origin="nodes",
        purpose="third-party images",
        key="registry.mirrors" if mirrors else "egress.third_party",
        idle=_shut(config)
        or ("" if third else "egress.third_party names none")
        or (_ON_NODES if config.registry.local_images and are_usual else ""),
    )
    return product, others


def _third_party(config: Config) -> tuple[str, ...]:
    """Registries of images that others make: those that are named, and that of the Prometheus which the product brings."""
    is_had_inside = config.registry.local_images or config.registry.mirrors or config.air_gap
    if config.prometheus.mode != "bundled" or is_had_inside:
        return config.egress.third_party
    return tuple(dict.fromkeys((*config.egress.third_party, *Config().egress.third_party)))


def _run_time(config: Config) -> tuple[Way, ...]:
    plane, metrics, issuer = config.control_plane.url, config.remote_write.url, config.oidc.issuer
    is_usual = plane == Config().control_plane.url
    return (
        Way(
            name="metrics",
            row=RUN_TIME,
            hosts=_hosts(metrics),
            when="always",
            origin="where Prometheus runs",
            purpose="metrics",
            key="remote_write.url",
            idle=_unset(metrics, "remote_write.url"),
        ),
        Way(
            name="control-plane",
            row=RUN_TIME,
            hosts=_hosts(plane),
            when="always",
            origin="system nodes",
            has_browsers=True,
            purpose="the control plane",
            key="control_plane.url",
            idle=(_shut(config) if is_usual else "") or _unset(plane, "control_plane.url"),
        ),
        Way(
            name="sign-in",
            row=RUN_TIME,
            hosts=_hosts(issuer),
            when="always",
            origin="the control plane",
            has_browsers=True,
            purpose="sign-in",
            key="oidc.issuer",
            idle=_unset(issuer, "oidc.issuer"),
        ),
    )


def _shut(config: Config) -> str:
    return _NO_OUTSIDE if config.air_gap else ""


def unconnected(config: Config) -> str:
    """What is to be done where the configuration names a control plane and nothing will connect to it; else empty."""
    if not config.control_plane.url or config.control_plane.cluster:
        return ""
    return (
        "No cluster id is set, so nothing connects yet: set control_plane.cluster to what `fairlead cluster create NAME` printed, "
        'or control_plane.url to "" where there is no control plane'
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


def known_as(host: str, facts: Facts) -> str:
    """How a HOST or HOST:PORT is called in the facts: by its hidden name where names are hidden."""
    is_hidden = facts.maybe_flag("run", "anonymised") is True and not is_address(host_and_port(host)[0])
    return hidden_name("host", host, facts.run_id) if is_hidden else host


def _unset(value: str, key: str) -> str:
    return "" if value else f"{key} is not set"


def _hosts(*addresses: str) -> tuple[tuple[str, int], ...]:
    found = (host_and_port(address) for address in addresses if address)
    return tuple(dict.fromkeys(found))


def registry_in(address: str) -> str:
    """HOST or HOST:PORT that is asked for images of a registry; a path in front of their names is no part of the network."""
    host = address.partition("://")[2] or address
    host = host.partition("/")[0]
    return _DOCKER if host in _DOCKER_NAMES else host


_DOCKER: Final = "registry-1.docker.io"
_DOCKER_NAMES: Final = ("docker.io", "index.docker.io", "hub.docker.com", "registry.hub.docker.com")
"""What people and names of images call it. Behind none of them images are had but by `_DOCKER`."""


def is_docker(host: str) -> bool:
    """Whether it is Docker Hub, by whichever of its names."""
    return host == _DOCKER or host in _DOCKER_NAMES


def led_to(host: str) -> tuple[tuple[str, int], ...]:
    """Hosts that one is known to lead to, without which it is of no use. Others are learnt from its answers."""
    return tuple((each, HTTPS) for each in _BEHIND_DOCKER) if is_docker(host) else ()


_BEHIND_DOCKER: Final = ("auth.docker.io", "production.cloudflare.docker.com")


def place(host: str, port: int) -> str:
    """HOST, or HOST:PORT where the port is not that of https."""
    host = f"[{host}]" if ":" in host else host
    return host if port == HTTPS else f"{host}:{port}"


def place_in(url: str) -> str:
    """The place of a URL that somebody else gave; empty where it names no host."""
    try:
        return place(*host_and_port(url)) if urlsplit(url).hostname else ""
    except ValueError:
        return ""


def host_and_port(address: str) -> tuple[str, int]:
    """(host, port) of a URL, HOST or HOST:PORT; a path behind it does not matter."""
    parts = urlsplit(address if "://" in address else f"https://{address}")
    return parts.hostname or address, parts.port or (80 if parts.scheme == "http" else HTTPS)
