"""What has to be let out, a check a row, walked step by step as the product will do it. The first broken step is the finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Judge,
    Verdict,
    Who,
    attempt,
    by_node,
    failed,
    listed,
    not_needed,
    passed,
    unknown,
    warned,
    worst,
)
from fairlead.preflight.checks.registry import FOLLOWED, blocked_layers
from fairlead.preflight.checks.ways import (
    INSTALLATION,
    RUN_TIME,
    Way,
    is_proxied,
    known_as,
    led_to,
    place,
    proxy_of,
    unconnected,
    way_named,
)
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.roster import roster

_SOON_DAYS: Final = 30
_ELSEWHERE: Final = (301, 302, 307, 308)
_SIGN_IN_FIRST: Final = (200, *_ELSEWHERE, 401)
"""Answers of a registry that is reached: 401 is the usual one of a registry without sign-in, layers are redirected."""


def charts(facts: Facts, config: Config) -> Finding:
    """Helm runs on the machine that runs the command, so it is asked from here; what a node reaches does not count.

    - dns, tcp, tls, proxy, timeout, http: the step that did not work.
    - block-page: something between answers in its place.
    """
    way = way_named("charts", config)
    if way.idle:
        return not_needed(way.idle)
    told = facts.text("egress", "charts", "from_workstation")
    if told == "ok":
        return passed(f"{_named(way)}: the chart is there")
    cause = told if told in _CAUSES["charts"] else "tcp" if told == "refused" else "http"
    remedy, who = (_at_the_server(way), Who.YOU) if told == "http" else (_request(way, config), Who.NETWORK)
    remedy += '. Or set egress.charts to "": fairlead install brings its own chart'
    return failed(f"{_named(way)}: {told}, from this machine", cause, remedy, who)


def product_images(facts: Facts, config: Config) -> Finding:
    """Pods ask the registry for one layer and follow where it leads; registry-pull says whether the nodes' runtimes can, too.

    - dns, tcp, proxy, tls: the first step that did not work. Where pods do not trust the registry and the runtimes of the nodes, which are
      the ones that pull, do, it says so: that risk can be accepted.
    - blob-host: the registry answers, and sends layers from another host, which is blocked.
    - http: it is reached and answers with an error: the server has to be looked at, not the firewall.
    - block-page: something between answers in its place.
    - pod-network: the node itself reaches it, its pods do not: a network policy, not the firewall.
    - certificate: it ends within 30 days.
    """
    found = _judged("product-images", facts, config, _of_registry)
    pulls = {facts.maybe_text("runtime_pull", node) for node in facts.maybe_keys("runtime_pull")}
    if found.verdict is Verdict.FAIL and found.cause == "tls" and pulls == {"ok"}:
        return replace(found, seen=f"{found.seen}. The runtimes of all nodes pull from there all the same")
    return found


def third_party_images(facts: Facts, config: Config) -> Finding:
    """Images that others make: the same as for the product's, and every registry is asked.

    - dns, tcp, proxy, tls, http, block-page, pod-network, certificate: as for the product's images.
    """
    return _judged("third-party-images", facts, config, _of_third_party)


def metrics(facts: Facts, config: Config) -> Finding:
    """The way to the receiver of metrics is proven by the sample that remote-write sends: that the receiver answers it, whatever it says.

    - dns, tcp, proxy, tls, block-page, pod-network, certificate: the first step that did not work.
    """
    return _judged("metrics", facts, config, _of_receiver)


def control_plane(facts: Facts, config: Config) -> Finding:
    """The control plane's health document, with its name in it, is fetched; `control-plane` then tries the agent's own connection.

    - tls: TLS is opened on the way and signed by somebody else's authority: give that authority in ca_bundle, and to the runtimes of the
      nodes, or ask for an exception. It is not that the way is shut.
    - dns, tcp, proxy, http, block-page, pod-network, certificate: the first step that did not work.
    """
    found = _judged("control-plane", facts, config, _of_health)
    if found.verdict is Verdict.FAIL and (more := unconnected(config)):
        return replace(found, remedy=f"{found.remedy}. {more}")
    return found


def sign_in(facts: Facts, config: Config) -> Finding:
    """The provider's discovery document is fetched; `oidc-provider` judges what is in it.

    - dns, tcp, proxy, tls, http, block-page, pod-network, certificate: the first step that did not work.
    """
    return _judged("sign-in", facts, config, _of_discovery)


Proof = Callable[[Facts, Facts, bool], Finding]
"""(facts of the way, all facts, through the proxy) -> whether what came back is what is known to be there."""


def _judged(name: str, facts: Facts, config: Config, proof: Proof) -> Finding:
    way = way_named(name, config)
    if way.idle:
        return not_needed(way.idle)
    names = facts.maybe_keys("egress", name, "nodes")
    if not names:
        return _by_host(facts.at("egress", name), way, facts, config, proof)
    whole = by_node(roster(facts, names), lambda node: _by_host(_of_node(facts, name, node), way, facts, config, proof))
    reached = [node for node, each in whole.nodes.items() if each.verdict in (Verdict.PASS, Verdict.WARN)]
    if whole.verdict is Verdict.FAIL and reached:
        return replace(
            whole, verdict=Verdict.WARN, seen=f"reached from {len(reached)} of {len(whole.nodes)} nodes; {whole.seen}"
        )
    return whole


def _of_node(facts: Facts, name: str, node: str) -> Facts:
    """What holds for a node: what is said of all, and of it where it differs."""
    shared, own = facts.need("egress", name), facts.need("egress", name).get("nodes", {}).get(node, {})
    if not isinstance(own, dict) or "unknown" in own:
        return facts.at("egress", name, "nodes", node)
    return Facts(
        {**{k: v for k, v in shared.items() if k != "nodes"}, **own}, ("egress", name, "nodes", node), facts.reasons
    )


def _by_host(found: Facts, way: Way, facts: Facts, config: Config, proof: Proof) -> Finding:
    """What is said of the way's hosts: the gravest stands for all, by name, and all that are as bad are told."""
    if len(way.hosts) == 1:
        return _walked(found, way, facts, config, proof)
    told: dict[str, Finding] = {}
    for number, host in enumerate(way.hosts):
        own = found.at("others", known_as(place(*host), facts)) if number else found
        said = attempt(lambda own=own, host=host: _walked(own, replace(way, hosts=(host,)), facts, config, proof))  # type: ignore[misc]
        told[place(*host)] = said
    gravest = worst(told.values())
    bad = {host: each for host, each in told.items() if each.verdict is gravest.verdict}
    by_text: dict[str, list[str]] = {}
    for name, each in bad.items():
        by_text.setdefault(each.seen.removeprefix(f"{name}: "), []).append(name)
    seen = "; ".join(f"{', '.join(hosts)}: {text}" for text, hosts in by_text.items())
    return replace(gravest, seen=seen, remedy="\n".join(dict.fromkeys(each.remedy for each in bad.values())))


