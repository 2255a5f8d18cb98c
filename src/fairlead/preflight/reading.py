"""Reading a facts file: its syntax, its keys and sorts against the table, and what it says about why something is missing."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fairlead.objects.quantity import milli
from fairlead.preflight.keys import SORTS, TREE, VOCABULARY, Branch
from fairlead.runtime.errors import Invalid

_MOST_TOLD: Final = 20

_RIGHTS: Final = {
    ("nodes",): "nodes",
    ("storage_classes",): "storageclasses",
    ("csi_nodes",): "csinodes",
    ("crds",): "customresourcedefinitions",
    ("runtime_classes",): "runtimeclasses",
    ("openshift",): "clusterversions",
    ("psp",): "podsecuritypolicies",
    ("webhooks",): "webhookconfigurations",
    ("gpu_operator",): "clusterpolicies",
    ("prometheus", "objects"): "prometheuses",
    ("ingress",): "ingressclasses",
    ("api_services",): "apiservices",
    ("helm_releases",): "secrets",
    ("quotas",): "resourcequotas",
    ("limit_ranges",): "limitranges",
}
"""Facts -> the resource whose list they come from: where that list was refused, they say so."""


@dataclass(frozen=True)
class Reasons:
    """Why facts are absent, by the beginning of their path; `()` for all."""

    by_path: tuple[tuple[tuple[str, ...], str], ...] = ()

    def of(self, path: tuple[str | int, ...]) -> str:
        """The reason for that path, empty if none is known."""
        return next((why for prefix, why in self.by_path if path[: len(prefix)] == prefix), "")


NONE: Final = Reasons()


def document_of(text: str, name: str) -> Mapping[str, Any]:
    """The map in a text of YAML or JSON. Raises: Invalid."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else YAML(typ="safe").load(text)
    except json.JSONDecodeError:
        document = _as_yaml(text, name)
    except YAMLError as error:
        raise _unreadable(name, error) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Invalid(f"{name}: expected a map of keys, found {_kind(document)}.", code="facts")
    plain: Mapping[str, Any] = _plain(document)
    return plain


def refuse_what_is_wrong(document: Mapping[str, Any], name: str, version: int) -> None:
    """Refuse what the table of keys does not know. Raises: Invalid."""
    written = document.get("facts_version", version)
    if isinstance(written, int) and written > version:
        raise Invalid(
            f"{name}: facts_version {written} was written by a newer program; this one reads up to {version}.",
            hint="Judge it with that program, or gather again with this one.",
            code="facts",
        )
    problems = list(_problems(document, TREE, ""))
    if problems:
        more = [f"and {len(problems) - _MOST_TOLD} more"] if len(problems) > _MOST_TOLD else []
        raise Invalid(
            f"{name}: " + "; ".join(problems[:_MOST_TOLD] + more) + ".",
            hint="docs/reference/facts.md lists all keys.",
            code="facts",
        )


def reasons_in(document: Mapping[str, Any]) -> Reasons:
    """What the part `access` tells about facts that are absent."""
    access = document.get("access")
    if not isinstance(access, Mapping):
        return Reasons()
    refused = [text for text in access.get("forbidden") or () if isinstance(text, str)]
    found = [
        (path, f"forbidden: {text}")
        for path, resource in _RIGHTS.items()
        for text in refused
        if resource in text.lower().replace(".", " ").replace("/", " ").split() or resource in text.lower()
    ]
    lists = access.get("list_nodes")
    if isinstance(lists, str) and lists != "ok":
        found.append(((), f"lists of the API server: {lists}"))
    return Reasons(tuple(found))


def without_refused(document: Mapping[str, Any], reasons: Reasons) -> Mapping[str, Any]:
    """The document without empty lists of what may not be read: nothing was found because nothing was seen."""
    empty = {key for key, value in document.items() if value in ([], {}) and reasons.of((key,))}
    return {key: value for key, value in document.items() if key not in empty} if empty else document


def in_its_sort(value: Any, place: Branch | None = TREE) -> Any:
    """The value as the table of keys has it, where it is written in another way that means the same: `7.6Gi` for a number, 2 or true for a
    text.
    """
    if place is None or (isinstance(value, Mapping) and set(value) == {"unknown"}):
        return value
    if isinstance(value, Mapping):
        return {key: in_its_sort(inner, place.children.get(key) or place.free) for key, inner in value.items()}
    if isinstance(value, list):
        return [in_its_sort(inner, place.entry) for inner in value]
    if place.key is None or value is None or _fits(value, place):
        return value
    if isinstance(value, str) and "number" in place.key.sorts:
        return _number_in(value)
    is_text = any(SORTS[sort] == "text" for sort in place.key.sorts)
    return (
        (str(value).lower() if isinstance(value, bool) else str(value)) if is_text and isinstance(value, int) else value
    )


def _number_in(text: str) -> Any:
    try:
        found = milli(text)
    except ValueError:
        return text
    return found / 1000 if found % 1000 else found // 1000


def nearest(word: str, known: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    """`; did you mean X?` with the known word most like this one, or nothing."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _plain(value: Any) -> Any:
    """The value with times as the text they are in JSON, and keys as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


def _as_yaml(text: str, name: str) -> Any:
    """What begins with a brace and is no JSON may still be YAML."""
    try:
        return YAML(typ="safe").load(text)
    except YAMLError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> Invalid:
    return Invalid(f"{name}: {' '.join(str(error).split())}", hint="Expected YAML or JSON.", code="facts")


def _problems(value: Any, place: Branch, path: str) -> Iterator[str]:
    if isinstance(value, Mapping) and set(value) == {"unknown"} and isinstance(value["unknown"], str):
        return
    if isinstance(value, Mapping) and (place.children or place.free):
        for key, inner in value.items():
            yield from _of_key(str(key), inner, place, path)
    elif isinstance(value, list) and place.entry:
        for number, inner in enumerate(value):
            yield from _problems(inner, place.entry, f"{path}[{number}]")
    elif not _fits(value, place):
        yield f"{path or 'the file'} is {_kind(value)}, expected {_expected(place)}"


def _of_key(key: str, value: Any, place: Branch, path: str) -> Iterator[str]:
    here = f"{path}.{key}".lstrip(".")
    allowed = VOCABULARY.get(place.free_name)
    if inner := place.children.get(key):
        yield from _problems(value, inner, here)
    elif place.free and (allowed is None or key in allowed):
        yield from _problems(value, place.free, here)
    else:
        yield f"unknown key {here}{nearest(key, [*place.children, *(allowed or ())])}"


def _fits(value: Any, place: Branch) -> bool:
    if place.key is None:
        return False
    if value is None:
        return place.key.may_be_null
    if isinstance(value, bool):
        return "flag" in place.key.sorts
    if isinstance(value, int | float):
        return "number" in place.key.sorts
    return isinstance(value, str) and any(SORTS[sort] == "text" for sort in place.key.sorts)


def _expected(place: Branch) -> str:
    wanted = [SORTS[sort] for sort in place.key.sorts] if place.key else []
    wanted += ["null"] if place.key and place.key.may_be_null else []
    wanted += ["a map"] if place.children or place.free else []
    wanted += ["a list"] if place.entry else []
    return " or ".join(dict.fromkeys(wanted))


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value, default=str)
