"""What is known of a group beyond its object: by its pods, its namespace, its promise, and how its binds fared."""

from __future__ import annotations

import msgspec

from fairlead.cluster.scheduler.assumed import Assumed
from fairlead.model import GpuGroup, NodeName, Pod, PodGroup, PodStatus, QueueName


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """A group whose binds failed: how often in a row, not before when it is tried again (seconds since the epoch), and why."""

    times: int
    after: float
    why: str


NEVER_FAILED = Retry(times=0, after=0.0, why="")


def held(pods: list[Pod], groups: dict[str, PodGroup], assumed: Assumed) -> list[Pod]:
    """Waiting pods whose group has a hold stand at their promised place."""
    places: dict[str, tuple[NodeName, tuple[GpuGroup, ...]]] = {}
    for group in groups.values():
        hold = assumed.group(group).hold
        for uid, node, shared in hold.places if hold else ():
            places[uid] = (node, shared)
    found = []
    for pod in pods:
        if pod.status is PodStatus.PENDING and pod.uid in places and not assumed.is_bound(pod.uid):
            node, shared = places[pod.uid]
            pod = msgspec.structs.replace(pod, status=PodStatus.HELD, node=node, shared=shared)
        found.append(pod)
    return found


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a pod from being decided on, in the words of `PodGroup`."""

    unsupported: str = ""
    lacks: str = ""
    untold: bool = False


NO_REFUSAL = Refusal()


def of_its_pods(group: PodGroup, begun: float | None, refused: Refusal, stays: bool) -> PodGroup:
    """The group with what its pods say of it: since when the first runs, what one asks that cannot be decided on, and whether a
    disruption budget keeps them where they are."""
    started = begun if group.started is None else group.started
    if started == group.started and refused == NO_REFUSAL and not stays:
        return group
    said = msgspec.structs.asdict(refused)
    return msgspec.structs.replace(group, started=started, movable=group.movable and not stays, **said)


def in_its_project(group: PodGroup, projects: dict[str, tuple[frozenset[str], QueueName]]) -> PodGroup:
    """The group in a queue of the project its namespace belongs to, whatever it says itself."""
    queues, own = projects.get(group.namespace, (frozenset(), group.queue))
    return group if group.queue == own or group.queue in queues else msgspec.structs.replace(group, queue=own)


def with_life(group: PodGroup, retries: dict[str, Retry], aside: frozenset[str]) -> PodGroup:
    """The group with its failed binds, and whether a bug was met with it."""
    failed = retries.get(group.uid, NEVER_FAILED)
    if not failed.times and group.uid not in aside:
        return group
    return msgspec.structs.replace(
        group,
        failed_binds=failed.times,
        bind_failure=failed.why,
        retry_at=failed.after,
        set_aside=group.uid in aside,
    )
