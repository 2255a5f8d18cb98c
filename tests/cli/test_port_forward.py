"""Ports of a workload at this machine."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.cli.conftest import Cli
from tests.parts.apiserver import free_ports

ANSWERS_AT_THE_END = """
import hashlib, socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        data = self.rfile.read()
        self.wfile.write(hashlib.sha256(data).hexdigest().encode() + data)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""It answers a connection only once the caller has said all, and then says all itself."""


@contextmanager
def forwarded(up: Cli, *ports: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """The running command and the local ports it names; ended by Ctrl-C."""
    process = up.begin("port-forward", "served", *ports, "-p", "team")
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in ports]
        yield process, [int(line.split(" -> ")[0].rpartition(":")[2]) for line in lines]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, process.stderr and process.stderr.read()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(up: Cli) -> Iterator[int]:
    """The port on which a workload listens; it would outlive `fairlead down`."""
    (port,) = free_ports(1)
    command = (sys.executable, "-c", ANSWERS_AT_THE_END, str(port))
    up.ok("submit", "served", "-p", "team", "-i", "x", "-g", "0", "--wait", "--", *command)
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield port
    up.ok("delete", "served", "-p", "team")
    deadline = time.monotonic() + 30
    while "served" in up.ok("list", "-p", "team"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _exchanged(port: int, data: bytes) -> bytes:
    """What comes back once all was said."""
    with socket.create_connection(("127.0.0.1", port), timeout=240) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_large_transfers_on_several_connections_at_once_arrive_whole_with_half_close(up: Cli, served: int) -> None:
    with forwarded(up, f"0:{served}", f"0:{served}") as (_, ports):
        datas = [os.urandom(4 << 20) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(_exchanged, [*ports, *ports], datas))
    for data, answer in zip(datas, answers, strict=True):
        assert answer == hashlib.sha256(data).hexdigest().encode() + data
    events = _audit(up)
    assert events.count("port-forward") == events.count("port-forward-ended") == 4


def test_data_that_looks_like_the_channels_own_words_is_carried_as_it_is(up: Cli, served: int) -> None:
    with forwarded(up, f"0:{served}") as (_, (port,)):
        for data in (b"\x00error:no", b"\x01exit:1", b"\x03", b"eof", b""):
            assert _exchanged(port, data) == hashlib.sha256(data).hexdigest().encode() + data


def test_a_port_on_which_nothing_listens_is_said_and_the_command_goes_on(up: Cli, served: int) -> None:
    (nobody,) = free_ports(1)
    with forwarded(up, f"0:{nobody}", f"0:{served}") as (process, (dead, alive)):
        assert _exchanged(dead, b"") == b""
        assert _exchanged(alive, b"x").endswith(b"x")
        assert process.stderr is not None
        words = [process.stderr.readline(), process.stderr.readline()]
    assert any(f"Port {nobody}: " in w and f"Nothing listens on port {nobody}" in w for w in words), words


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("served", "http"), 2, "Write LOCAL:REMOTE, such as `8888:8888`"),
        (("served", "1:70000"), 2, "from 1 to 65535"),
        (("nobody", "80"), 3, "nobody"),
    ],
)
def test_what_cannot_be_is_said(up: Cli, served: int, words: tuple[str, ...], code: int, told: str) -> None:
    done = up.run("port-forward", *words, "-p", "team")
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


def test_a_local_port_that_is_taken_and_a_workload_that_does_not_run_are_said(up: Cli, served: int) -> None:
    taken = up.run("port-forward", "served", f"{served}:{served}", "-p", "team")
    assert (taken.returncode, f"`0:{served}` takes a free one" in taken.stderr) == (1, True), taken.stderr
    up.ok("submit", "over", "-p", "team", "-i", "x", "-g", "0", "--", "true")
    up.until("describe", "over", "-p", "team", told="Completed")
    done = up.run("port-forward", "over", "80", "-p", "team")
    assert (done.returncode, "Nothing of it runs: 'over' is completed." in done.stderr) == (1, True), done.stderr


def _audit(up: Cli) -> list[str]:
    """Actions in the audit trail."""
    from fairlead.cli.rest import Rest

    rest = Rest(up.data)
    return [e["action"] for e in rest.get("/api/v1/audit/log", start="2020-01-01T00:00:00Z", limit=100)["audit_logs"]]
