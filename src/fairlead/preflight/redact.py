"""What may be saved of facts: only what the table of keys lists, in the sort it has there; and, where it is asked for, under hidden names.

Nothing is cut out by looking for words like "password" in names. What other programs said (`message`) is the only free text; what looks
like a credential in it goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fairlead.preflight.facts import Facts
from fairlead.preflight.hide import hidden
from fairlead.preflight.keys import SORTS, TREE, VOCABULARY, Branch

CUT: Final = "[cut]"
_LONGEST: Final = 500
_USER_INFO: Final = re.compile(r"(?<=://)[^/\s@]*@")
_NAMED: Final = r"(?:token|secret|password|passwd|passphrase|signature|api[ _-]?key|access[ _-]?key)"
"""What secrets are called."""
_SAID_OF_THEM: Final = (
    "not|no|a|an|the|in|of|to|for|too|missing|invalid|valid|expired|required|needed|empty|wrong|unknown|refused|rejected|denied|accepted|"
    "set|given|malformed|incorrect|unauthorized|forbidden|used|ignored|already|read|from"
)
"""Words that follow `is` in sentences about a secret, and are none."""
_SECRETS: Final = (
    re.compile(r"-----BEGIN [^-]*-----.*?(?:-----END [^-]*-----|$)", re.S),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.?[\w-]*"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{6,}"),
    re.compile(rf"(?i)(?<![\w-])(?:[\w-]*(?:{_NAMED}|sig))[\"']?\s*[=:]\s*[\"']?[^\s&\"',;]+"),
    re.compile(rf"(?i)(?<![\w-])--?[\w-]*{_NAMED}\s+[\"']?[^\s\"',;-][^\s\"',;]*"),
    re.compile(rf"(?i)\b{_NAMED}\s+(?:is|was)\s+(?!(?:{_SAID_OF_THEM})\b)[\"']?[^\s\"',;]+"),
    re.compile(rf"(?i)\b{_NAMED}\s+(?=[^\s\"',;]*\d)[^\s\"',;]{{6,}}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\b(?:gl[a-z]{2,5}-|gh[a-z]_|github_pat_|hf_|sk-|xox[a-z]-|nvapi-|dckr_pat_|sha256~)[\w-]{16,}"),
    re.compile(r"(?<!sha256:)\b[0-9a-f]{40,}\b"),
    re.compile(r"(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])(?=[\w+/=-]*[A-Z])[\w+/=-]{32,}"),
)
"""Private keys and certificates, tokens with three parts, credentials of HTTP, assignments, options and sentences that tell one, tokens
that well-known services begin in their own way, long hexadecimal numbers but digests of images, and long words of random letters."""

_KEPT: Final = {
    "labels": (
        "kubernetes.io/",
        "k8s.io/",
        "nvidia.com/",
        "gke-",
        "eks.amazonaws.com/",
        "kubernetes.azure.com/",
        "node.openshift.io/",
        "fairlead",
        "runai",
        "type",
        "accelerator",
    ),
    "annotations": ("storageclass.kubernetes.io/", "storageclass.beta.kubernetes.io/"),
}
"""Free maps of which only these keys are kept: those that checks read, and their like."""


def _is_read(map_: str, key: str) -> bool:
    wanted = _KEPT.get(map_)
    return wanted is None or any(part in key for part in wanted)


@dataclass
class Left:
    """What was left out, counted by what it is. `keeps`: whether a free key, such as a label, stays; by its map and itself."""

    counts: dict[str, int] = field(default_factory=dict)
    keeps: Callable[[str, str], bool] = _is_read

    def out(self, what: str) -> None:
        """One more."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def told(self) -> list[str]:
        """One line each."""
        return [f"{what}: {number}" for what, number in sorted(self.counts.items())]


def redacted(facts: Facts, *, anonymise: bool = False, keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """The document to be saved: redacted, with what was left out named in it, and under hidden names where that is wanted.

    `keep`: names that are not hidden, as the product's own namespace. The same facts give the same document: hidden names depend on the
    identity of the run.
    """
    left = Left()
    document: dict[str, Any] = kept(facts.document, TREE, "", left)
    run_id = facts.run_id
    if anonymise and facts.maybe_flag("run", "anonymised") is not True:  # what is hidden stays as it is
        document = hidden(document, run_id, keep)
    run = document.get("run")
    run = dict(run) if isinstance(run, Mapping) and "unknown" not in run else {}
    run |= {"id": run_id, "redacted": True, "left_out": left.told()}
    run |= {"anonymised": True} if anonymise else {}
    return {"facts_version": document.get("facts_version", 1), **document, "run": run}


def kept(value: Any, place: Branch, path: str, left: Left) -> Any:
    """What may be kept of a document: what the tree has, without what looks like a credential."""
    if isinstance(value, Mapping) and set(value) == {"unknown"}:
        return {"unknown": _short(without_secrets(str(value["unknown"]), left), left)}
    if isinstance(value, Mapping):
        return {key: kept(inner, at, f"{path}.{key}", left) for key, inner, at in _known(value, place, path, left)}
    if isinstance(value, list):
        if place.entry is None:
            left.out(f"lists that no key allows, {_pattern(path)}")
            return []
        return [kept(inner, place.entry, f"{path}[]", left) for inner in value]
    return _leaf(value, place, path, left)


def _known(value: Mapping[str, Any], place: Branch, path: str, left: Left) -> Iterator[tuple[str, Any, Branch]]:
    """The keys that the table has, with their values and places; in a map of free keys those that are kept."""
    map_ = path.rpartition(".")[2]
    for key, inner in value.items():
        if at := place.children.get(key):
            yield key, inner, at
        elif place.free is None or (place.free_name in VOCABULARY and key not in VOCABULARY[place.free_name]):
            left.out("keys that the table of facts has not")
        elif not left.keeps(map_, key):
            left.out(f"{map_} that no check reads")
        else:
            yield key, inner, place.free


def _leaf(value: Any, place: Branch, path: str, left: Left) -> Any:
    sorts = place.key.sorts if place.key else ()
    if isinstance(value, bool):
        return value if "flag" in sorts else _dropped(path, left)
    if isinstance(value, int | float):
        return value if "number" in sorts else _dropped(path, left)
    if value is None:
        return None if place.key and place.key.may_be_null else _dropped(path, left)
    if not any(SORTS.get(sort, "text") == "text" for sort in sorts):
        return _dropped(path, left)
    return _short(without_secrets(str(value), left), left)


def _dropped(path: str, left: Left) -> dict[str, str]:
    left.out(f"values of another sort than the table's, {_pattern(path)}")
    return {"unknown": "left out when the facts were saved"}


def without_secrets(text: str, left: Left) -> str:
    """The text without what looks like a credential."""
    clean = _USER_INFO.sub("", text)
    if clean != text:
        left.out("users and passwords in URLs")
    for secret in _SECRETS:
        clean, found = secret.subn(CUT, clean)
        if found:
            left.out("pieces of messages that look like credentials")
    return clean


def _short(text: str, left: Left) -> str:
    if len(text) <= _LONGEST:
        return text
    left.out("ends of long messages")
    return text[:_LONGEST] + "…"


def _pattern(path: str) -> str:
    return path.strip(".").partition(".")[0].partition("[")[0] or "the file"
