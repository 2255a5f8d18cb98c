"""Metrics: Prometheus, the exporters it needs, and where samples are sent to. Proven by answers, not by names of pods."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import fairlead
from fairlead.objects import selectors
from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Verdict,
    Who,
    by_node,
    failed,
    listed,
    not_needed,
    passed,
    unknown,
    warned,
)
from fairlead.preflight.checks import egress
from fairlead.preflight.checks.gpu_links import by_gpu_node
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.roster import node_of, roster, taints_of
from fairlead.preflight.versions import version_of

_MONITORING_GROUP: Final = ".monitoring.coreos.com"
_LEAST_OPERATOR: Final = (0, 50, 0)
"""The oldest Prometheus Operator whose definitions the bundled Prometheus can live with."""


_NONE: Final = "prometheus.mode is none"


def prometheus(facts: Facts, config: Config) -> Finding:
    """A definition (CRD) or an open port proves nothing: a Prometheus has to answer, or to select our ServiceMonitors.

    - no-url: mode `existing` needs `prometheus.url`.
    - unreachable, tls: the address does not answer, or its certificate is not trusted (ca_bundle).
    - token, role: it wants a token, refuses ours, or the token's account may not query (OpenShift: cluster-monitoring-view).
    - no-series: it answers, and scrapes nothing.
    - no-prometheus, no-operator: mode `operator`, and nobody reads our ServiceMonitors.
    - selector: the Prometheus selects ServiceMonitors by labels or namespaces that ours have not.
    - old-definitions: another operator's definitions are too old for the bundled one.
    """
    if config.prometheus.mode == "none":
        return not_needed(_NONE)
    judges = {"bundled": _bundled, "existing": _existing, "operator": _operator}
    return judges[config.prometheus.mode](facts, config)


def _bundled(facts: Facts, config: Config) -> Finding:
    theirs = [name for name in facts.texts("crds") if name.endswith(_MONITORING_GROUP)]
    if not theirs:
        return passed("the product brings its own; no other operator's definitions are here")
    if (found := version_of(said := facts.text("prometheus", "operator_version"))) is None:
        return unknown(
            f"the definitions of another Prometheus Operator are here, of a version that is no number: {said}"
        )
    if found < _LEAST_OPERATOR:
        seen = f"the definitions of a Prometheus Operator {'.'.join(map(str, found))} are here"
        return failed(
            seen, "old-definitions", "Set prometheus.mode to operator or existing, or upgrade that operator", Who.YOU
        )
    return passed("the product brings its own beside the operator that is here")


def _existing(facts: Facts, config: Config) -> Finding:
    if not config.prometheus.url:
        return failed("no address is configured", "no-url", "Set prometheus.url", Who.YOU)
    for step, cause in (("tcp", "unreachable"), ("tls", "tls")):
        told = facts.maybe_text("prometheus", step)
        if told not in (None, "ok", "not_used"):
            remedy = (
                "Set ca_bundle to its authority" if step == "tls" else "Correct prometheus.url, or open the way to it"
            )
            return failed(f"{config.prometheus.url}: {step} {told}", cause, remedy, Who.YOU)
    return _answered(facts, config)


def _answered(facts: Facts, config: Config) -> Finding:
    with_token = facts.maybe_number("prometheus", "get_query_with_token")
    without = facts.maybe_number("prometheus", "get_query_without_token")
    status = with_token if with_token is not None else without
    if status in (401, 403) and with_token is None and config.prometheus.token_secret:
        facts.number("prometheus", "get_query_with_token")
    if status in (401, 403):
        return _refused(int(status), with_token is not None, facts)
    if status is not None and status >= 300:
        return failed(f"the query was answered with {status:g}", "unreachable", _other_than_yes(int(status)))
    if facts.maybe_flag("prometheus", "query_ok") is False:
        return failed("the query was not answered with success", "unreachable", "Correct prometheus.url", Who.YOU)
    if status is None:
        facts.flag("prometheus", "query_ok")
    if not facts.number("prometheus", "up_series"):
        return failed(
            "it answers, and has no series of `up`", "no-series", "Let it scrape, or name the Prometheus that does"
        )
    return passed(f"it answers with {facts.number('prometheus', 'up_series'):g} series")


def _other_than_yes(status: int) -> str:
    """What to do about a query that was not answered with its result."""
    if status == 400:
        return "Set prometheus.url to the port that answers for all namespaces: this one wants one in each query (of OpenShift: 9091)"
    if status < 400:
        return "Set prometheus.url to the address behind the sign-in page that this one leads to"
    if status >= 500:
        return "Look at the log of that Prometheus, and of what stands before it"
    return "Correct prometheus.url: /api/v1/query has to be below it"


def _refused(status: int, with_token: bool, facts: Facts) -> Finding:
    if not with_token:
        return failed(
            f"without a token the query is answered with {status}", "token", "Set prometheus.token_secret", Who.YOU
        )
    roles = facts.maybe_texts("prometheus", "token_roles")
    if status == 401:
        return failed(
            "the token is refused (401)",
            "token",
            "Put a token that has not ended into prometheus.token_secret",
            Who.YOU,
        )
    has = f"; its account has {listed(roles)}" if roles else ""
    remedy = (
        "oc adm policy add-cluster-role-to-user cluster-monitoring-view -z ACCOUNT (or the role that lets it query)"
    )
    return failed(f"the token is good, and its account may not query (403){has}", "role", remedy)


def _operator(facts: Facts, config: Config) -> Finding:
    choose = (
        "Set prometheus.mode to none (no metrics), or to bundled (it asks for a volume of the default storage class and, unless you have a "
        "mirror, an image of quay.io); or name the Prometheus that is to read ours"
    )
    if not facts.number("prometheus", "objects"):
        there = any(name.endswith(_MONITORING_GROUP) for name in facts.maybe_texts("crds"))
        seen = "there is no Prometheus object" + (
            ", though the definitions are here: nobody would read our ServiceMonitors" if there else ""
        )
        return failed(seen, "no-prometheus", choose, Who.YOU)
    if not facts.number("prometheus", "operator_pods_running"):
        return failed(
            "there are Prometheus objects, and no operator runs", "no-operator", "Start the Prometheus Operator"
        )
    choosing = [each for each in facts.items("prometheus", "selectors") if not each.or_else(False, "selects_none")]
    if any(_selects(each, config) for each in choosing):
        return passed("a Prometheus selects our ServiceMonitors")
    if not choosing:
        return failed(
            "no Prometheus selects any ServiceMonitor: none has a serviceMonitorSelector",
            "selector",
            "Give the Prometheus object a serviceMonitorSelector, {} for all",
            Who.YOU,
        )
    wanted = [_not_met(each, config) for each in choosing]
    if all(wanted):
        seen = f"no Prometheus selects our ServiceMonitors; they want {listed(wanted[0])}"
        return failed(seen, "selector", f"Set prometheus.labels to {listed(wanted[0])}", Who.YOU)
    remedy = (
        f"Let its serviceMonitorNamespaceSelector take in {config.prometheus.namespace or config.namespace}, or set "
        "prometheus.namespace to one that it looks into"
    )
    return failed("no Prometheus selects our ServiceMonitors; they want other namespaces", "selector", remedy, Who.YOU)


def _selects(each: Facts, config: Config) -> bool:
    return not _not_met(each, config) and each.flag("selects_namespace")


_CHART_S: Final = {
    "app.kubernetes.io/part-of": "fairlead",
    "app.kubernetes.io/version": fairlead.__version__,
    "app.kubernetes.io/managed-by": "Helm",
}
"""Labels of everything that the chart makes."""


def _not_met(each: Facts, config: Config) -> list[str]:
    """What the selector wants of labels that our ServiceMonitors have not."""
    wanted = [f"{key}={each.text('match_labels', key)}" for key in each.keys("match_labels")]
    wanted += each.texts_or_none("match_expressions")
    ours = _CHART_S | config.prometheus.labels
    return [text for text in wanted if not selectors.matches(selectors.parse(text), ours)]


def _comes_with_us(facts: Facts, config: Config) -> Finding | None:
    """Before the installation the bundled Prometheus is not there to be asked, so that nothing is said of metrics."""
    asked = facts.maybe_flag("run", "after_install") is True or not facts.left_out("metrics")
    if config.prometheus.mode == "none":
        return not_needed(_NONE)
    if config.prometheus.mode == "bundled" and not asked:
        return not_needed("the Prometheus that the product brings reads the product's own metrics alone")
    return None


def node_exporter(facts: Facts, config: Config) -> Finding:
    """Every Linux node needs a node-exporter whose samples arrive; pages about nodes are empty without.

    - absent: some nodes have none; mostly it does not tolerate their taints, or port 9100 is taken.
    - none: no node has one.
    - duplicates: two exporters report one node.
    """
    if found := _comes_with_us(facts, config):
        return found
    absent = set(facts.maybe_texts("metrics", "node_exporter_absent"))
    nodes = roster(facts, facts.maybe_keys("metrics", "node_exporter_up"), absent)
    twice = set(facts.texts_or_none("metrics", "node_exporter_duplicates"))
    found = by_node(nodes, lambda name: _exporter(name, name in absent, name in twice, facts))
    bad = [each for each in found.nodes.values() if each.cause == "absent"]
    if bad and len(bad) == len(found.nodes):
        remedy = "Install node-exporter, and let Prometheus scrape it"
        return replace(failed("no node has one", "none", remedy), nodes=found.nodes)
    return found


def _exporter(name: str, absent: bool, twice: bool, facts: Facts) -> Finding:
    if absent or facts.maybe_number("metrics", "node_exporter_up", name) == 0:
        taints = taints_of(node_of(facts, name))
        seen = "no fresh samples of node-exporter" + (f"; it has the taint {', '.join(taints)}" if taints else "")
        remedy = (
            "Give node-exporter the toleration {operator: Exists, effect: NoSchedule}"
            if taints
            else "Start node-exporter there"
        )
        return warned(seen, "absent", remedy)
    if facts.known("metrics", "node_exporter_absent"):
        facts.texts("metrics", "node_exporter_absent")  # whoever is not among them has one, where all of them are known
    else:
        facts.number("metrics", "node_exporter_up", name)
    if twice:
        return warned("two exporters report it", "duplicates", "Remove one of the two")
    return passed("fresh samples")


def kube_state_metrics(facts: Facts, config: Config) -> Finding:
    """What pods ask for is read from kube-state-metrics. Its names changed in 2.0; our queries take either form.

    - none: neither form is found; it runs and is not scraped, or is not there.
    - stale: the newest sample is older than two scrapes.
    - old-names: only names before 2.0 are there; upgrade it.
    - cut: an allow-list leaves out what we read.
    - duplicates: two of them report every object.
    """
    if found := _comes_with_us(facts, config):
        return found
    new = facts.maybe_number("metrics", "kube_pod_container_resource_requests")
    old = facts.maybe_number("metrics", "kube_pod_container_resource_requests_cpu_cores")
    if not new and not old:
        facts.number("metrics", "kube_pod_container_resource_requests")
        facts.number("metrics", "kube_pod_container_resource_requests_cpu_cores")
        return failed(
            "none of its series is found in Prometheus",
            "none",
            "Install kube-state-metrics, or let Prometheus scrape it",
        )
    age, interval = (
        facts.number("metrics", "newest_sample_age_seconds"),
        float(facts.or_else(60, "metrics", "scrape_interval_seconds")),
    )
    if age > 2 * interval:
        return failed(
            f"its newest sample is {age:g} s old",
            "stale",
            "Look at its target in Prometheus: it is not scraped any more",
        )
    if not facts.number("metrics", "kube_pod_container_resource_requests"):
        return warned("only names of before version 2", "old-names", "Upgrade kube-state-metrics to 2.0 or newer")
    if not facts.or_else(1, "metrics", "kube_node_status_allocatable"):
        return warned(
            "kube_node_status_allocatable is missing", "cut", "Let its allow-list take in kube_node_status_allocatable"
        )
    if facts.or_else(False, "metrics", "kube_state_metrics_duplicates"):
        return warned("every object comes twice", "duplicates", "Remove one, or shard them")
    version = facts.maybe_text("metrics", "kube_state_metrics_build_info_version")
    return passed("fresh series of version 2's names" + (f" ({version})" if version else ""))


def gpu_metrics(facts: Facts, config: Config) -> Finding:
    """How busy GPUs are comes from NVIDIA's DCGM exporter. Scheduling works without it.

    - absent: no series of a node's GPUs; switch on the exporter and its ServiceMonitor.
    """
    return _comes_with_us(facts, config) or by_gpu_node(facts, lambda node: _utilisation(node, facts))


def _utilisation(node: Facts, facts: Facts) -> Finding:
    if facts.number("metrics", "gpu_util", node.text("name")):
        return passed("utilisation is reported")
    remedy = _EXPORTER if facts.maybe_flag("gpu_operator", "installed") is False else _OPERATOR_S
    return warned("no series of DCGM_FI_DEV_GPU_UTIL", "absent", remedy)


_OPERATOR_S: Final = "Set dcgmExporter.serviceMonitor.enabled=true for the GPU operator"
_EXPORTER: Final = (
    "Install NVIDIA's DCGM exporter on the nodes with GPUs (its chart is dcgm-exporter), and let Prometheus scrape it"
)


_REFUSALS: Final = {
    401: ("auth", "Put a token that the receiver takes into remote_write.token_secret"),
    403: ("auth", "Let the token of remote_write.token_secret write"),
    404: ("not-found", "Enable the receiver there, or correct the path in remote_write.url"),
}


_OF_CLOCKS: Final = ("out of order", "out of bounds", "too old", "too new", "too far in the future")
"""What receivers say of a sample whose time they do not take."""


def remote_write(facts: Facts, config: Config) -> Finding:
    """One sample is written from where Prometheus will run. That a GET of the same address works proves nothing.

    - not-found: the receiver is not enabled, or the path is wrong.
    - auth: the token is missing, refused, or may not write.
    - clock: the receiver refuses samples as out of order, out of bounds or of the future; a clock is off.
    - rate: the receiver wants less.
    - server, refused: it answers with another error, which is quoted.
    - block-page: something between answers in its place.
    - unreachable: no answer. Where egress-metrics tells at which step, that is the finding, and nothing is known of the receiver.
    - dropped: it said yes, and the sample is not there. So it is where a clock is ahead: some receivers take samples of the future.
    """
    if not config.remote_write.url and facts.left_out("remote_write"):
        return not_needed("remote_write.url is not set")
    if error := facts.maybe_text("remote_write", "error"):
        return egress.behind("metrics", facts, config) or failed(
            f"no answer: {error}", "unreachable", "See egress-metrics for what to ask for", Who.NETWORK
        )
    status = int(facts.number("remote_write", "post_one_sample"))
    if egress.is_of_proxy(facts):
        return egress.behind("metrics", facts, config) or unknown(
            f"a proxy answers {status} in its place: see egress-metrics"
        )
    said = facts.maybe_text("remote_write", "body_mentions") or ""
    seen = f"{status}" + (f": {said}" if said else "")
    if status < 400 and facts.or_else(False, "remote_write", "is_page"):
        return failed(f"a page answers in its place ({status})", "block-page", "See egress-metrics", Who.NETWORK)
    if status < 300:
        if facts.or_else(True, "remote_write", "read_back") is False:
            return warned(
                "it was taken, and is not found again",
                "dropped",
                "Look at the receiver's limits and relabelling, and at clock-skew: samples of the future are not found",
                Who.YOU,
            )
        return passed("a sample was taken")
    if status == 429:
        return warned(seen, "rate", "Ask whoever runs the receiver for a higher limit", Who.YOU)
    if any(words in said.lower() for words in _OF_CLOCKS):
        return failed(seen, "clock", "See clock-skew: set the clocks of the nodes right")
    cause, remedy = _REFUSALS.get(
        status, ("server" if status >= 500 else "refused", "Ask whoever runs the receiver what it refuses")
    )
    return failed(seen, cause, remedy, Who.YOU)


_EXPORTERS: Final = "node-exporter, kube-state-metrics"

CHECKS: Final = (
    Check(
        code="prometheus",
        title="Prometheus",
        row="Prometheus",
        severity=Verdict.FAIL,
        needs=("prometheus", "crds"),
        expected="a Prometheus that answers, selects our monitors, or may be brought along",
        rules="pass: it answers or selects; fail: it does not, or definitions of another operator are too old for the bundled one",
        disables=("metrics", "dashboards", "accounts"),
        causes=(
            "no-url",
            "unreachable",
            "tls",
            "token",
            "role",
            "no-series",
            "no-prometheus",
            "no-operator",
            "selector",
            "old-definitions",
        ),
        judge=prometheus,
        by_api=ByApi.FAULTS,
    ),
    Check(
        code="node-exporter",
        title="Metrics of nodes",
        row=_EXPORTERS,
        severity=Verdict.FAIL,
        needs=(
            "metrics.node_exporter_up",
            "metrics.node_exporter_absent",
            "metrics.node_exporter_duplicates",
            "nodes[].taints",
        ),
        expected="fresh samples of every Linux node",
        rules="pass: every node; warn: some lack it; fail: all do",
        disables=("dashboards",),
        causes=("absent", "none", "duplicates"),
        judge=node_exporter,
        by_api=ByApi.ASKED,
    ),
    Check(
        code="kube-state-metrics",
        title="Metrics of objects",
        row=_EXPORTERS,
        severity=Verdict.FAIL,
        needs=("metrics",),
        expected="fresh series of kube_pod_container_resource_requests",
        rules="pass: version 2's names, fresh; warn: old names only, cut, or double; fail: none, or stale",
        disables=("dashboards", "metrics"),
        causes=("none", "stale", "old-names", "cut", "duplicates"),
        judge=kube_state_metrics,
        by_api=ByApi.ASKED,
    ),
    Check(
        code="gpu-metrics",
        title="Metrics of GPUs",
        row=_EXPORTERS,
        severity=Verdict.WARN,
        needs=("metrics.gpu_util", "nodes", "gpu_operator"),
        expected="utilisation of every GPU node",
        rules="pass: every GPU node; warn: some lack it",
        disables=("dashboards",),
        causes=("absent",),
        judge=gpu_metrics,
        by_api=ByApi.ASKED,
    ),
    Check(
        code="remote-write",
        title="Metrics can be sent",
        row="after installation",
        severity=Verdict.FAIL,
        needs=("remote_write", "egress.metrics"),
        expected="one written sample is answered with 2xx",
        rules="pass: 2xx; warn: 429, or taken and not found again; fail: anything else",
        disables=("metrics", "dashboards"),
        causes=("not-found", "auth", "clock", "rate", "server", "refused", "block-page", "unreachable", "dropped"),
        judge=remote_write,
    ),
)
