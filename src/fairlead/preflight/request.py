"""What to ask of whoever runs the firewall: one row per way out, from the configuration and from what was seen."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from ipaddress import ip_address
from typing import Final

from fairlead.preflight.check import Verdict, Who, judged, listed
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.checks.ways import HTTPS, WORKSTATION, Way, host_and_port, is_proxied, led_to, proxy_of, ways
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts

COLUMNS: Final = ("from", "to", "port", "match", "via", "when", "why", "state", "row", "name")


_NOTHING: Final = Facts({})


@dataclass(frozen=True)
class Request:
    """One row. `hosts`: with those that redirects led to. `via`: the proxy, empty for none."""

    name: str
    row: str
    origin: str
    hosts: tuple[str, ...]
    port: int
    via: str
    when: str
    why: str
    state: str

    @property
    def match(self) -> str:
        """Whether the rule has to go by names: addresses behind most of them change."""
        return "address" if self.hosts and all(_is_address(host) for host in self.hosts) else "name"

    def cells(self) -> tuple[str, ...]:
        """Its cells, by COLUMNS."""
        to = " ".join(self.hosts)
        return (
            self.origin,
            to,
            f"{self.port}/tcp",
            self.match,
            self.via,
            self.when,
            self.why,
            self.state,
            self.row,
            self.name,
        )

    def sentence(self) -> str:
        """The row as one line of text."""
        via = f" VIA {self.via}" if self.via else ""
        return (
            f"FROM {self.origin} TO {', '.join(self.hosts) or '-'} PORT {self.port}/tcp {self.match.upper()}-BASED{via} "
            f"WHEN {self.when} WHY {self.why} STATE {self.state}"
        )


def requests(facts: Facts, config: Config) -> tuple[Request, ...]:
    """All rows in their order; of a way whose hosts differ in port or proxy one each."""
    return tuple(row for way in ways(config) for row in _rows(way, facts, config))


def _rows(way: Way, facts: Facts, config: Config) -> list[Request]:
    """The way's hosts by what a firewall has to let out for them: a port, to them or to the proxy."""
    alike: dict[tuple[int, str], list[str]] = {}
    configured = [each for host in way.hosts for each in (host, *led_to(host[0]))]
    for host, port in (*configured, *_seen(way, facts)):
        via = proxy_of(config) if is_proxied(host, port, config) else ""
        alike.setdefault((port, via), []).append(host)
    state, origin = _state(way, facts, config), _origin(way, facts, config)
    return [
        Request(
            name=way.name,
            row=way.row,
            origin=origin,
            hosts=tuple(dict.fromkeys(hosts)),
            port=port,
            via=via,
            when=way.when,
            why=way.purpose,
            state=state,
        )
        for (port, via), hosts in (alike or {(HTTPS, ""): []}).items()
    ]


def _seen(way: Way, facts: Facts) -> list[tuple[str, int]]:
    """Hosts that nobody configured and redirects or documents led to."""
    found = list(facts.maybe_texts("egress", way.name, "hosts_seen"))
    if way.name == "product-images" and (host := facts.maybe_text("registry", "blob", "location_host")):
        found.append(host)
    if way.name == "sign-in" and (host := facts.maybe_text("oidc", "jwks_host")):
        found.append(host)
    return [host_and_port(host) for host in found]


def _origin(way: Way, facts: Facts, config: Config) -> str:
    if way.origin == WORKSTATION:
        return way.origin
    names = [name for node in facts.maybe_items("nodes") if (name := node.maybe_text("name"))]
    nodes = (
        f"{len(names)} nodes {names[0]}..{names[-1]}"
        if len(names) > 1
        else f"node {names[0]}"
        if names
        else "all nodes"
    )
    who = nodes if way.origin == "nodes" else way.origin
    is_elsewhere = way.name == "sign-in" and not config.control_plane.server_secret
    addresses = "" if is_elsewhere else config.egress.nodes or listed(facts.maybe_texts("cluster", "node_ips"))
    return (f"{addresses} ({who})" if addresses else who) + (_BROWSERS if way.has_browsers else "")


