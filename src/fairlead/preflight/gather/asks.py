"""What is asked over the network for a configuration, and what the answers say as facts. Pure (`preflight.keys.network`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from msgspec import Struct
from msgspec.structs import replace

import fairlead
from fairlead.objects.times import seconds_of
from fairlead.preflight.checks.ways import WORKSTATION, host_and_port, place, place_in, registry_in, ways
from fairlead.preflight.config import Config, image_home
from fairlead.preflight.gather.look import Link, Looked
from fairlead.preflight.gather.reach import Ask, Seen, failure_of
from fairlead.preflight.gather.sample import HEADERS, NAME
from fairlead.preflight.gather.services import (
    QUERIES,
    document_of,
    is_page,
    metrics_facts,
    prometheus_answers,
    query_url,
)
from fairlead.preflight.gather.stream import Held, Stream
from fairlead.preflight.versions import version_of
from fairlead.runtime.proxies import Proxy, Way, proxy_for
from fairlead.wire.agent import REFUSED

Facts = dict[str, Any]

EGRESS: Final = "egress:"
QUERY: Final = "query:"
NO_TOKEN: Final = "query-without-token"
AUTHORIZATION: Final = "oidc-authorization"
REMOTE_WRITE: Final = "remote-write"
API: Final = "api"
API_BY_PROXY: Final = "api-by-proxy"
_PUBLIC: Final = "public"
_CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""One that nobody answers. Source: RFC 7636, appendix B."""
_DAY: Final = 86_400
_SAID: Final = 200
"""So much of what a receiver said is kept. Units: characters."""


def egress_requests(config: Config, ca: str) -> dict[str, Ask]:
    """By `egress:WAY`: one request whose answer is known, for each way that is needed. `ca`: PEM.

    For each further host of a way one more, by `egress:WAY@HOST`.
    """
    found = {}
    for way in ways(config):
        if way.idle or not way.hosts:
            continue
        first, *others = way.hosts
        found[f"{EGRESS}{way.name}"] = request(_url(way.name, place(*first), config), config, ca)
        for other in others:
            at = place(*other)
            found[f"{EGRESS}{way.name}@{at}"] = request(_url(way.name, at, config), config, ca)
    return found


def by_way(answers: Mapping[str, Seen]) -> dict[str, dict[str, Seen]]:
    """Way -> what its hosts answered to `egress_requests`, by host; the first has an empty name."""
    found: dict[str, dict[str, Seen]] = {}
    for key, seen in answers.items():
        if key.startswith(EGRESS):
            name, _, host = key.removeprefix(EGRESS).partition("@")
            found.setdefault(name, {})[host] = seen
    return found


def way_facts(name: str, answers: Mapping[str, Seen], config: Config, now: float) -> Facts:
    """What a node's requests by a way out tell, one for each of its hosts, as in `by_way`. `now`: seconds since the epoch."""
    told = {host: egress_facts(name, seen, config, now) for host, seen in answers.items()}
    first = told.pop("", {})
    return first | ({"others": told} if told else {})


class Tokens(Struct, frozen=True, kw_only=True):
    """With what services are asked; empty for nothing."""

    prometheus: str = ""
    remote_write: str = ""
    control_plane: str = ""


def service_requests(config: Config, ca: str, tokens: Tokens, run: str) -> dict[str, Ask]:
    """What one node asks for all: Prometheus, and who takes its samples. `run`: names the sample."""
    return prometheus_requests(config, ca, tokens.prometheus) | _of_receiver(config, ca, tokens.remote_write, run)


def prometheus_requests(config: Config, ca: str, token: str) -> dict[str, Ask]:
    """The queries to a Prometheus that is there already; none where there is none."""
    if config.prometheus.mode != "existing" or not config.prometheus.url:
        return {}
    base = config.prometheus.url
    found = {
        f"{QUERY}{key}": Ask(url=query_url(base, query), ca=ca, headers=_bearer(token))
        for key, query in QUERIES.items()
    }
    return found | ({NO_TOKEN: Ask(url=query_url(base, "up"), ca=ca)} if token else {})


