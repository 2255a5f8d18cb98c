"""What may run in the cluster: pod security, and admission in general."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fairlead.preflight import footprint
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
from fairlead.preflight.checks.tries import Refusal, Try, tries
from fairlead.preflight.config import Config, is_on
from fairlead.preflight.facts import Facts, Missing
from fairlead.preflight.versions import version_of

_LAST_WITH_POLICIES: Final = (1, 24)
_ENFORCE: Final = "pod-security.kubernetes.io/enforce"


def pod_security(facts: Facts, config: Config) -> Finding:
    """Our most demanding pod, the node agent, is sent as a dry run, in a namespace with the labels that ours will have; where
    administrators make namespaces (create_namespaces: false), in the one that they made. That decides: policies may exist that nothing
    enforces, and a namespace such as `default` may refuse what ours takes.

    - psp: PodSecurityPolicies are enforced, and none that its account may use allows the pod. Have ours made (podSecurityPolicy).
    - psa: the namespace enforces too low a level; label it for what our pods need, `audit` and `warn` too, or alerts fire.
    - scc: no SecurityContextConstraints admits the pod on OpenShift.
    - label-refused: it would be admitted with a label that may not be set with these rights.
    - set-in-vain: podSecurityPolicy is on, and the cluster has no such policies.

    Once the product is installed a pod of each of its Deployments and DaemonSets is sent, every day: whether it would still be admitted.
    """
    installed = facts.maybe_flag("run", "after_install") is True
    ours = [each for each in tries(facts) if each.is_pod and not each.is_of_project]
    ours = [each for each in ours if installed or _in_our_namespace(each, config)]
    if not ours:
        if (vain := attempt(lambda: _in_vain(facts, config) or _NOTHING)).verdict is Verdict.WARN:
            return vain
        facts.need("dry_run")
        return unknown(
            f"no pod of ours was tried in the namespace {config.namespace}; what another namespace refuses proves nothing"
        )
    by_object: dict[str, list[Try]] = {}
    for each in ours:
        by_object.setdefault(each.object, []).append(each)
    if not installed and (doubt := _undemanding(ours)):
        by_object = {name: sent for name, sent in by_object.items() if not all(each.accepted for each in sent)}
        if not by_object:
            return unknown(doubt)
    found = worst(_admitted(name, _deciding(sent), facts, config) for name, sent in by_object.items())
    return _in_vain(facts, config) or found if found.verdict is Verdict.PASS else found


def _undemanding(sent: list[Try]) -> str:
    """Why pods that are let in prove nothing of the most demanding one; empty where they do."""
    if all(each.is_modest for each in sent):
        return "the node agent's pod, which asks for most, was not tried"
    if all(each.is_by_administrator for each in sent if not each.is_modest):
        return "it was tried with an administrator's rights alone, and the account that will run it may have less"
    return ""


def _deciding(sent: list[Try]) -> list[Try]:
    """Those with the rights of its own account, where there are any: what an administrator may do proves nothing then."""
    return [each for each in sent if each.is_by_its_own] or sent


def _in_our_namespace(each: Try, config: Config) -> bool:
    return (
        not each.namespace or each.namespace == footprint.NODE_NAMESPACE or each.namespace.startswith(config.namespace)
    )


def _admitted(name: str, sent: list[Try], facts: Facts, config: Config) -> Finding:
    accepted = [each for each in sent if each.accepted]
    if accepted and len(accepted) == len(sent):
        return passed(f"the {name} is admitted{_unenforced(facts)}")
    others = [each for each in sent if not each.accepted]
    if accepted and all(each.labels != accepted[0].labels for each in others):
        return _with_label(name, accepted[0], facts)
    refused = next((each for each in others if each.refusal is not Refusal.NO_ANSWER), None)
    if refused is None or refused.refusal is not Refusal.POD_SECURITY:
        return unknown(f"the {name} could not be tried: {others[0].message or others[0].refusal}")
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
    is_before = facts.maybe_flag("run", "after_install") is not True
    if _is_old_policy(text, facts) and _brings_policies(config) and is_before:
        return passed(f"the {name} is refused by the policies that are there; the chart brings one that allows it")
    if _is_old_policy(text, facts):
        remedy = "Set podSecurityPolicy: on"
        return failed(f"the {name} is refused: {said}", "psp", remedy, Who.YOU)
    remedy = " ".join(
        (
            "kubectl label --overwrite namespace",
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


def _brings_policies(config: Config) -> bool:
    return is_on(config.pod_security_policy)


def _in_vain(facts: Facts, config: Config) -> Finding | None:
    if not _brings_policies(config):
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
    - webhook-dead: a webhook that must answer does not, or has nobody behind its Service, so nothing can be made. All other checks that
      met it are unknown and say `see admission`.
    - quota: a quota of our namespace leaves no room, or wants of each container what ours do not state (`limits.cpu`); or a limit range
      refuses what they ask for.
    """
    parts = (lambda: _policies(facts), lambda: _dead_hooks(facts), lambda: _quotas(facts, config))
    found = [attempt(lambda part=part: part() or _NOTHING) for part in parts]  # type: ignore[misc]
    if found[0].verdict is Verdict.WARN and facts.left_out("webhooks"):
        return found[0]  # what was tried decides, where nobody looked for what else there is
    if (gravest := worst(found)).verdict is not Verdict.PASS:
        return gravest
    sample = [each for each in tries(facts) if each.is_of_project]
    if not sample:
        facts.need("dry_run")
        return unknown("no sample pod of a project was tried")
    if not all(each.accepted for each in sample):
        return unknown(f"the {sample[0].object} could not be tried: {sample[0].message or sample[0].refusal}")
    return passed("a sample pod of a project is admitted")


