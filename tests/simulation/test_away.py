"""The control plane out of reach of a cluster for a while: the cluster works on, and then both sides say the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.simulation.people import PROJECTS
from tests.simulation.whole import WholeStory

from fairlead.objects import kinds
from fairlead.objects.meta import ObjectMeta
from fairlead.objects.workload import Training, WorkloadSpec
from fairlead.runtime.retry import FOREVER
from fairlead.server.services import workloads
from fairlead.wire.rest.workloads import WorkloadCreate

PROJECT = sorted(PROJECTS)[0]
NAMESPACE = f"runai-{PROJECT}"


@dataclass
class Away(WholeStory):
    """No faults but one: the control plane is away for so many seconds."""

    away: float = 300.0
    found: dict[str, Any] = field(default_factory=dict)

    async def _run(self, seconds: float) -> None:
        await self._begin()
        for name, length in (("ends", 150), ("stays", 90_000), ("goes", 90_000), ("unwanted", 90_000)):
            await self._submit(name, length)
        await self._until(lambda: self._phases(), dict.fromkeys(("ends", "stays", "goes", "unwanted"), "Running"))
        await self.plane.kill()
        await self._meanwhile()
        await self.cluster.clock.sleep(self.away)
        trainings = (await self.cluster.client.list(kinds.TRAINING, NAMESPACE)).items
        self.found["worked on"] = {t.metadata.name: t.status.phase for t in trainings}
        await self._back()
        await self._end()

    async def _meanwhile(self) -> None:
        """In the cluster one is made and one removed; people at the control plane's end add one and remove one."""
        spec = WorkloadSpec(image="any", command=("sleep", "50"), cpu_milli=1000, gpu_devices=1)
        await self.cluster.client.create(
            kinds.TRAINING, Training(metadata=ObjectMeta(name="by-hand"), spec=spec), NAMESPACE
        )
        await self.cluster.client.delete(kinds.TRAINING, "goes", NAMESPACE)
        await self._submit("added", 90_000)
        await workloads.delete(self.plane.context, self.people.root, self.people.wanted["unwanted"])

    async def _back(self) -> None:
        self.plane.start()
        began = self.cluster.clock.monotonic()
        await self._until(lambda: self._connected(), True)
        self.found["connected after"] = self.cluster.clock.monotonic() - began
        agreed = {"ends": "Completed", "stays": "Running", "by-hand": "Completed", "added": "Running"}
        await self._until(lambda: self._phases(), agreed)
        trainings = (await self.cluster.client.list(kinds.TRAINING, NAMESPACE)).items
        self.found["agreed"] = {t.metadata.name: t.status.phase for t in trainings}

    async def _submit(self, name: str, length: int) -> None:
        gpu = {"gpuDevicesRequest": 1, "gpuRequestType": "portion", "gpuPortionRequest": 1}
        spec = {"image": "any", "command": f"sleep {length}", "compute": {"cpuCoreRequest": 1, **gpu}}
        project, cluster = self.people.projects[PROJECT], self.people.cluster_id
        body = WorkloadCreate.model_validate({"name": name, "projectId": project, "clusterId": cluster, "spec": spec})
        made = await workloads.submit(self.plane.context, self.people.root, "trainings", body)
        self.people.wanted[name] = made.id

    async def _until(self, look: Callable[[], Any], wanted: Any, seconds: float = 240.0) -> None:
        for _ in range(int(seconds * 5)):
            if (seen := await look()) == wanted:
                return
            await self.cluster.clock.sleep(0.2)
        raise AssertionError(f"{seen} is not {wanted}")

    async def _phases(self) -> dict[str, str]:
        """As the control plane has them."""
        return {w.name: w.phase for w in await self.people._listed()}

    async def _connected(self) -> bool:
        return self.plane.context.agents.is_connected(self.people.cluster_id)


@pytest.mark.parametrize("away", [5.0, 300.0, 3600.0])
def test_the_cluster_works_on_while_the_control_plane_is_away_and_then_both_say_the_same(away: float) -> None:
    story = Away(1, away=away)
    story.run(0)
    bugs = [*story.plane.bugs, *(bug for process in story.cluster.processes.values() for bug in process.bugs)]
    assert bugs == []
    assert story.found["connected after"] <= FOREVER.most + 1, "tries come no rarer after an hour than after a minute"
    worked = story.found["worked on"]
    assert "goes" not in worked
    assert "added" not in worked
    if away >= 300:
        assert (worked["ends"], worked["by-hand"], worked["stays"]) == ("Completed", "Completed", "Running")
    assert story.found["agreed"] == {
        "ends": "Completed",
        "stays": "Running",
        "by-hand": "Completed",
        "added": "Running",
    }
