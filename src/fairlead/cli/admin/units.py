"""`fairlead department` and `fairlead project`: the two levels that hold quota."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from fairlead.cli import output
from fairlead.cli.admin import quota
from fairlead.cli.lookup import cluster_of, full_names, unit_of
from fairlead.cli.options import named
from fairlead.cli.rest import Rest
from fairlead.cli.rows import unit as unit_row
from fairlead.cli.words import line
from fairlead.runtime.errors import Invalid


class _Unit(NamedTuple):
    """One level. `first`: how to make the first one; `heads`, `cells`: columns that only it has; `right`: those of numbers."""

    noun: str
    first: str
    heads: tuple[str, ...]
    cells: Callable[[Any], list[str]]
    right: tuple[str, ...] = ()

    @property
    def plural(self) -> str:
        return f"{self.noun}s"

    @property
    def path(self) -> str:
        return f"/api/v1/org-unit/{self.plural}"

    def find(self, rest: Rest, name: str) -> Any:
        return unit_of(rest, rest.get(self.path)[self.plural], name, self.noun)


_DEPARTMENT = _Unit(
    noun="department",
    first="department create research --gpus 16",
    heads=("PROJECTS",),
    cells=lambda r: [str(len(r["children"]))],
    right=("PROJECTS",),
)
_PROJECT = _Unit(
    noun="project",
    first="project create vision --gpus 4",
    heads=("DEPARTMENT", "NAMESPACE"),
    cells=lambda r: [(r["parent"] or {}).get("name", "-"), r["requestedNamespace"]],
)


@click.group()
def department() -> None:
    """Departments: quota over the projects of a part of the organisation.

    \b
    Example:
      fairlead department create research --gpus 16
    """


@click.group()
def project() -> None:
    """Projects: a namespace with quota for one team.

    \b
    Example:
      fairlead project create vision --gpus 4
    """


@department.command("create")
@click.argument("name")
@click.option("--cluster", default=None, help="Cluster, where there are several.")
@quota.with_quota
@output.OUTPUT
def create_department(name: str, cluster: str | None, **asked: Any) -> None:
    """Make a department."""
    _create(_DEPARTMENT, name, cluster, asked, {})


@project.command("create")
@click.argument("name")
@click.option("--department", default=None, help="Department it belongs to; `default` if left out.")
@click.option("--namespace", default=None, help="Namespace; runai-NAME if left out.")
@click.option("--cluster", default=None, help="Cluster, where there are several.")
@quota.with_quota
@output.OUTPUT
def create_project(name: str, department: str | None, namespace: str | None, cluster: str | None, **asked: Any) -> None:
    """Make a project."""
    _create(_PROJECT, name, cluster, asked, {"parentId": department, "requestedNamespace": namespace})


def _create(unit: _Unit, name: str, cluster: str | None, asked: dict[str, Any], more: dict[str, str | None]) -> None:
    rest = Rest()
    cluster_id = cluster_of(rest, cluster)["uuid"]
    body = {
        "name": name,
        "clusterId": cluster_id,
        **{key: value for key, value in more.items() if value is not None},
        "resources": quota.resources(rest, asked, cluster_id),
    }
    with named(quota.FIELDS):
        made = rest.post(unit.path, body)
    output.show(
        unit_row(made), asked["output"], lambda: click.echo(f"{unit.noun.capitalize()} {name} made."), names=[name]
    )
    _tell_excess(rest, unit, made)


def _tell_excess(rest: Rest, unit: _Unit, made: Any) -> None:
    """That a project cannot have its quota while all others use theirs."""
    if unit is _PROJECT:
        projects = [p for p in rest.get(unit.path)[unit.plural] if p["clusterId"] == made["clusterId"]]
        for sentence in quota.excess(made, projects, rest.get("/api/v1/nodes", limit=10_000)["nodes"]):
            output.note(sentence)


def _add_verbs(group: click.Group, unit: _Unit, *, removal: str) -> None:
    """The verbs both levels have alike. `removal`: what deleting does."""

    @group.command(
        "list", help=f"All {unit.plural} with quota and use, in GPUs; CLUSTER/NAME where they are of several."
    )
    @output.OUTPUT
    def list_(**more: Any) -> None:
        rest = Rest()
        rows = rest.get(unit.path)[unit.plural]
        names = full_names(rest, rows)

        def table() -> None:
            if not rows:
                click.echo(f"No {unit.plural} yet. Make one: {line(unit.first)}")
                return
            lines = [[name, *unit.cells(r), *quota.line(r)] for name, r in zip(names, rows, strict=True)]
            heads = ["NAME", *unit.heads, *quota.FIGURES]
            output.print_table(heads, lines, right=(*unit.right, *quota.FIGURES), spare=("LIMIT", "FAIR SHARE"))
            output.tell_simulated(rows)

        output.show([unit_row(r) for r in rows], more["output"], table, names=names)

    @group.command(help=f"Change the quota of a {unit.noun}; what is not named stays.")
    @click.argument("name")
    @quota.with_quota
    @output.OUTPUT
    def update(name: str, **asked: Any) -> None:
        if all(asked[option] is None for option in quota.AMOUNTS):
            raise Invalid(f"Nothing of {unit.noun} {name} is to be changed.", hint=f"Name at least one of {_CHANGES}.")
        rest = Rest()
        found = unit.find(rest, name)
        body = {"resources": quota.resources(rest, asked, found["clusterId"], found["resources"])}
        with named(quota.FIELDS):
            changed = rest.put(f"{unit.path}/{found['id']}", body)
        said = f"{unit.noun.capitalize()} {name} changed."
        output.show(unit_row(changed), asked["output"], lambda: click.echo(said), names=[name])
        _tell_excess(rest, unit, changed)

    @group.command(help=removal)
    @click.argument("name")
    def delete(name: str) -> None:
        rest = Rest()
        rest.delete(f"{unit.path}/{unit.find(rest, name)['id']}")
        click.echo(f"{unit.noun.capitalize()} {name} removed.")


_CHANGES = ", ".join(f"--{option.replace('_', '-')}" for option in quota.AMOUNTS)


_add_verbs(department, _DEPARTMENT, removal="Remove a department without projects.")
_add_verbs(project, _PROJECT, removal="Remove a project without workloads. Its namespace and what else is in it stay.")
