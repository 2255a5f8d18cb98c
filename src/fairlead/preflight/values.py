"""Values of a configuration that are of the right sort and cannot be meant: an address that is none, an amount below zero."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from fairlead.preflight.config import Config

_HOST: Final = re.compile(r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_NFS: Final = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):/\S*")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_URLS: Final = ("control_plane.url", "proxy.http", "proxy.https", "prometheus.url", "remote_write.url", "oidc.issuer")
_HOSTS: Final = ("ingress.host", "egress.charts", "egress.third_party")
_AMOUNTS: Final = ("system_nodes.cpu", "system_nodes.memory_bytes", "system_nodes.disk_bytes")


def wrong_values(config: Config) -> list[str]:
    """What is wrong, a sentence each: the key, what stands there, what is expected."""
    return [*_by_form(config), *_together(config)]


def _by_form(config: Config) -> Iterator[str]:
    for keys, fits, expected in _FORMS:
        for key in keys:
            for value in _values(config, key):
                if value not in ("", None) and not fits(value):
                    yield f"{key}: {value!r} is no {expected}"


def _together(config: Config) -> Iterator[str]:
    if config.prometheus.mode == "existing" and not config.prometheus.url:
        yield "prometheus.mode is existing, and prometheus.url does not say where it is"
    if config.control_plane.cluster and not config.control_plane.url:
        yield "control_plane.cluster is set, and control_plane.url does not say where the control plane is"
    for entry in config.proxy.no_proxy.replace(",", " ").split():
        if "/" in entry and not _is_range(entry):
            yield f"proxy.no_proxy: {entry!r} is no range; write ADDRESS/BITS, such as 10.0.0.0/8"
    for code, reason in config.accept.items():
        if not reason.strip():
            yield f"accept.{code}: there is no reason; write why the risk is taken"


def _values(config: Config, key: str) -> tuple[Any, ...]:
    section, _, name = key.partition(".")
    found = getattr(getattr(config, section), name)
    return found if isinstance(found, tuple) else (found,)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0 and " " not in text
    except ValueError:
        return False


def _is_range(text: str) -> bool:
    try:
        ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    return _HOST.fullmatch(text) is not None


def _is_registry(text: str) -> bool:
    host, _, path = text.partition("/")
    return _is_host(host) and re.fullmatch(r"[\w./-]*", path) is not None


_FORMS: Final[tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...]] = (
    (_URLS, _is_url, "address; write http://HOST or https://HOST, with :PORT and /PATH where they are needed"),
    (_HOSTS, _is_host, "host; write HOST or HOST:PORT, without http:// and path"),
    (
        ("registry.host", "registry.mirrors"),
        _is_registry,
        "registry; write HOST, HOST:PORT or HOST/PATH, without http://",
    ),
    (("storage.nfs",), lambda text: _NFS.fullmatch(text) is not None, "NFS export; write SERVER:/PATH"),
    (("images.digest",), lambda text: _DIGEST.fullmatch(text) is not None, "digest; write sha256: and 64 digits"),
    (_AMOUNTS, lambda amount: amount > 0, "amount; write a number above 0"),
)