def _walked(found: Facts, way: Way, facts: Facts, config: Config, proof: Proof) -> Finding:
    host, port = way.hosts[0]
    proxied = is_proxied(host, port, config)
    broken = _broken_step(found, way, config, proxied)
    if broken is not None:
        return _by_pod_network(found, broken, way)
    proven = attempt(lambda: proof(found, facts, proxied))
    if proven.verdict is Verdict.FAIL:
        proven = replace(proven, seen=f"{_named(way)}: {proven.seen}")
        if proxied and _status(found, proxied) == _WANTS_CREDENTIALS:
            return replace(
                proven, cause="proxy", remedy="Set proxy.credentials_secret: the proxy wants credentials", who=Who.YOU
            )
        if proven.cause == "http" and not _is_refusal(found, proxied):
            return replace(proven, remedy=_at_the_server(way), who=Who.YOU)
        return replace(proven, remedy=proven.remedy or _request(way, config), who=proven.who or Who.NETWORK)
    if proven.verdict is not Verdict.PASS:
        return proven
    days = (
        float(found.or_else(_SOON_DAYS, "cert_days_left"))
        if isinstance(found.document, dict) and "unknown" not in found.document
        else _SOON_DAYS
    )
    if days < _SOON_DAYS:
        return warned(
            f"{_named(way)}: its certificate ends in {days:g} days",
            "certificate",
            f"Renew the certificate of {host}",
            Who.NETWORK,
        )
    through = f" through {proxy_of(config)}" if proxied else " directly, as no_proxy says" if proxy_of(config) else ""
    return passed(f"{_named(way)}: {proven.seen}{through}")


def _broken_step(found: Facts, way: Way, config: Config, proxied: bool) -> Finding | None:
    request = _request(way, config)
    for step in () if proxied else ("dns", "tcp"):
        if (told := found.maybe_text(step)) not in (None, "ok"):
            return failed(f"{_named(way)}: {step} {told}", step, request, Who.NETWORK)
    connect = found.maybe_number("connect")
    if proxied and connect is not None and connect >= 300:
        wants = "it wants credentials: set proxy.credentials_secret" if connect == _WANTS_CREDENTIALS else request
        seen = f"{_named(way)}: the proxy {proxy_of(config)} answers {connect:g}"
        return failed(
            seen, "proxy", wants[:1].upper() + wants[1:], Who.YOU if connect == _WANTS_CREDENTIALS else Who.NETWORK
        )
    return _broken_tls(found, way, config)


