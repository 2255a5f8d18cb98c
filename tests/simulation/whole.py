"""The whole product in simulated time: people ask the control plane, its agent carries it into the cluster and reports back.

Beside the misfortunes of a cluster, links are cut at any message, the agent ends between any two calls, and the control plane
ends at any moment and is away for a while.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest import mock

from tests.parts.hashing import quick_hashes
from tests.simulation import checks
from tests.simulation.people import PROJECTS, People
from tests.simulation.plane import MemoryDialler, Plane
from tests.simulation.story import Lived, Story

from fairlead.cluster.agent.links import AgentOptions
from fairlead.cluster.agent.main import Agent
from fairlead.kube.client import Client
from fairlead.kube.faulty import Faults
from fairlead.objects import kinds
from fairlead.objects.workload import DistributedTraining, Training, Workload, Workspace
from fairlead.runtime.errors import Conflict, NotFound
from fairlead.server.auth.permissions import Principal, administrator
from fairlead.server.db.workloads import Page
from fairlead.server.services import clusters, organisation, workloads
from fairlead.wire.rest.organisation import DepartmentCreate, ProjectCreate, ProjectUpdate
from fairlead.wire.rest.workloads import DistributedCreate, WorkloadCreate

SECRET = "cluster-secret"
CUTS = 0.01
"""Chance of the end of a link at each message on it."""
_PATHS: dict[type[Workload], str] = {
    Training: "trainings",
    Workspace: "workspaces",
    DistributedTraining: "distributed",
}
_STATES = ("Completed", "Failed", "Running", "Stopped")
"""Phases that last until somebody does something."""


def live_whole(seed: int, hours: float) -> Lived:
    """A control plane and a cluster of that seed, for that long or until something is wrong."""
    with _seeded_names(seed):
        story = WholeStory(seed)
        story.run(hours)
    return Lived(story.wrong, story.cycles, story.unstable, story.people.acts, story.cluster.injected())


@contextmanager
def _seeded_names(seed: int) -> Iterator[None]:
    """Ids that the control plane draws at random come from the seed too."""
    rng = Random(seed + 3)

    def drawn() -> uuid.UUID:
        return uuid.UUID(int=rng.getrandbits(128), version=4)

    with mock.patch("uuid.uuid4", drawn), quick_hashes():
        yield


class NobodyExplains:
    """Stands in for the scheduler's explanations, which no person of the simulation asks for."""

    async def explain(self, namespace: str, workload: str) -> bytes:
        raise NotFound("Nobody explains here.")


class WholeStory(Story):
    """A story with a control plane."""

    people: Managers

    def __post_init__(self) -> None:
        super().__post_init__()
        self.plane = Plane(self.cluster.clock)
        self.people = Managers(self.cluster, Random(self.seed + 2), plane=self.plane)

    async def _begin(self) -> None:
        await self.plane.database.migrate()
        made, _ = await clusters.create_cluster(self.plane.context, self.people.root, "here", secret=SECRET)
        self.people.cluster_id = made.id
        options = AgentOptions(url="", cluster=made.id, secret=SECRET)
        self.dialler = MemoryDialler(self.plane, options, Random(self.seed + 4))
        self.cluster.add("agent", lambda client: self._agent(client, options))
        await super()._begin()

    def _agent(self, client: Client, options: AgentOptions) -> Agent:
        return Agent(client, NobodyExplains(), options, Random(self.rng.random()), self.dialler)

    async def _end(self) -> None:
        await super()._end()
        await self.plane.database.close()

    def weather(self, faults: Faults, crashes: float) -> None:
        super().weather(faults, crashes)
        self.dialler.cuts = CUTS if crashes else 0.0

    async def _settled(self) -> list[str]:
        found = await checks.settled(self.people)
        return found + await self.people.differences()