def metrics_of(answers: Mapping[str, Seen], prometheus: Facts, nodes: Sequence[Facts]) -> Facts:
    """Facts below `prometheus` and `metrics` out of the answers to `prometheus_requests`; none where not all were answered.

    `prometheus`: what is known of it already; `nodes`: facts of nodes.
    """
    told = {key.removeprefix(QUERY): each for key, each in answers.items() if key.startswith(QUERY)}
    if set(told) != set(QUERIES):
        return {}
    of_it = prometheus_answers(told["up"], answers.get(NO_TOKEN))
    return {"prometheus": prometheus | of_it, "metrics": metrics_facts(told, nodes)}


def _of_receiver(config: Config, ca: str, token: str, run: str) -> dict[str, Ask]:
    if not config.remote_write.url:
        return {}
    asked = request(config.remote_write.url, config, ca)
    headers = {**HEADERS, **_bearer(token)}
    return {REMOTE_WRITE: replace(asked, method="POST", headers=headers, sample={"run": run})}


def read_back_requests(config: Config, ca: str, tokens: Tokens, run: str) -> dict[str, Ask]:
    """The query that finds the sample, where the receiver's address tells where queries go."""
    base, found, _ = config.remote_write.url.rpartition("/api/v1/write")
    if not found:
        return {}
    url = query_url(base, f'{NAME}{{run="{run}"}}') + "&latency_offset=1ms"  # VictoriaMetrics hides what is new
    return {REMOTE_WRITE: replace(request(url, config, ca), headers=_bearer(tokens.remote_write))}


def stream_request(config: Config, ca: str, tokens: Tokens) -> Stream | None:
    """The agent's connection; None without a control plane."""
    plane = config.control_plane
    if not plane.url:
        return None
    return Stream(
        url=plane.url, cluster=plane.cluster, secret=tokens.control_plane, ca=ca, proxy=proxy_of(plane.url, config)
    )


def stream_facts(held: Held, health: Seen | None) -> Facts:
    """How the connection was held. Without a secret the control plane ends it at once: all that is known is that it opens.

    `health`: its health document, asked from the same pod; where not even that is reached, it is no fault of the connection.
    """
    if not held.is_open and health is not None and not health.reached:
        return {"stream_open": {"unknown": f"waits for egress-control-plane: {failure_of(health)}"}}
    if not held.is_open:
        return {"stream_open": "failed", "stream_error": held.error}
    found: Facts = {"stream_open": "ok", "transport": held.transport}
    if held.code == REFUSED:
        return found | {"token": "refused" if held.is_signed else {"unknown": _NO_SECRET}}
    found |= {"token": "accepted"} | ({"stream_error": held.error} if held.error else {})
    return found if held.transport == "poll" else found | {"stream_seconds": held.seconds}


_NO_SECRET: Final = "the cluster's secret is not known (control_plane.token_secret)"


def covered(asked: Mapping[str, Ask], seen: Mapping[str, Seen]) -> dict[str, bool]:
    """Host -> whether its certificate is trusted by who trusts `ca_bundle` beside the authorities that everybody knows.

    Hosts that were not reached by TLS, or whose certificate is wrong in another way, are not among them.
    """
    return {asked[key].host: not each.untrusted for key, each in seen.items() if each.tls == "ok" or each.untrusted}


def health_facts(health: Seen) -> Facts:
    """How the health document of the control plane is answered, and what it tells of its version."""
    found = {} if health.status is None else {"health": health.status}
    told = str(document_of(health).get("version") or "")
    if (theirs := version_of(told)) is None:
        return found
    return found | {
        "version": told,
        "versions_compatible": theirs[:1] == (version_of(fairlead.__version__) or theirs)[:1],
    }


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def redirect_request(endpoint: str, config: Config, ca: str) -> Ask | None:
    """A sign-in begun as the control plane begins one, to see whether the provider knows its address; None without a client."""
    if not config.oidc.client_id:
        return None
    asked = {
        "response_type": "code",
        "client_id": config.oidc.client_id,
        "redirect_uri": _redirect_uri(config),
        "scope": "openid",
        "state": "preflight",
        "nonce": "preflight",
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    }
    return request(f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}", config, ca)