_NOTHING: Final = passed("nothing is in the way")


def _policies(facts: Facts) -> Finding | None:
    refused = [
        each
        for each in tries(facts)
        if each.refusal in (Refusal.POLICY, Refusal.QUOTA) or (each.is_of_project and _is_final(each))
    ]
    if not refused:
        untold = next((each for each in tries(facts) if each.is_untold), None)
        return unknown(f"the {untold.object}: it is not known what was said to it") if untold else None
    full = all(each.refusal is Refusal.QUOTA for each in refused)
    seen = "; ".join(f"the {each.object} is refused: {each.message or each.status}" for each in refused)
    if full and any("must specify" in each.message.lower() for each in refused if not each.is_of_project):
        remedy = (
            "Give that namespace a LimitRange with default requests and limits, or take that resource out of its quota"
        )
        return failed(seen, Refusal.QUOTA, remedy)
    if full:
        return warned(seen, Refusal.QUOTA, "Ask for more room in the quota")
    return failed(
        seen, Refusal.POLICY, "Ask for an exception of that policy for namespaces labelled fairlead.dev/managed"
    )


def _is_final(each: Try) -> bool:
    return each.refusal not in (Refusal.NONE, Refusal.NO_ANSWER, Refusal.NO_DRY_RUN)


def _dead_hooks(facts: Facts) -> Finding | None:
    """What is known to be dead is told, also where others are not known."""
    silent = {each.text("name"): each.maybe_text("message") or "" for each in facts.items_or_none("webhook_failures")}
    hooks = facts.maybe_items("webhooks")
    dead = {name: _dead_hook(name, hooks, said) for name, said in silent.items()}
    doubt = None
    for hook in hooks:
        try:
            if _is_dead(hook):
                dead.setdefault(hook.text("name"), _dead_hook(hook.text("name"), hooks, ""))
        except Missing as missing:
            doubt = missing
    if dead:
        return _all_dead(list(dead.values()))
    if doubt is not None:
        raise doubt
    facts.need("webhooks")
    return None


def _is_dead(hook: Facts) -> bool:
    return (
        hook.text("failure_policy") == "Fail"
        and bool(hook.text("service"))
        and hook.number("endpoints") == 0
        and hook.flag("matches_us")
    )


def _dead_hook(name: str, hooks: Sequence[Facts], said: str) -> tuple[str, str]:
    """(what is seen, what to do) of a webhook. `said`: by the API server, which asked it in vain."""
    hook = next((each for each in hooks if each.maybe_text("name") == name), None)
    service = hook.maybe_text("service") if hook else ""
    configuration = hook.maybe_text("configuration") if hook else ""
    place = f" of {configuration}" if configuration else ""
    behind = f", Service {service}" if service else ""
    seen = f"the webhook {name}{place}{behind}" + (f" ({said})" if said else "")
    namespace, _, short = (service or "").partition("/")
    kind, _, object_ = (configuration or "").partition(" ")
    look = f": kubectl -n {namespace} get service,endpoints {short}" if service else f" the webhook {name}"
    remove = f": kubectl delete {kind.lower()} {object_}" if object_ else ", delete its configuration"
    return seen, f"Start what serves{' it' * bool(service)}{look}\nIf nobody needs it{remove}"


def _all_dead(dead: list[tuple[str, str]]) -> Finding:
    seen = listed(each for each, _ in dead)
    remedy = "\n".join(dict.fromkeys(what for _, what in dead))
    return failed(f"nobody answers for {seen}, and it must answer before anything is made", "webhook-dead", remedy)


def _quotas(facts: Facts, config: Config) -> Finding | None:
    """The gravest of what quotas and limit ranges of our namespace keep out."""
    judges: list[Callable[[], Finding | None]] = [lambda: _ranges(facts)]
    judges += [lambda quota=quota: _unstated(quota, facts) for quota in facts.maybe_items("quotas")]  # type: ignore[misc]
    judges += [lambda quota=quota: _room(quota, facts, config) for quota in facts.maybe_items("quotas")]  # type: ignore[misc]
    judges.append(lambda: facts.need("quotas") and None)
    found = worst(attempt(lambda judge=judge: judge() or _NOTHING) for judge in judges)  # type: ignore[misc]
    return None if found.verdict is Verdict.PASS else found