@dataclass
class Managers(People):
    """People who ask the control plane. `wanted`: id -> (name, whether suspended) of what must exist."""

    plane: Plane = field(kw_only=True)
    cluster_id: str = ""
    root: Principal = field(default_factory=lambda: administrator("test"))
    projects: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    away_until: float = 0.0

    async def found(self) -> None:
        """Departments and projects, and the namespaces once they are there."""
        departments = {}
        for name in sorted(set(PROJECTS.values())):
            body = {"name": name, "clusterId": self.cluster_id, "resources": [self._rest_quota(8)]}
            made = await organisation.create_department(
                self.plane.context, self.root, DepartmentCreate.model_validate(body)
            )
            departments[name] = made.id
        for name, department in PROJECTS.items():
            body = {
                "name": name,
                "clusterId": self.cluster_id,
                "parentId": departments[department],
                "resources": [self._rest_quota(5)],
            }
            made = await organisation.create_project(self.plane.context, self.root, ProjectCreate.model_validate(body))
            self.projects[name] = made.id
        for name in PROJECTS:
            while await self.client.find(kinds.NAMESPACE, f"runai-{name}") is None:  # simulated time
                await self.cluster.clock.sleep(1)

    async def act(self) -> None:
        """One thing at random, while the control plane is there to be asked."""
        if self.away_until:
            return
        if self.rng.random() < 0.03:
            self.acts["kill_plane"] = self.acts.get("kill_plane", 0) + 1
            self.away_until = self.cluster.clock.now() + self.rng.uniform(1, 400)
            await self.plane.kill()
            return
        await super().act()

    async def tend(self, *, everything: bool = False) -> None:
        """Machines and the control plane come back in time."""
        if self.away_until and (everything or self.away_until <= self.cluster.clock.now()):
            self.away_until = 0.0
            self.plane.start()
        await super().tend(everything=everything)

    async def submit(self) -> None:
        """A workload of some kind, unless there are many."""
        alive = [w for w in await self._listed() if w.phase not in ("Completed", "Failed")]
        if len(alive) >= 20:
            return
        kind = self.rng.choices([Training, Workspace, DistributedTraining], (6, 2, 3))[0]
        self.number += 1
        project = self.projects[self.rng.choice(list(PROJECTS))]
        body = {"name": f"w{self.number}", "projectId": project, "clusterId": self.cluster_id, "spec": self._body(kind)}
        model = DistributedCreate if kind is DistributedTraining else WorkloadCreate
        made = await workloads.submit(self.plane.context, self.root, _PATHS[kind], model.model_validate(body))
        self.wanted[made.id] = made.name

    async def delete(self) -> None:
        """Something goes; what has ended before what has not."""
        present = await self._listed()
        if present:
            ended = [w for w in present if w.phase in ("Completed", "Failed")]
            chosen = self.rng.choice(ended or present)
            await workloads.delete(self.plane.context, self.root, chosen.id)
            self.wanted.pop(chosen.id, None)
            self.removed.add(chosen.id)

    async def change_quota(self) -> None:
        """A project deserves more or less."""
        name = self.rng.choice(list(PROJECTS))
        gpus = self.rng.choice((0, 1, 3, 5, 8))
        body = {"resources": [self._rest_quota(gpus, self.rng.choice((-1, -1, -1, max(gpus, 6))))]}
        await organisation.update_unit(
            self.plane.context, self.root, "project", self.projects[name], ProjectUpdate.model_validate(body)
        )

    async def differences(self) -> list[str]:
        """Where the control plane and the cluster do not say the same, once both have settled."""
        works: dict[str, Workload] = {}
        for kind in (kinds.TRAINING, kinds.WORKSPACE, kinds.DISTRIBUTED_TRAINING):
            works |= {w.spec.workload_id: w for w in (await self.client.list(kind)).items}
        listed = {w.id: w for w in await self._listed()}
        found = [f"{name} was accepted and is not listed" for id_, name in self.wanted.items() if id_ not in listed]
        found += [f"{listed[i].name} was deleted and is still listed" for i in sorted(self.removed & set(listed))]
        found += [
            f"{works[i].metadata.name} was deleted and is in the cluster" for i in sorted(self.removed & set(works))
        ]
        for id_, seen in listed.items():
            work = works.get(id_)
            if work is None:
                found.append(f"{seen.name} is listed as {seen.phase} and not in the cluster ({seen.refused})")
            elif (seen.phase, seen.suspended) != (work.status.phase, work.spec.suspended):
                found.append(
                    f"{seen.name} is listed as {seen.phase}, suspended {seen.suspended}; the cluster says"
                    f" {work.status.phase}, {work.spec.suspended}"
                )
        return found + await self._rows() + self.plane.bugs

    async def _rows(self) -> list[str]:
        nodes = {n.metadata.name for n in (await self.client.list(kinds.NODE)).items}
        rows = {row.name for _, _, row in await clusters.list_nodes(self.plane.context, self.root)}
        found = [f"nodes listed {sorted(rows)}, in the cluster {sorted(nodes)}"] if rows != nodes else []
        queues = {q.metadata.name for q in (await self.client.list(kinds.QUEUE)).items}
        shown = {row.name for _, row in await clusters.list_queues(self.plane.context, self.root)}
        missing = sorted(name for name in PROJECTS if name not in shown or name not in queues)
        return found + ([f"projects without a queue or its row: {missing}"] if missing else [])

    async def _listed(self) -> list[Any]:
        rows, _, _ = await workloads.list_workloads(self.plane.context, self.root, Page(limit=500))
        return list(rows)

    async def _suspend(self, wanted: bool) -> None:
        able = [w for w in await self._listed() if w.suspended is not wanted]
        if able:
            try:
                await workloads.set_suspended(self.plane.context, self.root, self.rng.choice(able).id, suspended=wanted)
            except Conflict:
                return

    def _body(self, kind: type[Workload]) -> dict[str, Any]:
        """What `_spec` draws, in the words of REST."""
        spec = self._spec(kind)
        compute: dict[str, Any] = {
            "cpuCoreRequest": spec.cpu_milli / 1000,
            "cpuMemoryRequest": str(spec.memory_bytes),
        }
        if spec.gpu_devices:
            compute |= {"gpuDevicesRequest": spec.gpu_devices}
            if spec.gpu_memory_mib:
                compute |= {"gpuRequestType": "memory", "gpuMemoryRequest": f"{spec.gpu_memory_mib}Mi"}
            else:
                portion = spec.gpu_milli / 1000 if spec.gpu_milli else 1
                compute |= {"gpuRequestType": "portion", "gpuPortionRequest": portion}
        body: dict[str, Any] = {
            "image": "any",
            "command": " ".join(spec.command),
            "compute": compute,
            "priorityClass": spec.priority,
            "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
        }
        if kind is DistributedTraining:
            body |= {"numWorkers": spec.workers}
        return body

    def _rest_quota(self, gpus: float, limit: float = -1) -> dict[str, Any]:
        return {
            "nodePool": {"name": "default"},
            "gpu": {"deserved": gpus, "limit": limit, "overQuotaWeight": 2},
        }
