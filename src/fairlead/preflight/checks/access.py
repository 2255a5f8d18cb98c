"""Can the cluster be used, and may we do what has to be done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairlead.preflight.check import ByApi, Check, Finding, Verdict, Who, failed, listed, passed, unknown, warned
from fairlead.preflight.checks.tries import Refusal, Try, tries
from fairlead.preflight.config import Config
from fairlead.preflight.facts import Facts, Missing

_SLOW_SECONDS: Final = 2.0
_ANSWERED: Final = ("ok", "forbidden")
_REMEDIES: Final = {
    "no-kubeconfig": "Name a kubeconfig: fairlead preflight --kubeconfig FILE",
    "expired": "Sign in to the cluster again, so that the kubeconfig holds a credential that has not ended",
    "dns": "Give the API server's name in the kubeconfig as one that this machine can resolve",
    "refused": "Correct the API server's address in the kubeconfig, or start the API server",
    "tls": "Give the cluster's authority in the kubeconfig (certificate-authority-data)",
    "proxy": "Exempt the API server's address from the proxy: add it to NO_PROXY of this machine",
    "timeout": "kubectl get --raw '/readyz?verbose', and look at what the API server and etcd wait for",
    "block-page": "Correct the API server's address in the kubeconfig, or exempt it from the proxy (NO_PROXY of this machine)",
    "forbidden": "Let an administrator of the cluster apply what this prints: fairlead preflight role --user NAME",
    "unauthorized": "Sign in to the cluster again: its API server does not take this credential",
}


def connectivity(facts: Facts, config: Config) -> Finding:
    """Nothing can be judged without the API server. That /version answers proves little: it needs no storage, while lists do, so a list
    of nodes is asked for, too.

    - no-kubeconfig: no file was found; `localhost` is never tried instead.
    - exec-plugin-missing: the kubeconfig calls a program for its credential that is not on this machine.
    - expired, unauthorized: sign in again.
    - dns, refused, tls, proxy, timeout: the first step of the way that did not work.
    - block-page: something answers in the API server's place, such as a proxy's page.
    - slow: lists take longer than two seconds; look at the load of the API server and etcd.
    """
    named = facts.maybe_text("access", "context")
    name = f"the cluster {named}" if named else "the cluster"
    if cause := _first_failure(facts):
        return failed(_unusable(name, cause, facts), cause, _remedy(cause, facts), _who(cause))
    facts.text("access", "list_nodes")
    seconds = float(facts.or_else(0.0, "access", "seconds"))
    if seconds > _SLOW_SECONDS:
        return warned(
            f"a list of one node took {seconds:g} s",
            "slow",
            "Look at the load of the API server and etcd",
            Who.CLUSTER_ADMIN,
        )
    return passed("the API server answers lists")


def _first_failure(facts: Facts) -> str:
    if error := facts.maybe_text("access", "error"):
        return error
    asked = ("api_version_endpoint", "list_nodes")
    answers = (facts.maybe_text("access", each) for each in asked)
    return next((answer for answer in answers if answer is not None and answer not in _ANSWERED), "")


def _unusable(name: str, cause: str, facts: Facts) -> str:
    if facts.maybe_text("access", "api_version_endpoint") == "ok":
        return f"{name} answers /version, but not lists: {cause}; nothing else could be judged"
    said = facts.maybe_text("access", "message")
    return f"cannot use {name}: {cause}" + (f": {said}" if said else "")


def _remedy(cause: str, facts: Facts) -> str:
    if cause == "exec-plugin-missing":
        program = facts.maybe_text("access", "exec_plugin") or "the program that the kubeconfig names under `exec`"
        hint = facts.maybe_text("access", "exec_plugin_hint")
        return f"Install {program} on this machine" + (f": {hint}" if hint else "")
    return _REMEDIES.get(cause, "kubectl --v=6 get nodes says which step of the way fails")


def _who(cause: str) -> Who:
    return {"timeout": Who.CLUSTER_ADMIN, "forbidden": Who.CLUSTER_ADMIN, "proxy": Who.NETWORK, "dns": Who.NETWORK}.get(
        cause, Who.YOU
    )


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_READ: Final = _words(
    "nodes namespaces pods events storageclasses csinodes csidrivers runtimeclasses customresourcedefinitions apiservices "
    "validatingwebhookconfigurations mutatingwebhookconfigurations ingressclasses clusterversions securitycontextconstraints "
    "podsecuritypolicies clusterpolicies prometheuses"
)
"""Resources whose lists checks read."""
_MADE: Final = _words(
    "namespaces pods persistentvolumeclaims secrets serviceaccounts configmaps services deployments daemonsets jobs roles rolebindings "
    "clusterroles clusterrolebindings networkpolicies poddisruptionbudgets customresourcedefinitions validatingwebhookconfigurations "
    "mutatingwebhookconfigurations podsecuritypolicies selfsubjectaccessreviews projects departments"
)
"""Resources that probes and the installation make."""
_VERBS_READ: Final = frozenset(("get", "list", "watch"))


def permissions(facts: Facts, config: Config) -> Finding:
    """Samples of the objects that take most rights (pods, a role, a definition, a webhook's configuration) are sent to the API server as a
    dry run, with the account that runs the command; `fairlead install --dry-run` sends every object. That is the proof; what the API
    server says when it is asked about rights is a hint only: it says yes to objects it refuses later, because nobody may give away rights
    that he has not. Rights that no check and no object needs are not asked about.

    - rbac: rights are refused. A cluster admin can make the installation, or grant them. Where only lists are refused, this is unknown, as
      what they would have told is.
    - escalation: the account may make roles, but not roles with rights that it has not itself (`escalate`, `bind`).
    - no-namespace: namespaces are made by administrators (create_namespaces: false), and one that the installation needs is not there.
    - dry-run-unsupported: a webhook of somebody else does not take dry runs, so nothing is proven.

    Once the product is installed the controllers ask for themselves, every day: whether they still may do what they need.
    """
    if facts.maybe_flag("run", "after_install") is True:
        return _own(facts)
    sent = tries(facts)
    refused = [each for each in sent if each.refusal in (Refusal.RBAC, Refusal.ESCALATION)]
    decided = frozenset(each.resource for each in sent if each.accepted)
    try:
        rights = [
            r for r in _refused_rights(facts, decided) if config.create_namespaces or not r.endswith(" namespaces")
        ]
    except Missing:
        if not refused:
            raise
        rights = []  # one that is refused is enough
    unread = _unread(facts)
    if refused or rights:
        what = [f"{each.object}: {each.message or each.status}" for each in refused] + [
            f"no right to {r}" for r in rights
        ]
        cause = Refusal.ESCALATION if any(each.refusal is Refusal.ESCALATION for each in refused) else Refusal.RBAC
        return failed("; ".join(what), cause, _request(refused, rights))
    if (lacking := _lacking(sent)) and not config.create_namespaces:
        seen = f"create_namespaces is off, and there is no namespace {listed(lacking)}"
        return failed(seen, "no-namespace", "\n".join(lacking.values()))
    if unread:
        return unknown(
            f"may not be read, so that other checks cannot know: {', '.join(unread)}",
            Refusal.RBAC,
            _request([], unread),
            Who.CLUSTER_ADMIN,
        )
    untried = [each for each in sent if each.refusal in (Refusal.NO_DRY_RUN, Refusal.NO_ANSWER) or each.is_untold]
    if untried:
        return _untried(untried)
    if not sent:
        facts.need("dry_run")
        return unknown("no object of the installation was tried")
    if judged := [each for each in sent if not each.accepted]:
        told = "; ".join(f"{each.object}: {each.message}" for each in judged)
        return unknown(f"see pod-security and admission, which tell why not all objects are accepted: {told}")
    return passed(
        f"all {len(sent)} objects that were tried are accepted" if len(sent) > 1 else f"{sent[0].object} is accepted"
    )


def _untried(sent: Sequence[Try]) -> Finding:
    seen = f"could not be tried: {'; '.join(f'{each.object}: {each.message or each.status}' for each in sent)}"
    if any(each.refusal is Refusal.NO_DRY_RUN for each in sent):
        return unknown(
            seen, Refusal.NO_DRY_RUN, "Ask whoever runs that webhook for sideEffects: None", Who.CLUSTER_ADMIN
        )
    return unknown(seen, remedy="\n".join(_lacking(sent).values()), who=Who.CLUSTER_ADMIN)


def _lacking(sent: Sequence[Try]) -> dict[str, str]:
    """Namespaces that are not there -> what makes each."""
    names = sorted({each.namespace for each in sent if each.status == _NOT_THERE and each.namespace})
    return {name: f"kubectl create namespace {name}" for name in names}


_NOT_THERE: Final = 404


def _own(facts: Facts) -> Finding:
    """What the controllers say of their own account."""
    asked = facts.items("access_reviews")
    if not asked:
        return unknown("nobody answered what the controllers may do")
    refused = [f"{each.text('verb')} {each.text('resource')}" for each in asked if not each.flag("allowed")]
    if refused:
        seen = f"the controllers may not: {', '.join(dict.fromkeys(refused))}"
        remedy = "Put the roles of the chart in force again: fairlead upgrade, or helm upgrade with --reuse-values"
        return failed(seen, Refusal.RBAC, remedy)
    if unread := _unread(facts):
        return unknown(f"may not be read, so that other checks cannot know: {', '.join(unread)}", Refusal.RBAC)
    return passed("the controllers may do what they need")


def _refused_rights(facts: Facts, decided: frozenset[str]) -> list[str]:
    """Rights that are needed and refused. `decided`: resources that need not be asked about: nobody makes them, or an object of theirs was
    accepted, which proves more than these answers.
    """
    found = []
    for review in facts.items_or_none("access_reviews"):
        verb, resource = review.text("verb"), review.text("resource")
        if _is_needed(verb, resource, decided) and not review.flag("allowed"):
            found.append(f"{verb} {resource}")
    return list(dict.fromkeys(found))


def _unread(facts: Facts) -> list[str]:
    """Lists that checks need and that were refused when they were asked for."""
    found = []
    for text in facts.texts_or_none("access", "forbidden"):
        verb, _, rest = text.partition(" ")
        resource = rest.split()[0].split(".")[0] if rest else ""
        if verb in _VERBS_READ and resource in _READ:
            found.append(f"{verb} {resource}")
    return list(dict.fromkeys(found))


def _is_needed(verb: str, resource: str, decided: frozenset[str]) -> bool:
    """Reviews by kind (`DaemonSet`) instead of the plural of the resource answer no for everything, so they say nothing."""
    if verb in _VERBS_READ:
        return resource in _READ
    return resource in _MADE and not (verb == "create" and resource in decided)


def _request(refused: list[Try], rights: list[str]) -> str:
    verbs: dict[str, list[str]] = {}
    for right in dict.fromkeys((*map(_wanted, refused), *rights)):
        verb, _, what = right.partition(" ")
        verbs.setdefault(what, []).append(verb)
    wanted = [f"{' and '.join(each)} {what}" for what, each in verbs.items()]
    return f"Ask a cluster admin to run the installation, or to grant: {', '.join(wanted)}"


def _wanted(refused: Try) -> str:
    """The right that is missing for that object."""
    if refused.refusal is not Refusal.ESCALATION:
        return f"create {refused.resource or refused.object}"
    verb = "bind" if "binding" in refused.object.lower() else "escalate"
    return (
        f"{verb} {'clusterroles' if verb == 'bind' else refused.resource} (or all rights that {refused.object} gives)"
    )


CHECKS: Final = (
    Check(
        code="cluster-connectivity",
        title="The cluster's API can be used",
        row="Kubernetes",
        severity=Verdict.FAIL,
        needs=("access",),
        expected="an API server that answers lists within 2 s",
        rules="pass: lists answer; warn: they take longer than 2 s; fail: anything else, with exit code 5",
        disables=("install",),
        causes=(
            "no-kubeconfig",
            "exec-plugin-missing",
            "expired",
            "dns",
            "refused",
            "tls",
            "proxy",
            "timeout",
            "unauthorized",
            "block-page",
            "slow",
        ),
        judge=connectivity,
        by_api=ByApi.WHOLE,
    ),
    Check(
        code="permissions",
        title="Rights of whoever installs",
        row="Kubernetes",
        severity=Verdict.FAIL,
        needs=("access_reviews", "access.forbidden", "access.allowed", "dry_run"),
        expected="every object of the installation is accepted in a dry run",
        rules="pass: all accepted; fail: an object or a needed right is refused; unknown: dry runs are not possible",
        disables=("install", "upgrade"),
        causes=(Refusal.RBAC, Refusal.ESCALATION, "no-namespace", Refusal.NO_DRY_RUN),
        judge=permissions,
        by_api=ByApi.FAULTS,
    ),
)
