"""The `fairlead` command: finds the module of a verb, and turns what goes wrong into one sentence and an exit code."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Any

import click

import fairlead
from fairlead.cli.exits import Exit, exit_of, tell

COMMANDS: dict[str, str] = {
    "up": "local.up:up",
    "status": "local.status:status",
    "down": "local.down:down",
    "sign-in": "sign_in:sign_in",
    "sign-out": "sign_in:sign_out",
    "submit": "researcher.submit:submit",
    "list": "researcher.show:list_",
    "describe": "researcher.show:describe",
    "logs": "researcher.streams:logs",
    "exec": "researcher.streams:exec_",
    "port-forward": "researcher.forward:port_forward",
    "explain": "researcher.explain:explain",
    "suspend": "researcher.change:suspend",
    "resume": "researcher.change:resume",
    "delete": "researcher.change:delete",
    "project": "admin.units:project",
    "department": "admin.units:department",
    "nodepool": "admin.nodepool:nodepool",
    "node": "admin.machines:node",
    "cluster": "admin.machines:cluster",
    "preflight": "preflight:preflight",
    "install": "install:install",
    "upgrade": "install:upgrade",
    "uninstall": "install:uninstall",
    "bundle": "bundle:bundle",
    "config": "config:config",
    "support": "support.command:support",
    "run": "roles.run:run",
    "probe": "probe:probe",  # what the pods of a preflight do: not for people
    "snapshot": "snapshot:snapshot",
    "scenario": "scenario:scenario",
    "simulate": "simulate:simulate",
}
"""Verb -> module below `fairlead.cli` and name in it. Only the module of the verb that is used is loaded."""

SHORT: dict[str, str] = {
    "up": "Start Fairlead on this machine.",
    "status": "State of the Fairlead on this machine and its clusters.",
    "down": "Stop it; data and running workloads stay.",
    "sign-in": "Sign in to the server named in FAIRLEAD_URL, with a browser.",
    "sign-out": "Forget that sign-in.",
    "submit": "Submit a workload.",
    "list": "Workloads: what runs, what waits, and why.",
    "describe": "One workload: pods, history, specification.",
    "logs": "The output of a workload.",
    "exec": "Run a command beside a workload.",
    "port-forward": "Reach ports of a workload at this machine.",
    "explain": "Why a workload waits, and what would start it.",
    "suspend": "Stop workloads and keep them under their names.",
    "resume": "Start suspended workloads again.",
    "delete": "Remove workloads.",
    "project": "Projects: quota and use.",
    "department": "Departments: quota over projects.",
    "nodepool": "Node pools.",
    "node": "Nodes and their GPUs.",
    "cluster": "Clusters: connection, and whether they have what they need.",
    "preflight": "What a cluster needs, and whether it has it.",
    "install": "Install Fairlead on a cluster.",
    "upgrade": "Bring an installed Fairlead to this version and configuration.",
    "uninstall": "Take Fairlead off a cluster; projects stay.",
    "bundle": "All of an installation in one file, for networks that reach nothing.",
    "support": "A bundle for whoever helps, without secrets.",
    "config": "fairlead.yaml: explain it, give an example, check one.",
    "run": "Run one role of a cluster, or the control plane (what pods do).",
    "snapshot": "What a scheduler decides on, as a file to play.",
    "scenario": "Check scheduler scenario files, or play one.",
    "simulate": "The scheduling core on public traces.",
}


_LATER: dict[str, str] = {
    "user": "Users are managed with the REST API: /api/v1/users, and /api/v1/authorization/access-rules for their roles.",
    "what-if": "`fairlead explain NAME` says what would start one workload.",
    "replay": "",
}
"""Commands there will be, and what does their work until then."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(importlib.import_module(f"fairlead.cli.{module}"), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb named first; an unknown one is answered with the nearest."""
        if args and args[0] in _LATER:
            raise click.UsageError(f"{args[0]!r} is not a command of this version yet. {_LATER[args[0]]}".strip(), ctx)
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean `fairlead {near[0]}`?" if near else " `fairlead --help` lists them."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of verbs, from the short texts alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SHORT[name]) for name in COMMANDS if name in SHORT])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fairlead.__version__, "--version", message="fairlead %(version)s")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of the data of the Fairlead meant; $FAIRLEAD_DATA."
)
def cli(data: Path | None) -> None:
    """Fairlead shares a cluster's GPUs fairly among the people who need them.

    \b
    Example:
      fairlead up
      fairlead submit hello -p demo -i python:3.12 -g 0.5 -- python3 -c 'print("hello")'
      fairlead explain hello -p demo
    """


def main(arguments: list[str] | None = None) -> None:
    """Entry point: runs a verb and exits with its code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Runs a verb; gives back the exit code."""
    try:
        result: Any = cli.main(arguments, prog_name="fairlead", standalone_mode=False)
        return result if isinstance(result, int) else Exit.DONE
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.UsageError as error:
        tell(_with_list(error), usage=error.ctx.get_usage() if error.ctx else "")
        return Exit.USAGE
    except click.ClickException as error:
        tell(error.format_message())
        return Exit.USAGE
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else Exit.NO
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return Exit.DONE
    except Exception as error:  # noqa: BLE001  # the edge: every error becomes a sentence and a code
        return exit_of(error)


def _with_list(error: click.UsageError) -> str:
    """The message; of an option that is not there with the nearest one, of a command with how to see those there are."""
    if isinstance(error, click.exceptions.NoSuchOption) and error.ctx is not None:
        near = _nearest_option(error.option_name, error.ctx)
        return error.message + (f" Did you mean {near}?" if near else "")
    lists = isinstance(error, click.exceptions.NoSuchCommand) and error.ctx is not None
    return error.format_message() + (f" `{error.ctx.command_path} --help` lists them." if lists and error.ctx else "")


def _nearest_option(typed: str, ctx: click.Context) -> str | None:
    """The option that begins like that, else the one most like it."""
    known = [o for p in ctx.command.get_params(ctx) for o in (*p.opts, *p.secondary_opts) if o.startswith("--")]
    begins = [option for option in known if len(typed) > len("--") and option.startswith(typed)]
    return next(iter(begins or difflib.get_close_matches(typed, known, 1)), None)


if __name__ == "__main__":
    main()
