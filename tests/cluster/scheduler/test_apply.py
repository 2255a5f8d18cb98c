"""A plan as calls: what each costs, in what order, and what an answer that is lost means."""

from __future__ import annotations

import asyncio
import gc

import pytest
from tests.cluster.build import Bench

from fairlead.cluster.scheduler.apply import IN_FLIGHT, Applier, Known
from fairlead.cluster.scheduler.assumed import UNCERTAIN_SECONDS, Assumed, Seen
from fairlead.cluster.scheduler.evictions import JOB_TRACKING, eviction_text, losses
from fairlead.cluster.scheduler.observe import hold_of, lone_group
from fairlead.kube.faulty import Faults
from fairlead.model import Action, Bind, Evict, Hold, Keep, NodeName, PodGroup, QueueName, Uid
from fairlead.objects import fields, kinds
from fairlead.objects.builtin import DisruptionBudgetSpec, PodDisruptionBudget
from fairlead.objects.json import JsonObject
from fairlead.objects.meta import LabelSelector, ObjectMeta
from fairlead.objects.pod import Container, Pod, PodSpec, PodStatus, ResourceRequirements

NODE = NodeName("n1")


def known(*pods: Pod) -> Known:
    by_uid = {p.metadata.uid: p for p in pods}
    return Known(pods=by_uid, groups={uid: lone_group(p) for uid, p in by_uid.items()}, first={u: u for u in by_uid})


def test_a_bind_is_two_writes_and_is_assumed() -> None:
    bench, assumed = Bench(), Assumed()

    async def story() -> Pod:
        pod = await bench.a_pod("a")
        uid = Uid(pod.metadata.uid)
        applier = Applier(bench.shaky, bench.clock, assumed, "fairlead")
        await applier.apply([Bind(pod=uid, node=NODE)], known(pod))
        assert assumed.is_bound(uid)
        await applier.tell()
        return await bench.client.get(kinds.POD, "a", "ns")

    assert bench.run(story).spec.node_name == "n1"
    assert bench.writes() == ["POST binding", "POST events"]


def test_a_bind_whose_answer_is_lost_is_assumed_for_a_while_and_not_sent_again() -> None:
    bench, assumed = Bench(), Assumed()

    async def story() -> None:
        pod = await bench.a_pod("a")
        bench.faulty.faults = Faults(lost=1.0)
        uid = Uid(pod.metadata.uid)
        failed = await Applier(bench.shaky, bench.clock, assumed, "fairlead").apply(
            [Bind(pod=uid, node=NODE)], known(pod)
        )
        assert (failed, bench.writes()) == ({}, ["POST binding"])
        assert assumed.is_bound(uid)
        assumed.forget({uid: Seen()}, bench.clock.now() + UNCERTAIN_SECONDS)
        assert assumed.is_empty

    bench.run(story)


def test_a_bind_that_the_api_cannot_do_is_a_failure_of_that_pod() -> None:
    bench, assumed = Bench(), Assumed()

    async def story() -> None:
        pod = await bench.a_pod("a")
        bench.faulty.faults = Faults(broken=1.0)
        uid = Uid(pod.metadata.uid)
        failed = await Applier(bench.shaky, bench.clock, assumed, "fairlead").apply(
            [Bind(pod=uid, node=NODE)], known(pod)
        )
        assert (failed.keys(), assumed.is_empty) == ({uid}, True)

    bench.run(story)


def test_binds_whose_turn_never_came_are_let_go_of_when_the_lease_is_lost(recwarn: pytest.WarningsRecorder) -> None:
    bench = Bench()

    async def story() -> None:
        pods = [await bench.a_pod(f"p{n}") for n in range(IN_FLIGHT + 8)]
        bench.faulty.faults = Faults(throttled=1.0)
        binds = [Bind(pod=Uid(p.metadata.uid), node=NODE) for p in pods]
        applier = Applier(bench.shaky, bench.clock, Assumed(), "fairlead")
        working = asyncio.create_task(applier.apply(binds, known(*pods)))
        await bench.clock.sleep(0.01)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    bench.run(story)
    gc.collect()
    assert bench.writes() == ["POST binding"] * IN_FLIGHT
    assert not [w for w in recwarn if "never awaited" in str(w.message)]


