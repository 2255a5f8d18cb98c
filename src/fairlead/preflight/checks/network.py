"""Proxies, what comes in from outside, and the agent's connection to the control plane."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fairlead.preflight.check import ByApi, Check, Finding, Verdict, Who, failed, listed, not_needed, passed, warned
from fairlead.preflight.checks import egress
from fairlead.preflight.checks.ways import HTTPS, host_and_port, is_proxied, place, proxy_of, unconnected
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.runtime.proxies import is_exempt, is_range_exempt

_OF_SERVICES: Final = (".svc", ".cluster.local")
_INSIDE: Final = ("localhost", "127.0.0.1", "::1", *_OF_SERVICES)


def proxy(facts: Facts, config: Config) -> Finding:
    """With a proxy set, what is inside the cluster has to be excepted from it. Pods know the API server by its address, not by a name,
    so names in NO_PROXY do not help there. Ours honours ranges; not every client does, so the API's own address has to be in the list.

    - inside-by-proxy: the API server, Services or pods would be asked through the proxy, be it a Service that the configuration names. The
      full list to paste is given.
    - nodes-by-proxy: the nodes' own addresses would be.
    - range-only: the API's address is excepted only as part of a range.
    - spelling: NO_PROXY and no_proxy differ; which of them counts depends on the program.
    """
    if not proxy_of(config):
        there = facts.maybe_text("cluster", "proxy", "https") or facts.maybe_text("cluster", "proxy", "http")
        return not_needed("no proxy is configured" + ("; the cluster itself has one" if there else ""))
    inside = _inside_by_proxy(facts, config)
    remedy = f"Set proxy.no_proxy to: {no_proxy(facts, config)}"
    if inside:
        return failed(f"would go by the proxy: {'; '.join(inside)}", "inside-by-proxy", remedy, Who.YOU)
    _need_all(facts)
    address = facts.text("cluster", "kubernetes_service_ip")
    by_proxy = [
        each for each in facts.texts("cluster", "node_ips") if not is_exempt(each, HTTPS, config.proxy.no_proxy)
    ]
    if by_proxy:
        return warned(f"nodes would go by the proxy: {listed(by_proxy)}", "nodes-by-proxy", remedy, Who.YOU)
    if not is_exempt(address, HTTPS, _without_ranges(config.proxy.no_proxy)):
        return warned(
            f"the API's address {address} is excepted by a range only, which some clients ignore",
            "range-only",
            remedy,
            Who.YOU,
        )
    return _same_spelling(facts) or passed("the API server, Services, pods and nodes are excepted")


def _inside_by_proxy(facts: Facts, config: Config) -> list[str]:
    found, excepted = [], config.proxy.no_proxy
    hosts = (facts.maybe_text("cluster", "kubernetes_service_ip"), facts.maybe_text("in_cluster_api", "env_host"))
    for host in dict.fromkeys(each for each in hosts if each):
        if not is_exempt(host, HTTPS, excepted):
            status = facts.maybe_number("in_cluster_api", "via_proxy")
            found.append(f"the API server {host}" + (f" (the proxy answers {status:g})" if status else ""))
    services = (facts.maybe_text("cluster", "service_cidr") or "").split(",")
    found += [f"Services {each}" for each in services if each and not is_range_exempt(each, excepted)]
    found += [
        f"pods {pods}" for pods in facts.maybe_texts("cluster", "pod_cidrs") if not is_range_exempt(pods, excepted)
    ]
    return found + [f"the Service {place(*each)}" for each in _named_services(config) if is_proxied(*each, config)]


def _named_services(config: Config) -> list[tuple[str, int]]:
    """Addresses in the configuration that are names of Services: no range excepts a name."""
    told = (config.control_plane.url, config.prometheus.url, config.remote_write.url, config.oidc.issuer)
    places = dict.fromkeys(host_and_port(each) for each in told if each)
    return [each for each in places if each[0].rstrip(".").endswith(_OF_SERVICES)]


def _need_all(facts: Facts) -> None:
    """All that a pass speaks of is known. Raises: Missing."""
    facts.text("cluster", "service_cidr")
    facts.texts("cluster", "pod_cidrs")


def no_proxy(facts: Facts, config: Config) -> str:
    """The full list to paste: what is there, and what is inside the cluster as far as it is known."""
    keys = (("cluster", "kubernetes_service_ip"), ("in_cluster_api", "env_host"), ("cluster", "service_cidr"))
    api = [facts.maybe_text(*each) for each in keys]
    more = [
        *_INSIDE,
        *(each for each in api if each),
        *facts.maybe_texts("cluster", "pod_cidrs"),
        *facts.maybe_texts("cluster", "node_ips"),
    ]
    have = [each.strip() for each in config.proxy.no_proxy.replace(" ", ",").split(",") if each.strip()]
    return ",".join(dict.fromkeys([*have, *more]))


def _without_ranges(text: str) -> str:
    return ",".join(each for each in text.replace(" ", ",").split(",") if "/" not in each)


def _same_spelling(facts: Facts) -> Finding | None:
    upper, lower = (facts.or_else(None, "proxy", "environment", spelling) for spelling in ("upper", "lower"))
    if upper is None or lower is None or set(str(upper).split(",")) == set(str(lower).split(",")):
        return None
    return warned("NO_PROXY and no_proxy differ", "spelling", "Give pods the same list in both spellings")


def inbound(facts: Facts, config: Config) -> Finding:
    """The control plane never connects into a cluster: the agent dials out, logs and shells come back that way. How browsers reach
    workspaces is another matter (ingress).

    - opens-port: the type of a Service in the configuration opens a port of the nodes, or a load balancer.
    """
    if config.ingress.service == "ClusterIP":
        return passed("nothing has to come in from outside")
    seen = f"ingress.service {config.ingress.service} opens a port; nothing else has to come in from outside"
    return warned(seen, "opens-port", "Set ingress.service to ClusterIP, if no port may be opened", Who.YOU)


_FULL_SECONDS: Final = 70
_TAKEN: Final = ("accepted", "ok", "valid", "good", "authenticated", "issued")
"""Words for a secret that is taken."""


def control_plane(facts: Facts, config: Config) -> Finding:
    """The agent's own connection, a WebSocket, is opened and held for 70 s with an echo. That a page can be fetched does not show
    that it works: proxies cut what stays open. Where not even a page can be fetched, egress-control-plane tells that, and nothing is known
    of the connection.

    - stream: it does not open. The proxy has to let the upgrade to a WebSocket through.
    - cut: it is ended while it is used; idle time-outs have to be longer than 30 s.
    - token: the cluster's secret is refused.
    - cluster-in-use: another cluster is connected under the same id.
    - polling: no WebSocket gets through, or none stays, so requests that wait carry the connection; logs and shells are slower.
    - versions: control plane and agent are of versions far apart.
    """
    if not config.control_plane.url:
        return not_needed("control_plane.url is not set")
    host = ":".join(map(str, host_and_port(config.control_plane.url)))
    found = _connection(host, facts, config)
    if found.verdict is Verdict.FAIL and (more := unconnected(config)):
        return replace(found, remedy=f"{found.remedy}. {more}")
    return found


def _connection(host: str, facts: Facts, config: Config) -> Finding:
    if facts.maybe_text("control_plane", "token") not in (None, *_TAKEN):
        remedy = "Put the cluster's secret into the Secret of control_plane.token_secret; fairlead cluster secret NAME gives out a new one"
        return failed("the cluster's secret is refused", "token", remedy, Who.YOU)
    opened = facts.text("control_plane", "stream_open")
    if opened != "ok":
        return egress.behind("control-plane", facts, config) or _no_stream(opened, host, facts, config)
    stream = facts.at("control_plane")
    seconds = float(stream.or_else(_FULL_SECONDS, "stream_seconds"))
    if seconds < _FULL_SECONDS:
        said = facts.maybe_text("control_plane", "stream_error")
        seen = f"the connection was cut after {seconds:g} s" + (f": {said}" if said else "")
        return failed(seen, "cut", _let_it_stay(host, config), Who.NETWORK)
    if stream.or_else(False, "cluster_id_in_use"):
        return failed(
            "another cluster is connected under this id",
            "cluster-in-use",
            "fairlead cluster create NAME, one for each",
            Who.YOU,
        )
    facts.text("control_plane", "token")
    return _but(stream, host, config) or passed("the connection stayed open")


def _but(stream: Facts, host: str, config: Config) -> Finding | None:
    if stream.or_else("websocket", "transport") != "websocket":
        said = stream.maybe_text("stream_error")
        seen = "it falls back to polling: no WebSocket gets through, or none stays" + (f" ({said})" if said else "")
        return warned(seen, "polling", _let_it_stay(host, config), Who.NETWORK)
    if not stream.flag("versions_compatible"):
        version = stream.maybe_text("version")
        seen = "the control plane's version is far from the agent's" + (f" ({version})" if version else "")
        return warned(seen, "versions", "Upgrade the older of the two", Who.YOU)
    return None


def _no_stream(opened: str, host: str, facts: Facts, config: Config) -> Finding:
    said = facts.maybe_text("control_plane", "stream_error")
    health = facts.maybe_number("control_plane", "health") or facts.maybe_number(
        "egress", "control-plane", "get_health"
    )
    alpn = facts.maybe_text("egress", "control-plane", "alpn")
    seen = "the agent's connection does not open" if opened == "failed" else f"the agent's connection: {opened}"
    seen += f": {said}" if said else ""
    if health == 200:
        seen += "; pages can be fetched, so something on the way does not let it through" + (
            f" (it agrees on {alpn})" if alpn else ""
        )
    elif health is not None:
        remedy = f"Look at the log of {host} for why it answers so: it is reached"
        return failed(f"{seen}; its health document is answered with {health:g}", "stream", remedy, Who.YOU)
    return failed(seen, "stream" if opened == "failed" else "cut", _let_it_stay(host, config), Who.NETWORK)


def _let_it_stay(host: str, config: Config) -> str:
    at = f" at the proxy {proxy_of(config)}" if proxy_of(config) else ""
    return f"Ask for: WebSockets (Upgrade) to {host}{at}, without an idle time-out below 30 s"


CHECKS: Final = (
    Check(
        code="proxy",
        title="Proxy and its exceptions",
        row="network, outbound",
        severity=Verdict.FAIL,
        needs=("cluster", "in_cluster_api", "proxy"),
        expected="API server, Services and pods are excepted from the proxy",
        rules="pass: no proxy, or all excepted; warn: nodes are not, by range only, or two spellings; fail: what is inside goes by it",
        disables=("install", "submit", "metrics"),
        causes=("inside-by-proxy", "nodes-by-proxy", "range-only", "spelling"),
        judge=proxy,
        by_api=ByApi.FAULTS,
    ),
    Check(
        code="inbound",
        title="Nothing has to come in",
        row="network, inbound",
        severity=Verdict.WARN,
        needs=(),
        expected="no port is opened to the outside",
        rules="pass: none; warn: a value opens one",
        disables=(),
        causes=("opens-port",),
        judge=inbound,
        by_api=ByApi.WHOLE,
    ),
    Check(
        code="control-plane",
        title="The agent's connection",
        row="user interface",
        severity=Verdict.FAIL,
        needs=("control_plane", "egress.control-plane"),
        expected="the agent's connection stays open for 70 s, and its secret is accepted",
        rules="pass: it stays open; warn: polling, or versions far apart; fail: it does not open, is cut, or is refused",
        disables=("ui", "cli-logs-shell"),
        causes=("stream", "cut", "token", "cluster-in-use", "polling", "versions"),
        judge=control_plane,
    ),
)
