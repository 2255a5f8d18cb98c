"""A plan as calls: what each costs, in what order, and what an answer that is lost means."""

from __future__ import annotations

from tests.cluster.build import Bench

from fairlead.cluster.scheduler.apply import Applier, Known, eviction_text
from fairlead.cluster.scheduler.assumed import UNCERTAIN_SECONDS, Assumed, Seen
from fairlead.cluster.scheduler.observe import hold_of, lone_group
from fairlead.kube.faulty import Faults
from fairlead.model import Action, Bind, Evict, Hold, Keep, NodeName, PodGroup, QueueName, Uid
from fairlead.objects import kinds
from fairlead.objects.pod import Pod

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
