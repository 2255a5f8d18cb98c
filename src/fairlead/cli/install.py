"""`fairlead install`, `upgrade`, `uninstall`: preflight, then the chart, then the proof that it works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fairlead.cli.output import as_yaml
from fairlead.cli.preflight import accepted_risks, config_in, facts_of, print_report, seconds_in, source_of

if TYPE_CHECKING:
    from fairlead.install.run import Installation
    from fairlead.preflight.config import Config
    from fairlead.preflight.report import Report

F = TypeVar("F", bound=Callable[..., Any])

_OURS_TO_MEND = "release-stuck"
"""What an installation that was cut off leaves, and this one takes up."""
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, readable=True)


def _place(command: F) -> F:
    """Options that say which cluster, and by which Helm."""
    options = (
        click.option(
            "--config", "config_file", type=_FILE, help="fairlead.yaml. `fairlead config example` writes one."
        ),
        click.option("--kubeconfig", default="", help="Kubeconfig of the cluster; that of kubectl if left out."),
        click.option("--namespace", default="", help="Namespace; that of the configuration if left out."),
        click.option("--helm", default="", metavar="PATH", help="Helm 3 or 4; `helm` in PATH if left out."),
        click.option(
            "--timeout",
            default="10m",
            show_default=True,
            help="For each Job of the chart to end, then for the units of the product to come up.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _chart(command: F) -> F:
    """Options that say what is installed."""
    options = (
        click.option(
            "--chart", default="", help="Folder, archive or oci:// address; that of this program if left out."
        ),
        click.option(
            "--values",
            "-f",
            "extra",
            type=_FILE,
            multiple=True,
            help="Further values of the chart, which win. Repeatable.",
        ),
        click.option(
            "--accept",
            multiple=True,
            metavar="CODE=REASON",
            help="Take a risk that preflight finds; it is recorded in the cluster. Repeatable.",
        ),
        click.option(
            "--facts", "facts_file", type=_FILE, help="Judge facts that were saved, instead of looking again."
        ),
        click.option("--no-probe", is_flag=True, help="Preflight starts no pods; what only they can tell is unknown."),
        click.option(
            "--dry-run", is_flag=True, help="Change nothing: preflight, and what the API server says to all objects."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_place
@_chart
def install(**given: Any) -> None:
    """Install Fairlead on a cluster: preflight, the chart by Helm, its units until they run, and a workload as proof.

    It stops before anything is changed where preflight finds a prerequisite missing. Doing it again is safe: it goes on where it is.

    \b
    Example:
      fairlead install --config fairlead.yaml
      fairlead install --config fairlead.yaml --dry-run
      fairlead install --config fairlead.yaml --accept system-nodes='one node until March'
    """
    _installed(given, must_exist=False)


@click.command()
@_place
@_chart
def upgrade(**given: Any) -> None:
    """Bring an installed Fairlead to the version of this program, and to the configuration: the same steps as `install`.

    Running work stays; the scheduler's pods are replaced one by one.

    \b
    Example:
      fairlead upgrade --config fairlead.yaml
    """
    _installed(given, must_exist=True)


@click.command()
@_place
@click.option(
    "--purge", is_flag=True, help="Also remove all projects with their namespaces, work, and the definitions."
)
@click.option("--yes", is_flag=True, help="With --purge: do not ask.")
def uninstall(*, purge: bool, yes: bool, **given: Any) -> None:
    """Take Fairlead off a cluster. Projects, their work and their history stay, and a new installation finds them.

    \b
    Example:
      fairlead uninstall
      fairlead uninstall --purge
    """
    from fairlead.install.run import remains
    from fairlead.install.run import uninstall as take_away

    what = _what(given, config_in(given["config_file"], given["namespace"]))
    if purge and not yes:
        lines = remains(what)
        click.echo("Beside the product itself, this removes for good:")
        for line in lines or ["(nothing)"]:
            click.echo(f"  {line}")
        click.confirm("Remove all of that?", abort=True)
    take_away(what, _tell, everything=purge)
    click.echo("Fairlead is gone." if purge else "Fairlead is gone; projects, work and definitions are still there.")


def _installed(given: Mapping[str, Any], *, must_exist: bool) -> None:
    from fairlead.install.run import install as bring
    from fairlead.install.run import rehearse

    report, config = _preflight(given)
    values = _values(report, config)
    what = _what(given, config)
    if given["dry_run"]:
        click.echo(as_yaml(values), nl=False)
        click.echo(_kinds_in(rehearse(what, values, _tell)))
        return
    proof = bring(what, values, _tell, must_exist=must_exist)
    click.echo(f"Fairlead works: {proof}.")
    if given["accept"]:
        risks = as_yaml({"accept": dict(sorted(accepted_risks(given["accept"]).items()))}).splitlines()
        click.echo("\nThe risks that you took, for your fairlead.yaml, so that the next check and upgrade know them:")
        click.echo("\n".join(f"  {line}" for line in risks))
    click.echo("\nNext:")
    click.echo("  kubectl get clusterconfig fairlead -o yaml   what the cluster lacks, looked at every day")
    click.echo(f"  kubectl -n {config.namespace} get pods")
    if not config.control_plane.cluster:
        click.echo(
            "  fairlead cluster create NAME                make it known to a control plane, for web pages and sign-in"
        )


def _preflight(given: Mapping[str, Any]) -> tuple[Report, Config]:
    """What the very configuration that will be installed meets. Ends the program where it may not go on."""
    from fairlead.install.values import as_used, not_used
    from fairlead.preflight.check import Verdict
    from fairlead.preflight.report import report_of, select

    config = config_in(given["config_file"], given["namespace"])
    used = as_used(config, given["chart"])
    unused = not_used(used)
    source = source_of(select(skip=unused), {**given, "timeout": "5m"}, used)
    report = report_of(facts_of(source), used, select(), accepted_risks(given["accept"]), unused)
    print_report(report)
    if report.is_out_of_reach:
        sys.exit(report.exit_code())
    failed = [each for each in report.results if each.counts is Verdict.FAIL]
    is_stuck = any(each.finding.cause == _OURS_TO_MEND for each in failed)
    failed = [each for each in failed if each.finding.cause != _OURS_TO_MEND]
    if failed:
        names = " ".join(f"--accept {each.check.code}='WHY'" for each in failed)
        if is_stuck:
            click.echo("\nThe release that did not end is taken up by this command once nothing else fails.", err=True)
        click.echo(f"\nNothing was changed. Mend what fails, or take the risk, which is recorded: {names}", err=True)
        sys.exit(report.exit_code())
    if is_stuck:
        click.echo("\nNothing else fails, so the release that did not end is taken up.", err=True)
    if unknown := ", ".join(each.check.code for each in report.results if each.counts is Verdict.UNKNOWN):
        click.echo(f"\nNot known: {unknown}. Nothing of it is known to be missing, so it goes on.", err=True)
    return report, config


def _values(report: Report, config: Config) -> dict[str, Any]:
    from fairlead.install.values import recorded, values_of
    from fairlead.preflight.gather.certificates import authorities_of

    ca = authorities_of(config)
    if config.remote_write.url and config.prometheus.mode != "bundled":
        whose = f"prometheus.mode is {config.prometheus.mode}: that one writes to where its own configuration says"
        click.echo(f"\nremote_write was checked, and is not set up. {whose}.", err=True)
    kept = as_yaml(recorded(config, report.accepted))
    return {**values_of(config, report.facts, ca), "prerequisites": {"config": kept}}


def _what(given: Mapping[str, Any], config: Config) -> Installation:
    from fairlead.install.run import Installation

    return Installation(
        namespace=config.namespace,
        kubeconfig=given["kubeconfig"],
        helm=given["helm"],
        chart=given.get("chart", ""),
        extra=tuple(given.get("extra", ())),
        timeout_seconds=seconds_in(given["timeout"]),
    )


def _kinds_in(said: str) -> str:
    """How many objects of each kind the chart comes to."""
    import re
    from collections import Counter

    kinds = Counter(re.findall(r"^kind: (\w+)", said, re.MULTILINE))
    return "The API server takes: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) + "."


def _tell(line: str) -> None:
    click.echo(line, err=True)
