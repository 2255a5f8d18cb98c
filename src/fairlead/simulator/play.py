"""Cycles of a scenario: decide, carry out, move on; what happened in each."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from msgspec import Struct

from fairlead.model import Plan, Snapshot, Warm
from fairlead.scheduling.cycle import decide
from fairlead.simulator.commands import Command, commands_of
from fairlead.simulator.world import World

Clock: TypeAlias = Callable[[], float]
"""Seconds, for measuring only: it never decides anything."""


class Cycle(Struct, frozen=True):
    """One decision: what was read at what time, what was answered, the state text of every pod before and right after it.

    `seconds` = wall-clock time that building the snapshot and deciding took.
    """

    number: int
    now: float
    seconds: float
    snapshot: Snapshot
    plan: Plan
    commands: tuple[Command, ...]
    before: dict[str, str]
    after: dict[str, str]


def play(world: World, cycles: int, every: float, clock: Clock) -> Iterator[Cycle]:
    """Runs `cycles` decisions. The world stands right after each decision while it is looked at; it is moved on before the next one,
    unless the looker has done so."""
    warm: Warm | None = None
    held: frozenset[tuple[str, str]] = frozenset()
    for number in range(1, cycles + 1):
        if number > 1:
            held = _places(world) if world.policy.keep_holds else frozenset()
            world.move_on()
            world.tick(every)
        begin = clock()
        snapshot = world.snapshot()
        plan, warm = decide(snapshot, world.policy, world.now, warm)
        seconds = clock() - begin
        before = {member.spec.name: member.text for member in world.members}
        commands = tuple(commands_of(world, plan, held))
        world.take(plan)
        after = {member.spec.name: member.text for member in world.members}
        yield Cycle(number, world.now, seconds, snapshot, plan, commands, before, after)


def _places(world: World) -> frozenset[tuple[str, str]]:
    return frozenset((m.spec.name, str(m.place)) for m in world.members if m.word in ("pipelined", "moved"))
