"""What the cluster is: its version, its APIs, what others left in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fairlead.preflight.check import (
    ByApi,
    Check,
    Finding,
    Verdict,
    Who,
    attempt,
    failed,
    listed,
    passed,
    unknown,
    warned,
    worst,
)
from fairlead.preflight.config import Config, Switch, is_off, is_on
from fairlead.preflight.facts import Facts, Missing
from fairlead.preflight.hide import PROBES
from fairlead.preflight.roster import is_foreign
from fairlead.preflight.versions import Version, shown, version_of

LEAST_KUBERNETES: Final = (1, 16, 0)
RECOMMENDED_KUBERNETES: Final = (1, 20, 0)
NEWEST_TESTED_KUBERNETES: Final = (1, 34)
"""The newest that the tests run against."""
LEAST_OPENSHIFT: Final = (4, 3, 0)
_WIDER_SKEW_FROM: Final = (1, 28, 0)
"""From this API server on kubelets may be three minor versions older, before that two."""


def kubernetes_version(facts: Facts, config: Config) -> Finding:
    """Only the three numbers count: what vendors write behind them (`-eks-d88609`, `-gke.100`, `+k3s1`, `24+`) is a build of theirs, not a
    pre-release. They are compared as numbers, so 1.9 is older than 1.16.

    - too-old: upgrade the cluster.
    - old: it works; upgrade to 1.20 or newer when you can.
    - untested: newer than the newest that was tested with; it most likely works.
    - kubelet-skew: kubelets are newer than the API server, or older than Kubernetes allows beside it.
    """
    found = _server_version(facts)
    if found is None:
        return unknown(f"no version can be read from {facts.text('server', 'git_version')!r}")
    name = shown(found)
    if found < LEAST_KUBERNETES:
        return failed(f"Kubernetes {name}", "too-old", f"Upgrade the cluster to {shown(LEAST_KUBERNETES)} or newer")
    if found < RECOMMENDED_KUBERNETES:
        return warned(f"Kubernetes {name}", "old", f"Upgrade the cluster to {shown(RECOMMENDED_KUBERNETES)} or newer")
    if found[:2] > NEWEST_TESTED_KUBERNETES:
        tested = ".".join(map(str, NEWEST_TESTED_KUBERNETES))
        return warned(
            f"Kubernetes {name}", "untested", f"Nothing has to be done: {tested} is the newest that was tested", Who.US
        )
    kubelets = _kubelets(facts)
    if skewed := {node: kubelet for node, kubelet in kubelets.items() if not _fits(kubelet, found)}:
        seen = f"Kubernetes {name}, kubelets {listed(f'{node} {shown(kubelet)}' for node, kubelet in skewed.items())}"
        newer = any(kubelet > found for kubelet in skewed.values())
        remedy = (
            "Upgrade the API server first, then the kubelets"
            if newer
            else "Upgrade the kubelets to the API server's version"
        )
        skew = warned(seen, "kubelet-skew", remedy)
        return replace(skew, nodes={node: skew if node in skewed else _FITS for node in kubelets})
    return passed(f"Kubernetes {name}" + ("" if kubelets else "; kubelets were not compared"))


def _server_version(facts: Facts) -> Version | None:
    if facts.known("server", "git_version") or not facts.known("server", "minor"):
        return version_of(facts.text("server", "git_version"))
    return version_of(f"{facts.text('server', 'major')}.{facts.text('server', 'minor')}")


def _kubelets(facts: Facts) -> dict[str, Version]:
    """Node -> its kubelet's version, of all Linux machines that tell one. Raises: Missing where it cannot be known or read."""
    if facts.left_out("nodes") and not facts.reasons.of(("nodes",)):
        return {}
    found = {}
    for node in facts.items("nodes"):
        if is_foreign(node) or node.left_out("kubelet"):
            continue
        if (kubelet := version_of(said := node.text("kubelet"))) is None:
            raise Missing(f"no version can be read from {said!r}, which the kubelet of {node.text('name')} tells")
        found[node.text("name")] = kubelet
    return found


def _fits(kubelet: Version, server: Version) -> bool:
    """Whether Kubernetes allows that kubelet beside that API server."""
    return 0 <= server[1] - kubelet[1] <= (3 if server >= _WIDER_SKEW_FROM else 2)


_FITS: Final = passed("its kubelet fits")


_RENDERED: Final = (
    ("v1",),
    ("apps/v1",),
    ("batch/v1",),
    ("rbac.authorization.k8s.io/v1",),
    ("apiextensions.k8s.io/v1",),
    ("admissionregistration.k8s.io/v1",),
    ("coordination.k8s.io/v1",),
    ("networking.k8s.io/v1",),
    ("policy/v1", "policy/v1beta1"),
)
"""Groups and versions of the objects we make; of several the first that is served."""


