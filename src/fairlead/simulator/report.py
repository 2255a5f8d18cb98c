"""What one scenario comes to, for printing: plan, states, fair shares, reasons."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

from fairlead.model import Plan
from fairlead.scheduling import unsupported
from fairlead.simulator.play import Clock, Cycle, play
from fairlead.simulator.reasons import message, names_of
from fairlead.simulator.scenario import Scenario
from fairlead.simulator.world import World

Rows: TypeAlias = dict[str, Any]


class Impossible(ValueError):
    """The file is fine, but it needs what the scheduler does not have; the text names it."""


def run(scenario: Scenario, cycles: int | None, clock: Clock) -> Rows:
    """The scenario played for `cycles` decisions (its own number where None), as plain values ready for JSON.  Raises: Impossible."""
    world = World(scenario)
    lacking = unsupported(world.snapshot(), world.policy)
    if lacking:
        raise Impossible(f"{scenario.file}: the scheduler cannot do this yet: {', '.join(lacking)}")
    own = scenario.cycles
    played: list[Cycle] = list(play(world, cycles or own.run + own.hold, own.every, clock))
    last = played[-1]
    return {
        "title": scenario.title,
        "cycles": len(played),
        "plan": [command.text for command in last.commands],
        "state": {gang.spec.name: dict(_states(world, gang.spec.name)) for gang in world.gangs},
        "fair_share": {str(name): _amounts(share) for name, share in last.plan.fair_share},
        "reasons": dict(_reasons(world, last.plan)),
        "seconds": {"decide": round(sum(cycle.seconds for cycle in played), 6)},
    }


def _states(world: World, gang: str) -> Iterator[tuple[str, int]]:
    yield from Counter(member.text for member in world.by_gang[gang].members).items()


def _reasons(world: World, plan: Plan) -> Iterator[tuple[str, list[Rows]]]:
    names = {gang.uid: gang.spec.name for gang in world.gangs}
    for outcome in plan.outcomes:
        if outcome.reasons:
            yield (
                names[outcome.group],
                [
                    {
                        "code": names_of(reason.code)[0],
                        "message": message(reason),
                        "details": {
                            "id": reason.code.value,
                            "action": reason.action.value,
                            "subject": reason.subject,
                            "resource": reason.resource,
                            "wanted": reason.wanted,
                            "available": reason.available,
                            "nodes": reason.nodes,
                        },
                    }
                    for reason in outcome.reasons
                ],
            )


def _amounts(share: tuple[int, int, int]) -> Rows:
    return {
        "gpu": share[0] / 1000,
        "cpu": share[1] / 1000,
        "memory": share[2],
        "gpu_milli": share[0],
        "cpu_milli": share[1],
        "memory_bytes": share[2],
    }