def _broken_tls(found: Facts, way: Way, config: Config) -> Finding | None:
    told, host = found.maybe_text("tls"), way.hosts[0][0]
    if told in (None, "ok", "not_used"):
        return None
    seen, expected = found.maybe_text("issuer_seen"), found.maybe_text("issuer_expected")
    if told == "verify_failed" and seen and seen != expected:
        named = "a public one" if expected == "public" else expected
        also, verb = (" or one of ca_bundle", "Add to ca_bundle") if config.ca_bundle else ("", "Set ca_bundle to")
        return failed(
            f"{_named(way)}: the way is open, and TLS is opened on it: the certificate is signed by '{seen}'"
            f"{f', expected {named}{also}' if named else ''}, which our pods do not trust",
            "tls",
            f"{verb} the authority '{seen}', and give it to the nodes' runtimes (see registry-pull)",
            Who.YOU,
        )
    return failed(
        f"{_named(way)}: TLS {told}",
        "tls",
        f"Ask whoever runs {host} for a certificate that is valid, or set ca_bundle",
        Who.NETWORK,
    )


def _by_pod_network(found: Facts, broken: Finding, way: Way) -> Finding:
    """The same way from the node's own network tells a network policy from a firewall."""
    if found.maybe_text("host_network") != "ok":
        return broken
    remedy = f"Allow pods of our namespace to reach {way.hosts[0][0]}, in the cluster's network policies"
    return replace(
        broken,
        seen=f"{broken.seen}; the node itself reaches it",
        cause="pod-network",
        remedy=remedy,
        who=Who.CLUSTER_ADMIN,
    )


_WANTS_CREDENTIALS: Final = 407
_OF_GATEWAYS: Final = (502, 503, 504)
"""Who passes a request on says so where nobody answers behind it."""
_REFUSALS: Final = (403, 451, 511)
"""What a firewall or a portal says in the place of an answer, with a page for people."""


def _is_refusal(found: Facts, proxied: bool) -> bool:
    """Whether it is a page that says no, which something on the way puts in the place of an answer."""
    return _status(found, proxied) in _REFUSALS and found.maybe_text("content") == "block_page"


def _at_the_server(way: Way) -> str:
    """Somebody answers, so no firewall has to be opened."""
    host = place(*way.hosts[0])
    return (
        f"The way to {host} is open: look at its log for why it answers so, and whether {way.key} names the right host"
    )


def _named(way: Way) -> str:
    return listed(place(*host) for host in way.hosts)


def _request(way: Way, config: Config) -> str:
    hosts = ", ".join(f"{host}:{port}" for each in way.hosts for host, port in (each, *led_to(each[0])))
    source = (config.egress.nodes or way.origin) + (", and browsers" if way.has_browsers else "")
    via = f" via {proxy_of(config)}" if is_proxied(*way.hosts[0], config) else ""
    asked = f"Ask for: from {source} to {hosts} TCP{via}, for {way.purpose}"
    return f"{asked}. {_OR_COPIES}" if way.name == "third-party-images" else asked


_OR_COPIES: Final = "Or copy them (fairlead bundle create fetches them) and set registry.mirrors to where they are"


def _status(found: Facts, proxied: bool) -> float | None:
    """The answer on the way that the product will take; the other way proves nothing."""
    own = found.maybe_number("via_proxy" if proxied else "direct")
    return own if own is not None else found.maybe_number("status")


def _content(found: Facts) -> Finding | None:
    told = found.or_else("ok", "content")
    if told == "ok":
        return None
    return failed(f"something else answers in its place ({told})", "block-page", "", Who.NETWORK)


def _of_registry(found: Facts, facts: Facts, proxied: bool) -> Finding:
    follow = facts.maybe_text("registry", "blob", "follow")
    if follow is not None and follow not in FOLLOWED:
        return blocked_layers(facts.maybe_text("registry", "blob", "location_host") or "", follow)
    if follow in FOLLOWED and _status(found, proxied) is None:
        return passed("a layer was fetched")
    return _of_third_party(found, facts, proxied)


def _of_third_party(found: Facts, facts: Facts, proxied: bool) -> Finding:
    status = _status(found, proxied)
    if status is None:
        return unknown(found.why("via_proxy" if proxied else "direct"))
    if not status:
        return failed("no answer", "tcp", "", Who.NETWORK)
    if status not in _SIGN_IN_FIRST:
        return failed(f"it answers {status:g}", "http", "")
    if status in _ELSEWHERE and not found.known("content"):
        return unknown(f"it answers {status:g}, and whether what it sends to is a registry is not known")
    return _content(found) or passed(
        f"it answers {status:g}" + (", as a registry does without sign-in" if status == 401 else "")
    )


