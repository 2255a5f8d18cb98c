"""An explanation as JSON with sentences: what the API, the CLI and the pages show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from fairlead.model import Snapshot, Uid
from fairlead.scheduling.explain import Explanation, Fix
from fairlead.wire.reasons import amount, distinct, render


def to_json(found: Explanation, snapshot: Snapshot) -> bytes:
    """The explanation with texts. Victims are pods as `{"namespace", "name"}`: who asks decides which of them to name."""
    namespaces = {g.uid: g.namespace for g in snapshot.groups}
    names = {p.uid: {"namespace": namespaces.get(p.group, ""), "name": str(p.name)} for p in snapshot.pods}
    group = next(g for g in snapshot.groups if g.uid == found.group)
    waiting = {g.uid for g in snapshot.groups if g.queue == group.queue} & _waiting(snapshot)
    document = {
        "result": found.result,
        "place": found.ahead + 1 if found.result not in ("running", "bound") else 0,
        "waiting": max(len(waiting), found.ahead + 1),
        "reasons": [msgspec.to_builtins(render(r)) | {"details": render(r).details} for r in distinct(found.reasons)],
        "victims": _named(found.evicts, names),
        "fixes": [_fix(fix, names) for fix in found.fixes],
        "state": snapshot.digest,
    }
    return msgspec.json.encode(document)


def fix_text(fix: Fix) -> str:
    """The change as a sentence."""
    return _SENTENCES[fix.kind](fix)


def _fix(fix: Fix, names: Mapping[Uid, dict[str, str]]) -> dict[str, Any]:
    return {
        "kind": fix.kind,
        "subject": fix.subject,
        "resource": fix.resource,
        "before": fix.before,
        "amount": fix.amount,
        "text": fix_text(fix) + _STARTS[fix.starts],
        "victims": _named(fix.evicts, names),
        "proof": fix.proof,
    }


def _named(uids: Iterable[Uid], names: Mapping[Uid, dict[str, str]]) -> list[dict[str, str]]:
    return sorted((names[uid] for uid in uids), key=lambda named: (named["namespace"], named["name"]))


def _waiting(snapshot: Snapshot) -> set[str]:
    return {pod.group for pod in snapshot.pods if not pod.node}


def _was(fix: Fix) -> str:
    return f"{amount(fix.resource, fix.amount, fix.before)} (now {amount(fix.resource, fix.before)})"


_STARTS: dict[str, str] = {
    "now": "",
    "when victims are gone": ", once those it stops are gone",
    "when others end": "; then it waits for room, which no node ever has for what it asks now",
}

_SENTENCES: dict[str, Callable[[Fix], str]] = {
    "raise-deserved": lambda f: f"Raise the quota of {f.subject} to {_was(f)}",
    "raise-limit": lambda f: f"Raise the limit of {f.subject} to {_was(f)}",
    "drop-selector": lambda f: f"Drop its node selector {f.subject}".rstrip(),
    "drop-affinity": lambda f: f"Drop its node affinity {f.subject}".rstrip(),
    "add-tolerations": lambda f: f"Let it tolerate the taint {f.subject}".rstrip(),
    "lower-minimum": lambda f: f"Let it start with {f.amount} pod{'' if f.amount == 1 else 's'} instead of {f.before}",
    "raise-priority": lambda f: f"Raise its priority to {f.amount} (now {f.before})",
    "make-preemptible": lambda _: "Make it preemptible",
    "make-non-preemptible": lambda _: "Make it non-preemptible",
    "ask-less": lambda f: f"Ask for {_was(f)} a pod",
    "uncordon": lambda f: f"Open {f.subject} to new work again (it is cordoned)",
    "add-nodes": lambda f: f"Add {f.amount} node{'' if f.amount == 1 else 's'} like {f.subject}",
}