_BROWSERS: Final = ", and the browsers of users, from where they are"


def _state(way: Way, facts: Facts, config: Config) -> str:
    if way.idle and not way.tried_by:
        return f"not needed: {way.idle}"
    found = judged(BY_CODE[way.tried_by or f"egress-{way.name}"], facts, config)
    if found.verdict is Verdict.UNKNOWN:
        return "not tried"
    if found.cause == "http" and found.who is Who.YOU:
        return "open, and the server answers with an error"
    bad = [each for each in found.nodes.values() if each.verdict is Verdict.FAIL]
    if bad:
        return f"blocked on {len(bad)} of {len(found.nodes)} ({bad[0].cause})"
    return f"blocked ({found.cause})" if found.verdict is Verdict.FAIL else "open"


def as_csv(rows: tuple[Request, ...]) -> str:
    """The rows as CSV with a heading."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return out.getvalue()


def as_network_policy(rows: tuple[Request, ...], config: Config, facts: Facts = _NOTHING) -> str:
    """A NetworkPolicy for the product's namespace. It knows addresses and ports alone: names are let out by port."""
    needed = [row for row in rows if not row.state.startswith("not needed") and row.origin != WORKSTATION]
    lines = [
        "# What the product's pods have to reach. A NetworkPolicy cannot name hosts; the names are for whoever runs the firewall.",
        "apiVersion: networking.k8s.io/v1",
        "kind: NetworkPolicy",
        "metadata:",
        "  name: fairlead-egress",
        f"  namespace: {config.namespace}",
        "spec:",
        "  podSelector: {}",
        "  policyTypes: [Egress]",
        "  egress:",
        "    # names",
        "    - ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]",
        "    # inside the cluster",
        "    - to: [{namespaceSelector: {}}]",
        *_api_server(facts),
    ]
    for row in needed:
        lines += [f"    # {row.why}: {', '.join(row.hosts)}{f' via {row.via}' if row.via else ''}", *_rule(row)]
    return "\n".join(lines) + "\n"


def _api_server(facts: Facts) -> list[str]:
    """The API server, by its Service's address and by its own: which of them a policy sees depends on the cluster's network."""
    endpoints = [host_and_port(each) for each in facts.maybe_texts("cluster", "api_endpoints")]
    if not endpoints:
        return [
            "    # the API server, by its usual ports: its addresses are not known (--facts with what preflight saved tells them)",
            f"    - ports: [{', '.join(f'{{protocol: TCP, port: {port}}}' for port in _API_PORTS)}]",
        ]
    service = facts.maybe_text("cluster", "kubernetes_service_ip")
    by_port: dict[int, list[str]] = {}
    for host, port in ([(service, HTTPS)] if service else []) + endpoints:
        by_port.setdefault(port, []).append(host)
    lines = ["    # the API server"]
    for port, hosts in by_port.items():
        lines += [f"    - to: [{', '.join(map(_block, hosts))}]", f"      ports: [{{protocol: TCP, port: {port}}}]"]
    return lines


_API_PORTS: Final = (HTTPS, 6443)


def _block(address: str) -> str:
    return f"{{ipBlock: {{cidr: {address}/{ip_address(address).max_prefixlen}}}}}"


def _rule(row: Request) -> list[str]:
    host, port = host_and_port(row.via) if row.via else ("", row.port)
    targets = [host] if host else list(row.hosts)
    blocks = [_block(each) for each in targets if _is_address(each)]
    ports = f"ports: [{{protocol: TCP, port: {port}}}]"
    if blocks and len(blocks) == len(targets):
        return [f"    - to: [{', '.join(blocks)}]", f"      {ports}"]
    return [f"    - {ports}"]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