def _of_receiver(found: Facts, facts: Facts, proxied: bool) -> Finding:
    if error := facts.maybe_text("remote_write", "error"):
        return failed(
            f"no answer: {error}", error if error in ("dns", "tcp", "tls", "proxy") else "tcp", "", Who.NETWORK
        )
    status = facts.number("remote_write", "post_one_sample")
    if is_of_proxy(facts):
        wants = "Set proxy.credentials_secret" if status == _WANTS_CREDENTIALS else ""
        return failed(f"the proxy answers {status:g} in its place", "proxy", wants, Who.YOU if wants else Who.NETWORK)
    if proxied and status in _OF_GATEWAYS:
        return unknown(f"it is answered with {status:g}, by the proxy or by what stands before the receiver")
    return _content(found) or passed(f"the receiver answers ({status:g}); remote-write judges what")


def is_of_proxy(facts: Facts) -> bool:
    """Whether a proxy, and no receiver of metrics, answered the sample."""
    status, said = (
        facts.maybe_number("remote_write", "post_one_sample"),
        facts.maybe_text("remote_write", "body_mentions"),
    )
    return status == _WANTS_CREDENTIALS or (status in _REFUSALS and "proxy" in (said or "").lower())


def _of_health(found: Facts, facts: Facts, proxied: bool) -> Finding:
    answers = [found.maybe_number(key) for key in ("get_health", "status", "via_proxy" if proxied else "direct")]
    status = next((each for each in answers if each is not None), None)
    if status is None:
        return unknown(found.why("get_health"))
    if status != 200:
        return failed(f"its health document is answered with {status:g}", "http", "")
    return _content(found) or passed("its health document is there")


def _of_discovery(found: Facts, facts: Facts, proxied: bool) -> Finding:
    status = facts.maybe_number("oidc", "discovery_status")
    status = status if status is not None else _status(found, proxied)
    if status is None:
        return unknown(facts.why("oidc", "discovery_status"))
    if status != 200:
        return failed(f"its discovery document is answered with {status:g}", "http", "")
    return _content(found) or passed("its discovery document is there")


_STEPS: Final = ("dns", "tcp", "proxy", "tls", "http", "block-page", "pod-network", "certificate")


_RULES: Final = "pass: the known answer; warn: from some nodes only, or a certificate ends within 30 days; fail: the first broken step"


def _check(name: str, title: str, row: str, judge: Judge, *, disables: tuple[str, ...]) -> Check:
    return Check(
        code=f"egress-{name}",
        title=title,
        row=row,
        severity=Verdict.FAIL,
        needs=(f"egress.{name}", *_MORE.get(name, ())),
        expected="DNS, TCP or CONNECT, TLS, and a request whose answer is known",
        rules=_RULES,
        disables=disables,
        causes=_CAUSES.get(name, _STEPS),
        judge=judge,
        by_api=_BY_API.get(name, ByApi.NOTHING),
    )


_BY_API: Final = {"sign-in": ByApi.ASKED}
_CAUSES: Final = {
    "product-images": (*_STEPS, "blob-host"),
    "charts": ("dns", "tcp", "tls", "proxy", "timeout", "http", "block-page"),
    "metrics": tuple(step for step in _STEPS if step != "http"),
}
_MORE: Final = {
    "product-images": ("registry.blob", "runtime_pull"),
    "metrics": ("remote_write",),
    "sign-in": ("oidc.discovery_status",),
}

CHECKS: Final = (
    _check("charts", "Way to the chart", INSTALLATION, charts, disables=("install", "upgrade")),
    _check(
        "product-images", "Way to the product's images", INSTALLATION, product_images, disables=("install", "upgrade")
    ),
    _check("third-party-images", "Way to third-party images", INSTALLATION, third_party_images, disables=("install",)),
    _check("metrics", "Way to the receiver of metrics", RUN_TIME, metrics, disables=("metrics", "dashboards")),
    _check(
        "control-plane",
        "Way to the control plane",
        RUN_TIME,
        control_plane,
        disables=("ui", "cli-logs-shell", "accounts"),
    ),
    _check("sign-in", "Way to the sign-in provider", RUN_TIME, sign_in, disables=("sign-in",)),
)


def behind(name: str, facts: Facts, config: Config) -> Finding | None:
    """What a check says that needs this way, where the way is shut: that is the finding, and nothing is known of what is behind it."""
    check = next(each for each in CHECKS if each.code == f"egress-{name}")
    first = attempt(lambda: check.judge(facts, config))
    return unknown(f"waits for {check.code}: {first.seen}") if first.verdict is Verdict.FAIL else None
