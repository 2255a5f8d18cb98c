"""Dry runs: what was sent, and what kind of refusal came back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairlead.preflight.facts import Facts


class Refusal(StrEnum):
    """Why an object was refused; the value is the cause in findings."""

    NONE = ""
    RBAC = "rbac"
    ESCALATION = "escalation"
    POD_SECURITY = "pod-security"
    QUOTA = "quota"
    POLICY = "policy"
    NO_DRY_RUN = "dry-run-unsupported"
    NO_ANSWER = "no-answer"


_WORDS: Final = (
    (Refusal.NO_DRY_RUN, ("dry run", "dry-run", "dryrun")),
    (Refusal.NO_ANSWER, ("because it is being terminated",)),
    (Refusal.ESCALATION, ("attempting to grant", "not currently held", "escalat")),
    (
        Refusal.QUOTA,
        ("exceeded quota", "failed quota", "must specify limits", "must specify requests", "limitrange", "usage per"),
    ),
    (
        Refusal.POD_SECURITY,
        (
            "podsecurity",
            "pod security",
            "security context constraint",
            "unable to admit pod",
            "unable to validate against any",
            "hostpath",
        ),
    ),
    (Refusal.POLICY, ("admission webhook", "denied the request", "policy", "policies", "gatekeeper", "kyverno")),
    (Refusal.RBAC, ("cannot create resource", "cannot patch resource", "is forbidden: user", "cannot ")),
)
"""Kind -> what its messages say, the most telling first."""

_NODE_AGENT: Final = "node-agent"
_MODEST: Final = ("controller", "scheduler", "binder", "admission", "server", "device")
"""Words for units whose pods need nothing of the node."""
_OF_WEBHOOKS: Final = "admission webhook"
_OWN_SECURITY: Final = ("podsecurity", "pod-security", "pod security")
"""Words of Kubernetes' own levels, which may be kept by a webhook too."""
_CONFLICT: Final = 409
_TAKEN: Final = "already exists"
_UNDECIDED: Final = (404, 408, _CONFLICT, 429)
"""Answers before anybody judged it: its namespace is not there, it took too long, was changed by another, or too many were asked."""


@dataclass(frozen=True)
class Try:
    """One dry run. `status` None: it is not known what came back."""

    object: str
    namespace: str
    by: str
    """Whose rights counted."""
    labels: tuple[tuple[str, str], ...]
    status: int | None
    message: str

    @property
    def is_pod(self) -> bool:
        """Whether a pod was sent."""
        return "pod" in self.object.lower().split() or self.object.lower() == _NODE_AGENT

    @property
    def resource(self) -> str:
        """The plural by which rights to make it are asked for; empty where its kind is not told."""
        kind = "pod" if self.is_pod else self.object.lower().partition(" ")[0]
        return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s" if kind else ""

    @property
    def is_by_its_own(self) -> bool:
        """Whether the rights of the account that will run it counted: an administrator may use what that one may not."""
        return "service account" in self.by.lower()

    @property
    def is_by_administrator(self) -> bool:
        """Whether somebody's rights counted who may do more than the account that will run it."""
        return "admin" in self.by.lower() and not self.is_by_its_own

    @property
    def is_modest(self) -> bool:
        """Whether it is a pod of ours that asks for less than the node agent's does."""
        return self.is_pod and any(unit in self.object.lower() for unit in _MODEST)

    @property
    def is_of_project(self) -> bool:
        """Whether it stands for what people submit."""
        return self.is_pod and any(word in self.object.lower() for word in ("project", "sample", "user"))

    @property
    def accepted(self) -> bool:
        """Whether the API server would take it. That the name is taken is found out last, after rights and admission."""
        if self.status == _CONFLICT:
            return _TAKEN in self.message.lower()
        return self.status is not None and self.status < 300

    @property
    def is_untold(self) -> bool:
        """Whether it is not known what came back, or only that it was refused."""
        return not self.accepted and (self.status is None or not self.message)

    @property
    def refusal(self) -> Refusal:
        """Why not."""
        if self.accepted:
            return Refusal.NONE
        if self.status is None or self.status >= 500 or self.status in _UNDECIDED:
            return Refusal.NO_ANSWER
        text = self.message.lower()
        said = next((kind for kind, words in _WORDS if any(word in text for word in words)), None)
        if said is Refusal.POD_SECURITY and _OF_WEBHOOKS in text and not any(word in text for word in _OWN_SECURITY):
            return Refusal.POLICY  # its rules may be about the same fields
        return said or self._usual

    @property
    def _usual(self) -> Refusal:
        """What a refusal without a telling message is."""
        if self.status == 400:
            return Refusal.NO_DRY_RUN
        if self.is_of_project:
            return Refusal.POLICY
        return Refusal.POD_SECURITY if self.is_pod else Refusal.RBAC


def tries(facts: Facts) -> tuple[Try, ...]:
    """All dry runs; none where they are not known. Raises: Missing where it is not known what was sent."""
    return tuple(_try(each) for each in facts.maybe_items("dry_run"))


def _is_good(status: float | None) -> bool:
    return status is not None and status < 300


def _try(each: Facts) -> Try:
    labels = tuple((key, each.text("labels", key)) for key in sorted(each.or_else({}, "labels")))
    status = each.maybe_number("http_status")
    if not each.known("message_mentions") and not each.left_out("message_mentions") and not _is_good(status):
        status = None  # what was said decides what kind of refusal it is
    return Try(
        each.text("object"),
        str(each.or_else("", "namespace")),
        str(each.or_else("", "as")),
        labels,
        None if status is None else int(status),
        each.maybe_text("message_mentions") or "",
    )
