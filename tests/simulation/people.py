"""People and misfortune: what is asked of a simulated cluster at random, and which machines are lost for a while.

What people ask goes straight to the store: an answer to them is a promise, and none may be lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.simulation.world import Cluster

from fairlead.embedded.nodes.simulated import SimulatedRuntime
from fairlead.kube.client import Client
from fairlead.objects import kinds
from fairlead.objects.kinds import Kind
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.organisation import (
    Department,
    DepartmentSpec,
    PoolResources,
    Project,
    ProjectSpec,
    Share,
)
from fairlead.objects.workload import DistributedTraining, Training, Workload, WorkloadSpec, Workspace
from fairlead.runtime.errors import Conflict, NotFound

PROJECTS = {"red": "north", "green": "north", "blue": "south"}
MOST = 20
"""Workloads alive at once."""
_KINDS: dict[type[Workload], Kind[Any]] = {
    Training: kinds.TRAINING,
    Workspace: kinds.WORKSPACE,
    DistributedTraining: kinds.DISTRIBUTED_TRAINING,
}


@dataclass
class People:
    """Whoever uses the cluster. `asked`: UID -> (kind, namespace, name) of what must exist."""

    cluster: Cluster
    rng: Random
    asked: dict[str, tuple[Kind[Any], str, str]] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)
    lost: dict[str, float] = field(default_factory=dict)
    """Machine -> when it comes back."""
    number: int = 0
    acts: dict[str, int] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        """A connection without faults."""
        return self.cluster.client

    async def found(self) -> None:
        """Departments and projects, and the namespaces once they are there."""
        for name in sorted(set(PROJECTS.values())):
            spec = DepartmentSpec(resources=(self._quota(8),))
            await self.client.create(kinds.DEPARTMENT, Department(metadata=ObjectMeta(name=name), spec=spec))
        for name, department in PROJECTS.items():
            project = ProjectSpec(department=department, resources=(self._quota(5),))
            await self.client.create(kinds.PROJECT, Project(metadata=ObjectMeta(name=name), spec=project))
        for name in PROJECTS:
            while await self.client.find(kinds.NAMESPACE, f"runai-{name}") is None:  # noqa: ASYNC110  # simulated time
                await asyncio.sleep(1)

    async def act(self) -> None:
        """One thing at random."""
        names = ("submit", "delete", "suspend", "resume", "change_quota", "lose_machine")
        name = self.rng.choices(names, (60, 8, 8, 14, 5, 3))[0]
        self.acts[name] = self.acts.get(name, 0) + 1
        await getattr(self, name)()

    async def submit(self) -> None:
        """A workload of some kind, unless there are many."""
        alive = [w for _, w in await self._present() if w.status.phase not in ("Completed", "Failed")]
        if len(alive) >= MOST:
            return
        kind = self.rng.choices([Training, Workspace, DistributedTraining], (6, 2, 3))[0]
        self.number += 1
        namespace = f"runai-{self.rng.choice(list(PROJECTS))}"
        made = kind(metadata=ObjectMeta(name=f"w{self.number}"), spec=self._spec(kind))
        stored = await self.client.create(_KINDS[kind], made, namespace)
        self.asked[stored.metadata.uid] = (_KINDS[kind], namespace, made.metadata.name)

    async def delete(self) -> None:
        """Something goes; what has ended before what has not."""
        present = await self._present()
        if present:
            ended = [p for p in present if p[1].status.phase in ("Completed", "Failed")]
            kind, work = self.rng.choice(ended or present)
            with suppress(NotFound):  # one that was going already may be gone since the list
                await self.client.delete(kind, work.metadata.name, work.metadata.namespace, uid=work.metadata.uid)
            self.asked.pop(work.metadata.uid, None)

    async def suspend(self) -> None:
        """Something is stopped."""
        await self._suspend(True)

    async def resume(self) -> None:
        """Something that was stopped goes on."""
        await self._suspend(False)

    async def change_quota(self) -> None:
        """A project deserves more or less."""
        name = self.rng.choice(list(PROJECTS))
        gpus = self.rng.choice((0, 1, 3, 5, 8))
        limit = self.rng.choice((-1, -1, -1, 6000))
        gpu = {"deserved": gpus * 1000, "limit": limit, "overQuotaWeight": self.rng.choice((1.0, 2.0))}
        pool = {"nodePool": "default", "gpu": gpu, "cpu": {"deserved": -1}, "memory": {"deserved": -1}}
        await self.client.patch(kinds.PROJECT, name, {"spec": {"resources": [pool]}})

    async def lose_machine(self) -> None:
        """A machine is away for some minutes; what ran on it is lost."""
        here = [name for name in self.cluster.nodes if name not in self.lost]
        if len(here) < 2:
            return
        name = self.rng.choice(here)
        self.lost[name] = self.cluster.clock.now() + self.rng.uniform(60, 900)
        await self.cluster.processes[name].stop()
        self.cluster.runtimes[name] = SimulatedRuntime(self.cluster.clock)
        await self._mark(name)

    async def tend(self, *, everything: bool = False) -> None:
        """What a controller manager does about lost machines; those whose time has come (or all) return."""
        for name, until in sorted(self.lost.items()):
            await self._collect(name)
            if everything or until <= self.cluster.clock.now():
                del self.lost[name]
                self.cluster.processes[name].start()

    async def _mark(self, machine: str) -> None:
        gone = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
        for node in self.cluster.nodes[machine]:
            with suppress(NotFound):
                await self.client.patch_status(kinds.NODE, node.name, {"conditions": [gone]})

    async def _collect(self, machine: str) -> None:
        names = {n.name for n in self.cluster.nodes[machine]}
        await self._mark(machine)
        for pod in (await self.client.list(kinds.POD)).items:
            if pod.spec.node_name in names and pod.status.phase not in ("Succeeded", "Failed"):
                meta = pod.metadata
                with suppress(NotFound, Conflict):  # it may have ended since the list
                    await self.client.delete(kinds.POD, meta.name, meta.namespace, uid=meta.uid, grace_seconds=0)

    async def _present(self) -> list[tuple[Kind[Any], Workload]]:
        found: list[tuple[Kind[Any], Workload]] = []
        for kind in _KINDS.values():
            found += [(kind, w) for w in (await self.client.list(kind)).items]
        return found

    async def _suspend(self, wanted: bool) -> None:
        able = [p for p in await self._present() if p[1].spec.suspended is not wanted]
        if able:
            kind, work = self.rng.choice(able)
            patch: dict[str, Any] = {"spec": {"suspended": wanted}}
            with suppress(NotFound):
                await self.client.patch(kind, work.metadata.name, patch, work.metadata.namespace, uid=work.metadata.uid)

    def _spec(self, kind: type[Workload]) -> WorkloadSpec:
        rng = self.rng
        gpu: dict[str, int] = {"gpu_devices": rng.choice((0, 1, 1, 1, 2, 4))}
        if kind is not DistributedTraining and rng.random() < 0.4:
            shared = {"gpu_milli": rng.choice((100, 250, 500, 600))}, {"gpu_memory_mib": rng.choice((10_000, 40_000))}
            gpu = {"gpu_devices": rng.choice((1, 1, 1, 2)), **rng.choice(shared)}
        if kind is DistributedTraining:
            workers = rng.randint(2, 4)
            gpu = {"gpu_devices": rng.choice((1, 1, 2)), "workers": workers}
            gpu["min_workers"] = rng.choice((0, 0, workers - 1))
        seconds = rng.choice((1, 30, 300, 1200)) * (1 + rng.random())
        return WorkloadSpec(
            image="any",
            command=("sleep", f"{seconds:.0f}") if kind is not Workspace or rng.random() < 0.5 else ("sleep", "7200"),
            cpu_milli=rng.choice((0, 500, 4000)),
            memory_bytes=rng.choice((0, 1 << 30, 16 << 30)),
            priority=rng.choice(("train", "train", "train", "interactive-preemptible", "build")),
            termination_grace_period_seconds=rng.choice((None, 0, 30)),
            **gpu,  # type: ignore[arg-type]  # whole numbers all
        )

    def _quota(self, gpus: int) -> PoolResources:
        return PoolResources(gpu=Share(deserved=gpus * 1000))
