"""`fairlead preflight`: judge a cluster's prerequisites, from itself or from saved facts, and print what to ask of a firewall."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fairlead.cli.output import OUTPUT, as_yaml, show
from fairlead.runtime.errors import Invalid

if TYPE_CHECKING:
    from fairlead.preflight.config import Config
    from fairlead.preflight.facts import Facts
    from fairlead.preflight.options import Options
    from fairlead.preflight.report import Report, Selection

F = TypeVar("F", bound=Callable[..., Any])

_NO_TERMINAL = 120
"""Width of wrapped texts where no terminal shows them."""


@dataclass(frozen=True)
class Source:
    """Where facts come from, and for which configuration."""

    config: Config
    facts_file: Path | None
    options: Options


_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, readable=True)
_KNOWN: Any = (
    click.option(
        "--config", "config_file", type=_FILE, help="fairlead.yaml: what will be installed. `fairlead config explain`."
    ),
    click.option("--facts", "facts_file", type=_FILE, help="Judge facts that were saved, without a cluster."),
    click.option("--namespace", default="", help="Namespace of the product; that of the configuration if left out."),
)


def _source(command: F) -> F:
    """The options that say which facts and which configuration."""
    options = (
        click.option("--kubeconfig", default="", help="Kubeconfig of the cluster; that of kubectl if left out."),
        *_KNOWN,
        click.option("--no-probe", is_flag=True, help="Start no pods; what only they can tell is unknown."),
        click.option("--timeout", default="5m", show_default=True, help="For the whole; what is late is unknown."),
    )
    return _with(command, options)


def _known(command: F) -> F:
    """Those of them that ask no cluster."""
    return _with(command, _KNOWN)


def _with(command: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@_source
@click.option("--only", help="Codes of the checks to make, separated by commas.")
@click.option("--skip", help="Codes of checks to leave out, separated by commas.")
@click.option(
    "--accept",
    multiple=True,
    metavar="CODE=REASON",
    help="Take a risk: what this check finds does not count. Repeatable.",
)
@click.option("--strict", is_flag=True, help="Exit 1 for a warning too.")
@click.option(
    "--save-facts", type=click.Path(path_type=Path, dir_okay=False), help="Write the facts there, without secrets."
)
@click.option("--anonymise", is_flag=True, help="With --save-facts: hide names of nodes, hosts and namespaces.")
@click.option("--since", "earlier", type=_FILE, help="A report saved with -o json: tell what is new since then.")
@OUTPUT
@click.pass_context
def preflight(ctx: click.Context, /, **given: Any) -> None:
    """What a cluster needs to have Fairlead installed on it, and whether it has it.

    Exit 0: it holds, perhaps with warnings. 1: it does not. 5: it could not be found out, or the cluster cannot be reached.

    \b
    Example:
      fairlead preflight --config fairlead.yaml
      fairlead preflight --only gpu-driver,gpu-nodes -o json
      fairlead preflight --save-facts facts.yaml --anonymise
      fairlead preflight --facts facts.yaml --accept clock-skew='mended on Monday'
      fairlead preflight egress -o csv
      fairlead preflight explain gpu-driver
    """
    if ctx.invoked_subcommand is None:
        sys.exit(_run(given))


def _run(given: Mapping[str, Any]) -> int:
    from fairlead.preflight.check import Verdict
    from fairlead.preflight.report import as_document, report_of, select

    if given["anonymise"] and given["save_facts"] is None:
        raise click.UsageError("--anonymise hides names in saved facts: it goes with --save-facts FILE.")
    accepted = accepted_risks(given["accept"])
    selection = select(_codes("--only", given["only"]), _codes("--skip", given["skip"]))
    source = source_of(selection, given)
    facts = facts_of(source)
    report = report_of(facts, source.config, selection, accepted)
    if given["save_facts"] is not None:
        _save(facts, source.config, given["save_facts"], anonymise=given["anonymise"])
    names = [result.check.code for result in report.results]
    show(as_document(report), given["output"], lambda: print_report(report, given["earlier"]), names=names)
    bad = [each.check.code for each in report.results if each.counts is Verdict.FAIL]
    if 0 < len(bad) < len(names):
        click.echo(
            f"\nOnce mended, these alone, which is quicker, and then all once more: --only {','.join(bad)}", err=True
        )
    open_ = [each.check.code for each in report.results if each.counts is Verdict.UNKNOWN]
    if open_ and not bad:
        click.echo(
            f"\nNot known: {', '.join(open_)}. Where nothing is to be found out (it hangs on a risk that is accepted, say), "
            "accept it as well: --accept CODE=WHY",
            err=True,
        )
    return report.exit_code(strict=given["strict"])


def facts_of(source: Source) -> Facts:
    """The facts to judge: those of the file, else gathered from the cluster."""
    if source.facts_file is not None:
        return facts_in(source.facts_file)
    from fairlead.preflight.gather.run import gather

    return gather(source.config, source.options, lambda line: click.echo(line, err=True))


def facts_in(file: Path) -> Facts:
    """The facts that were saved there. Raises: Invalid."""
    from fairlead.preflight.facts import facts_from

    return facts_from(file.read_text(encoding="utf-8"), str(file))


def source_of(selection: Selection, given: Mapping[str, Any], config: Config | None = None) -> Source:
    """What the options of `_source` say. `config`: in place of that of the file. Raises: Invalid, BadParameter."""
    from fairlead.preflight.options import Options

    options = Options(
        kubeconfig=given["kubeconfig"],
        codes=tuple(check.code for check in selection.checks),
        probe=not given["no_probe"],
        timeout_seconds=seconds_in(given["timeout"]),
    )
    return Source(config or config_in(given["config_file"], given["namespace"]), given["facts_file"], options)


def config_in(file: Path | None, namespace: str) -> Config:
    """The configuration of the file, or the defaults; in that namespace where one is given. Raises: Invalid."""
    import msgspec

    from fairlead.preflight.config import Config, config_from

    config = config_from(file.read_text(encoding="utf-8"), str(file)) if file else Config()
    return msgspec.structs.replace(config, namespace=namespace) if namespace else config


def seconds_in(text: str, option: str = "--timeout", example: str = "5m") -> float:
    """What an option says, such as 5m. Raises: BadParameter."""
    from fairlead.objects.times import duration_of

    try:
        seconds = duration_of(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}", param_hint=option) from error
    if not seconds:
        raise click.BadParameter(f"expected more than nothing, such as {example}", param_hint=option)
    return seconds


def _codes(option: str, text: str | None) -> list[str]:
    """Codes that were named; none where the option was left out. Raises: BadParameter where it names none."""
    found = [code.strip() for code in (text or "").split(",") if code.strip()]
    if text is not None and not found:
        raise click.BadParameter(
            f"{option} names no check. Expected codes such as gpu-driver,gpu-nodes; leave it out for all checks."
        )
    return found


def accepted_risks(given: tuple[str, ...]) -> dict[str, str]:
    """Code -> reason. Raises: BadParameter."""
    found = {}
    for each in given:
        code, sign, reason = each.partition("=")
        if not sign or not reason.strip():
            raise click.BadParameter(
                f"{each!r}: expected CODE=REASON, such as clock-skew='mended on Monday'", param_hint="--accept"
            )
        found[code.strip()] = reason.strip()
    return found


def _save(facts: Facts, config: Config, file: Path, *, anonymise: bool) -> None:
    from fairlead.preflight.redact import redacted

    own = (config.namespace, config.system_nodes.label.partition("=")[2])
    document = redacted(facts, anonymise=anonymise, keep=own)
    is_json = file.suffix == ".json"
    file.write_text(
        json.dumps(document, indent=1, ensure_ascii=False) + "\n" if is_json else as_yaml(document), encoding="utf-8"
    )
    click.echo(f"Facts are in {file}.", err=True)


def print_report(report: Report, earlier: Path | None = None) -> None:
    """The table for people, and what is other than in an earlier report."""
    from fairlead.preflight.report import as_document, changes_since
    from fairlead.preflight.told import lines
    from fairlead.runtime.settings import environment

    since = None if earlier is None else changes_since(_report_in(earlier), as_document(report))
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((_NO_TERMINAL, 24)).columns
    colour = on_terminal and not environment().get("NO_COLOR")
    for line in lines(report, width, whole=not on_terminal, since=since):
        click.echo("".join(_styled(span.text, span.style, colour=colour) for span in line))


def _styled(text: str, style: str, *, colour: bool) -> str:
    if not colour or not style:
        return text
    return click.style(
        text, bold=style == "bold" or None, dim=style == "dim" or None, fg=None if style in ("bold", "dim") else style
    )


def _report_in(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(document, dict) and isinstance(document.get("checks"), list):
            return document
    except ValueError:
        pass
    raise Invalid(f"{file} is no report.", hint="Expected what `fairlead preflight -o json` printed.", code="preflight")


@preflight.command()
@_known
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "csv", "networkpolicy", "json"]),
    default="table",
    show_default=True,
    help="Form.",
)
def egress(output: str, config_file: Path | None, facts_file: Path | None, namespace: str) -> None:
    """What to ask of whoever runs the firewall: hosts, ports, when and why, and whether they were reached.

    With --facts from what was found out earlier, else from the configuration alone: no cluster is asked. A NetworkPolicy needs them
    to name the API server by its addresses.

    \b
    Example:
      fairlead preflight egress --config fairlead.yaml
      fairlead preflight egress --facts facts.yaml -o csv > firewall.csv
    """
    from fairlead.preflight.facts import Facts
    from fairlead.preflight.request import COLUMNS, as_csv, as_network_policy, requests

    config = config_in(config_file, namespace)
    facts = facts_in(facts_file) if facts_file is not None else Facts({})
    rows = requests(facts, config)
    if output == "csv":
        click.echo(as_csv(rows), nl=False)
    elif output == "networkpolicy":
        click.echo(as_network_policy(rows, config, facts), nl=False)
    elif output == "json":
        click.echo(
            json.dumps([dict(zip(COLUMNS, row.cells(), strict=True)) for row in rows], indent=2, ensure_ascii=False)
        )
    else:
        for name in dict.fromkeys(row.row for row in rows):
            click.echo(name)
            for row in rows:
                if row.row == name:
                    click.echo(f"  {row.sentence()}")


@preflight.command()
@click.argument("finding", metavar="CODE[#CAUSE]")
@OUTPUT
def explain(finding: str, output: str) -> None:
    """What a check is about, and what each thing means that it may find: its page of the reference, without a network.

    \b
    Example:
      fairlead preflight explain gpu-driver
      fairlead preflight explain registry-pull#auth
    """
    from fairlead.preflight.explain import meaning
    from fairlead.preflight.report import known

    code, _, cause = finding.partition("#")
    check = known(code)
    about, causes = meaning(check)
    if cause and cause not in causes:
        raise Invalid(f"{code} never finds {cause!r}.", hint=f"It may find: {', '.join(causes)}.", code="preflight")
    told = {cause: causes[cause]} if cause else causes
    document = {
        "code": code,
        "title": check.title,
        "row": check.row,
        "about": about,
        "expected": check.expected,
        "rules": check.rules,
        "disables": list(check.disables),
        "causes": told,
    }

    def table() -> None:
        width = shutil.get_terminal_size((_NO_TERMINAL, 24)).columns
        click.secho(f"{code}: {check.title}", bold=True)
        for text in (about, f"Expected: {check.expected}.", f"Verdicts: {check.rules}."):
            click.echo(textwrap.fill(text, width))
        for means in dict.fromkeys(told.values()):
            click.secho(f"\n{', '.join(word for word in told if told[word] == means)}", bold=True)
            click.echo(textwrap.fill(means, width, initial_indent="  ", subsequent_indent="  "))

    show(document, output, table, names=[code])


@preflight.command()
@click.option("--user", default="", help="Also give the rights to this user.")
@click.option("--no-probe", is_flag=True, help="The rights to read alone.")
def role(user: str, no_probe: bool) -> None:
    """The rights that preflight needs, for a cluster admin to apply. It reads no Secret.

    What installing needs comes on top: `permissions` tries it.

    \b
    Example:
      fairlead preflight role --user ann@example.org | kubectl apply -f -
    """
    from fairlead.preflight.gather.role import binding, probing, reading

    roles = [reading(), *([] if no_probe else [probing()])]
    documents = [*roles, *(binding(each, user) for each in roles if user)]
    click.echo("---\n".join(as_yaml(document) for document in documents), nl=False)
