"""Hidden names: nodes, namespaces, hosts and the cluster under names that tell nothing, the same in a whole file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from fairlead.preflight.footprint import BESIDE
from fairlead.preflight.keys import TREE, Branch

_PREFIX: Final = {
    "node": "node",
    "namespace": "ns",
    "host": "host",
    "url": "host",
    "cluster": "cluster",
    "user": "user",
    "value": "value",
}
"""Sort of a key -> what hidden names of it begin with."""
_NO_NAMES: Final = frozenset(("word", "address", "time", "number", "flag"))
"""Sorts in which no names stand: words of a fixed vocabulary, addresses and times stay as they are."""
OPEN: Final = frozenset(("default", "kube-system", "kube-public", "kube-node-lease", "localhost", "", *BESIDE))
"""Names that every cluster has, and those that the product gives."""
PROBES: Final = "fairlead-preflight-"
"""Begins the names of the namespaces that a preflight makes for its pods: they tell nothing of whose cluster it is."""
_COMMON: Final = frozenset(
    ("true", "false", "yes", "present", "exists", "gpu", "nvidia", "spot", "system", "infra", "control-plane")
)
"""Values of taints that tell nothing of whose cluster it is."""
_ADDRESS: Final = re.compile(r"[\d.]+(/\d+)?|[0-9a-fA-F:]*:[0-9a-fA-F:.]*(/\d+)?")
"""Addresses stay: ranges could not be judged without."""

_IN_MESSAGES: Final = (
    ("host", re.compile(r"(?<=://)[\w-]+(?:\.[\w-]+)+")),
    ("host", re.compile(r"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?=:\d)")),
    ("host", re.compile(r"(?<=lookup )[\w-]+(?:\.[\w-]+)+")),
    ("user", re.compile(r"(?i)(?<=\buser \")[^\"]+")),
)
"""Names that only a message tells: of URLs, before a port, of a resolver that failed, and of users."""
_HOSTNAME: Final = "kubernetes.io/hostname"

Visit = Callable[[str, str], str]
"""(sort, text) -> the text that takes its place."""


def hidden(document: dict[str, Any], salt: str, keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """The document with every name hidden, where it is the value, a key, or stands in a text."""
    names: dict[str, str] = {}

    def note(sort: str, text: str) -> str:
        for kind, name in _names_in(sort, text):
            if name not in OPEN and name not in keep and not name.startswith(PROBES) and not is_address(name):
                names.setdefault(name, kind)
        return text

    nodes = document.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        note("node", str(_label_of(node) or ""))

    visited(document, TREE, note)
    found: dict[str, Any] = (
        visited(document, TREE, lambda sort, text: _replaced(text, names, salt)) if names else document
    )
    return found


def _names_in(sort: str, text: str) -> Iterator[tuple[str, str]]:
    """(sort, name) of the names that a value is or tells."""
    if sort in ("host", "url"):
        yield sort, host_in(text)
    elif sort in _PREFIX:
        if sort != "value" or text.lower() not in _COMMON:
            yield sort, text
    else:
        for kind, pattern in _IN_MESSAGES:
            yield from ((kind, name) for name in pattern.findall(text))


def _label_of(node: Any) -> Any:
    """What a node calls itself, which is not always its name."""
    labels = node.get("labels") if isinstance(node, Mapping) else None
    return labels.get(_HOSTNAME) if isinstance(labels, Mapping) else None


def hidden_url(url: str, salt: str) -> str:
    """A URL as it stands in a file with hidden names."""
    host = host_in(url)
    return url.replace(host, hidden_name("url", host, salt), 1) if host and not is_address(host) else url


def hidden_name(sort: str, name: str, salt: str) -> str:
    """The name that stands for another in the whole file."""
    digest, prefix = hashlib.sha256(f"{salt}/{name}".encode()).hexdigest()[:8], _PREFIX[sort]
    return f"{prefix}-{digest}" + (".example" if prefix == "host" else "")


def is_address(text: str) -> bool:
    """Whether it is an address or a range."""
    return _ADDRESS.fullmatch(text) is not None


def host_in(text: str) -> str:
    """The host of a URL, or of HOST:PORT."""
    if "://" in text:
        return urlsplit(text).hostname or ""
    return text.partition("/")[0].partition(":")[0] if text.count(":") < 2 else text


def _replaced(text: str, names: Mapping[str, str], salt: str) -> str:
    pattern = (
        r"(?<![\w-])(?<![\w-]\.)(?:"
        + "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        + r")(?![\w-]|\.[\w-])"
    )
    return re.sub(pattern, lambda found: hidden_name(names[found[0]], found[0], salt), text)


def visited(value: Any, place: Branch, visit: Visit) -> Any:
    """The value with every text in it visited, and every free key that is a name."""
    if isinstance(value, Mapping):
        if set(value) == {"unknown"}:
            return {"unknown": visit("message", str(value["unknown"]))}
        return {
            _key(key, place, visit): visited(inner, place.children.get(key) or place.free or place, visit)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [visited(inner, place.entry or place, visit) for inner in value]
    if not isinstance(value, str) or place.key is None:
        return value
    if "provider" in place.key.sorts:
        return value.partition("//")[0] + "//" if "//" in value else value
    sort = next((each for each in place.key.sorts if each not in _NO_NAMES), None)
    return visit(sort, value) if sort else value


def _key(key: str, place: Branch, visit: Visit) -> str:
    is_free = key not in place.children and place.free_name in _PREFIX
    return visit(place.free_name, key) if is_free else key
