"""A scenario as typed values: ranges expanded, defaults filled in, amounts in whole numbers (units: see `amounts`)."""

from typing import TypeAlias

from msgspec import Struct

from fairlead.model import Node, Policy, QueueSpec, TaskClass

Pairs: TypeAlias = tuple[tuple[str, int], ...]
Wish: TypeAlias = tuple[int | None, int | None, int | None]
"""(GPU milli, CPU milli, memory bytes); None = not compared."""


class ClaimSpec(Struct, frozen=True, kw_only=True):
    """One named DRA claim; `node` empty = not allocated."""

    name: str
    device_class: str = "gpu.nvidia.com"
    count: int = 1
    queue: str = ""
    namespace: str = "default"
    node: str = ""
    devices: tuple[int, ...] = ()
    other_users: int = 0


class Ask(Struct, frozen=True, kw_only=True):
    """What one pod asks for; equal pods share one value. `claims` are named ones, claims from templates are in the class."""

    klass: TaskClass
    claims: tuple[str, ...] = ()
    task_priority: int | None = None


class PodSpec(Struct, frozen=True):
    """One pod: its name, subgroup, request and where it is. `devices` are the file's own names of shared devices."""

    name: str
    subgroup: str
    ask: Ask
    state: str
    node: str
    devices: tuple[str, ...]
    nominated: str


class SubGroupSpec(Struct, frozen=True):
    """A node of a gang's tree; `leaf` ones hold pods. A gang without subgroups is one leaf named ''."""

    name: str
    parent: str
    minimum: int
    leaf: bool
    topology: str = ""
    required: str = ""
    preferred: str = ""


class GangSpec(Struct, frozen=True, kw_only=True):
    """One gang. `running_for` None = never started, `stale_for` None = not seen stale; both and `age` in seconds."""

    name: str
    namespace: str
    queue: str
    priority: int
    preemptible: bool
    age: float
    running_for: float | None
    stale_for: float | None
    after_release: str
    subgroups: tuple[SubGroupSpec, ...]
    pods: tuple[PodSpec, ...]


class Cycles(Struct, frozen=True):
    """How often to decide: `run` cycles, then `hold` more; `every` seconds apart. `moves_on` False = decide once and stop."""

    run: int = 1
    hold: int = 0
    every: float = 1.0
    moves_on: bool = False


class Wanted(Struct, frozen=True):
    """A state text: the word and the nodes allowed (empty = any)."""

    word: str
    nodes: frozenset[str]
    text: str


class WantedCommand(Struct, frozen=True):
    """A command text; empty parts are not compared."""

    verb: str
    subject: str
    nodes: frozenset[str]
    for_gang: str
    action: str
    text: str


class Expect(Struct, frozen=True, kw_only=True):
    """What must come out; an absent section is not compared. GPUs of `nodes` in milli."""

    states: tuple[tuple[str, Wanted], ...] = ()
    counts: tuple[tuple[str, tuple[tuple[Wanted, int], ...]], ...] = ()
    plan: tuple[WantedCommand, ...] | None = None
    same_device: tuple[tuple[str, ...], ...] = ()
    at_most: Pairs = ()
    in_all: Pairs = ()
    reasons: tuple[tuple[str, tuple[str, ...]], ...] = ()
    fair_share: tuple[tuple[str, Wish], ...] = ()
    requested: tuple[tuple[str, Wish], ...] = ()
    allocated: tuple[tuple[str, Wish], ...] = ()
    running_for: tuple[tuple[str, float], ...] = ()
    nodes: tuple[tuple[str, int | None, int | None], ...] = ()


class Scenario(Struct, frozen=True, kw_only=True):
    """A whole file: one cluster at one moment, one policy, what must come out."""

    file: str
    title: str
    tags: tuple[str, ...] = ()
    policy: Policy = Policy()
    nodes: tuple[Node, ...] = ()
    topologies: tuple[tuple[str, tuple[str, ...]], ...] = ()
    queues: tuple[QueueSpec, ...] = ()
    claims: tuple[ClaimSpec, ...] = ()
    gangs: tuple[GangSpec, ...] = ()
    cycles: Cycles = Cycles()
    expect: Expect = Expect()
