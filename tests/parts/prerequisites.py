"""Reference pages of preflight, made from its tables: requirements, findings, facts."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator

from fairlead.preflight.check import ByApi, Check
from fairlead.preflight.checks import CHECKS
from fairlead.preflight.config import config_keys
from fairlead.preflight.explain import page as config_page
from fairlead.preflight.explain import schema
from fairlead.preflight.keys import KEYS, SORTS
from fairlead.preflight.rows import ROWS


def pages() -> Iterator[tuple[str, str]]:
    """Name of each page and its text."""
    yield "prerequisites.md", _prerequisites()
    yield "findings/README.md", _findings()
    for check in CHECKS:
        yield f"findings/{check.code}.md", _finding(check)
    yield "facts.md", _facts()
    yield "fairlead-yaml.md", config_page()
    yield "fairlead.schema.json", json.dumps(schema(), indent=1) + "\n"


def _prerequisites() -> str:
    lines = [
        "# Prerequisites\n",
        "What a cluster needs, and what `fairlead preflight` says about each. What your configuration does not use cannot fail: it passes",
        "and says `not needed`. What could not be found out is `unknown`, never a pass.\n",
        "| requirement | asks for | checks |",
        "|---|---|---|",
    ]
    for row, wanted in ROWS.items():
        codes = ", ".join(f"[`{check.code}`](#{check.code})" for check in CHECKS if check.row == row)
        lines.append(f"| {row} | {wanted} | {codes} |")
    lines += [
        "",
        "The whole: fail if any fails, else unknown if one that is needed is unknown, else warn, else pass. A check that only ever warns",
        "is not needed in that sense: where it is unknown, the whole is a warning. Exit codes: 0 pass or warn (1 with `--strict`), 1 fail,",
        "5 unknown, or the cluster cannot be reached.\n",
        "| check | expects | verdicts | facts | may take away |",
        "|---|---|---|---|---|",
    ]
    for check in CHECKS:
        facts = ", ".join(f"`{path}`" for path in check.needs) or "-"
        name = f"<a id='{check.code}'></a>[`{check.code}`](findings/{check.code}.md): {check.title}"
        lines.append(f"| {name} | {check.expected} | {check.rules} | {facts} | {', '.join(check.disables) or '-'} |")
    return "\n".join(lines) + "\n"


def _findings() -> str:
    lines = [
        "# Findings\n",
        "What each check of `fairlead preflight` means, and how each cause (`class` in JSON) is mended. Requirements and verdicts:",
        "[prerequisites](../prerequisites.md).\n",
        "| check | is about | causes |",
        "|---|---|---|",
    ]
    for check in CHECKS:
        causes = ", ".join(f"[{cause}]({check.code}.md#{cause})" for cause in check.causes)
        lines.append(f"| [`{check.code}`]({check.code}.md) | {check.title} | {causes or '-'} |")
    return "\n".join(lines) + "\n"


def _finding(check: Check) -> str:
    keys = [each.path for each in config_keys() if check.code in each.checks]
    parts = [
        f"# {check.code}\n",
        f"{check.title}, for the requirement [{check.row}](../prerequisites.md). Expected: {check.expected}.\n",
        _meaning(check),
        "## What it goes by\n",
        f"- Verdicts: {check.rules}.",
        f"- Facts: {', '.join(f'`{path}`' for path in check.needs) or 'the configuration alone'} ([what they are](../facts.md)).",
    ]
    if keys:
        parts.append(
            f"- Configuration: {', '.join(f'`{key}`' for key in keys)} ([what they mean](../fairlead-yaml.md))."
        )
    if check.disables:
        parts.append(f"- Where it warns or fails, this may be missing: {', '.join(check.disables)}.")
    parts += [
        f"- After the installation: {_DAILY[check.by_api]}.\n",
        "```",
        f"fairlead preflight --config fairlead.yaml --only {check.code}",
        "```",
    ]
    return "\n".join(parts) + "\n"


_DAILY = {
    ByApi.NOTHING: "it is not made again",
    ByApi.FAULTS: "every day for what is wrong; that all is well takes more than the API",
    ByApi.ASKED: "every day, where no token, proxy's password or authority of your own is needed to ask",
    ByApi.WHOLE: "every day",
}


def _meaning(check: Check) -> str:
    text = inspect.getdoc(check.judge) or ""
    return re.sub(r"^- ([\w, -]+):", lambda found: f"- {_anchored(found[1])}:", text, flags=re.M) + "\n"


def _anchored(causes: str) -> str:
    return ", ".join(f"<a id='{cause}'></a>**{cause}**" for cause in causes.split(", "))


def _facts() -> str:
    lines = [
        "# Facts\n",
        "What a facts file of `fairlead preflight` may hold, as YAML or JSON. A key that is left out was not gathered and is unknown,",
        'unless the third column says otherwise; any value may also be `{unknown: "why"}`. Other keys are refused.',
        "`[]` is an entry of a list, `<node>` a node's name. How: W the machine that runs the command, A Kubernetes API, N probe pod",
        "on the node, R the node's runtime, Q query to Prometheus, C configuration.\n",
        "| key | type | left out | meaning | how |",
        "|---|---|---|---|---|",
    ]
    for key in KEYS:
        kinds = list(dict.fromkeys(SORTS[sort] for sort in key.sorts)) + (["null"] if key.may_be_null else [])
        cells = (f"`{key.path}`", " or ".join(kinds), key.left_out or "unknown", key.meaning, key.how)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
