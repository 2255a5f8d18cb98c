"""One way to one address: a real TLS server, real proxies, and each step failing in turn."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.parts import certificates
from tests.parts.apiserver import free_ports
from tests.parts.proxies import squid, tinyproxy

from fairlead.preflight.gather.reach import Ask, reach
from fairlead.runtime.proxies import Proxy


@dataclass(frozen=True)
class Site:
    """A server that answers everything with one document, over TLS that `ca` vouches for."""

    port: int
    ca: Path
    asked: list[str]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/health?x=1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    certificates.write(tmp_path, {"server": certificates.Leaf("localhost", names=("refused.example",))})
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('authorization', '')}".strip())
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"status":"ok"}')

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield Site(server.server_port, tmp_path / "ca.crt", asked)
        server.shutdown()


def a_proxy(port: int, credentials: str = "") -> Proxy:
    user, _, password = credentials.partition(":")
    return Proxy(scheme="http", host="127.0.0.1", port=port, told_by="proxy.https", user=user, password=password)


async def test_the_whole_way_says_what_each_step_saw(site: Site) -> None:
    seen = await reach(Ask(url=site.url, ca=site.ca.read_text()))
    assert (seen.dns, seen.tcp, seen.connect, seen.tls, seen.status) == ("ok", "ok", None, "ok", 200)
    assert "127.0.0.1" in seen.addresses
    assert (seen.issuer, (seen.expires or "")[-1:]) == ("CN=test-ca", "Z")
    assert (seen.body, seen.headers["content-type"]) == (b'{"status":"ok"}', "application/json")
    assert site.asked == ["/health?x=1"]


async def test_an_authority_that_is_not_trusted_is_named_and_gets_nothing(site: Site) -> None:
    seen = await reach(Ask(url=site.url, headers={"authorization": "Bearer secret"}))
    assert (seen.tls, seen.issuer, seen.status) == ("verify_failed", "CN=test-ca", None)
    assert site.asked == []


async def test_a_name_that_is_not_known_ends_at_the_name() -> None:
    seen = await reach(Ask(url="https://no-such-host.invalid/"))
    assert seen.dns == "nxdomain"
    assert (seen.tcp, seen.tls, seen.status) == (None, None, None)


async def test_a_closed_port_ends_at_the_connection() -> None:
    (nobody,) = free_ports(1)
    seen = await reach(Ask(url=f"https://127.0.0.1:{nobody}/"))
    assert seen.dns == "ok"
    assert seen.tcp == "refused"


async def test_a_server_that_never_answers_ends_at_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen = await reach(Ask(url=f"http://127.0.0.1:{server.getsockname()[1]}/", patience=0.5))
    assert (seen.status, seen.error) == (None, "no answer within 0.5 s")


async def test_a_proxy_with_a_password_is_gone_through(site: Site, tmp_path: Path) -> None:
    with tinyproxy(tmp_path, [site.port], "ann:right-horse") as port:
        ask = Ask(url=site.url, ca=site.ca.read_text(), proxy=a_proxy(port, "ann:right-horse"))
        seen = await reach(ask)
        none = await reach(Ask(url=site.url, proxy=a_proxy(port)))
    assert (seen.connect, seen.tls, seen.status) == (200, "ok", 200)
    assert (none.connect, none.tls) == (407, None)
    assert "answered 407 to CONNECT" in (none.error or "")


async def test_a_proxy_that_opens_tls_is_named_as_the_issuer(site: Site, tmp_path: Path) -> None:
    with squid(tmp_path, site.ca) as (port, authority):
        known = await reach(Ask(url=site.url, proxy=a_proxy(port), ca=authority.read_text()))
        seen = await reach(Ask(url=site.url, proxy=a_proxy(port), ca=site.ca.read_text()))
    assert (known.connect, known.tls, known.status) == (200, "ok", 200)
    assert (seen.connect, seen.tls, seen.issuer) == (200, "verify_failed", "O=Corp,CN=Corp TLS inspection")


async def test_behind_a_proxy_a_name_need_not_be_known_here(tmp_path: Path) -> None:
    with tinyproxy(tmp_path, [443]) as port:
        seen = await reach(Ask(url="https://no-such-host.invalid/", proxy=a_proxy(port)))
    assert seen.dns != "ok"
    assert seen.connect is not None
    assert seen.connect >= 400


async def test_a_server_that_takes_connections_and_never_speaks_tls_holds_nothing_up() -> None:
    """A handshake that was given up tells nobody that its connection is closed."""
    leave = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await leave.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(5):
            seen = await reach(Ask(url=f"https://127.0.0.1:{port}/", patience=0.5))
        leave.set()
    assert (seen.status, seen.tcp) == (None, "timeout")
