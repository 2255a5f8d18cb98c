"""What may run in the cluster: pod security, and admission in general."""

from __future__ import annotations

from typing import Final

from fairlead.preflight.check import Check, Finding, Verdict, Who, failed, listed, passed, unknown, warned, worst
from fairlead.preflight.checks.tries import Refusal, Try, tries
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts
from fairlead.preflight.versions import version_of

_LAST_WITH_POLICIES: Final = (1, 24)
_ENFORCE: Final = "pod-security.kubernetes.io/enforce"


def pod_security(facts: Facts, config: Config) -> Finding:
    """Our most demanding pod, the node agent, is sent as a dry run with its service account, in our own namespace with its labels. That
    decides: policies may exist that nothing enforces, and a namespace such as `default` may refuse what ours takes.

    - psp: PodSecurityPolicies are enforced, and none that its account may use allows the pod. Have ours made (podSecurityPolicy).
    - psa: the namespace enforces too low a level; label it for what our pods need, `audit` and `warn` too, or alerts fire.
    - scc: no SecurityContextConstraints admits the pod on OpenShift.
    - label-refused: it would be admitted with a label that may not be set with these rights.
    - set-in-vain: podSecurityPolicy is on, and the cluster has no such policies.
    """
    ours = [each for each in tries(facts) if each.is_pod and not each.is_of_project and _in_our_namespace(each, config)]
    if not ours:
        facts.need("dry_run")
        return unknown(
            f"no pod of ours was tried in the namespace {config.namespace}; what another namespace refuses proves nothing"
        )
    by_object: dict[str, list[Try]] = {}
    for each in ours:
        by_object.setdefault(each.object, []).append(each)
    found = worst(_admitted(name, sent, facts, config) for name, sent in by_object.items())
    return _in_vain(facts, config) or found if found.verdict is Verdict.PASS else found


def _in_our_namespace(each: Try, config: Config) -> bool:
    return not each.namespace or each.namespace.startswith(config.namespace)


def _admitted(name: str, sent: list[Try], facts: Facts, config: Config) -> Finding:
    accepted = [each for each in sent if each.accepted]
    if accepted and len(accepted) == len(sent):
        return passed(f"the {name} is admitted{_unenforced(facts)}")
    if accepted:
        return _with_label(name, accepted[0], facts)
    refused = next((each for each in sent if each.refusal is not Refusal.NO_ANSWER), None)
    if refused is None or refused.refusal not in (Refusal.POD_SECURITY, Refusal.RBAC):
        return unknown(f"the {name} could not be tried: {sent[0].message or sent[0].refusal}")
    return _refused(name, refused, facts, config)


def _with_label(name: str, accepted: Try, facts: Facts) -> Finding:
    """It is admitted in one state of our namespace and not in another: that state must be ours to bring about."""
    label = next((f"{key}={value}" for key, value in accepted.labels if key == _ENFORCE), "its labels")
    if facts.flag("access", "may_label_namespaces"):
        return passed(f"the {name} is admitted with {label}, which the installation sets")
    remedy = f"kubectl label namespace {accepted.namespace} {label} --overwrite"
    return failed(
        f"the {name} is admitted with {label} only, and these rights may not label namespaces", "label-refused", remedy
    )


def _unenforced(facts: Facts) -> str:
    """That there are policies which nothing enforces, where that is so."""
    there = facts.maybe_number("psp", "objects")
    forbids = facts.maybe_flag("psp", "any_allows_host_path") is False
    return f"; {there:g} PodSecurityPolicies are there, but nothing enforces them" if there and forbids else ""


def _refused(name: str, refused: Try, facts: Facts, config: Config) -> Finding:
    said, text = refused.message or f"it answered {refused.status}", refused.message.lower()
    namespace = refused.namespace or config.namespace
    if "security context constraint" in text or facts.maybe_text("openshift", "cluster_version_object") == "found":
        remedy = f"oc adm policy add-scc-to-user privileged -z fairlead-node -n {namespace}"
        return failed(f"the {name} is refused: {said}", "scc", remedy)
    if _is_old_policy(text, facts):
        remedy = "Set podSecurityPolicy: on"
        return failed(f"the {name} is refused: {said}", "psp", remedy, Who.YOU)
    remedy = " ".join(
        (
            "kubectl label namespace",
            namespace,
            *(f"pod-security.kubernetes.io/{each}=privileged" for each in ("enforce", "audit", "warn")),
        )
    )
    return failed(f"the {name} is refused: {said}", "psa", remedy)


def _is_old_policy(text: str, facts: Facts) -> bool:
    """Whether a PodSecurityPolicy refused it."""
    if "podsecuritypolicy" in text or "unable to admit pod" in text:
        return True
    return "podsecurity" not in text and facts.maybe_flag("psp", "api_served") is True


