"""Names people type, as the ids the API speaks."""

from __future__ import annotations

import difflib
from typing import Any

import click

from fairlead.cli.rest import Rest
from fairlead.cli.words import command, line
from fairlead.runtime.errors import Invalid, NotFound
from fairlead.runtime.settings import environment

PROJECT = click.option(
    "-p",
    "--project",
    metavar="NAME",
    help="Project, CLUSTER/NAME where several clusters have one of that name; $FAIRLEAD_PROJECT, or the only one, if left out.",
)


def project_of(rest: Rest, name: str | None) -> Any:
    """The project of that name, else $FAIRLEAD_PROJECT, else the only one there is.

    Raises: NotFound with the nearest name; Invalid where none is named and there are several.
    """
    projects = rest.get("/api/v1/org-unit/projects")["projects"]
    name = name or environment().get("FAIRLEAD_PROJECT") or (projects[0]["name"] if len(projects) == 1 else None)
    if name is None:
        known = ", ".join(full_names(rest, projects))
        if not projects:
            raise NotFound(
                "There is no project yet.", hint=f"Make one: {line('project create NAME --gpus 2')}", code="no-project"
            )
        raise Invalid("Which project?", hint=f"Name one with -p: {known}.", code="project-not-named")
    return unit_of(rest, projects, name, "project")


def workload_of(rest: Rest, name: str, project: str | None) -> Any:
    """The workload of that name, in the project where one is named, else in the only project that has one.

    Raises: NotFound with the nearest name; Invalid where several projects have one.
    """
    wanted = project or environment().get("FAIRLEAD_PROJECT") or ""
    cluster, _, bare = wanted.rpartition("/")
    query = [f"name=={name}", *([f"projectName=={bare}"] if bare else [])]
    query += [f"clusterId=={cluster_of(rest, cluster)['uuid']}"] if cluster else []
    found = rest.get("/api/v1/workloads", filterBy=",".join(query))["workloads"]
    if len(found) == 1:
        return found[0]
    if found:
        where = ", ".join(full_names(rest, found, "projectName"))
        raise Invalid(f"Several projects have a workload {name!r}: {where}.", hint="Name one with -p.")
    if wanted:
        project_of(rest, wanted)
    others = {w["name"]: w["projectName"] for w in rest.get("/api/v1/workloads", limit=1000)["workloads"]}
    near = next(iter(difflib.get_close_matches(name, others, 1)), None)
    there = f" of {others[near]}" if near and others[near] != bare else ""
    hint = f"Did you mean {near!r}{there}?" if near else f"`{command('list')}` shows what there is."
    raise NotFound(
        f"There is no workload {name!r}{f' in {wanted}' if wanted else ''}.", hint=hint, code="workload-not-found"
    )


def unit_of(rest: Rest, rows: list[Any], name: str, what: str) -> Any:
    """The row of that name, or of that CLUSTER/NAME. Raises: NotFound with the nearest name; Invalid where several clusters have one."""
    cluster, _, bare = name.rpartition("/")
    if cluster:
        uuid = cluster_of(rest, cluster)["uuid"]
        rows = [r for r in rows if _cluster_id(r) == uuid]
    found = [r for r in rows if r["name"] == bare]
    if len(found) > 1:
        which = ", ".join(sorted(full_names(rest, found)))
        raise Invalid(
            f"Several clusters have a {what} {bare!r}.", hint=f"Say which: {which}.", code="cluster-not-named"
        )
    return by_name(rows, bare, what)


def full_names(rest: Rest, rows: list[Any], key: str = "name") -> list[str]:
    """Their names as commands take them: CLUSTER/NAME where the rows are of several clusters."""
    if len({_cluster_id(r) for r in rows}) < 2:
        return [r[key] for r in rows]
    names = {c["uuid"]: c["name"] for c in rest.get("/api/v1/clusters")}
    return [f"{names.get(_cluster_id(r), _cluster_id(r))}/{r[key]}" for r in rows]


def _cluster_id(row: Any) -> str:
    return str(row["clusterUuid"] if "clusterUuid" in row else row["clusterId"])


def by_name(rows: list[Any], name: str, what: str) -> Any:
    """The row of that name. Raises: NotFound with the nearest name."""
    for row in rows:
        if row["name"] == name:
            return row
    names = [r["name"] for r in rows]
    near = difflib.get_close_matches(name, names, 1)
    known = f"Did you mean {near[0]!r}? " if near else ""
    raise NotFound(f"There is no {what} {name!r}.", hint=f"{known}There are: {', '.join(names) or 'none yet'}.")


def cluster_of(rest: Rest, name: str | None = None) -> Any:
    """The cluster of that name, else the only one. Raises: NotFound, Invalid."""
    found = rest.get("/api/v1/clusters")
    if name:
        return by_name(found, name, "cluster")
    if len(found) == 1:
        return found[0]
    raise Invalid("Which cluster?", hint=f"Name one with --cluster: {', '.join(c['name'] for c in found)}.")
