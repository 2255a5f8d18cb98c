"""The cluster of a scenario in virtual time: it takes plans and moves on between cycles, as a cluster would.

States of a pod right after a decision are the words of the format; `snapshot()` is what the next decision reads.
"""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from fairlead.model import (
    Bind,
    Claim,
    Evict,
    GpuGroup,
    Hold,
    Keep,
    NodeName,
    Plan,
    Pod,
    PodGroup,
    PodStatus,
    QueueName,
    Snapshot,
    SubGroup,
    Uid,
    build_snapshot,
)
from fairlead.simulator.demand import demand_of
from fairlead.simulator.devices import starting_devices
from fairlead.simulator.life import HAS_PLACE, START, STARTED, Gang, Member
from fairlead.simulator.scenario.spec import GangSpec, Scenario


class World:
    """The state of one scenario; `now` is its clock."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.policy = scenario.policy
        self.now = START
        self.settled = True
        self.gangs: list[Gang] = []
        self.members: list[Member] = []
        self.claims = {claim.name: claim for claim in scenario.claims}
        self.nodes = {str(node.name): node for node in scenario.nodes}
        devices = starting_devices((pod for gang in scenario.gangs for pod in gang.pods), self.nodes)
        for spec in scenario.gangs:
            self._add(spec, devices)
        self.by_gang = {gang.spec.name: gang for gang in self.gangs}
        self.by_pod = {member.spec.name: member for member in self.members}
        self.demand = demand_of(scenario.gangs)

    def snapshot(self, *, with_moves: bool = False) -> Snapshot:
        """What a decision reads now; `with_moves` also counts the second place of a moved pod (for looking, not for deciding)."""
        alive = [member for member in self.members if member.status is not None]
        pods = [self._pod(member) for member in alive]
        if with_moves:
            pods += [self._second_place(member) for member in alive if member.moved_to]
        return build_snapshot(
            nodes=self.scenario.nodes,
            queues=self.scenario.queues,
            groups=[self._group(gang) for gang in self.gangs],
            pods=pods,
            levels=[(name, level) for name, levels in self.scenario.topologies for level in levels],
            demand=self.demand,
        )

    def take(self, plan: Plan) -> None:
        """Carries out a plan: the state right after a decision."""
        self.settled = False
        by_uid = {member.uid: member for member in self.members}
        groups = {gang.uid: gang for gang in self.gangs}
        for command in plan.commands:
            if isinstance(command, Evict):
                member = by_uid[command.pod]
                member.evicted, member.status = True, PodStatus.RELEASING
        for command in plan.commands:
            if isinstance(command, Bind):
                self._bind(by_uid[command.pod], command)
            elif isinstance(command, Keep):
                self._keep(groups[command.group], command.hold, by_uid)

    def tick(self, seconds: float) -> None:
        """Moves the clock."""
        self.now += seconds

    def move_on(self) -> None:
        """What happens until the next cycle, except the clock. A second call before the next plan changes nothing."""
        if self.settled:
            return
        self.settled = True
        for member in self.members:
            self._advance(member)
        for gang in self.gangs:
            if not self.policy.keep_holds or (gang.hold and not any(m.status is PodStatus.HELD for m in gang.members)):
                gang.hold = None
            gang.note_staleness(self.now)
        self._release_claims()

    def _add(self, spec: GangSpec, devices: dict[str, tuple[GpuGroup, ...]]) -> None:
        gang = Gang(spec, len(self.gangs))
        for pod in spec.pods:
            member = Member(gang, pod, len(self.members), devices.get(pod.name, ()))
            gang.members.append(member)
            self.members.append(member)
        gang.note_start()
        held = tuple((m.uid, m.node, m.devices) for m in gang.members if m.status is PodStatus.HELD)
        if held:
            gang.hold = Hold(places=held, victims=(), deadline=START + self.policy.hold_timeout)
        self.gangs.append(gang)

    def _bind(self, member: Member, command: Bind) -> None:
        gang = member.gang
        if not any(other.status in STARTED for other in gang.members):
            gang.started = self.now
        member.settle(PodStatus.BOUND, command.node, command.shared)
        allocated = {claim.name: claim for claim in command.claims}
        for name in member.spec.ask.claims:
            claim = self.claims[name]
            if not claim.node:
                devices = allocated[name].devices if name in allocated else ()
                self.claims[name] = replace(claim, node=str(command.node), devices=devices)

    def _keep(self, gang: Gang, hold: Hold | None, by_uid: dict[Uid, Member]) -> None:
        gang.hold = hold
        kept = {uid for uid, _, _ in hold.places} if hold else set()
        for member in gang.members:
            if member.status is PodStatus.HELD and member.uid not in kept:
                member.settle(PodStatus.PENDING)
        for uid, node, devices in hold.places if hold else ():
            member = by_uid[uid]
            if member.evicted:
                member.moved_to, member.new_devices = node, devices
            else:
                member.settle(PodStatus.HELD, node, devices)

    def _advance(self, member: Member) -> None:
        status = member.status
        if member.moved_to:
            if self.policy.keep_holds:
                member.settle(PodStatus.HELD, member.moved_to, member.new_devices)
            else:
                member.settle(PodStatus.PENDING)
        elif status is PodStatus.RELEASING:
            self._release(member)
        elif status is PodStatus.HELD and not self.policy.keep_holds:
            member.settle(PodStatus.PENDING)
        elif status in (PodStatus.BOUND, PodStatus.BINDING):
            member.status = PodStatus.RUNNING

    def _release(self, member: Member) -> None:
        after = member.gang.spec.after_release
        if after == "never":
            member.evicted = False
        elif after == "gone":
            member.settle(None)
        else:
            member.settle(PodStatus.PENDING)
            member.life += 1
            member.uid = Uid(f"{member.uid.partition('.')[0]}.{member.life}")

    def _release_claims(self) -> None:
        used = {name for member in self.members if member.status in HAS_PLACE for name in member.spec.ask.claims}
        for name, claim in self.claims.items():
            if claim.node and name not in used and not claim.other_users:
                self.claims[name] = replace(claim, node="", devices=())

    def _group(self, gang: Gang) -> PodGroup:
        spec = gang.spec
        return PodGroup(
            uid=gang.uid,
            namespace=spec.namespace,
            name=spec.name,
            queue=QueueName(spec.queue),
            priority=spec.priority,
            preemptible=spec.preemptible,
            created=gang.created,
            started=gang.started,
            stale_since=gang.stale_since,
            hold=gang.hold if self.policy.keep_holds else None,
            **_tree(spec),
        )

    def _pod(self, member: Member) -> Pod:
        spec = member.spec
        return Pod(
            uid=member.uid,
            namespace=member.gang.spec.namespace,
            name=spec.name,
            group=member.gang.uid,
            klass=spec.ask.klass,
            status=PodStatus.PENDING if member.status is None else member.status,
            subgroup=spec.subgroup,
            node=member.node,
            shared=member.devices,
            claims=tuple(self._claims(member)) if spec.ask.claims or spec.ask.klass.claims else (),
            created=member.gang.created,
            task_priority=spec.ask.task_priority,
            nominated=NodeName(spec.nominated),
        )

    def _second_place(self, member: Member) -> Pod:
        pod = self._pod(member)
        return replace(
            pod, uid=Uid(f"{pod.uid}+"), status=PodStatus.HELD, node=member.moved_to, shared=member.new_devices
        )

    def _claims(self, member: Member) -> Iterator[Claim]:
        ask = member.spec.ask
        for name in ask.claims:
            claim = self.claims[name]
            node = claim.node or (member.node if member.status in HAS_PLACE else "")
            yield Claim(
                name=name,
                device_class=claim.device_class,
                count=claim.count,
                shared=True,
                queue=QueueName(claim.queue),
                shared_with=claim.other_users,
                node=NodeName(node),
                devices=claim.devices,
            )
        for device_class, count in ask.klass.claims:
            node = member.node if member.status in HAS_PLACE else NodeName("")
            yield Claim(name=f"{member.spec.name}/{device_class}", device_class=device_class, count=count, node=node)


def _tree(spec: GangSpec) -> dict[str, Any]:
    """Subgroups of a group, parents first; a topology of the whole gang stands on the group."""
    top = spec.subgroups[0]
    whole = {"topology": top.topology, "required_level": top.required, "preferred_level": top.preferred}
    if top.leaf and not top.name:
        return {"subgroups": (SubGroup(name="", min_member=top.minimum),), **(whole if top.topology else {})}
    named = tuple(
        SubGroup(
            name=sub.name,
            parent=sub.parent,
            min_member=sub.minimum,
            topology=sub.topology,
            required_level=sub.required,
            preferred_level=sub.preferred,
        )
        for sub in spec.subgroups
        if sub.name
    )
    return {"subgroups": named, **(whole if not top.name else {})}
