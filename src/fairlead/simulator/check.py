"""Scenario files checked: every section of `expect`, and always the invariants of the core.

`check` never raises for what a file or the core does wrong: the answer is a `Result`, whose `error` says so.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from fairlead.model import ModelError
from fairlead.scheduling import unsupported
from fairlead.scheduling.invariants import violations
from fairlead.simulator import expected
from fairlead.simulator.play import Clock, Cycle, play
from fairlead.simulator.scenario import Refused, Scenario, load
from fairlead.simulator.world import World


class Seconds(Struct, frozen=True):
    """Wall-clock time of reading the file, and of all decisions together."""

    load: float = 0.0
    decide: float = 0.0


class Result(Struct, frozen=True, kw_only=True):
    """One checked file. `error` = it could not be checked: unreadable, or something the core cannot do."""

    file: str
    title: str = ""
    tags: tuple[str, ...] = ()
    passed: bool = False
    failures: tuple[str, ...] = ()
    error: str | None = None
    seconds: Seconds = Seconds()


def files_under(paths: list[str]) -> list[str]:
    """The scenario files that these paths name: files as they are, directories walked, in order of name."""
    found: list[str] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            found += sorted(
                str(file) for file in path.rglob("*") if file.suffix in (".yaml", ".yml") and file.is_file()
            )
        else:
            found.append(text)
    return list(dict.fromkeys(found))


def check(file: str, clock: Clock) -> Result:
    """The file read, played and compared."""
    begin = clock()
    try:
        scenario = load(file)
    except Refused as refused:
        return Result(file=file, error=str(refused), seconds=Seconds(clock() - begin))
    except Exception as bug:  # noqa: BLE001 - a bug of the reader costs this file, the others are still checked
        text = f"{file}: it could not be read: {type(bug).__name__}: {bug}. This is a bug of ours"
        return Result(file=file, error=text, seconds=Seconds(clock() - begin))
    loaded = clock()
    failures, error, decided = judge(scenario, clock)
    return Result(
        file=file,
        title=scenario.title,
        tags=scenario.tags,
        passed=not failures and error is None,
        failures=tuple(failures),
        error=error,
        seconds=Seconds(loaded - begin, decided),
    )


def judge(scenario: Scenario, clock: Clock = lambda: 0.0) -> tuple[list[str], str | None, float]:
    """(failures, error, seconds of deciding) of a scenario; there are failures or an error or neither."""
    cycles: list[Cycle] = []
    try:
        world = World(scenario)
        lacking = unsupported(world.snapshot(), world.policy)
        if lacking:
            return [], f"{scenario.file}: the scheduler cannot do this yet: {', '.join(lacking)}", 0.0
        failures = list(_failures(scenario, world, cycles, clock))
        return failures, None, sum(cycle.seconds for cycle in cycles)
    except ModelError as error:
        return [], f"{scenario.file}: {error}", 0.0
    except Exception as bug:  # noqa: BLE001 - a bug of the core costs this file, the others are still checked
        return [], f"{scenario.file}: the scheduler failed on it: {type(bug).__name__}: {bug}", 0.0


def _failures(scenario: Scenario, world: World, seen: list[Cycle], clock: Clock) -> Iterator[str]:
    plan, expect = scenario.cycles, scenario.expect
    for cycle in play(world, plan.run + plan.hold, plan.every, clock):
        seen.append(cycle)
        yield from _violations(cycle, world)
        if cycle.number > plan.run:
            yield from expected.state_failures(world, expect, f" held in cycle {cycle.number}")
        elif cycle.number == plan.run:
            yield from _of_the_last_run(world, cycle, scenario)
            if plan.moves_on:
                world.move_on()
            yield from _reached(world, scenario)
    yield from expected.at_most_failures([cycle.commands for cycle in seen], expect)


def _violations(cycle: Cycle, world: World) -> Iterator[str]:
    for found in violations(cycle.snapshot, world.policy, cycle.now, cycle.plan):
        yield f"invariant, cycle {cycle.number}: {found.rule}: {found.subject} {found.detail}".rstrip()


def _of_the_last_run(world: World, cycle: Cycle, scenario: Scenario) -> Iterator[str]:
    expect = scenario.expect
    yield from expected.plan_failures(world, expect, cycle.commands, cycle.before)
    yield from expected.fair_share_failures(expect, cycle.plan)
    yield from expected.reason_failures(world, expect, cycle.plan)


def _reached(world: World, scenario: Scenario) -> Iterator[str]:
    expect = scenario.expect
    yield from expected.state_failures(world, expect)
    yield from expected.device_failures(world, expect)
    if expect.requested or expect.allocated or expect.running_for or expect.nodes:
        after = world.snapshot(with_moves=True)
        yield from expected.amount_failures(world, expect, after)
        yield from expected.node_failures(expect, after)
