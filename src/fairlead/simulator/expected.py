"""What a file expects against what came, section by section; each mismatch is one sentence that says both."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from fairlead.model import Code, Plan, Snapshot
from fairlead.simulator.amounts_held import Amounts3, allocated, requested, whole_gpus
from fairlead.simulator.commands import Command
from fairlead.simulator.life import Gang, Member
from fairlead.simulator.reasons import names_of
from fairlead.simulator.scenario.spec import Expect, Wanted, WantedCommand, Wish
from fairlead.simulator.world import World

_AXES: Final = (("GPU", 1000.0), ("CPU", 1000.0), ("memory bytes", 1.0))
_COVERS: Final = {"releasing": ("releasing", "evicted"), "pipelined": ("pipelined", "moved")}
_MOST: Final = 12
_KIND: Final = {"binds": "bind", "evictions": "evict", "pipelines": "pipeline"}


def state_failures(world: World, expect: Expect, when: str = "") -> Iterator[str]:
    """Sections `state`: pods whose state text does not fit."""
    yield from _cut(_states(world, expect, when))
    for name, counts in expect.counts:
        texts = [member for member in _members(world, name)]
        for wanted, count in counts:
            found = sum(_is(member, wanted) for member in texts)
            if found != count:
                came = ", ".join(f"{n} {text}" for text, n in sorted(Counter(m.text for m in texts).items()))
                yield f"state{when}: {name} has {found} pods {wanted.text}, expected {count}; it has {came}"


def plan_failures(
    world: World, expect: Expect, commands: Sequence[Command], before: Mapping[str, str]
) -> Iterator[str]:
    """Section `plan`: commands that did not come, and commands nobody expected."""
    if expect.plan is None:
        return
    left = list(commands)
    missing: list[str] = []
    for wanted in expect.plan:
        pods = _subjects(world, wanted, commands, before)
        if not pods:
            missing.append(wanted.text)
        for pod in pods:
            found = next((c for c in left if c.pod == pod and _fits(world, c, wanted)), None)
            if found is None:
                missing.append(wanted.text if len(pods) == 1 else f"{wanted.text} (pod {pod})")
            else:
                left.remove(found)
    came = "; ".join(c.text for c in commands[:_MOST]) or "no commands"
    yield from _cut(f"plan: expected `{text}`, it did not come; came: {came}" for text in missing)
    yield from _cut(f"plan: came `{c.text}`, not expected" for c in left)


def at_most_failures(cycles: Sequence[Sequence[Command]], expect: Expect) -> Iterator[str]:
    """Section `at_most`: cycles with too many commands, and too many over all cycles."""
    for key, most in expect.at_most:
        for number, commands in enumerate(cycles, 1):
            found = [c.text for c in commands if c.verb == _KIND[key]]
            if len(found) > most:
                yield f"at_most: {len(found)} {key} in cycle {number}, expected at most {most}: {_some(found)}"
    for key, most in expect.in_all:
        found = [c.text for commands in cycles for c in commands if c.verb == _KIND[key]]
        if len(found) > most:
            yield f"at_most: {len(found)} {key} in all cycles, expected at most {most}: {_some(found)}"


def device_failures(world: World, expect: Expect) -> Iterator[str]:
    """Section `same_device`: pods of one list share their devices, pods of different lists share none."""
    groups = [[m for name in names for m in _members(world, name)] for names in expect.same_device]
    devices = [{device for member in group for device in _devices(member)} for group in groups]
    for group in groups:
        first = set(_devices(group[0]))
        for member in group:
            if not _devices(member):
                yield f"same_device: {member.spec.name} is on no shared device, it is {member.text}"
            elif set(_devices(member)) != first:
                yield f"same_device: {group[0].spec.name} and {member.spec.name} are on different devices"
    for i, left in enumerate(devices):
        for j in range(i + 1, len(devices)):
            if left & devices[j]:
                yield f"same_device: {groups[i][0].spec.name} and {groups[j][0].spec.name} share a device, expected none"


def reason_failures(world: World, expect: Expect, plan: Plan) -> Iterator[str]:
    """Section `reasons`: codes a gang was not given."""
    outcomes = {outcome.group: outcome for outcome in plan.outcomes}
    for name, codes in expect.reasons:
        gang = _gang(world, name)
        outcome = outcomes.get(gang.uid)
        given: list[Code] = [reason.code for reason in outcome.reasons] if outcome else []
        have = {text for code in given for text in names_of(code)}
        for code in codes:
            if code not in have:
                came = ", ".join(dict.fromkeys(names_of(c)[0] for c in given)) or "no reason"
                yield f"reasons: {name} has {came}, expected {code}"


def fair_share_failures(expect: Expect, plan: Plan) -> Iterator[str]:
    """Section `fair_share`."""
    shares: dict[str, Amounts3] = dict(plan.fair_share)
    for name, wish in expect.fair_share:
        yield from _amounts("fair_share", name, wish, shares.get(name))


def amount_failures(world: World, expect: Expect, snapshot: Snapshot) -> Iterator[str]:
    """Sections `requested`, `allocated` and `running_for`."""
    if expect.requested:
        sums = requested(world, snapshot)
        for name, wish in expect.requested:
            yield from _amounts("requested", name, wish, sums.get(name, (0, 0, 0)))
    if expect.allocated:
        sums = allocated(world, snapshot)
        for name, wish in expect.allocated:
            yield from _amounts("allocated", name, wish, sums.get(name, (0, 0, 0)))
    for name, seconds in expect.running_for:
        started = _gang(world, name).started
        came = None if started is None else world.now - started
        if came is None or abs(came - seconds) > 0.001:
            yield f"running_for: {name} {'never started' if came is None else f'has {came:g}s'}, expected {seconds:g}s"


def node_failures(expect: Expect, snapshot: Snapshot) -> Iterator[str]:
    """Section `nodes`: whole GPUs free and being freed."""
    free = whole_gpus(snapshot)
    for name, idle, releasing in expect.nodes:
        for word, wanted, came in zip(("idle", "releasing"), (idle, releasing), free.get(name, (0, 0)), strict=True):
            if wanted is not None and wanted != came:
                yield f"nodes: {name} has {came / 1000:g} GPUs {word}, expected {wanted / 1000:g}"


def _states(world: World, expect: Expect, when: str) -> Iterator[str]:
    for name, wanted in expect.states:
        wrong = [member for member in _members(world, name) if not _is(member, wanted)]
        for member in wrong:
            whose = name if member.spec.name == name else f"{name} (pod {member.spec.name})"
            yield f"state{when}: {whose} is {member.text}, expected {wanted.text}"


def _is(member: Member, wanted: Wanted) -> bool:
    if member.word not in _COVERS.get(wanted.word, (wanted.word,)):
        return False
    place = member.node if wanted.word in ("evicted", "releasing") else member.place
    return not wanted.nodes or str(place) in wanted.nodes


def _members(world: World, name: str) -> list[Member]:
    gang = world.by_gang.get(name)
    return gang.members if gang else [world.by_pod[name]]


def _gang(world: World, name: str) -> Gang:
    return world.by_gang[name] if name in world.by_gang else world.by_pod[name].gang


def _devices(member: Member) -> tuple[str, ...]:
    return tuple(member.new_devices if member.moved_to else member.devices)


def _subjects(world: World, wanted: WantedCommand, commands: Sequence[Command], before: Mapping[str, str]) -> list[str]:
    """The pods a command names: itself, or those of the gang that it could be about (a moved pod is pipelined from where it runs)."""
    if wanted.subject in world.by_pod:
        return [wanted.subject]
    words = ("bound", "running", "pipelined") if wanted.verb == "evict" else ("pending", "pipelined")
    evicted = {c.pod for c in commands if c.verb == "evict"} if wanted.verb == "pipeline" else set()
    names = [member.spec.name for member in world.by_gang[wanted.subject].members]
    return [name for name in names if before[name].split(" ")[0] in words or name in evicted]


def _fits(world: World, command: Command, wanted: WantedCommand) -> bool:
    gang = _gang(world, wanted.for_gang).spec.name if wanted.for_gang else command.for_gang
    return (
        command.verb == wanted.verb
        and (not wanted.nodes or command.node in wanted.nodes)
        and command.for_gang == gang
        and wanted.action in ("", command.action)
    )


def _amounts(section: str, name: str, wish: Wish, came: Amounts3 | None) -> Iterator[str]:
    if came is None:
        yield f"{section}: {name} has none: it is no queue of the tree"
        return
    for (word, unit), wanted, found in zip(_AXES, wish, came, strict=True):
        if wanted is not None and abs(wanted - found) > 1:
            yield f"{section}: {name} has {found / unit:g} {word}, expected {wanted / unit:g}"


def _cut(texts: Iterable[str]) -> Iterator[str]:
    """The first dozen, and how many more."""
    found = list(texts)
    yield from found[:_MOST]
    if len(found) > _MOST:
        yield f"... and {len(found) - _MOST} more like these"


def _some(texts: Sequence[str]) -> str:
    return "; ".join(texts[:_MOST]) + ("; ..." if len(texts) > _MOST else "")
