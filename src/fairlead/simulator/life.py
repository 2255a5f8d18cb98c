"""One pod and one gang of a scenario in virtual time, and the words for their states."""

from typing import Final

from fairlead.model import GpuGroup, Hold, NodeName, PodStatus, Uid
from fairlead.simulator.scenario.spec import GangSpec, PodSpec

START: Final = 1_000_000_000.0
"""Seconds since the epoch at which every scenario begins."""
_STATUS: Final = {
    "pending": PodStatus.PENDING,
    "gated": PodStatus.GATED,
    "pipelined": PodStatus.HELD,
    "bound": PodStatus.BOUND,
    "running": PodStatus.RUNNING,
    "releasing": PodStatus.RELEASING,
    "succeeded": PodStatus.SUCCEEDED,
    "failed": PodStatus.FAILED,
}
WORD: Final = {status: word for word, status in _STATUS.items()} | {PodStatus.BINDING: "bound"}
"""How the format calls each status."""
STARTED: Final = (PodStatus.BINDING, PodStatus.BOUND, PodStatus.RUNNING)
HAS_PLACE: Final = (*STARTED, PodStatus.HELD, PodStatus.RELEASING)


class Member:
    """One pod of the world. `moved_to` is its second place while it is evicted from `node` and promised another."""

    __slots__ = ("devices", "evicted", "gang", "life", "moved_to", "new_devices", "node", "spec", "status", "uid")

    def __init__(self, gang: "Gang", spec: PodSpec, number: int, devices: tuple[GpuGroup, ...]) -> None:
        self.gang, self.spec = gang, spec
        self.uid = Uid(f"p{number:07d}")
        self.life = 0
        self.status: PodStatus | None = _STATUS[spec.state]
        """None = gone."""
        self.node = NodeName(spec.node)
        self.devices = devices
        self.evicted = False
        self.moved_to = NodeName("")
        self.new_devices: tuple[GpuGroup, ...] = ()

    @property
    def word(self) -> str:
        """Its state in the words of the format."""
        if self.status is None:
            return "gone"
        if self.evicted:
            return "moved" if self.moved_to else "evicted"
        return WORD[self.status]

    @property
    def place(self) -> NodeName:
        """The node its state text names."""
        if self.word == "moved":
            return self.moved_to
        return self.node if self.status in HAS_PLACE else NodeName("")

    @property
    def text(self) -> str:
        """Its whole state text, such as `bound on n1`."""
        joint = {"evicted": "from", "moved": "to"}.get(self.word, "on")
        return f"{self.word} {joint} {self.place}" if self.place else self.word

    def settle(self, status: PodStatus | None, node: str = "", devices: tuple[GpuGroup, ...] = ()) -> None:
        """Gives it one plain state."""
        self.status, self.node, self.devices = status, NodeName(node), devices
        self.evicted, self.moved_to, self.new_devices = False, NodeName(""), ()


class Gang:
    """One gang of the world."""

    __slots__ = ("created", "hold", "members", "spec", "stale_since", "started", "uid")

    def __init__(self, spec: GangSpec, number: int) -> None:
        self.spec = spec
        self.uid = Uid(f"g{number:07d}")
        self.members: list[Member] = []
        self.created = START - spec.age
        self.started: float | None = None
        self.stale_since: float | None = None if spec.stale_for is None else START - spec.stale_for
        self.hold: Hold | None = None

    def note_start(self) -> None:
        """Sets its last start where the file says that some of it runs."""
        if self.spec.running_for is not None and any(member.status in STARTED for member in self.members):
            self.started = START - self.spec.running_for

    def note_staleness(self, now: float) -> None:
        """Remembers since when it has been below a minimum while some of it lives."""
        alive = [member for member in self.members if member.status is not None]
        active = [member for member in alive if member.status in HAS_PLACE]
        done = any(member.status is PodStatus.SUCCEEDED for member in alive)
        short = any(
            sum(member.spec.subgroup == leaf.name for member in active) < leaf.minimum
            for leaf in self.spec.subgroups
            if leaf.leaf
        )
        if not active or done or not short:
            self.stale_since = None
        elif self.stale_since is None:
            self.stale_since = now
