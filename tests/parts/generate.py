"""`python -m tests.parts.generate` (`make gen`): committed reference files, made from the code they describe."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import runpy
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from ruamel.yaml import YAML
from tests.parts.prerequisites import pages

from fairlead.cli.main import COMMANDS, cli
from fairlead.cli.roles.settings import RoleTree
from fairlead.model import Action, Code, Reason
from fairlead.objects.fields import FIELDS
from fairlead.runtime.left_out import LABELS_LEFT_OUT, NOT_SERVED
from fairlead.runtime.metrics import METRICS
from fairlead.server.api.application import create_app, create_context
from fairlead.server.config import ServerConfig
from fairlead.wire.reasons import render

ROOT = Path(__file__).parents[2]


def files() -> Iterator[tuple[Path, str]]:
    """Every generated file and what must be in it."""
    reference = ROOT / "docs" / "reference"
    yield reference / "openapi.json", json.dumps(_openapi(), indent=1, sort_keys=True) + "\n"
    yield reference / "cli.md", _cli()
    yield reference / "settings.md", _settings()
    yield reference / "fields.md", _fields()
    yield reference / "reasons.md", _reasons()
    yield reference / "values.md", _values()
    yield reference / "metrics.md", _metrics()
    for name, text in pages():
        yield reference / name, text
    crds = ROOT / "deploy" / "crds"
    for name, text in runpy.run_path(str(crds / "generate.py"))["files"]().items():
        yield crds / name, text
    for name, text in runpy.run_path(str(ROOT / "deploy" / "metrics" / "generate.py"))["files"]():
        yield ROOT / "deploy" / name, text


def main() -> None:
    """Writes them."""
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _openapi() -> Any:
    config = ServerConfig(database_url="sqlite+aiosqlite://", signing_key=b"0" * 32)
    return create_app(create_context(config, time.time)).openapi()


def _cli() -> str:
    parts = ["# Commands\n\nMade from the program by `make gen`; `fairlead COMMAND --help` says the same.\n"]
    root = click.Context(cli, info_name="fairlead")
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        parts += _command(command, click.Context(command, info_name=name, parent=root), 2)
    return "\n".join(parts)


def _command(command: click.Command, context: click.Context, level: int) -> list[str]:
    parts = [f"{'#' * level} {context.command_path}\n\n```\n{command.get_help(context).rstrip()}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            parts += _command(inner, click.Context(inner, info_name=name, parent=context), level + 1)
    return parts


def _settings() -> str:
    lines = [
        "# Settings of a role\n",
        "Of `fairlead run ROLE`: from a file for all roles (`--settings`), or from the environment, which wins.\n",
        "| key | variable | default | meaning |",
        "|---|---|---|---|",
    ]
    for section in msgspec.structs.fields(RoleTree):
        lines += _section(section.type, (section.name,))
    return "\n".join(lines) + "\n"


def _section(section: type[msgspec.Struct], path: tuple[str, ...]) -> Iterator[str]:
    meanings = _meanings(section)
    for field in msgspec.structs.fields(section):
        here = (*path, field.name)
        if isinstance(field.default, msgspec.Struct):
            yield from _section(field.type, here)
            continue
        first, *rest = field.name.split("_")
        key = ".".join((*path, first + "".join(map(str.capitalize, rest))))
        variable = "_".join(("fairlead", *here)).upper()
        yield f"| `{key}` | `{variable}` | `{_default(field.default)}` | {meanings.get(field.name, '')} |"


def _default(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _meanings(section: type) -> dict[str, str]:
    """The text that stands under each field of a class."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(section)).body if isinstance(node, ast.ClassDef))
    found = {}
    for field, text in itertools.pairwise(body):
        said = text.value.value if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(said, str):
            found[field.target.id] = " ".join(said.split())
    return found


def _values() -> str:
    chart = ROOT / "deploy" / "chart"
    schema = json.loads((chart / "values.schema.json").read_text())
    defaults = YAML(typ="safe").load((chart / "values.yaml").read_text())
    lines = ["# Values of the chart\n", "| value | default | meaning |", "|---|---|---|"]
    lines += [
        f"| `{key}` | `{json.dumps(default)}` | {meaning} |" for key, default, meaning in _rows(schema, defaults, "")
    ]
    return "\n".join(lines) + "\n"


def _rows(schema: Any, defaults: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    for name, inner in schema["properties"].items():
        if name == "global":
            continue
        if inner.get("additionalProperties") is False and name != "resources":
            yield from _rows(inner, defaults[name], f"{path}{name}.")
        else:
            yield f"{path}{name}", defaults[name], inner["description"]


def _fields() -> str:
    lines = ["# Labels and annotations\n", "| key | on | meaning | written by | read by |", "|---|---|---|---|---|"]
    lines += [f"| `{f.key}` ({f.place}) | {f.on} | {f.meaning} | {f.writer} | {f.reader} |" for f in FIELDS]
    return "\n".join(lines) + "\n"


def _metrics() -> str:
    lines = [
        "# Metrics\n",
        "Every role serves its own at `/metrics` on port 9090; those of the scheduler and the controllers only the one that leads. Rules",
        "are in `deploy/metrics/rules.yaml`, dashboards beside them. `runai_` names are those of Run:ai and mean what they mean there.",
        "Besides, each process serves `process_` and `python_` metrics of its own. How they are collected:",
        "[Metrics](../howto/metrics.md).\n",
        "| name | type | labels | unit | meaning | from |",
        "|---|---|---|---|---|---|",
    ]
    for m in METRICS:
        labels = " ".join(f"`{label}`" for label in m.labels)
        lines.append(f"| `{m.name}` | {m.kind} | {labels} | {m.unit} | {m.meaning} | {m.source} |")
    lines += ["\n## Names of Run:ai that are not served\n", "| name | why |", "|---|---|"]
    lines += [f"| `{name}` | {why} |" for name, why in NOT_SERVED]
    lines += ["\n## What theirs have and ours have not\n", "| label | why |", "|---|---|"]
    lines += [f"| {label} | {why} |" for label, why in LABELS_LEFT_OUT]
    return "\n".join(lines) + "\n"


def _reasons() -> str:
    lines = [
        "# Reasons\n",
        "Why work waits: the code is stable, the sentence may get better.\n",
        "| code | sentence |",
        "|---|---|",
    ]
    for code in Code:
        sample = Reason(
            code=code, action=Action.ALLOCATE, subject="SUBJECT", resource="gpu", wanted=4000, available=1000, nodes=2
        )
        lines.append(f"| <a id='{code.value}'></a>`{code.value}` | {render(sample).message} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
