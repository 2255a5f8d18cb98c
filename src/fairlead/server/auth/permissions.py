"""Who may do what, and where: one table, role x resource -> verbs. A test insists that every role has a row for every resource."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_

from fairlead.runtime.errors import Denied
from fairlead.server.auth.scope import EVERYTHING, NOTHING, Scope

VERBS = ("create", "read", "update", "delete")
RESOURCES = (
    "clusters",
    "nodes",
    "node-pools",
    "departments",
    "projects",
    "workloads",
    "logs",
    "exec",
    "port-forward",
    "access-keys",
    "users",
    "access-rules",
    "audit",
)

_ALL = frozenset(VERBS)
_READ = frozenset({"read"})
_NONE: frozenset[str] = frozenset()

PERMISSIONS: dict[str, dict[str, frozenset[str]]] = {
    "administrator": dict.fromkeys(RESOURCES, _ALL),
    "researcher": {
        "clusters": _READ,
        "nodes": _READ,
        "node-pools": _READ,
        "departments": _READ,
        "projects": _READ,
        "workloads": _ALL,
        "logs": _READ,
        "exec": frozenset({"create"}),
        "port-forward": frozenset({"create"}),
        "access-keys": _ALL,
        "users": _NONE,
        "access-rules": _NONE,
        "audit": _NONE,
    },
    "viewer": {
        "clusters": _READ,
        "nodes": _READ,
        "node-pools": _READ,
        "departments": _READ,
        "projects": _READ,
        "workloads": _READ,
        "logs": _READ,
        "exec": _NONE,
        "port-forward": _NONE,
        "access-keys": _NONE,
        "users": _NONE,
        "access-rules": _NONE,
        "audit": _NONE,
    },
}


ADMINISTRATOR = "administrator"
"""The one role that is given everywhere or not at all: what it may change belongs to no project."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A role, and where it holds."""

    role: str
    scope: Scope = EVERYTHING


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Whoever asks: an account and its grants."""

    user_id: str
    username: str
    grants: tuple[Grant, ...] = ()

    @property
    def role(self) -> str:
        """The widest of its roles; "none" where nobody has given it one."""
        return next((role for role in PERMISSIONS if any(g.role == role for g in self.grants)), "none")

    def require(self, verb: str, resource: str, *, project: str = "") -> Scope:
        """Where it may do that; first line of every service function. With `project` (an id) it must be allowed in that one.

        Raises: Denied naming the missing right and a role that has it.
        """
        found = [g.scope for g in self.grants if verb in PERMISSIONS[g.role][resource]]
        scope = reduce(or_, found, NOTHING)
        if found and (not project or scope.holds("projects", project)):
            return scope
        holders = [role for role, rows in PERMISSIONS.items() if verb in rows[resource]]
        held = f"Your role, {self.role}, may" if self.grants else "Nobody has given you a role yet, so you may"
        raise Denied(
            f"{held} not {verb} {resource}{' in this project' if found else ''}.",
            hint=f"It needs the role {' or '.join(holders)}; an administrator can give it.",
            code="not-allowed",
        )


def administrator(username: str, user_id: str = "") -> Principal:
    """A principal that may do everything, everywhere."""
    return Principal(user_id=user_id, username=username, grants=(Grant(role=ADMINISTRATOR),))
