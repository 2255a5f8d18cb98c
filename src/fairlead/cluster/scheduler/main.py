"""The scheduler role: watch, decide, carry out, say why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from fairlead.cluster.scheduler.apply import Applier, Known
from fairlead.cluster.scheduler.explained import to_json
from fairlead.cluster.scheduler.groups import NEVER_FAILED, Retry
from fairlead.cluster.scheduler.measured import BUGS, CYCLE, DECISION, LAST_CYCLE, Measured
from fairlead.cluster.scheduler.queues import QueueStatuses
from fairlead.cluster.scheduler.series import Decided
from fairlead.cluster.scheduler.shadow import Shadow
from fairlead.cluster.scheduler.told import Told
from fairlead.cluster.scheduler.verdicts import Verdicts
from fairlead.cluster.scheduler.world import World, WorldOptions
from fairlead.kube.client import Client
from fairlead.model import Plan, Policy, Snapshot, Warm
from fairlead.runtime.clock import Clock
from fairlead.runtime.errors import Bug, NotFound
from fairlead.runtime.logs import logger
from fairlead.scheduling.cycle import DecisionError, decide
from fairlead.scheduling.explain import explain
from fairlead.workloads.makers import maker_of

Witness = Callable[[Snapshot, Policy, Plan, float], None]
"""Sees every decision; tests check invariants with it."""


class SchedulerOptions(Struct, frozen=True, kw_only=True):
    """How the role behaves. Units: seconds."""

    world: WorldOptions = WorldOptions()
    policy: Policy = Policy()
    shadow: bool = False
    """Decides beside another scheduler, does nothing, and tells what it would have done."""
    settle: float = 0.02
    """Changes that come this close together are decided on together."""
    longest: float = 5.0
    """Decides at least this often: deadlines and grace times pass without any change."""
    retry: float = 5.0
    """First wait after a failed bind; doubled by each further one."""


class Scheduler:
    """Runs until cancelled. Only the leader may run it."""

    def __init__(self, client: Client, clock: Clock, options: SchedulerOptions | None = None) -> None:
        self.options = options or SchedulerOptions()
        self._clock = clock
        self._dirty = asyncio.Event()
        self.world = World(client, self.options.world, self._dirty.set)
        name, has_binder = self.options.world.scheduler_names[0], self.options.world.has_binder
        self._applier = Applier(client, clock, self.world.assumed, name, has_binder=has_binder)
        self._warm: dict[str, Warm] = {}
        self._shadow = Shadow() if self.options.shadow else None
        self._verdicts = Verdicts(self._applier, self.world.groups)
        self._told = Told(self._applier, self._verdicts, QueueStatuses(client), clock)
        self._retries: dict[str, Retry] = {}
        self._aside: set[str] = set()
        self._withdrawn: set[str] = set()
        """UIDs of failed requests that were noted."""
        self.witness: Witness | None = None
        self.measured = Measured()
        self.cycles = 0
        self._log = logger("scheduler")

    async def run(self) -> None:
        """Fill the caches, then decide whenever something changed."""
        async with asyncio.TaskGroup() as group:
            for cache in self.world.caches():
                group.create_task(cache.run(), name=f"scheduler.cache.{cache.kind.plural}")
            for cache in self.world.caches():
                await cache.synced.wait()
            group.create_task(self._told.run(), name="scheduler.told")
            while True:
                self._dirty.clear()
                began = self._clock.monotonic()
                await self.cycle()
                CYCLE.observe(self._clock.monotonic() - began)
                LAST_CYCLE.set(self._clock.now())
                await self._wait()

    async def cycle(self) -> None:
        """One decision for each node pool."""
        self.cycles += 1
        self.world.catch_up(self._clock.now())
        present = self.world.present()
        self._retries = {group: value for group, value in self._retries.items() if group in present}
        self._aside &= present
        self._verdicts.forget(present)
        if self._shadow is None:
            await self._withdraw_failed()
        self.measured.keep(self.world.pool_names())
        for pool in self.world.pool_names():
            snapshot = self.world.snapshot(pool, self._retries, frozenset(self._aside))
            if self._shadow is not None:
                snapshot = self._shadow.as_if_waiting(snapshot)
            plan = await self._decide(pool, snapshot)
            if plan is None:
                continue
            known = Known(
                pods=self.world.pod_by_uid(),
                waiting_for_volumes=self.world.waiting_for_volumes(),
                groups={g.uid: g for g in snapshot.groups},
                first=_speakers(snapshot),
                gpu_memory_mib={n.name: n.gpu_memory_mib for n in snapshot.nodes},
            )
            queues, now = tuple(self.world.queues), self._clock.now()
            self.measured.note(Decided(snapshot=snapshot, plan=plan, pods=known.pods, queues=queues, now=now))
            if self._shadow is not None:
                self._shadow.note(plan, known, _pods_of(snapshot))
            else:
                await self._act(pool, snapshot, plan, known)

    async def _act(self, pool: str, snapshot: Snapshot, plan: Plan, known: Known) -> None:
        failed = await self._applier.apply(plan.commands, known)
        self._note_failures(failed, snapshot)
        self._told.note(pool, snapshot, plan, known)

    async def explain(self, namespace: str, workload: str) -> bytes:
        """Why a workload waits, and what would start it, as JSON.

        Raises: NotFound where no waiting or running pod is of that workload; Bug where the core met one.
        """
        for pool in self.world.pool_names():
            snapshot = self.world.snapshot(pool, self._retries, frozenset(self._aside))
            mine = {
                p.metadata.uid
                for p in self.world.pods
                if p.metadata.namespace == namespace and maker_of(p).name == workload
            }
            groups = {p.group for p in snapshot.pods if p.uid in mine}
            if groups:
                now = self._clock.now()
                try:
                    found = await asyncio.to_thread(explain, snapshot, self.options.policy, now, min(groups))
                except DecisionError as bug:
                    self._log.error("explain.bug", pool=pool, group=bug.group, exc_info=bug)
                    raise Bug(f"The scheduler met a bug of its own while it looked at {workload!r}.") from bug
                return to_json(found, snapshot)
        raise NotFound(
            f"The scheduler has no pod of {workload!r} in {namespace}.",
            hint="It may not be made yet, be suspended, or have ended.",
            code="no-pods",
        )

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self.options.longest):
                await self._dirty.wait()
        except TimeoutError:
            return
        await self._clock.sleep(self.options.settle)

    async def _decide(self, pool: str, snapshot: Snapshot) -> Plan | None:
        now, began = self._clock.now(), self._clock.monotonic()
        try:
            plan, warm = await asyncio.to_thread(decide, snapshot, self.options.policy, now, self._warm.get(pool))
        except DecisionError as bug:
            BUGS.inc()
            self._log.error("decide.bug", pool=pool, group=bug.group, exc_info=bug)
            if bug.group and bug.group not in self._aside:
                self._aside.add(bug.group)
                self._dirty.set()
            return None
        DECISION.labels(pool).observe(self._clock.monotonic() - began)
        self._warm[pool] = warm
        if self.witness is not None:
            self.witness(snapshot, self.options.policy, plan, now)
        return plan

    async def _withdraw_failed(self) -> None:
        """What the binder could not do is tried anew after a while, once a group."""
        failed = self.world.failed_requests()
        fresh = [(r, group) for r, group in failed if r.metadata.uid not in self._withdrawn]
        self._withdrawn = {r.metadata.uid for r, _ in failed}
        for group, why in {group: r.status.reason for r, group in fresh if group}.items():
            self._note_failure(group, why)
        for request, _ in failed:
            await self._applier.withdraw(request)

    def _note_failures(self, failed: dict[str, str], snapshot: Snapshot) -> None:
        for group, why in {p.group: failed[p.uid] for p in snapshot.pods if p.uid in failed}.items():
            self._note_failure(group, why)

    def _note_failure(self, group: str, why: str) -> None:
        times = self._retries.get(group, NEVER_FAILED).times + 1
        wait = min(self.options.retry * 2 ** (times - 1), 300.0)
        self._retries[group] = Retry(times=times, after=self._clock.now() + wait, why=why)


def _speakers(snapshot: Snapshot) -> dict[str, str]:
    """Group to the pod that speaks for it: one without a place before others, then by name as people count (job-2 before job-10)."""
    found: dict[str, tuple[bool, int, str, str]] = {}
    for pod in snapshot.pods:
        key = (bool(pod.node), len(pod.name), pod.name, str(pod.uid))
        if (best := found.get(pod.group)) is None or key < best:
            found[pod.group] = key
    return {group: uid for group, (_, _, _, uid) in found.items()}


def _pods_of(snapshot: Snapshot) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pod in snapshot.pods:
        found.setdefault(pod.group, []).append(pod.uid)
    return found
