"""`fairlead logs` and `fairlead exec`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.parse
from typing import Any

import click

from fairlead.cli.amounts import Whole
from fairlead.cli.lookup import PROJECT, workload_of
from fairlead.cli.output import note
from fairlead.cli.rest import Rest, error_of
from fairlead.runtime.errors import Conflict, NotFound

_END_SECONDS = 4.0


@click.command()
@click.argument("name")
@PROJECT
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option("-t", "--tail", type=Whole(0), help="Only so many of the last lines.")
@click.option("--pod", default="", help="Pod of a gang; the first if left out.")
@click.option("--previous", is_flag=True, help="Of the run before: the attempt that failed, or what was suspended.")
def logs(name: str, project: str | None, **asked: Any) -> None:
    """The output of a workload's present run; of the last one where it is suspended.

    \b
    Examples:
      fairlead logs hello -p demo -f
      fairlead logs hello -p demo --previous
    """
    rest = Rest()
    row = workload_of(rest, name, project)
    path = f"/api/fairlead/v1/workloads/{row['id']}/logs"
    try:
        _copy(rest, path, asked)
    except Conflict as nothing:
        if row["phase"] != "Stopped" or asked["previous"]:
            raise
        note(f"{name} is suspended: this is the log of its last run.")
        try:
            _copy(rest, path, asked | {"previous": True})
        except NotFound:
            raise nothing from None
    if asked["follow"]:
        _see_end(rest, row["id"])


def _see_end(rest: Rest, workload_id: str) -> None:
    """Waits a moment for the end that the end of a log announces; another pod of a gang may go on.

    Raises: Unreachable where the log ended because the server stops.
    """
    deadline = time.monotonic() + _END_SECONDS
    while rest.get(f"/api/v1/workloads/{workload_id}")["phase"] == "Running" and time.monotonic() < deadline:
        time.sleep(0.1)


def _copy(rest: Rest, path: str, asked: dict[str, Any]) -> None:
    for piece in rest.stream(path, **asked):
        click.echo(piece, nl=False)


@click.command(name="exec", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND ...")
@PROJECT
@click.option("--pod", default="", help="Pod of a gang; the first that runs if left out.")
@click.option("-i", "--stdin", is_flag=True, help="Pass standard input on.")
def exec_(name: str, command: tuple[str, ...], project: str | None, pod: str, stdin: bool) -> int:
    """Run a command beside a workload, in its environment. Exits with the command's code.

    \b
    Example:
      fairlead exec hello -p demo -- nvidia-smi
    """
    rest = Rest()
    row = workload_of(rest, name, project)
    query = urllib.parse.urlencode([("pod", pod), *(("command", word) for word in command)])
    address, options = rest.socket(f"/api/fairlead/v1/workloads/{row['id']}/exec?{query}")
    try:
        code = _talk(address, options, stdin)
    except OSError:
        code = None
    if code is None:
        raise rest.lost()
    return code


def _talk(address: str, options: dict[str, Any], stdin: bool) -> int | None:
    """The command's exit code; None where the connection ended before the command did."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(address, **options) as socket:
        feeder = threading.Thread(target=_feed, args=(socket, stdin), daemon=True)
        feeder.start()
        try:
            for message in socket:
                if isinstance(message, bytes):
                    sys.stdout.buffer.write(message)
                    sys.stdout.buffer.flush()
                    continue
                last = json.loads(message)
                if "error" in last:
                    raise error_of(last["error"]["code"], last["error"])
                return int(last["exit_code"])
        except ConnectionClosed:
            pass
    return None


def _feed(socket: object, stdin: bool) -> None:
    from websockets.exceptions import ConnectionClosed

    send = socket.send  # type: ignore[attr-defined]  # a websockets connection
    try:
        while stdin and (data := os.read(sys.stdin.fileno(), 32 << 10)):
            send(data)
        send("eof")
    except ConnectionClosed:
        return
