"""Real proxies from Debian's packages: tinyproxy, squid that opens TLS with an authority of its own, and socat as the end of TLS."""

from __future__ import annotations

import os
import select
import shutil
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.parts import certificates
from tests.parts.apiserver import free_ports, stop
from tests.parts.build import Unavailable
from tests.parts.debian import program

TINYPROXY = ("tinyproxy", "tinyproxy-bin")
SQUID = ("squid", "squid-openssl")
SOCAT = ("socat", "socat")
PROGRAMS = (TINYPROXY, SQUID, SOCAT)
_PATIENCE = 60.0
_HERE = "127.0.0.1"


@contextmanager
def tinyproxy(
    folder: Path, ports: Sequence[int], credentials: str = "", at: tuple[str, int] = (_HERE, 0)
) -> Iterator[int]:
    """The port of a proxy that connects to those ports only, for whoever has `USER:PASSWORD`. `at`: 0 for a free port."""
    host, port = at[0], at[1] or free_ports(1)[0]
    lines = [f"Port {port}", f"Listen {host}", "Timeout 60", "LogLevel Connect", "MaxClients 50"]
    lines += [f"ConnectPort {allowed}" for allowed in ports]
    lines += [f"BasicAuth {credentials.replace(':', ' ')}"] if credentials else []
    (folder / "tinyproxy.conf").write_text("\n".join(lines) + "\n")
    command = [str(_found(TINYPROXY)), "-d", "-c", str(folder / "tinyproxy.conf")]
    with _running(command, folder / "tinyproxy.log", (host, port)):
        yield port


@contextmanager
def squid(folder: Path, trusts: Path, host: str = _HERE, *, upgrades: bool = True) -> Iterator[tuple[int, Path]]:
    """(port, certificate of its authority) of a proxy that opens the TLS of everything. `trusts`: authority of the targets.

    `upgrades`: WebSockets come through; squid's own default is that they do not.
    """
    found = _found(SQUID)
    home = folder / "squid"
    home.mkdir()
    certificates.write(home, {}, authority=certificates.Leaf("Corp TLS inspection", "Corp"))
    (home / "bump.pem").write_bytes((home / "ca.crt").read_bytes() + (home / "ca.key").read_bytes())
    shutil.copy(trusts, home / "targets.crt")
    helper = "/usr/lib/squid/security_file_certgen"
    subprocess.run([helper, "-c", "-s", str(home / "ssl_db"), "-M", "4MB"], check=True, capture_output=True)
    (port,) = free_ports(1)
    lines = _SQUID.format(at=f"{host}:{port}", home=home, helper=helper) + (_UPGRADES if upgrades else "")
    (home / "squid.conf").write_text(lines)
    if os.geteuid() == 0:
        _give(home, folder)
    with _running([str(found), "-N", "-f", str(home / "squid.conf")], folder / "squid.out", (host, port)):
        yield port, home / "ca.crt"


@contextmanager
def tls_end(folder: Path, server: tuple[str, int]) -> Iterator[tuple[int, Path]]:
    """(port, authority) of `localhost` where TLS ends before that server: nobody off this machine reaches it without a proxy."""
    found = _found(SOCAT)
    certificates.write(folder, {"front": certificates.Leaf("localhost")})
    (port,) = free_ports(1)
    pair = f"cert={folder}/front.crt,key={folder}/front.key,verify=0"
    listens = f"OPENSSL-LISTEN:{port},bind={_HERE},reuseaddr,fork,{pair}"
    command = [str(found), listens, f"TCP:{server[0]}:{server[1]}"]
    with _running(command, folder / "socat.log", (_HERE, port)):
        yield port, folder / "ca.crt"


@contextmanager
def cutting(target: int, seconds: float, *, silently: bool = False, host: str = _HERE) -> Iterator[int]:
    """The port of a middlebox before another port of that address: connections are cut after so long, or, silently, left open and dead."""

    class Through(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, target)) as there:
                ways = {self.request: there, there: self.request}
                end = time.monotonic() + seconds
                while (left := end - time.monotonic()) > 0:
                    for one in select.select(list(ways), [], [], left)[0]:
                        if not (data := one.recv(65536)):
                            return
                        ways[one].sendall(data)
                if silently:
                    over.wait(60)
                else:  # a reset, as by a box that has forgotten the connection
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    over = threading.Event()
    with socketserver.ThreadingTCPServer((host, 0), Through) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        over.set()
        server.shutdown()


_SQUID = """
http_port {at} ssl-bump tls-cert={home}/bump.pem generate-host-certificates=on
sslcrtd_program {helper} -s {home}/ssl_db -M 4MB
acl step1 at_step SslBump1
ssl_bump peek step1
ssl_bump bump all
tls_outgoing_options cafile={home}/targets.crt
acl refused dstdomain refused.example
http_access deny refused
http_access allow all
pinger_enable off
cache deny all
pid_filename {home}/pid
access_log stdio:{home}/access.log
cache_log {home}/cache.log
coredump_dir {home}
shutdown_lifetime 0 seconds
"""

_UPGRADES = "http_upgrade_request_protocols websocket allow all\n"


def _give(home: Path, folder: Path) -> None:
    """Squid leaves root for the user `proxy`, who must reach its files."""
    for path in (home, *home.rglob("*")):
        shutil.chown(path, "proxy", "proxy")
    for above in (folder, *folder.parents):
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)


def _found(package: tuple[str, str]) -> Path:
    try:
        return program(*package)
    except Unavailable as reason:
        pytest.skip(str(reason))


@contextmanager
def _running(command: Sequence[str], log: Path, at: tuple[str, int]) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait(process, log, at)
        yield
    finally:
        stop([process])


def _wait(process: subprocess.Popen[bytes], log: Path, at: tuple[str, int]) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        assert process.poll() is None, f"{process.args} ended: {log.read_text()[-2000:]}"
        with socket.socket() as probe:
            if probe.connect_ex(at) == 0:
                return
        assert time.monotonic() < end, f"{process.args} does not listen: {log.read_text()[-2000:]}"
        time.sleep(0.05)
