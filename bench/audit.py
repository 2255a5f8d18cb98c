"""What a run cost, from the audit log of its API server: how long, and which calls wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

CREATOR = "admin"
"""Who creates the pods: whoever bears the token. Schedulers come with a certificate of another name."""
_WRITES = frozenset({"create", "update", "patch", "delete"})
_OF_A_PROCESS = frozenset({"leases", "tokenreviews", "subjectaccessreviews"})
"""Not written for any pod."""


@dataclass(frozen=True)
class Measured:
    """`seconds` from the first create of a pod to the last binding; `writes` of everybody but the creator between them."""

    pods: int
    seconds: float
    writes: Counter[str]

    @property
    def rate(self) -> float:
        """Pods a second."""
        return self.pods / self.seconds

    @property
    def writes_a_pod(self) -> float:
        """All of them over the pods."""
        return self.writes.total() / self.pods

    @property
    def told(self) -> str:
        """Which writes these are."""
        return ", ".join(f"{what} {count}" for what, count in self.writes.most_common())


def measured(log: Path, pods: int) -> Measured:
    """The run; calls that failed count as well. Raises: ValueError where the log does not show that so many pods were bound."""
    entries = list(_entries(log))
    bindings = [e for e in entries if _is(e, "create", "pods", "binding")]
    names = {e["objectRef"]["name"] for e in bindings}
    if len(names) != pods:
        raise ValueError(f"{log} shows bindings of {len(names)} pods, {pods} were expected")
    bound = [e["stageTimestamp"] for e in bindings]
    begun = min(e["requestReceivedTimestamp"] for e in entries if _is(e, "create", "pods", ""))
    writes = Counter(_what(e) for e in entries if _is_of_a_pod(e) and e["requestReceivedTimestamp"] >= begun)
    seconds = (datetime.fromisoformat(max(bound)) - datetime.fromisoformat(begun)).total_seconds()
    return Measured(pods, seconds, writes)


def _entries(log: Path) -> Iterator[Any]:
    with log.open("rb") as lines:
        for line in lines:
            entry = msgspec.json.decode(line)
            if entry["verb"] in _WRITES and "objectRef" in entry and "responseStatus" in entry:
                yield entry


def _is(entry: Any, verb: str, resource: str, subresource: str) -> bool:
    ref = entry["objectRef"]
    return (entry["verb"], ref["resource"], ref.get("subresource", "")) == (verb, resource, subresource)


def _is_of_a_pod(entry: Any) -> bool:
    name = entry["user"]["username"]
    is_server = name.startswith("system:") and name != "system:kube-scheduler"
    return name != CREATOR and not is_server and entry["objectRef"]["resource"] not in _OF_A_PROCESS


def _what(entry: Any) -> str:
    ref = entry["objectRef"]
    return f"{entry['verb']} {'/'.join(filter(None, (ref['resource'], ref.get('subresource'))))}"