def test_a_bind_of_a_pod_made_anew_under_its_name_does_nothing() -> None:
    bench, assumed = Bench(), Assumed()

    async def story() -> None:
        old = await bench.a_pod("a")
        await bench.client.delete(kinds.POD, "a", "ns")
        await bench.a_pod("a")
        bind = Bind(pod=Uid(old.metadata.uid), node=NODE)
        assert await Applier(bench.shaky, bench.clock, assumed, "fairlead").apply([bind], known(old)) == {}
        assert not (await bench.client.get(kinds.POD, "a", "ns")).spec.node_name
        assert assumed.is_empty

    bench.run(story)


def test_a_promise_is_written_before_its_victim_is_told_for_whom_it_goes() -> None:
    bench, assumed = Bench(), Assumed()

    async def story() -> None:
        victim, taker = await bench.a_pod("victim"), await bench.a_pod("taker")
        await bench.client.bind("victim", "ns", "n1")
        uids = Uid(victim.metadata.uid), Uid(taker.metadata.uid)
        hold = Hold(places=((uids[1], NODE, ()),), victims=(uids[0],), deadline=bench.clock.now() + 90)
        plan = [Evict(pod=uids[0], action=Action.RECLAIM, for_group=uids[1]), Keep(group=uids[1], hold=hold)]
        applier = Applier(bench.shaky, bench.clock, assumed, "fairlead")
        await applier.apply(plan, known(victim, taker))
        await applier.tell()
        gone = await bench.client.get(kinds.POD, "victim", "ns")
        told = next(c.message for c in gone.status.conditions if c.type == "DisruptionTarget")
        assert told.startswith("Stopped for taker of ")
        assert gone.metadata.deletion_timestamp
        assert hold_of((await bench.client.get(kinds.POD, "taker", "ns")).metadata) == hold

    bench.run(story)
    assert bench.writes() == ["PATCH taker", "PATCH status", "DELETE victim", "POST events"]


def test_a_pod_that_its_job_counts_is_let_go_of_before_it_ends() -> None:
    bench, assumed = Bench(), Assumed()

    async def story() -> Pod:
        await bench.a_pod("victim")
        named: JsonObject = {"metadata": {"finalizers": [JOB_TRACKING, "example.com/own"]}}
        victim = await bench.client.patch(kinds.POD, "victim", named, "ns")
        await bench.client.bind("victim", "ns", "n1")
        plan = [Evict(pod=Uid(victim.metadata.uid), action=Action.EVICT_STALE)]
        await Applier(bench.shaky, bench.clock, assumed, "fairlead").apply(plan, known(victim))
        return await bench.client.get(kinds.POD, "victim", "ns")

    gone = bench.run(story)
    assert (gone.metadata.finalizers, bool(gone.metadata.deletion_timestamp)) == (("example.com/own",), True)
    assert bench.writes() == ["PATCH victim", "PATCH status", "DELETE victim"]


def _a_move(bench: Bench, applier: Applier, *, budget: bool) -> tuple[Pod, Pod, dict[str, str]]:
    """The pod that is to be moved and the one it is moved for, after a plan that does so, and who got no room."""

    async def story() -> tuple[Pod, Pod, dict[str, str]]:
        await bench.a_pod("mover", app="a")
        named: JsonObject = {"metadata": {"finalizers": [JOB_TRACKING]}}
        mover, taker = await bench.client.patch(kinds.POD, "mover", named, "ns"), await bench.a_pod("taker")
        await bench.client.bind("mover", "ns", "n1")
        ready: JsonObject = {"type": "Ready", "status": "True"}
        await bench.client.patch_status(kinds.POD, "mover", {"phase": "Running", "conditions": [ready]}, "ns")
        if budget:
            spec = DisruptionBudgetSpec(min_available=1, selector=LabelSelector(match_labels={"app": "a"}))
            stays = PodDisruptionBudget(metadata=ObjectMeta(name="stays"), spec=spec)
            await bench.client.create(kinds.DISRUPTION_BUDGET, stays, "ns")
        uids = Uid(mover.metadata.uid), Uid(taker.metadata.uid)
        hold = Hold(places=((uids[1], NODE, ()),), victims=(uids[0],), deadline=bench.clock.now() + 90)
        evict = Evict(pod=uids[0], action=Action.CONSOLIDATE, for_group=uids[1], moved_to=NodeName("n2"))
        said = await applier.apply([Keep(group=uids[1], hold=hold), evict], known(mover, taker))
        return await bench.client.get(kinds.POD, "mover", "ns"), await bench.client.get(kinds.POD, "taker", "ns"), said

    return bench.run(story)