def kubernetes_apis(facts: Facts, config: Config) -> Finding:
    """What the chart makes must be served in a version that we know; the chart asks the API server, not its version number.

    - api-missing: a group or version is switched off, or the cluster is too old for it; or the configuration asks for objects that only
      OpenShift or the Prometheus Operator has.
    - api-service-down: an aggregated API does not answer. Ours works, but namespaces cannot be deleted meanwhile.
    """
    served = set(facts.texts("api_versions"))
    missing = {" or ".join(each): _SWITCH_ON for each in _RENDERED if not served.intersection(each)}
    missing |= {each: remedy for each, remedy in _asked_for(config).items() if each not in served}
    if missing:
        remedies = "\n".join(dict.fromkeys(missing.values()))
        who = Who.CLUSTER_ADMIN if _SWITCH_ON in missing.values() else Who.YOU
        return failed(f"not served: {', '.join(missing)}", "api-missing", remedies, who)
    down = [each.text("name") for each in facts.items("api_services") if not each.flag("available")]
    if down:
        return warned(
            f"APIService {listed(down)} is unavailable", "api-service-down", f"kubectl describe apiservice {down[0]}"
        )
    older = [
        f"{each[1]} is used, since {each[0]} is not served"
        for each in _RENDERED
        if len(each) > 1 and each[0] not in served
    ]
    return passed("; ".join(older) or "all that the chart makes is served")


_SWITCH_ON: Final = "Switch these APIs on, or upgrade the cluster"


def _asked_for(config: Config) -> dict[str, str]:
    """Groups and versions that are needed only as the configuration has it, each with what to do where it is missing."""
    found = {}
    if is_on(config.openshift):
        found["security.openshift.io/v1"] = "Set openshift: auto, where this is no OpenShift"
    if config.prometheus.mode == "operator":
        found["monitoring.coreos.com/v1"] = "Install the Prometheus Operator, or set prometheus.mode to another"
    return found


def openshift_version(facts: Facts, config: Config) -> Finding:
    """OpenShift is what has a ClusterVersion object named `version`. Groups that end in openshift.io prove nothing: others bring them. The
    version is that of the newest update that was completed, not of one that runs.

    - too-old: OpenShift is older than 4.3.
    - updating: an update runs; wait until it has ended.
    - degraded: cluster operators are degraded.
    - forbidden: whether it is OpenShift may not be read; that is not a no.
    - set-in-vain: the configuration says OpenShift, and it is not, or the other way round.
    """
    has_history = not facts.known("openshift", "cluster_version_object") and facts.known("openshift", "history")
    there = "found" if has_history else facts.text("openshift", "cluster_version_object")
    wanted = config.openshift
    if there == "not_found":
        if is_on(wanted):
            return warned("this is no OpenShift", "set-in-vain", "Set openshift: auto", Who.YOU)
        return passed(
            "not OpenShift: there is no ClusterVersion named 'version'; the chart's values stay those of plain Kubernetes"
        )
    if there != "found":
        cause = "forbidden" if there == "forbidden" else "not-known"
        return unknown(
            f"the ClusterVersion could not be read: {there}",
            cause,
            "Ask for: get clusterversions.config.openshift.io",
            Who.CLUSTER_ADMIN,
        )
    return _openshift(facts, wanted)


def _openshift(facts: Facts, wanted: Switch) -> Finding:
    history = [(each.text("state"), each.text("version")) for each in facts.items("openshift", "history")]
    done = next((version for state, version in history if state == "Completed"), None)
    found = version_of(done) if done else None
    if found is None:
        return unknown("no update of this OpenShift was ever completed, by its history")
    name = f"OpenShift {shown(found)}"
    if found < LEAST_OPENSHIFT:
        return failed(name, "too-old", f"Upgrade OpenShift to {shown(LEAST_OPENSHIFT)} or newer")
    running = next((version for state, version in history[:1] if state != "Completed"), None)
    if running:
        return warned(f"{name}; the update to {running} is not complete", "updating", "oc get clusterversion")
    degraded = facts.or_else([], "openshift", "degraded_operators")
    if degraded:
        return warned(f"{name}; degraded: {listed(map(str, degraded))}", "degraded", "oc get clusteroperators")
    if is_off(wanted):
        return warned(f"{name}, and the configuration says it is none", "set-in-vain", "Set openshift: auto", Who.YOU)
    return passed(f"{name}; the chart's values for it are chosen")


_SCHEDULERS: Final = {"kai": "KAI Scheduler", "runai": "Run:ai", "other": "somebody else"}