def _in_vain(facts: Facts, config: Config) -> Finding | None:
    if config.pod_security_policy not in ("on", "true", True):
        return None
    found = version_of(facts.text("server", "git_version"))
    if facts.maybe_flag("psp", "api_served") is True or (found and found[:2] <= _LAST_WITH_POLICIES):
        return None
    return warned(
        "podSecurityPolicy is on, and this cluster has no PodSecurityPolicies (they are gone since Kubernetes 1.25)",
        "set-in-vain",
        "Set podSecurityPolicy: auto",
        Who.YOU,
    )


def admission(facts: Facts, config: Config) -> Finding:
    """A sample pod of a project is sent as a dry run; quotas, limit ranges, policies and webhooks of others have their say then. Ours
    always have requests and limits.

    - policy: a policy or webhook of somebody else refuses what people submit, or our own objects. It is quoted.
    - webhook-dead: a webhook that must answer has nobody behind it, so nothing can be made.
    - quota: a quota or limit range of our namespace leaves no room.
    """
    found = [each for each in (_policies(facts), _dead_hooks(facts), _quotas(facts)) if each is not None]
    if found:
        return worst(found)
    sample = [each for each in tries(facts) if each.is_of_project]
    if not sample:
        facts.need("dry_run")
        return unknown("no sample pod of a project was tried")
    if not all(each.accepted for each in sample):
        return unknown(f"the {sample[0].object} could not be tried: {sample[0].message or sample[0].refusal}")
    return passed("a sample pod of a project is admitted")


def _policies(facts: Facts) -> Finding | None:
    refused = [
        each for each in tries(facts) if each.refusal is Refusal.POLICY or (each.is_of_project and _is_final(each))
    ]
    if not refused:
        return None
    full = all(each.refusal is Refusal.QUOTA for each in refused)
    seen = "; ".join(f"the {each.object} is refused: {each.message or each.status}" for each in refused)
    if full:
        return warned(seen, Refusal.QUOTA, "Ask for more room in the quota")
    return failed(
        seen, Refusal.POLICY, "Ask for an exception of that policy for namespaces labelled fairlead.dev/managed"
    )


def _is_final(each: Try) -> bool:
    return each.refusal not in (Refusal.NONE, Refusal.NO_ANSWER, Refusal.NO_DRY_RUN)


def _dead_hooks(facts: Facts) -> Finding | None:
    dead = [
        hook.text("name")
        for hook in facts.items("webhooks")
        if hook.text("failure_policy") == "Fail"
        and hook.text("service")
        and hook.number("endpoints") == 0
        and hook.flag("matches_us")
    ]
    if not dead:
        return None
    return failed(
        f"nobody answers for webhook {listed(dead)}, and it must answer before anything is made",
        "webhook-dead",
        f"Start what serves the webhook {dead[0]}, or delete its configuration",
    )


def _quotas(facts: Facts) -> Finding | None:
    full = [
        f"{quota.text('namespace')}/{quota.text('name')}: {resource}"
        for quota in facts.items("quotas")
        for resource in quota.keys("wanted")
        if resource in quota.or_else({}, "hard")
        and quota.number("used", resource) + quota.number("wanted", resource) > quota.number("hard", resource)
    ]
    refused = [text for ranges in facts.items("limit_ranges") for text in ranges.texts("refuses")]
    if not full and not refused:
        return None
    return warned(
        f"no room for us: {listed(full + refused)}", Refusal.QUOTA, "Ask for more room in the quota or limit range"
    )


CHECKS: Final = (
    Check(
        code="pod-security",
        title="Our pods are admitted",
        row="Pod Security Policy",
        severity=Verdict.FAIL,
        needs=(
            "dry_run",
            "psp",
            "psa",
            "scc",
            "server",
            "access.may_label_namespaces",
            "openshift.cluster_version_object",
        ),
        expected="the pod that needs most rights is accepted in our own namespace",
        rules="pass: accepted; warn: values are set that have no effect; fail: refused",
        disables=("install", "gpu", "fractions"),
        causes=("psp", "psa", "scc", "label-refused", "set-in-vain"),
        judge=pod_security,
    ),
    Check(
        code="admission",
        title="What people submit is admitted",
        row="Pod Security Policy",
        severity=Verdict.FAIL,
        needs=("dry_run", "webhooks", "quotas", "limit_ranges"),
        expected="a sample pod of a project is accepted",
        rules="pass: accepted; warn: a quota leaves no room; fail: a policy or a dead webhook refuses it",
        disables=("install", "submit"),
        causes=(Refusal.POLICY, "webhook-dead", Refusal.QUOTA),
        judge=admission,
    ),
)