def _ranges(facts: Facts) -> Finding | None:
    by_name = {each.maybe_text("name") or "": each.texts("refuses") for each in facts.items("limit_ranges")}
    refused = {name: what for name, what in by_name.items() if what}
    if not refused:
        return None
    spaces = {each.text("namespace") for each in facts.items("limit_ranges") if each.texts("refuses")}
    remedy = f"kubectl -n {min(spaces)} edit limitrange {' '.join(sorted(refused))}".rstrip()
    seen = "; ".join(each for what in refused.values() for each in what)
    return failed(f"pods of ours are refused by the limit range {seen}", Refusal.QUOTA, remedy)


def _unstated(quota: Facts, facts: Facts) -> Finding | None:
    """A quota on what our containers do not state refuses every pod, unless a limit range states it for them."""
    lacking = [name for name in footprint.UNSTATED if name in quota.or_else({}, "hard")]
    if not lacking or set(lacking) <= {
        each for ranges in facts.items("limit_ranges") for each in ranges.texts_or_none("gives")
    }:
        return None
    place, name = quota.text("namespace"), quota.text("name")
    seen = (
        f"the quota {place}/{name} counts {', '.join(lacking)}, which containers of ours do not state: every pod of ours is refused, "
        "first that of the Job fairlead-crds"
    )
    steps = ", ".join(f'{{"op": "remove", "path": "/spec/hard/{each}"}}' for each in lacking)
    remedy = f"kubectl -n {place} patch resourcequota {name} --type=json -p '[{steps}]'"
    return failed(seen, Refusal.QUOTA, f"{remedy}\nOr give that namespace a LimitRange with a default limit of cpu")


def _room(quota: Facts, facts: Facts, config: Config) -> Finding | None:
    """Room for all of it; where not even the smallest pod has room nothing comes up."""
    hard = [
        name for name in quota.or_else({}, "hard") if name in footprint.least() or name in quota.or_else({}, "wanted")
    ]
    if not hard:
        return None
    wanted = _wanted(quota, facts, config)
    free = {name: quota.number("hard", name) - quota.number("used", name) for name in hard}
    full = [name for name in hard if wanted.get(name, 0) > free[name]]
    if not full:
        return None
    told = listed(f"{name} ({_amount(name, free[name])} left, {_amount(name, wanted[name])} wanted)" for name in full)
    seen = f"no room for us: {quota.text('namespace')}/{quota.text('name')}: {told}"
    remedy = "Ask for more room in the quota or limit range"
    is_shut = any(footprint.least().get(name, 0) > free[name] for name in full)
    return failed(seen, Refusal.QUOTA, remedy) if is_shut else warned(seen, Refusal.QUOTA, remedy)


def _amount(resource: str, amount: float) -> str:
    """As people write it: memory in Mi, all else as a number."""
    return f"{amount / 2**20:.0f}Mi" if resource.endswith(("memory", "storage")) else f"{amount:g}"


def _wanted(quota: Facts, facts: Facts, config: Config) -> Mapping[str, float]:
    """What is wanted there beside what is used: nothing more once the product is installed."""
    if quota.or_else(None, "wanted") is not None:
        return {name: quota.number("wanted", name) for name in quota.keys("wanted")}
    if facts.maybe_flag("run", "after_install") is True:
        return {}
    releases = [each for each in facts.items("helm_releases") if each.text("name") == "fairlead"]
    is_installed = any(each.text("status") == "deployed" for each in releases)
    return {} if is_installed else footprint.wanted(config)


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
            "server",
            "access.may_label_namespaces",
            "openshift.cluster_version_object",
        ),
        expected="the pod that needs most rights is accepted in our own namespace",
        rules="pass: accepted; warn: values are set that have no effect; fail: refused",
        disables=("install", "gpu", "fractions"),
        causes=("psp", "psa", "scc", "label-refused", "set-in-vain"),
        judge=pod_security,
        by_api=ByApi.FAULTS,
    ),
    Check(
        code="admission",
        title="What people submit is admitted",
        row="Pod Security Policy",
        severity=Verdict.FAIL,
        needs=("dry_run", "webhooks", "webhook_failures", "quotas", "limit_ranges", "helm_releases"),
        expected="a sample pod of a project is accepted",
        rules="pass: accepted; warn: a quota leaves no room for all; fail: a policy, a dead webhook, a quota or a limit range refuses it",
        disables=("install", "submit"),
        causes=(Refusal.POLICY, "webhook-dead", Refusal.QUOTA),
        judge=admission,
        by_api=ByApi.FAULTS,
    ),
)
