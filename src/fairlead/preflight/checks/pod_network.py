"""Pods and names: each node's pods reach those of others, and names are resolved."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

from fairlead.preflight.check import Check, Finding, Verdict, Who, by_node, failed, listed, passed, unknown, warned
from fairlead.preflight.checks.ways import HTTPS, is_proxied, known_as, ways
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.roster import roster

_SANDBOX: Final = ("FailedCreatePodSandBox", "FailedCreatePodSandbox", "NetworkNotReady")
_ENDED: Final = ("finished", "ran")
_SLOW_SECONDS: Final = 1.0


def node_connectivity(facts: Facts, config: Config) -> Finding:
    """A probe on each node serves and asks others, by address and by Service, with packets of full size too. A node whose network cannot
    set up pods is found by its events.

    - sandbox: the node's network plug-in cannot set up a pod; the event is quoted.
    - blocked: probes do not reach each other: a firewall between nodes, or the network plug-in of the node that is named.
    - mtu: small packets arrive and large ones do not; lower the MTU of the pod network.
    - slow: an answer took longer than a second.
    """
    broken = _broken_pairs(facts)
    blamed = _blamed(broken)
    nodes = roster(facts, facts.maybe_keys("probes"), facts.maybe_keys("connectivity"))
    is_alone = len(nodes.names) == 1 and not nodes.doubt
    return by_node(nodes, lambda name: _connected(name, blamed, facts, is_alone=is_alone))


def _connected(name: str, blamed: Mapping[str, list[str]], facts: Facts, *, is_alone: bool) -> Finding:
    if stopped := _not_started(name, facts):
        return stopped
    if name in blamed:
        pairs = listed(blamed[name])
        return failed(
            f"blocked: {pairs}",
            "blocked",
            f"Ask for: pod traffic{_ranges(facts)} to and from {name}, all ports; or mend what drops it there: its network plug-in, its "
            "firewall (iptables -L FORWARD), network policies",
            Who.NETWORK,
        )
    if is_alone and facts.known("connectivity", name) and not facts.keys("connectivity", name):
        return passed("there is no other node to reach")
    if not facts.left_out("connectivity", name):
        return _others(name, facts)
    if facts.flag("probes", name, "egress_ok"):
        return passed("its pods have a network")
    return unknown("its probe ran and reached nothing; which pair is broken was not tried")


def _ranges(facts: Facts) -> str:
    ranges = facts.maybe_texts("cluster", "pod_cidrs")
    return f" ({listed(ranges)})" if ranges else ""


def _others(name: str, facts: Facts) -> Finding:
    """What the probe of a node says of others, where nobody blames it."""
    others = facts.keys("connectivity", name)
    if not others and (by := _asked_by(name, facts)):
        return passed(f"{listed(by)} asked its probe, and nothing is wrong here")
    if not others:
        return unknown("its probe asked no other")
    for other in others:
        facts.text("connectivity", name, other, "by_address")
        asked = facts.at("connectivity", name, other)
        if (large := asked.or_else("ok", "large")) != "ok":
            return warned(
                f"large packets to {other} are lost: {large}", "mtu", "Lower the MTU of the pod network", Who.NETWORK
            )
        if float(asked.or_else(0, "seconds")) > _SLOW_SECONDS:
            return warned(
                f"{other} answers after {asked.number('seconds'):g} s",
                "slow",
                f"Look at the network between {name} and {other}",
                Who.NETWORK,
            )
    return passed(f"{len(others)} other node{'s were' if len(others) > 1 else ' was'} asked, and nothing is wrong here")


def _asked_by(name: str, facts: Facts) -> list[str]:
    """Nodes whose probes had an answer of that node's: packets go both ways."""
    asked = [each for each in facts.maybe_keys("connectivity") if name in facts.maybe_keys("connectivity", each)]
    return [each for each in asked if facts.maybe_text("connectivity", each, name, "by_address") == "ok"]


def _broken_pairs(facts: Facts) -> set[tuple[str, str]]:
    return {
        (name, other)
        for name in facts.maybe_keys("connectivity")
        for other in facts.maybe_keys("connectivity", name)
        for way in ("by_address", "by_service")
        if facts.maybe_text("connectivity", name, other, way) not in (None, "ok")
    }


def _blamed(broken: set[tuple[str, str]]) -> dict[str, list[str]]:
    """The fewest nodes that explain all broken pairs, the most often named first, and their pairs."""
    found: dict[str, list[str]] = {}
    while broken:
        names = sorted({name for pair in broken for name in pair})
        worst = max(names, key=lambda name: sum(name in pair for pair in broken))
        mine = sorted(pair for pair in broken if worst in pair)
        found[worst] = [f"{one} -> {other}" for one, other in mine]
        broken = broken - set(mine)
    return found


def _not_started(name: str, facts: Facts) -> Finding | None:
    """What stopped the probe of a node, where something did: its network, or something else that is not judged here."""
    state = probe_state(name, facts)
    if state is None or state in _ENDED:
        return None
    event, said = facts.maybe_text("probes", name, "last_event"), facts.maybe_text("probes", name, "last_message") or ""
    if event in _SANDBOX or "plugin type=" in said:
        remedy = f"kubectl get pods --all-namespaces --field-selector spec.nodeName={name}, and mend the network plug-in there"
        return failed(f"the network cannot set up pods: {event}: {said}", "sandbox", remedy)
    return unknown(why_no_probe(name, facts))


