"""What a reader may see."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

Name: TypeAlias = tuple[str, str, str]
"""(cluster id, `department` or `project`, name): rows that a cluster reports know names and no ids."""
Level: TypeAlias = Literal["clusters", "departments", "projects", "names"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Clusters, departments and projects by id, the latter two by name as well; None = all.

    Every repository method that reads tenants' rows takes one. A project brings its department and its cluster with it, for reading.
    """

    clusters: frozenset[str] | None = None
    departments: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    names: frozenset[Name] | None = None

    def holds(self, level: Level, key: str | Name) -> bool:
        """Whether that cluster, department, project or name is in it."""
        found: frozenset[str] | frozenset[Name] | None = getattr(self, level)
        return found is None or key in found

    def __or__(self, other: Scope) -> Scope:
        """What either of them holds."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Scope(**{name: None if a is None or b is None else a | b for name, (a, b) in pairs.items()})


EVERYTHING = Scope()
NOTHING = Scope(clusters=frozenset(), departments=frozenset(), projects=frozenset(), names=frozenset())
