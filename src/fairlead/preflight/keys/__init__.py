"""Every key that a facts file may hold: one table, from which validation, redaction and the reference page are made.

A line is `path | sort | meaning | how it is had`. In a path `[]` is an entry of a list and `<...>` a free key. Sorts:

    number, flag      an amount; true or false
    word              a state, version or name from a fixed vocabulary
    name              name of an object
    label             value of a label
    provider          id of a machine; `--anonymise` keeps the provider's name
    message           what another program said; secrets are cut out before it is saved
    node, namespace, cluster   a name that `--anonymise` hides
    host, url         the same; URLs lose user and password
    address           IP address or range
    time              RFC 3339

`?` behind a sort: null is a value too. Two sorts: either. `=...` behind it: what it means where the key is left out, as Kubernetes
leaves out what is usual; everything else that is left out is unknown. How: W the machine that runs the command, A Kubernetes API, N probe
pod on the node, R the node's runtime by way of the kubelet, Q query to Prometheus, C configuration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from fairlead.preflight.keys import cluster, network, nodes, services, storage

SORTS: Final = {
    "number": "number",
    "flag": "true or false",
    "word": "text",
    "name": "text",
    "message": "text",
    "label": "text",
    "value": "text",
    "provider": "text",
    "cluster": "text",
    "node": "text",
    "namespace": "text",
    "host": "text",
    "url": "text",
    "address": "text",
    "time": "text",
}
"""Sort -> what it is in a file."""

WAYS_OUT: Final = ("charts", "product-images", "third-party-images", "metrics", "control-plane", "sign-in")
"""Names below `egress`: the rows of the request to whoever runs the firewall."""

VOCABULARY: Final = {"way": WAYS_OUT}
"""Free keys that are not free: name -> what may stand there."""


@dataclass(frozen=True)
class Key:
    """One key. `sorts`: what may stand there; `may_be_null`: null is a known value."""

    path: str
    sorts: tuple[str, ...]
    may_be_null: bool
    meaning: str
    how: str
    left_out: str = ""
    """What it means where it is left out beside others; empty: it is unknown."""


@dataclass
class Branch:
    """One place of the tree of keys: a leaf where `key` is set, a map by `children`, a free map by `free`, a list by `entry`."""

    key: Key | None = None
    children: dict[str, Branch] = field(default_factory=dict)
    free: Branch | None = None
    free_name: str = ""
    entry: Branch | None = None


def _read(table: str) -> tuple[Key, ...]:
    found = []
    for line in table.strip().splitlines():
        path, sort, meaning, how = (part.strip() for part in line.split(" | "))
        sort, _, left_out = sort.partition("=")
        sorts = tuple(sort.removesuffix("?").split("/"))
        assert set(sorts) <= set(SORTS), line
        found.append(Key(path, sorts, sort.endswith("?"), meaning, how, left_out))
    return tuple(found)


def tree_of(keys: tuple[Key, ...]) -> Branch:
    """The keys as a tree of places."""
    root = Branch()
    for key in keys:
        place = root
        for step in re.findall(r"\[\]|<[^>]+>|[^.\[\]<>]+", key.path):
            place = _step(place, step)
        place.key = key
    return root


def _step(place: Branch, step: str) -> Branch:
    if step == "[]":
        place.entry = place.entry or Branch()
        return place.entry
    if step.startswith("<"):
        place.free = place.free or Branch()
        place.free_name = step[1:-1]
        return place.free
    return place.children.setdefault(step, Branch())


KEYS: Final = _read("\n".join(part.TABLE.strip() for part in (cluster, nodes, services, storage, network)))
TREE: Final = tree_of(KEYS)