def leftovers(facts: Facts, config: Config) -> Finding:
    """What an earlier installation, or a product of the same family, left: some of it blocks an installation, some only lies around.

    - release-stuck: a Helm release of ours did not end; roll it back or remove it.
    - removed-api: the stored release holds kinds that the cluster does not serve any more, so Helm cannot upgrade it.
    - webhook-without-service: a webhook of ours whose Service is gone stops pods from being made.
    - terminating: our namespace is being deleted and does not end.
    - namespace: a namespace that the chart makes is there and of no release; Helm refuses to take it over. Where administrators make
      namespaces, set create_namespaces: false.
    - foreign-kinds: somebody else defined kinds of fairlead.dev, which ours would stand in for; they go, or we cannot work.
    - queue-definitions: the kinds of scheduling.run.ai are somebody else's in a version that we do not read, or you chose `stop`.
    - beside: another scheduler of that family runs, or its kinds are here; choose what becomes of them.
    - old-probes, objects: remains that can be deleted.

    Once the product is installed Helm's releases are not read, because they are secrets, and what is ours is no remains.
    """
    is_installed = facts.maybe_flag("run", "after_install") is True
    looks = _INSTALLED if is_installed else _BEFORE
    found = [attempt(lambda look=look: look(facts, config) or passed("")) for look in looks]  # type: ignore[misc]
    gravest = worst(found)
    if gravest.verdict is not Verdict.PASS:
        return _all_of([each for each in found if each.verdict is gravest.verdict])
    if is_installed:
        return passed("nothing of another installation is in the way")
    facts.need("helm_releases")
    return passed("nothing of an earlier installation is in the way")


def _all_of(found: Sequence[Finding]) -> Finding:
    """The first, with what all of them saw and ask for."""
    seen, remedies = (dict.fromkeys(each) for each in zip(*((each.seen, each.remedy) for each in found), strict=True))
    return replace(found[0], seen="; ".join(seen), remedy="\n".join(filter(None, remedies)))


def _release(facts: Facts, config: Config) -> Finding | None:
    for release in facts.items("helm_releases") if facts.known("helm_releases") else ():
        name, namespace = release.text("name"), release.text("namespace")
        if (status := release.text("status")) not in ("deployed", "superseded", "uninstalled"):
            by_hand = "uninstall" if status in _NEVER_THERE else "rollback"
            return failed(
                f"the Helm release {namespace}/{name} is {status}",
                "release-stuck",
                f"Once nothing else fails, fairlead install takes it up; by hand: helm {by_hand} -n {namespace} {name}",
                Who.YOU,
            )
        if removed := release.texts("removed_apis"):
            return failed(
                f"the Helm release {namespace}/{name} holds {listed(removed)}, which is not served any more",
                "removed-api",
                f"helm mapkubeapis -n {namespace} {name}",
                Who.YOU,
            )
    return None


_NEVER_THERE: Final = ("pending-install", "uninstalling")
"""States of a release that no revision stands behind to go back to."""


def _ending(facts: Facts, config: Config) -> Finding | None:
    ending = [each for each in facts.texts("leftovers", "terminating_namespaces") if not each.startswith(PROBES)]
    if ending:  # of a probe nothing is in the way
        return failed(
            f"does not end: namespace {listed(ending)}", "terminating", f"kubectl get namespace {ending[0]} -o yaml"
        )
    return None


def _namespaces(facts: Facts, config: Config) -> Finding | None:
    found = facts.texts_or_none("leftovers", "namespaces_of_others")
    if not found or not config.create_namespaces:
        return None
    first, owner = found[0], f"meta.helm.sh/release-name=fairlead meta.helm.sh/release-namespace={config.namespace}"
    given = f"kubectl label namespace {first} app.kubernetes.io/managed-by=Helm && kubectl annotate namespace {first} {owner}"
    return failed(
        f"made by somebody else, so that Helm cannot: namespace {listed(found)}",
        "namespace",
        f"kubectl delete namespace {first}, if nothing in it is needed; otherwise hand it over: {given}",
    )


def _hooks(facts: Facts, config: Config) -> Finding | None:
    if hooks := facts.texts("leftovers", "webhooks_without_service"):
        return failed(
            f"webhooks without a service: {listed(hooks)}",
            "webhook-without-service",
            f"kubectl delete validatingwebhookconfiguration,mutatingwebhookconfiguration {' '.join(hooks)} --ignore-not-found",
        )
    return None


def _foreign(facts: Facts, config: Config) -> Finding | None:
    kinds = facts.texts("leftovers", "kinds_of_others") if facts.known("leftovers", "kinds_of_others") else ()
    if kinds:
        return failed(
            f"defined by somebody else: {listed(kinds)}",
            "foreign-kinds",
            f"Look whose it is: kubectl get crd {kinds[0]} -o yaml. kubectl delete crd {kinds[0]} removes it with all its objects",
            Who.YOU,
        )
    return None


