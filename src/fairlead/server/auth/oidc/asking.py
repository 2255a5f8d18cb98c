"""Requests to a provider: by the proxy that was set, trusting the authorities that were set, each with a time limit.

No redirect is followed, so that a code or a secret reaches nobody but the address that the provider's document names.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from fairlead.runtime.errors import Unreachable
from fairlead.runtime.proxies import Proxy

_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1 << 20
AWAY_HINT: Final = (
    "The local administrator signs in with the password all the same; `fairlead preflight` looks at the way there."
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """How a provider is reached. `tls`: None for the authorities the system trusts."""

    tls: ssl.SSLContext | None = None
    proxy_for: Callable[[str], Proxy | None] = field(default=lambda _: None)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; `document` is empty where it was no JSON object."""

    status: int
    document: dict[str, Any]


async def ask(
    line: Line, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """The answer to a GET, or to a POST of `form`.

    Raises: Unreachable saying which host, and why.
    """
    proxy = line.proxy_for(url)
    options: dict[str, Any] = {"ssl": line.tls or True, "proxy": proxy.url if proxy else None}
    wanted = {"Accept": "application/json", **(headers or {})}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
            session.request(
                "GET" if form is None else "POST", url, data=form, headers=wanted, allow_redirects=False, **options
            ) as answer,
        ):
            return Answer(status=answer.status, document=_object(await answer.content.read(_MOST_BYTES)))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise unreachable(url, proxy, why(error)) from error


def unreachable(url: str, proxy: Proxy | None, reason: str) -> Unreachable:
    """What to raise where a provider does not answer as one."""
    through = f" through the proxy {proxy.shown}" if proxy else ""
    host = urlsplit(url).netloc.rpartition("@")[2]
    return Unreachable(
        f"The sign-in provider at {host} cannot be reached{through}: {reason}.", hint=AWAY_HINT, code="provider-away"
    )


def why(error: Exception) -> str:
    """What went wrong, in words; first match wins."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        shown = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return f"its certificate is not trusted ({shown}); server.oidc.caFile names its authority"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status}"
    if isinstance(error, TimeoutError):
        return f"no answer came within {_SECONDS:g} s"
    inner = getattr(error, "os_error", error)
    return (getattr(inner, "strerror", None) or str(inner) or type(inner).__name__).rstrip(".").lower()


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
