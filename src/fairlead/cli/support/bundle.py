"""A bundle in the making: parts come in as they were read, and go out without secrets and, where that is wanted, under hidden names."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import fairlead
from fairlead.cli.support.fields import TREES, is_kept
from fairlead.cli.support.lines import clean, clean_lines
from fairlead.cli.support.names import Names
from fairlead.objects.kinds import Kind
from fairlead.preflight.facts import Facts
from fairlead.preflight.keys import TREE
from fairlead.preflight.redact import Left, kept, redacted

Document = dict[str, Any]

ROOT: Final = "fairlead-support"
NEVER: Final = (
    "Secrets of Kubernetes",
    "values and names of environment variables",
    "commands and arguments of containers",
    "volumes and what is in them",
    "ConfigMaps that are not the product's",
    "pods and events outside the product and its projects",
)
"""What is never gathered."""


class _Part(NamedTuple):
    name: str
    content: Any
    """Text, or a document."""


class Bundle:
    """Parts and what was left out. `names`: what is hidden."""

    def __init__(self, names: Names, *, anonymise: bool) -> None:
        self.names = names
        self._anonymise = anonymise
        self._parts: list[_Part] = []
        self._missing: list[str] = []
        self._left = Left(keeps=is_kept)

    @contextlib.contextmanager
    def noting(self, name: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
        """Within it a failure of that part becomes a line of what was left out."""
        try:
            yield
        except errors as error:
            self.leave_out(name, str(error) or type(error).__name__)

    def leave_out(self, name: str, why: str) -> None:
        """Say that a part is not in it."""
        self._missing.append(f"{name}: {why}")

    def add_json(self, name: str, document: Document) -> None:
        """A document of our own making."""
        self._parts.append(_Part(name, self._cleaned(document)))

    def add_objects(self, name: str, kind: Kind[Any], objects: Sequence[Document]) -> None:
        """Objects of one kind: the fields that the table names."""
        tree = TREES[kind.plural]
        found = [kept(_without_nulls(each), tree, "", self._left) for each in objects]
        for each in found:
            self.names.learn(each, tree)
        self._parts.append(_Part(name, sorted(found, key=_key)))

    def add_facts(self, facts: Facts) -> None:
        """What preflight found out."""
        document = redacted(facts)
        self.names.learn(document, TREE)
        self._parts.append(_Part("preflight/facts.json", self._cleaned(document)))

    def add_text(self, name: str, text: str) -> None:
        """A text, line by line. Names are learnt from it too: a log tells of what is gone by now."""
        for line in text.splitlines():
            self.names.learn_line(line)
        self._parts.append(_Part(name, "".join(f"{line}\n" for line in clean_lines(text.splitlines(), self._left))))

    def archive(self, about: Document, at: float) -> bytes:
        """The whole as tar.gz; the same parts give the same bytes. `about`: for the manifest; `at`: seconds since the epoch."""
        for part in self._parts if self._anonymise else ():
            self.names.addresses.learn(part.content)
        files = sorted((self._hidden(part.name), self._content(part)) for part in self._parts)
        manifest = {
            "program": fairlead.__version__,
            **about,
            "anonymised": self._anonymise,
            "files": [{"name": name, "bytes": len(content)} for name, content in files],
            "left_out": [self._hidden(clean(line, self._left)) for line in sorted(self._missing)],
            "redacted": self._left.told(),
            "never_gathered": list(NEVER),
        }
        out = io.BytesIO()
        with (
            gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=6, mtime=int(at)) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, content in [("manifest.json", _encoded(manifest)), *files]:
                entry = tarfile.TarInfo(f"{ROOT}/{name}")
                entry.size, entry.mtime, entry.mode = len(content), int(at), 0o600
                tar.addfile(entry, io.BytesIO(content))
        return out.getvalue()

    @property
    def missing(self) -> tuple[str, ...]:
        """What was left out, and why."""
        return tuple(sorted(self._missing))

    def _content(self, part: _Part) -> bytes:
        if isinstance(part.content, str):
            return self._hidden(part.content).encode()
        return _encoded(self.names.value(part.content) if self._anonymise else part.content)

    def _hidden(self, text: str) -> str:
        return self.names.text(text) if self._anonymise else text

    def _cleaned(self, value: Any) -> Any:
        """Every text in it without secrets."""
        if isinstance(value, dict):
            return {key: self._cleaned(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(inner) for inner in value]
        return clean(value, self._left) if isinstance(value, str) else value


def _encoded(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _key(each: Document) -> tuple[str, str]:
    meta = each.get("metadata") or {}
    return str(meta.get("namespace", "")), str(meta.get("name", ""))