def _redirect_uri(config: Config) -> str:
    base = f"https://{config.ingress.host}" if config.ingress.host else config.control_plane.url
    return base.rstrip("/") + "/oidc/callback"


def redirect_facts(seen: Seen) -> Facts:
    """Whether the provider went on, or refused the address; nothing where it refused something else."""
    if seen.status is None:
        return {}
    if seen.status < 400:
        return {"redirect_registered": True}
    said = seen.body.decode(errors="replace").lower()
    refused = any(word in said for word in ("redirect_uri", "redirect uri", "callback url"))
    return {"redirect_registered": False} if refused else {}


def authorization_facts(seen: Seen) -> Facts:
    """How the provider's sign-in page answers a pod."""
    return {"authorization_endpoint_from_pod": seen.status or 0}


def remote_write_facts(seen: Seen, is_found: bool | None) -> Facts:
    """What came of the sample. `is_found`: when it was asked for again; None where nobody answered."""
    if seen.status is None:
        return {"error": failure_of(seen)}
    said = seen.body.decode(errors="replace").strip()[:_SAID]
    told = {"body_mentions": said or None, "is_page": is_page(seen) or None, "read_back": is_found}
    return {"post_one_sample": seen.status, **{key: value for key, value in told.items() if value is not None}}


def request(url: str, config: Config, ca: str) -> Ask:
    """A request that goes as the product's would."""
    return Ask(url=url, ca=ca, proxy=proxy_of(url, config))


def api_requests(config: Config, host: str) -> dict[str, Ask]:
    """The API as a pod reaches it, past the proxy and as the configuration would have it go. `host`: of the Service kubernetes."""
    url = f"https://[{host}]/version" if ":" in host else f"https://{host}/version"
    proxy = proxy_of(url, config)
    return {API: Ask(url=url)} | ({API_BY_PROXY: Ask(url=url, proxy=proxy)} if proxy else {})


def names_of(config: Config) -> tuple[str, ...]:
    """The host names that pods ask a name server for: a name inside the cluster first, then those of the ways out from there."""
    out = [way for way in ways(config) if not way.idle and way.origin != WORKSTATION]
    hosts = [host for way in out for host, _ in way.hosts]
    return ("kubernetes.default.svc", *dict.fromkeys(h for h in hosts if not _NO_NAME.fullmatch(h)))


_NO_NAME: Final = re.compile(r"[\d.]+|.*:.*|localhost")


def proxy_of(url: str, config: Config) -> Proxy | None:
    """The proxy of the configuration for an address, None where it is reached without."""
    parts = urlsplit(url)
    address = config.proxy.https if parts.scheme == "https" else config.proxy.http
    if not address:
        return None
    return proxy_for(url, Way(proxy=address, no_proxy=config.proxy.no_proxy), {}, f"proxy.{parts.scheme}")


def egress_facts(name: str, seen: Seen, config: Config, now: float) -> Facts:
    """What one request by a way out tells. `now`: seconds since the epoch."""
    words: Facts = {"dns": seen.dns, "tcp": seen.tcp, "connect": seen.connect, "tls": seen.tls, "alpn": seen.alpn}
    found = {key: value for key, value in words.items() if value is not None}
    if found.get("connect") and found.get("dns") not in (None, "ok"):
        del found["dns"]  # behind a proxy the name need not be known here
    if seen.issuer:
        found |= {"issuer_seen": seen.issuer, "issuer_expected": _PUBLIC}
    if seen.expires and (end := seconds_of(seen.expires)) is not None:
        found["cert_days_left"] = round((end - now) / _DAY)
    if seen.status is None:
        return found
    found["status"] = seen.status
    found["via_proxy" if seen.connect is not None else "direct"] = seen.status
    if name == "control-plane":
        found["get_health"] = seen.status
    if name == "metrics":
        found["get_root"] = seen.status
    return found | {"content": _content(name, seen, config)}


