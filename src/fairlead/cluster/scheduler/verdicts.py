"""Why work waits, where people look for it: on the first pod of a group, with an event where it is a new cause, and on the group's
object; written when the words change."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.cluster.scheduler.apply import Applier, Known
from fairlead.kube.cache import Cache
from fairlead.model import Outcome
from fairlead.objects import kai
from fairlead.objects.pod import Pod
from fairlead.wire.agent import ReasonText
from fairlead.wire.reasons import distinct, render, to_lines

_HELD = "Waits for others to make room [held]"


class Verdicts:
    """What was said last, so that nothing is said twice while the caches lag."""

    def __init__(self, applier: Applier, groups: Cache[kai.PodGroup]) -> None:
        self._applier = applier
        self._groups = groups
        self._said: dict[str, str] = {}
        self._causes: dict[str, frozenset[str]] = {}

    def forget(self, present: frozenset[str]) -> None:
        """What was said of pods and groups that are gone. `present`: UIDs of those there are."""
        self._said = {uid: text for uid, text in self._said.items() if uid in present}
        self._causes = {uid: codes for uid, codes in self._causes.items() if uid in present}

    async def write(self, pool: str, outcomes: Iterable[Outcome], known: Known) -> None:
        """Every waiting group is told why; of one that got its place the reasons are taken back."""
        objects = {group.metadata.uid: group for group in self._groups}
        for outcome in outcomes:
            texts: tuple[ReasonText, ...] | None = None
            if outcome.result in ("waiting", "held", "skipped"):
                texts = tuple(render(reason) for reason in distinct(outcome.reasons))
                await self._tell_pod(known.first_of(outcome.group), texts)
            if outcome.group in objects:
                await self._tell_group(objects[outcome.group], pool, texts)

    async def _tell_pod(self, pod: Pod | None, texts: tuple[ReasonText, ...]) -> None:
        message = to_lines(texts) or _HELD
        if pod is None or message in (_on_pod(pod), self._said.get(pod.metadata.uid)):
            return
        uid, causes = pod.metadata.uid, frozenset(text.code for text in texts)
        is_new, self._causes[uid] = causes != self._causes.get(uid), causes
        self._said[uid] = message
        await self._applier.say_why(pod, message, is_new=is_new)

    async def _tell_group(self, group: kai.PodGroup, pool: str, texts: tuple[ReasonText, ...] | None) -> None:
        """`texts`: None where it does not wait."""
        uid, before = group.metadata.uid, group.status.scheduling_conditions
        others = tuple(c for c in before if c.node_pool != pool)
        mine = next((c for c in before if c.node_pool == pool), None)
        message = "" if texts is None else to_lines(texts) or _HELD
        if message == (mine.message if mine else "") or self._said.get(uid) == f"{pool}: {message}":
            return
        self._said[uid] = f"{pool}: {message}"
        if texts is None:
            await self._applier.say_of_group(group, others)
            return
        number = 1 + max((int(c.transition_id) for c in before if c.transition_id.isdecimal()), default=0)
        said = kai.SchedulingCondition(
            type="UnschedulableOnNodePool",
            status="True",
            node_pool=pool,
            reason=texts[0].code if texts else "held",
            message=message,
            reasons=tuple(kai.SchedulingReason(reason=t.code, message=t.message) for t in texts),
            transition_id=str(number),
        )
        await self._applier.say_of_group(group, (*others, said))


def _on_pod(pod: Pod) -> str:
    return next((c.message for c in pod.status.conditions if c.type == "PodScheduled" and c.status == "False"), "")
