"""Commands of a plan by the names of the file."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from fairlead.model import Bind, Evict, Keep, Plan
from fairlead.simulator.life import Gang, Member
from fairlead.simulator.world import World


class Command(Struct, frozen=True):
    """One command for one pod, by the names of the file. `for_gang` and `action` are those of an eviction."""

    verb: Literal["bind", "pipeline", "evict"]
    pod: str
    gang: str
    node: str
    for_gang: str = ""
    action: str = ""

    @property
    def text(self) -> str:
        """As the format writes it: `evict X for Y by ACTION`."""
        if self.verb != "evict":
            return f"{self.verb} {self.pod} on {self.node}"
        whom = f" for {self.for_gang}" if self.for_gang else ""
        return f"evict {self.pod}{whom} by {self.action}"


def commands_of(world: World, plan: Plan, held: frozenset[tuple[str, str]] = frozenset()) -> Iterator[Command]:
    """The plan by names, in its order. A place that was held before (`held`: pod, node) is no new command."""
    pods = {member.uid: member for member in world.members}
    gangs = {gang.uid: gang for gang in world.gangs}
    for command in plan.commands:
        if isinstance(command, Bind):
            yield _command("bind", pods[command.pod], str(command.node))
        elif isinstance(command, Evict):
            member = pods[command.pod]
            reason: Gang | None = gangs.get(command.for_group)
            yield Command(
                "evict",
                member.spec.name,
                member.gang.spec.name,
                str(member.node),
                reason.spec.name if reason else "",
                str(command.action),
            )
        elif isinstance(command, Keep) and command.hold is not None:
            for uid, node, _ in command.hold.places:
                if (pods[uid].spec.name, str(node)) not in held:
                    yield _command("pipeline", pods[uid], str(node))


def _command(verb: Literal["bind", "pipeline"], member: Member, node: str) -> Command:
    return Command(verb, member.spec.name, member.gang.spec.name, node)