def test_who_is_moved_goes_through_the_eviction_api_and_is_told_for_whom() -> None:
    bench = Bench()
    mover, taker, said = _a_move(bench, Applier(bench.shaky, bench.clock, Assumed(), "fairlead"), budget=False)
    (told,) = (c.message for c in mover.status.conditions if c.type == "DisruptionTarget")
    assert (said, bool(mover.metadata.deletion_timestamp)) == ({}, True)
    assert told.startswith("Moved to n2 to make room for taker of ")
    assert hold_of(taker.metadata) is not None
    assert "POST eviction" in bench.writes()


def test_a_move_that_a_budget_forbids_ends_with_the_promise_taken_back_and_the_pod_as_it_was() -> None:
    bench, assumed = Bench(), Assumed()
    mover, taker, said = _a_move(bench, Applier(bench.shaky, bench.clock, assumed, "fairlead"), budget=True)
    assert (mover.metadata.deletion_timestamp, mover.metadata.finalizers) == (None, (JOB_TRACKING,))
    assert not [c for c in mover.status.conditions if c.type == "DisruptionTarget"]
    assert hold_of(taker.metadata) is None
    assert said.keys() == {taker.metadata.uid}
    assert said[taker.metadata.uid].startswith("mover may not be moved: ")
    assert "disruption budget" in said[taker.metadata.uid]


def test_what_a_gang_loses_is_told_to_each_of_its_pods() -> None:
    evictions = [Evict(pod=Uid(name), action=Action.PREEMPT, for_group=Uid("t")) for name in ("a", "b", "c")]
    pods = {name: _since_midnight(name, group) for name, group in (("a", "g"), ("b", "g"), ("c", ""))}
    assert losses(evictions, pods, MIDNIGHT + 60) == {"a": 120_000, "b": 120_000, "c": 60_000}


MIDNIGHT = 1767225600.0


def _since_midnight(uid: str, group: str) -> Pod:
    """A pod with one GPU that has run since then, of that gang."""
    limits = ResourceRequirements(limits={"nvidia.com/gpu": "1"})
    meta = ObjectMeta(name=uid, uid=uid, namespace="ns", annotations={fields.POD_GROUP: group} if group else {})
    spec = PodSpec(containers=(Container(name="c", resources=limits),))
    return Pod(metadata=meta, spec=spec, status=PodStatus(start_time="2026-01-01T00:00:00Z"))


def test_nobody_is_evicted_for_a_promise_that_could_not_be_written() -> None:
    bench, assumed = Bench(), Assumed()

    async def story() -> None:
        victim, taker = await bench.a_pod("victim"), await bench.a_pod("taker")
        await bench.client.bind("victim", "ns", "n1")
        bench.faulty.faults = Faults(conflict=1.0)
        uids = Uid(victim.metadata.uid), Uid(taker.metadata.uid)
        hold = Hold(places=((uids[1], NODE, ()),), victims=(uids[0],), deadline=bench.clock.now() + 90)
        plan = [Evict(pod=uids[0], action=Action.RECLAIM, for_group=uids[1]), Keep(group=uids[1], hold=hold)]
        await Applier(bench.shaky, bench.clock, assumed, "fairlead").apply(plan, known(victim, taker))
        assert (await bench.client.get(kinds.POD, "victim", "ns")).metadata.deletion_timestamp is None
        assert assumed.is_empty

    bench.run(story)


def test_whoever_is_stopped_reads_the_workload_and_project_that_take_the_place() -> None:
    evict = Evict(pod=Uid("v"), action=Action.RECLAIM, for_group=Uid("t"))
    taker = PodGroup(uid=Uid("t"), namespace="ns", name="pg-n1-2e186b49", queue=QueueName("nlp-a100"))
    labels = {"fairlead.dev/workload": "n1", "fairlead.dev/project": "nlp"}
    assert eviction_text(evict, taker, labels, "ns").startswith("Stopped for n1 of nlp, ")
    assert eviction_text(evict, taker, {}, "ns").startswith("Stopped for pg-n1-2e186b49 of nlp-a100, ")


def test_whoever_is_stopped_for_another_project_reads_its_name_and_not_that_of_its_work() -> None:
    evict = Evict(pod=Uid("v"), action=Action.RECLAIM, for_group=Uid("t"))
    taker = PodGroup(uid=Uid("t"), namespace="secret", name="pg-n1-2e186b49", queue=QueueName("nlp-a100"))
    labels = {"fairlead.dev/workload": "n1", "fairlead.dev/project": "nlp"}
    assert eviction_text(evict, taker, labels, "ns").startswith("Stopped for work of nlp, ")
