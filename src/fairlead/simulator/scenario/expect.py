"""The section `expect`: texts of states and commands as values, ranges in keys expanded."""

from typing import Any, TypeAlias

from fairlead.simulator.scenario import amounts
from fairlead.simulator.scenario.names import alternatives, expand
from fairlead.simulator.scenario.spec import Expect, Pairs, Wanted, WantedCommand, Wish

Map: TypeAlias = dict[str, Any]


def expect_of(written: Map) -> Expect:
    """What a file says must come out."""
    states = [(name, value) for key, value in written.get("state", {}).items() for name in expand(key)]
    limits = written.get("at_most", {})
    return Expect(
        states=tuple((name, wanted(value)) for name, value in states if isinstance(value, str)),
        counts=tuple((name, _counts(value)) for name, value in states if not isinstance(value, str)),
        plan=tuple(command(text) for text in written["plan"]) if "plan" in written else None,
        same_device=tuple(
            tuple(pod for name in group for pod in expand(name)) for group in written.get("same_device", ())
        ),
        at_most=_limits(limits),
        in_all=_limits(limits.get("in_all", {})),
        reasons=tuple(
            (name, tuple(value) if isinstance(value, list) else (value,))
            for key, value in written.get("reasons", {}).items()
            for name in expand(key)
        ),
        fair_share=_wishes(written.get("fair_share", {})),
        requested=_wishes(written.get("requested", {})),
        allocated=_wishes(written.get("allocated", {})),
        running_for=tuple(
            (name, amounts.seconds(value))
            for key, value in written.get("running_for", {}).items()
            for name in expand(key)
        ),
        nodes=tuple(
            (name, _milli(value, "idle"), _milli(value, "releasing"))
            for key, value in written.get("nodes", {}).items()
            for name in expand(key)
        ),
    )


def wanted(text: str) -> Wanted:
    """A state text such as `bound on n1|n2`."""
    word, _, place = text.partition(" ")
    return Wanted(word, alternatives(place.partition(" ")[2]) if place else frozenset(), text)


def command(text: str) -> WantedCommand:
    """A command text such as `evict v1 for t1 by reclaim`."""
    verb, subject, *rest = text.split(" ")
    parts = dict(zip(rest[::2], rest[1::2], strict=True))
    nodes = alternatives(parts["on"]) if "on" in parts else frozenset()
    return WantedCommand(verb, subject, nodes, parts.get("for", ""), parts.get("by", ""), text)


def _counts(value: Map) -> tuple[tuple[Wanted, int], ...]:
    return tuple((wanted(text), count) for text, count in value.items())


def _limits(written: Map) -> Pairs:
    return tuple((key, value) for key, value in written.items() if isinstance(value, int))


def _wishes(written: Map) -> tuple[tuple[str, Wish], ...]:
    return tuple((name, _wish(value)) for key, value in written.items() for name in expand(key))


def _wish(value: Any) -> Wish:
    full: Map = value if isinstance(value, dict) else {"gpu": value}
    return (
        amounts.milli(full["gpu"]) if "gpu" in full else None,
        amounts.milli(full["cpu"]) if "cpu" in full else None,
        amounts.whole(full["memory"]) if "memory" in full else None,
    )


def _milli(value: Map, key: str) -> int | None:
    return amounts.milli(value[key]) if key in value else None
