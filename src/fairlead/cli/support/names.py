"""Hidden names and addresses of a whole bundle: the same name is the same word in all its files, and nothing in it leads back.

Names are learnt first, from all that was gathered, and then replaced wherever they stand: in values, keys, sentences, log lines and names
of files, also as a part of longer names (`runai-team`, `team-a100`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fairlead.cli.support.addresses import Addresses, is_version
from fairlead.objects.fields import DEPARTMENT, PROJECT, PROJECT_OLD, QUEUE, QUEUE_OLD, REQUESTED_BY, USER_OLD, WORKLOAD
from fairlead.preflight.hide import OPEN, host_in, is_address, visited
from fairlead.preflight.keys import Branch

_PREFIX: Final = {
    "node": "node",
    "namespace": "ns",
    "host": "host",
    "url": "host",
    "cluster": "cluster",
    "project": "project",
    "department": "department",
    "queue": "queue",
    "workload": "workload",
    "pod": "pod",
    "user": "user",
    "image": "image",
}
"""Sort of a field -> what hidden names of it begin with."""
_BY_LABEL: Final = {
    PROJECT: "project",
    PROJECT_OLD: "project",
    DEPARTMENT: "department",
    QUEUE: "queue",
    QUEUE_OLD: "queue",
    WORKLOAD: "workload",
    USER_OLD: "user",
    REQUESTED_BY: "user",
    "kubernetes.io/hostname": "host",
}
"""Labels and annotations whose values are names."""
_BY_LOG_KEY: Final = {
    name: name for name in ("node", "namespace", "project", "department", "queue", "workload", "pod", "user", "host")
} | {"url": "url", "subject": "user", "username": "user"}
"""Keys of our log lines whose values are names: of what is gone by now, too."""
_URL: Final = re.compile(r"://(?:[^/\s@]*@)?([\w.-]+)")
_IMAGE: Final = re.compile(r"(?i)\b(?:image|registry|repository|host)[\"']?\s*[:=]\s*[\"']?([\w./:@-]+)")
_WORD: Final = re.compile(r"[\w-]+(?:[.@][\w-]+)*")
_PARTS: Final = re.compile(r"([-.@_])")
_LEAST: Final = 2
"""Characters of a name: shorter ones would be found everywhere."""


class Names:
    """`salt`: by which names are hidden; it is in no file. `keep`: names that tell nothing, as the product's own namespaces."""

    def __init__(self, salt: str, keep: Iterable[str] = ()) -> None:
        self._salt = salt
        self._keep = frozenset(keep) | OPEN
        self._hidden: dict[str, str] = {}
        self.addresses = Addresses(salt)

    def learn(self, document: Any, tree: Branch) -> None:
        """Note every name in a document."""
        visited(document, tree, self.note)
        for place in ("labels", "annotations"):
            for key, value in ((document.get("metadata") or {}).get(place) or {}).items():
                if key in _BY_LABEL:
                    self.note(_BY_LABEL[key], str(value))

    def learn_line(self, line: str) -> None:
        """Note the names in a line of settings or of a log: hosts of URLs and of images, and what our own log says by key."""
        for found in _URL.finditer(line):
            self.note("host", found[1])
        for found in _IMAGE.finditer(line):
            self.note("image", found[1])
        begin = line.find("{")
        if begin < 0:
            return
        try:
            entry = json.loads(line[begin:])
        except ValueError:
            return
        for key, value in entry.items() if isinstance(entry, dict) else ():
            if key in _BY_LOG_KEY and isinstance(value, str):
                self.note(_BY_LOG_KEY[key], value)

    def text(self, text: str) -> str:
        """The text under hidden names."""
        return self.addresses.text(self._named(text))

    def value(self, value: Any, key: str = "") -> Any:
        """The document under hidden names. `key`: under which it stands."""
        if isinstance(value, Mapping):
            return {self._key(name): self.value(inner, name) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner, key) for inner in value]
        if not isinstance(value, str):
            return value
        return self._named(value) if is_version(key) else self.text(value)

    def _named(self, text: str) -> str:
        return _WORD.sub(lambda found: self._word(found[0]), text) if self._hidden else text

    def _key(self, key: str) -> str:
        """Also each step of a path, such as that of a queue."""
        parts = [self._hidden.get(part, part) for part in key.split("/")]
        return self.addresses.text("/".join(parts))

    def note(self, sort: str, text: str) -> str:
        """Note a name; gives back the text as it is."""
        for name in _names_in(sort, text):
            if len(name) >= _LEAST and name not in self._keep and not is_address(name):
                self._hidden.setdefault(name, self._made(sort, name))
        return text

    def _made(self, sort: str, name: str) -> str:
        digest = hashlib.sha256(f"{self._salt}/{name}".encode()).hexdigest()[:8]
        return f"{_PREFIX[sort]}-{digest}"

    def _word(self, word: str) -> str:
        """The word, or what stands for it; else with the names that are parts of it hidden, the longest first."""
        if word in self._hidden:
            return self._hidden[word]
        pieces = _PARTS.split(word)
        return self._joined(pieces) if len(pieces) > 1 else word

    def _joined(self, pieces: list[str]) -> str:
        found, at = "", 0
        while at < len(pieces):
            for end in range(len(pieces), at, -2):
                part = "".join(pieces[at:end])
                if part in self._hidden:
                    found, at = found + self._hidden[part], end
                    break
            else:
                found, at = found + pieces[at], at + 1
            if at < len(pieces) and at % 2:
                found, at = found + pieces[at], at + 1
        return found


def _names_in(sort: str, text: str) -> Iterable[str]:
    """The names that a value of that sort holds: of an image its registry and its path, of a URL its host."""
    if sort not in _PREFIX:
        return ()
    if sort in ("host", "url"):
        return (host_in(text),)
    if sort == "image":
        path = text.partition("@")[0]
        host, _, rest = path.partition("/")
        tagless = rest.rpartition(":")[0] or rest
        named = "." in host or ":" in host
        return (host.partition(":")[0], *(tagless.split("/") if rest else ())) if named else ()
    if sort == "user":
        return (text, *(text.split("@", 1) if "@" in text else ()))
    return (text,)
