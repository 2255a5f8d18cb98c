"""Why the control plane could not be reached, as a sentence that names who answered what, and what to do. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from websockets.exceptions import InvalidMessage, InvalidProxyMessage, InvalidProxyStatus, InvalidStatus

from fairlead.runtime.errors import Unreachable
from fairlead.runtime.proxies import Proxy

NO_CONTROL_PLANE: Final = "no-control-plane"
"""Code of what is raised where somebody answered, but not as a control plane: mostly a proxy that lets no WebSocket through."""
_GIVE = (
    "Give USER:PASSWORD as agent.proxyCredentials of the chart (agent.proxyCredentialsFile), or in the proxy's address."
)


def explained(error: Exception, url: str, proxy: Proxy | None, *, issuer: str = "") -> Unreachable:
    """What to raise for a failed try to dial `url`. `issuer`: who signed the certificate that was seen there."""
    if isinstance(error, InvalidProxyStatus) and proxy is not None:
        return refused_by_proxy(error.response.status_code, url, proxy)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, url, issuer, proxy)
    if isinstance(error, InvalidStatus):
        return no_control_plane(error.response.status_code, error.response.headers, url, proxy)
    why = _why(error)
    if proxy is not None and isinstance(error, InvalidProxyMessage):
        return _proxy_failed(proxy, f"does not speak HTTP: {why}")
    if proxy is not None and not isinstance(error, ssl.SSLError | InvalidMessage):
        return _proxy_failed(proxy, f"does not answer: {why}")
    return Unreachable(
        f"The control plane at {url} cannot be reached{_through(proxy)}: {why}.",
        hint="Is the address right (agent.url), and may this cluster connect to it? A proxy is set with agent.proxy.",
        code="control-plane-away",
    )


def refused_by_proxy(status: int, url: str, proxy: Proxy) -> Unreachable:
    """What to raise where the proxy answered CONNECT with that status."""
    target = _host(url)
    answer = f"it answered {_status(status)}"
    if status in (401, 407) and not proxy.user:
        what, hint = f"wants credentials ({answer})", _GIVE
    elif status in (401, 407):
        what, hint = f"refused the credentials of {proxy.user!r} ({answer})", _GIVE
    elif status == 403:
        what = f"does not let this cluster connect to {target} ({answer})"
        hint = f"Ask whoever runs it to allow CONNECT to {target}, or exempt the address with agent.noProxy (NO_PROXY)."
    elif status >= 500:
        what = f"could not reach {target} ({answer})"
        hint = "Is the control plane up, does the proxy know its name, and may it connect there?"
    else:
        what, hint = f"did not connect to {target} ({answer})", "Is it a proxy that serves CONNECT?"
    return Unreachable(f"The proxy {proxy.shown} {what}.", hint=hint, code=f"proxy-{status}")


def _proxy_failed(proxy: Proxy, what: str) -> Unreachable:
    hint = f"It is named by {proxy.told_by}: is that right, and may this cluster connect to it?"
    return Unreachable(f"The proxy {proxy.shown} {what}.", hint=hint, code="proxy-away")


def _untrusted(error: ssl.SSLCertVerificationError, url: str, issuer: str, proxy: Proxy | None) -> Unreachable:
    seen = f" It was issued by {issuer!r}." if issuer else ""
    return Unreachable(
        f"The certificate shown for {_host(url)}{_through(proxy)} is not trusted: {error.verify_message.rstrip('.')}.{seen}",
        hint="If that is your authority, or that of a proxy that opens TLS, give its certificate as agent.ca of the chart "
        "(agent.caFile); else somebody stands between.",
        code="certificate-untrusted",
    )


def no_control_plane(status: int, headers: Mapping[str, str], url: str, proxy: Proxy | None) -> Unreachable:
    """What to raise where somebody answered as no control plane does."""
    by = headers.get("Via") or headers.get("Server")
    said = f" (by {by})" if by else ""
    return Unreachable(
        f"{url} answered {_status(status)}{said}{_through(proxy)}, not as a control plane does.",
        hint="Is the address right (agent.url)? A proxy in between may refuse it, or let no WebSocket through: "
        "then requests carry the link (agent.transport).",
        code=NO_CONTROL_PLANE,
    )


def _through(proxy: Proxy | None) -> str:
    return f" through the proxy {proxy.shown}" if proxy else ""


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _why(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
