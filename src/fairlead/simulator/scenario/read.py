"""A scenario file from text to a frozen `Scenario`, or `Refused` with file, line and what was expected."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from fairlead.model import QueueSpec
from fairlead.simulator.scenario import keys, yaml12
from fairlead.simulator.scenario.cluster import cycles_of, nodes_of, policy_of, queue_of
from fairlead.simulator.scenario.expect import expect_of
from fairlead.simulator.scenario.faults import Refused, Unreadable, Wrong
from fairlead.simulator.scenario.gangs import gangs_of
from fairlead.simulator.scenario.names import expand
from fairlead.simulator.scenario.references import check_references, declared
from fairlead.simulator.scenario.requests import selected_labels
from fairlead.simulator.scenario.spec import ClaimSpec, GangSpec, Scenario

Map: TypeAlias = dict[str, Any]


def load(path: str | Path) -> Scenario:
    """The scenario in the file at `path`.  Raises: Refused, also for a file that cannot be opened or is not text."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(str(path), 1, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise Refused(str(path), 1, f"is not UTF-8 text (byte {error.start})") from None
    return loads(text, str(path))


def loads(text: str, file: str = "<text>") -> Scenario:
    """The scenario in `text`; `file` is what refusals call it.  Raises: Refused."""
    try:
        document = yaml12.parse(text)
    except Unreadable as fault:
        raise Refused(file, fault.line, fault.text) from None
    except RecursionError:
        raise Refused(file, 1, "is nested too deep for a scenario") from None
    try:
        return _scenario(document, file)
    except Wrong as wrong:
        raise Refused(file, yaml12.line_of(text, wrong.path), wrong.told()) from None


def _scenario(document: Any, file: str) -> Scenario:
    keys.DOCUMENT(document)
    names = declared(document)
    check_references(document, names)
    nodes = [node for name, value in document["nodes"].items() for node in nodes_of(name, value)]
    return Scenario(
        file=file,
        title=document["title"],
        tags=tuple(document.get("tags", ())),
        policy=policy_of(document.get("policy", {})),
        nodes=tuple(nodes),
        topologies=tuple((name, tuple(levels)) for name, levels in document.get("topologies", {}).items()),
        queues=tuple(_queues(document["queues"])),
        claims=tuple(_claim(name, value) for name, value in document.get("claims", {}).items()),
        gangs=tuple(_gangs(document)),
        cycles=cycles_of(document.get("cycles")),
        expect=expect_of(document.get("expect", {})),
    )


def _queues(written: Map) -> Iterator[QueueSpec]:
    position = 0
    for key, value in written.items():
        for name in expand(key):
            if value != "missing":
                yield queue_of(name, value, position)
            position += 1


def _gangs(document: Map) -> Iterator[GangSpec]:
    lines = [
        (section, i, line) for section in ("running", "pending") for i, line in enumerate(document.get(section, ()))
    ]
    selected: frozenset[str] = frozenset()
    for section, i, line in lines:
        with _under(section, i):
            selected |= selected_labels([line])
    only = next(iter(document.get("topologies", {})), "")
    for section, i, line in lines:
        with _under(section, i):
            yield from gangs_of(line, section, selected, only)


def _claim(name: str, value: Map) -> ClaimSpec:
    devices = value.get("devices", range(value.get("count", 1)) if "node" in value else ())
    return ClaimSpec(
        name=name,
        device_class=value.get("class", "gpu.nvidia.com"),
        count=value.get("count", 1),
        queue=value.get("queue", ""),
        namespace=value.get("namespace", "default"),
        node=value.get("node", ""),
        devices=tuple(devices),
        other_users=value.get("other_users", 0),
    )


@contextmanager
def _under(*path: str | int) -> Iterator[None]:
    try:
        yield
    except Wrong as wrong:
        wrong.path = (*path, *wrong.path)
        raise
