"""Our workload kinds as pods: what should exist, what to do about it, and how the workload fares. Pure.

A workload is tried in *attempts*. All pods of an attempt start together; if one fails, the attempt has failed and the next one begins,
until there were more failed attempts than `backoffLimit`. The next attempt waits, as that of a Kubernetes Job does: 10 s after the first
failure, twice as long after each further one, at most 6 minutes. Failed pods stay as a record, so the count survives every restart. An
evicted pod is no failure, and no success however it ends: it is made again under its name once the old one is gone.

That a workload has ended is written on it: pods may be deleted by anyone, and work that was done is not done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from fairlead.objects.fields import ATTEMPT, ENDED, RANK
from fairlead.objects.kai import PodGroup
from fairlead.objects.pod import Pod, has_ended
from fairlead.objects.times import seconds_of, text_of
from fairlead.objects.workload import Workload, WorkloadStatus
from fairlead.workloads.evictions import is_evicted
from fairlead.workloads.pods import Owner, gang_of, least_of, pod_of, ranks_of
from fairlead.workloads.status import Course, Leaving, ended_at, has_succeeded, status_of

DEFAULT_BACKOFF_LIMIT: Final = 6
_FIRST_WAIT_SECONDS: Final = 10
_LONGEST_WAIT_SECONDS: Final = 360

End = Literal["Completed", "Failed"]


class Realised(Struct, frozen=True, kw_only=True):
    """What to do, in this order: the mark of its end, the pod group, deletions, creations; and the status to show."""

    ended: End | None = None
    """To be written on the workload before anything else; None where it is, or is not to be."""
    group: PodGroup | None = None
    delete: tuple[Pod, ...] = ()
    create: tuple[Pod, ...] = ()
    status: WorkloadStatus = WorkloadStatus()


def realise(workload: Workload, owner: Owner, pods: Sequence[Pod], now: str, left: Sequence[Pod] = ()) -> Realised:
    """Commands and status for a workload with these pods of its own. `now`: RFC 3339, stamped on what happens now.

    `left`: evicted pods that are gone already, as they were last.
    """
    attempts = sorted({_attempt(p) for p in pods})
    failed = [a for a in attempts if any(_attempt(p) == a and _has_failed(p) for p in pods)]
    limit = DEFAULT_BACKOFF_LIMIT if workload.spec.backoff_limit is None else workload.spec.backoff_limit
    current = (attempts[-1] if attempts else 0) + (1 if attempts and attempts[-1] in failed else 0)
    noted = workload.metadata.annotations.get(ENDED)
    given_up = len(failed) > limit or noted == "Failed"
    mine = [p for p in pods if _attempt(p) == current]
    active = [p for p in pods if not has_ended(p)]
    done = _is_done(workload, mine) or noted == "Completed"
    next_try = "" if mine or given_up or not failed else _next_try(pods, failed)
    course = Course(failures=len(failed), given_up=given_up, done=done, next_try=next_try if next_try > now else "")
    over = [p for p in mine if is_evicted(p) and has_ended(p) and not has_succeeded(p)]  # its node keeps it otherwise
    stranded = _stranded(workload, mine)
    status = status_of(workload, pods, mine, course, now, Leaving(ending=stranded, left=tuple(left)))
    group = gang_of(workload, owner)
    if workload.spec.suspended or given_up or done or workload.metadata.deletion_timestamp:
        end = None if noted else _end(done=done, given_up=given_up)
        return Realised(ended=end, group=group, delete=_not_leaving(active), status=status)
    stale = _not_leaving([*over, *(p for p in active if _attempt(p) != current)]) + stranded
    if status.next_try_at:
        return Realised(group=group, delete=stale, status=status)
    taken = {p.metadata.name for p in pods}
    wanted = [pod_of(workload, owner, rank, current) for rank in range(ranks_of(workload))]
    held = {int(p.metadata.labels.get(RANK, "0")) for p in mine if not p.metadata.deletion_timestamp}
    create = tuple(p for p in wanted if p.metadata.name not in taken and int(p.metadata.labels[RANK]) not in held)
    return Realised(group=group, delete=stale, create=create, status=status)


def _end(*, done: bool, given_up: bool) -> End | None:
    if done:
        return "Completed"
    return "Failed" if given_up else None


def _next_try(pods: Sequence[Pod], failed: Sequence[int]) -> str:
    """When the attempt after these failed ones may begin, counted from the end of the last."""
    ends = [ended_at(p) for p in pods if _attempt(p) == failed[-1] and _has_failed(p)]
    wait = min(_FIRST_WAIT_SECONDS << min(len(failed) - 1, 16), _LONGEST_WAIT_SECONDS)
    return text_of(max(filter(None, map(seconds_of, ends)), default=0.0) + wait)


def _is_done(workload: Workload, mine: Sequence[Pod]) -> bool:
    """Whether as many as are needed have succeeded and no other has begun: surplus pods that never got a place are not waited for."""
    succeeded = sum(1 for p in mine if has_succeeded(p))
    return succeeded >= least_of(workload) and not _placed(mine)


def _stranded(workload: Workload, mine: Sequence[Pod]) -> tuple[Pod, ...]:
    """All pods of an attempt that lost a member after another had succeeded: too few are left to start it, so all run again."""
    ended = [p for p in mine if has_succeeded(p)]
    running = [p for p in mine if p.spec.node_name and not has_ended(p)]
    if not ended or len(ended) + len(running) >= least_of(workload) or (running and not _is_replaced(workload, mine)):
        return ()
    return _not_leaving([*ended, *running])


def _is_replaced(workload: Workload, mine: Sequence[Pod]) -> bool:
    """Whether a member is missing, or was made after the others had begun: not one that merely has yet to get its place."""
    begun = min((p.status.start_time for p in mine if p.status.start_time), default="")
    late = any((p.metadata.creation_timestamp or "") > begun for p in mine if not p.spec.node_name)
    return late or len(mine) < ranks_of(workload)


def _placed(pods: Sequence[Pod]) -> bool:
    return any(p.spec.node_name and not has_ended(p) for p in pods)


def _attempt(pod: Pod) -> int:
    text = pod.metadata.labels.get(ATTEMPT, "0")
    return int(text) if text.isdigit() else 0


def _has_failed(pod: Pod) -> bool:
    return pod.status.phase == "Failed" and not is_evicted(pod)


def _not_leaving(pods: Sequence[Pod]) -> tuple[Pod, ...]:
    return tuple(p for p in pods if not p.metadata.deletion_timestamp)