def _definitions(facts: Facts, config: Config) -> Finding | None:
    if (owner := facts.text("leftovers", "queue_crd_owner")) in ("none", "fairlead"):
        return None
    whose, versions = _SCHEDULERS.get(owner, owner), facts.texts("leftovers", "queue_crd_versions")
    if "v2" not in versions or config.queue_definitions == "stop":
        seen = f"the kinds of scheduling.run.ai are of {whose} ({', '.join(versions) or 'no version is served'})"
        or_coexist = "Set queue_definitions to coexist, or uninstall what brought them"
        remedy = or_coexist if "v2" in versions else f"Upgrade or uninstall {whose}: we read scheduling.run.ai/v2"
        return failed(seen, "queue-definitions", remedy, Who.YOU)
    return None


def _beside(facts: Facts, config: Config) -> Finding | None:
    running = facts.texts("leftovers", "schedulers")
    owner = facts.text("leftovers", "queue_crd_owner")
    chosen = config.queue_definitions in ("adopt", "coexist")
    if running:
        return warned(
            f"runs beside: {listed(running)}",
            "beside",
            "Stop it: with queue_definitions adopt both would place its pods"
            if config.queue_definitions == "adopt"
            else "See that no pod names both schedulers, or stop the other",
            Who.YOU,
        )
    if owner in ("none", "fairlead") or chosen:
        return None
    return warned(
        f"the kinds of scheduling.run.ai are of {_SCHEDULERS.get(owner, owner)}",
        "beside",
        "Set queue_definitions to adopt, stop or coexist",
        Who.YOU,
    )


def _lying_around(facts: Facts, config: Config) -> Finding | None:
    if found := _old_probes(facts, config):
        return found
    if objects := facts.texts("leftovers", "objects"):
        return warned(
            f"belong to no release: {listed(objects)}",
            "objects",
            "\n".join(f"kubectl delete {each.replace(' ', '/')}" for each in objects),
            Who.YOU,
        )
    return None


def _old_probes(facts: Facts, config: Config) -> Finding | None:
    if old := facts.texts("leftovers", "probe_namespaces"):
        return warned(
            f"old probe namespaces: {listed(old)}", "old-probes", f"kubectl delete namespace {' '.join(old)}", Who.YOU
        )
    return None


_INSTALLED: Final = (_hooks, _foreign, _definitions, _beside, _old_probes)
_BEFORE: Final = (_hooks, _foreign, _ending, _namespaces, _definitions, _release, _beside, _lying_around)
"""What is looked for, the gravest first: a release that did not end is taken up where nothing else is in the way."""

CHECKS: Final = (
    Check(
        code="kubernetes-version",
        title="Version of Kubernetes",
        row="Kubernetes",
        severity=Verdict.FAIL,
        needs=("server", "nodes[].kubelet"),
        expected="Kubernetes 1.16.0 or newer, better 1.20.0",
        rules="pass: 1.20 to the newest tested; warn: older, newer, or kubelets too far behind; fail: below 1.16",
        disables=("install", "upgrade"),
        causes=("too-old", "old", "untested", "kubelet-skew"),
        judge=kubernetes_version,
        by_api=ByApi.WHOLE,
    ),
    Check(
        code="kubernetes-apis",
        title="APIs that the chart uses",
        row="Kubernetes",
        severity=Verdict.FAIL,
        needs=("api_versions", "api_services"),
        expected="every kind the chart makes is served",
        rules="pass: all are served in a version we know; warn: an aggregated API is down; fail: one is missing",
        disables=("install", "upgrade"),
        causes=("api-missing", "api-service-down"),
        judge=kubernetes_apis,
        by_api=ByApi.WHOLE,
    ),
    Check(
        code="openshift-version",
        title="OpenShift and its version",
        row="OpenShift",
        severity=Verdict.FAIL,
        needs=("openshift",),
        expected="OpenShift 4.3.0 or newer, or plain Kubernetes",
        rules="pass: 4.3 or newer, or not OpenShift; warn: an update runs or operators are degraded; fail: below 4.3",
        disables=("install", "upgrade"),
        causes=("too-old", "updating", "degraded", "forbidden", "set-in-vain"),
        judge=openshift_version,
        by_api=ByApi.WHOLE,
    ),
    Check(
        code="leftovers",
        title="Remains of earlier installations, and neighbours",
        row="Kubernetes",
        severity=Verdict.FAIL,
        needs=("helm_releases", "leftovers"),
        expected="nothing that would block an installation",
        rules="pass: nothing; warn: old probe namespaces, or KAI or Run:ai beside; fail: what would block us",
        disables=("install", "upgrade"),
        causes=(
            "release-stuck",
            "removed-api",
            "webhook-without-service",
            "terminating",
            "namespace",
            "foreign-kinds",
            "queue-definitions",
            "beside",
            "old-probes",
            "objects",
        ),
        judge=leftovers,
        by_api=ByApi.FAULTS,
    ),
)