def probe_state(name: str, facts: Facts) -> str | None:
    """How the probe of a node ended; None where it is not known."""
    value = facts.get("probes", name)
    return value if isinstance(value, str) else facts.maybe_text("probes", name, "state")


def why_no_probe(name: str, facts: Facts) -> str:
    """Why there is nothing from the probe of a node."""
    state = probe_state(name, facts)
    if state is None:
        return facts.why("probes", name) or facts.why("probes", name, "state") or f"no probe on {name}"
    said = [facts.maybe_text("probes", name, key) for key in ("status", "last_event", "last_message")]
    told = ": ".join(each for each in said if each)
    return f"its probe: {state}" + (f" ({told})" if told else "")


_OF_CLUSTERS: Final = ("svc.cluster.local", "cluster.local")
"""Search domains that a cluster serves itself: it has no wildcards."""


def dns(facts: Facts, config: Config) -> Finding:
    """Each probe resolves a name of the cluster, and every host that the product uses, as written and with a final dot.

    - cluster-name: names of the cluster are not resolved: CoreDNS, or the way to it.
    - not-resolved: a host outside is not resolved, as written or with a final dot. Where a proxy resolves names, that is no fault.
    - wildcard: the name as written gives something else than with a final dot: a wildcard in a search domain catches it.
    - loopback: the node's nameserver is on the node itself, where pods cannot ask it.
    """
    nodes = roster(facts, facts.maybe_keys("dns"), facts.maybe_keys("probes"))
    return by_node(nodes, lambda name: _names(name, facts, config))


def _is_of_the_node(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _names(name: str, facts: Facts, config: Config) -> Finding:
    if not facts.left_out("dns", name):
        return _resolved(facts.at("dns", name), facts, config)
    if probe_state(name, facts) not in (*_ENDED, None):
        return unknown(why_no_probe(name, facts))
    if facts.flag("probes", name, "egress_ok"):
        return passed("names are resolved")
    return unknown("its probe ran and reached nothing; which name fails was not tried")


def _resolved(found: Facts, facts: Facts, config: Config) -> Finding:
    inside = found.text("cluster_name")
    if inside != "ok":
        remedy = (
            "Where pods of other nodes are answered, let those of this one reach the name server: UDP and TCP 53 (its firewall: nft list "
            "ruleset; network policies); where none is: kubectl -n kube-system rollout restart deployment -l k8s-app=kube-dns"
        )
        return failed(f"a name of the cluster is not resolved: {inside}", "cluster-name", remedy)
    asked = {known_as(host, facts): (host, port) for way in ways(config) for host, port in way.hosts}
    hosts = [host for host in found.keys("hosts") if not is_proxied(*asked.get(host, (host, HTTPS)), config)]
    lost = [host for host in hosts if {found.text("hosts", host, way) for way in ("plain", "with_dot")} != {"ok"}]
    if lost:
        return failed(
            f"not resolved: {listed(lost)}", "not-resolved", f"Ask for: pods to resolve {listed(lost)}", Who.NETWORK
        )
    caught = [host for host in hosts if not found.flag("hosts", host, "same")]
    if caught:
        domains = [each for each in found.maybe_texts("search") or () if not each.endswith(_OF_CLUSTERS)]
        search = " or ".join(domains) or "a search domain"
        seen = f"{listed(caught)} gives something else without a final dot: {search} has a wildcard"
        return warned(seen, "wildcard", f"Remove the wildcard of {search}, or set ndots:1 for pods", Who.NETWORK)
    local = [each for each in found.texts("nameservers") if _is_of_the_node(each)]
    if local:
        return warned(
            f"its nameserver is {local[0]}, on the node itself",
            "loopback",
            "Set kubelet's resolvConf to a file with real servers",
        )
    return passed("names are resolved, with a final dot and without")


CHECKS: Final = (
    Check(
        code="dns",
        title="Names are resolved",
        row="network, outbound",
        severity=Verdict.FAIL,
        needs=("dns", "probes"),
        expected="every node's pods resolve names of the cluster and hosts outside, the same with and without a final dot",
        rules="pass: all resolved, the same both ways; warn: another answer with the dot, or a loopback nameserver; fail: not resolved",
        disables=("submit", "metrics", "ui"),
        causes=("cluster-name", "not-resolved", "wildcard", "loopback"),
        judge=dns,
    ),
    Check(
        code="node-connectivity",
        title="Nodes reach each other",
        row="network, outbound",
        severity=Verdict.FAIL,
        needs=("probes", "connectivity", "cluster.pod_cidrs"),
        expected="the pods of every node reach those of others",
        rules="pass: all pairs tried; warn: slow, or large packets lost; fail: a pair is blocked, or a node cannot set up pods",
        disables=("gang", "submit"),
        causes=("sandbox", "blocked", "mtu", "slow"),
        judge=node_connectivity,
    ),
)