def hosts_led_to(answers: Iterable[Seen]) -> set[str]:
    """The hosts that answers send to, with the port where it is not that of https."""
    return {found for seen in answers if (found := place_in(seen.headers.get("location", "")))}


def class_here(name: str, answers: Iterable[Seen], config: Config) -> str:
    """`ok`, or the class of what went wrong first, of the requests from this machine by a way out."""
    return next((told for seen in answers if (told := _class_here(name, seen, config)) != "ok"), "ok")


def _class_here(name: str, seen: Seen, config: Config) -> str:
    if not seen.reached:
        return failure_of(seen)
    if seen.status == 200 and _content(name, seen, config) == "block_page":
        return "block-page"
    return "ok" if seen.status in (200, 401) else "http"


def dns_facts(looked: Looked) -> Facts:
    """How names are resolved on a node."""
    inside, *_ = looked.names
    return {
        "cluster_name": looked.names[inside].plain,
        "nameservers": list(looked.nameservers),
        "search": list(looked.search),
        "ndots": looked.ndots,
        "hosts": {
            name: {"plain": each.plain, "with_dot": each.with_dot, "same": each.same}
            for name, each in looked.names.items()
            if name != inside
        },
    }


def link_facts(link: Link) -> Facts:
    """How a node's pod reached that of another."""
    found: Facts = {"by_address": link.by_address, "seconds": link.seconds}
    no_name = link.by_service == "dns"  # says nothing of the way
    by_service = None if no_name else link.by_service
    told = {"by_service": by_service, "large": link.large}
    return found | {key: value for key, value in told.items() if value is not None}


def _url(name: str, host: str, config: Config) -> str:
    found = {
        "charts": _chart_url(host, config.egress.charts),
        "product-images": registry_url(config),
        "metrics": config.remote_write.url,
        "control-plane": config.control_plane.url.rstrip("/") + "/healthz",
        "sign-in": config.oidc.issuer.rstrip("/") + "/.well-known/openid-configuration",
    }
    return found.get(name) or _registry_url(host)


def _chart_url(host: str, chart: str) -> str:
    """What proves it: the index of a repository, the registry of an oci:// address, or the archive itself."""
    if chart.startswith("oci://"):
        return _registry_url(host)
    return chart if "://" in chart else f"https://{chart}/index.yaml"


def registry_url(config: Config) -> str:
    """Where the product's registry answers first."""
    return _registry_url(registry_in(image_home(config)))


def _registry_url(host: str) -> str:
    """One on the machine itself is spoken to without TLS, as runtimes do."""
    is_here = host_and_port(host)[0] in ("localhost", "127.0.0.1", "::1")
    return f"{'http' if is_here else 'https'}://{host}/v2/"


def _content(name: str, seen: Seen, config: Config) -> str:
    """Whether what came is what is known to be there: a page that says no has status 200 as well."""
    if _PROOFS[name](seen, config):
        return "ok"
    return "block_page" if is_page(seen) else "other"


def _is_registry(seen: Seen, _config: Config) -> bool:
    told = seen.headers.get("docker-distribution-api-version", "") or seen.headers.get("www-authenticate", "")
    is_api = not is_page(seen) and set(document_of(seen)) <= {"errors"}
    return bool(told) or (is_api and seen.status in (200, 401))


def _is_chart(seen: Seen, config: Config) -> bool:
    """An index, a packed archive, or a registry that answers as one."""
    if config.egress.charts.startswith("oci://"):
        return _is_registry(seen, config)
    return seen.body.lstrip().startswith((b"apiVersion", b"\x1f\x8b")) or b"\nentries:" in seen.body


_PROOFS: Final[Mapping[str, Callable[[Seen, Config], bool]]] = {
    "charts": _is_chart,
    "product-images": _is_registry,
    "third-party-images": _is_registry,
    "metrics": lambda seen, _: "html" not in seen.headers.get("content-type", "") or seen.status != 200,
    "control-plane": lambda seen, _: {"status", "version"} <= set(document_of(seen)),
    "sign-in": lambda seen, config: (
        str(document_of(seen).get("issuer", "")).rstrip("/") == config.oidc.issuer.rstrip("/")
    ),
}
