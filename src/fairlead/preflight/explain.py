"""What checks mean, and `fairlead.yaml` explained: made from the checks and from the keys themselves."""

from __future__ import annotations

import inspect
import json
import re
from itertools import groupby
from typing import Any

import msgspec

from fairlead.preflight.check import Check
from fairlead.preflight.config import Config, ConfigKey, config_keys
from fairlead.preflight.reading import nearest
from fairlead.runtime.errors import NotFound


def meaning(check: Check) -> tuple[str, dict[str, str]]:
    """(what it is about, cause -> what that means and what to do)."""
    text, _, listed = (inspect.getdoc(check.judge) or "").partition("\n\n- ")
    told = re.findall(r"^- ([\w, -]+): (.+(?:\n  .+)*)", f"- {listed}", re.M)
    causes = {word: " ".join(said.split()) for words, said in told for word in words.split(", ")}
    return " ".join(text.split()), causes


def schema() -> dict[str, Any]:
    """JSON Schema of `fairlead.yaml`, for editors."""
    found = msgspec.json.schema(Config)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "fairlead.yaml", **found}


def explained(key: str = "") -> tuple[ConfigKey, ...]:
    """The keys of that name or below it; all for an empty one. Raises: NotFound with the nearest."""
    found = tuple(each for each in config_keys() if not key or each.path == key or each.path.startswith(f"{key}."))
    if not found:
        names = [each.path for each in config_keys()]
        sections = [name.partition(".")[0] for name in names]
        raise NotFound(
            f"There is no key {key!r}{nearest(key, [*names, *sections])}",
            hint="`fairlead config explain` lists all keys.",
        )
    return found


def written(value: Any) -> str:
    """A value as it is written in the file."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def example() -> str:
    """A whole file with every key at its default, commented out, each with its meaning."""
    lines = [
        "# fairlead.yaml: what `fairlead preflight` and the installation read. Keys stand with their defaults; write what differs."
    ]
    for section, keys in groupby(config_keys(), lambda each: each.path.rpartition(".")[0]):
        if section:
            lines += ["", f"# {section}:"]
        for each in keys:
            indent = "  " if section else ""
            may_be = f" One of: {', '.join(value or 'empty' for value in each.values)}." if each.values else ""
            name = each.path.rpartition(".")[2]
            lines += [
                "" if not section else "#",
                f"# {indent}# {each.meaning}{may_be}",
                f"# {indent}{name}: {written(each.default)}",
            ]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The reference page of all keys."""
    lines = [
        "# fairlead.yaml\n",
        "One file for `fairlead preflight` and the installation. `fairlead config explain` says the same; `fairlead config example` "
        "writes a commented file; `fairlead config check FILE` reads one; `fairlead config schema` is for editors.\n",
        "| key | default | meaning | value of the chart | checks |",
        "|---|---|---|---|---|",
    ]
    for each in config_keys():
        may_be = (
            f" One of: {', '.join(f'`{value}`' if value else 'empty' for value in each.values)}." if each.values else ""
        )
        checks = ", ".join(f"`{code}`" for code in each.checks)
        value = f"`{each.value}`" if each.value else ""
        lines.append(f"| `{each.path}` | `{written(each.default)}` | {each.meaning}{may_be} | {value} | {checks} |")
    return "\n".join(lines) + "\n"
