"""The agent's way to a control plane outside its cluster: the real server over TLS, through real proxies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from tests.parts import certificates
from tests.parts.apiserver import free_ports
from tests.parts.proxies import squid, tinyproxy

from fairlead.cluster.agent.links import AgentOptions, Dialler
from fairlead.cluster.agent.polling import Polling
from fairlead.cluster.agent.sockets import WebSockets
from fairlead.cluster.agent.ways import Ways
from fairlead.runtime.clock import SystemClock
from fairlead.runtime.errors import FairleadError, Invalid
from fairlead.runtime.proxies import Proxy, Way, proxy_for
from fairlead.server.api.application import create_app, create_context
from fairlead.server.auth.permissions import administrator
from fairlead.server.config import ServerConfig
from fairlead.server.services import clusters
from fairlead.wire.agent import Desired, Hello, Observed, decode_from_server, encode

SECRET = "cluster-secret"


@dataclass(frozen=True)
class Plane:
    """A control plane that serves TLS on this port. `ca`: who signed its certificate."""

    port: int
    cluster: str
    ca: Path

    def options(self, proxy: Proxy | None = None, ca: Path | None = None, host: str = "localhost") -> AgentOptions:
        """An agent's, whose authority is the server's unless told otherwise."""
        return AgentOptions(
            url=f"https://{host}:{self.port}",
            cluster=self.cluster,
            secret=SECRET,
            ca_file=str(ca or self.ca),
            proxy=proxy,
        )


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    certificates.write(tmp_path, {"server": certificates.Leaf("localhost", names=("refused.example",))})
    config = ServerConfig(database_url=f"sqlite+aiosqlite:///{tmp_path}/fairlead.db", signing_key=b"k" * 32)
    context = create_context(config, time.time)
    await context.database.migrate()
    tls = {"ssl_certfile": str(tmp_path / "server.crt"), "ssl_keyfile": str(tmp_path / "server.key")}
    (port,) = free_ports(1)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(context), port=port, log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=1, **tls
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    cluster, _ = await clusters.create_cluster(context, administrator("test"), "here", secret=SECRET)
    yield Plane(port, cluster.id, tmp_path / "ca.crt")
    server.should_exit = True
    await task


async def _is_answered(options: AgentOptions, way: Dialler | None = None) -> bool:
    """Whether the control plane tells what it wants, as it does a cluster that it knows."""
    async with asyncio.timeout(90), (way or WebSockets(options)).control() as link:
        await link.send(encode(Hello(cluster=options.cluster, kube_uid="uid-1", version="test")))
        await link.send(encode(Observed(seq=1, full=True)))
        async for data in link:
            if isinstance(decode_from_server(data), Desired):
                return True
    return False


async def _failure(options: AgentOptions, way: Dialler | None = None) -> FairleadError:
    with pytest.raises(FairleadError) as failed:
        await _is_answered(options, way)
    return failed.value


def _proxy(port: int, credentials: str = "") -> Proxy:
    found = proxy_for(
        "https://localhost", Way(proxy=f"http://127.0.0.1:{port}", credentials=credentials), {}, "agent.proxy"
    )
    assert found is not None
    return found


async def test_a_proxy_that_wants_credentials_gets_them_and_else_says_so(plane: Plane, tmp_path: Path) -> None:
    with tinyproxy(tmp_path, [plane.port], "ann:right-horse") as port:
        assert await _is_answered(plane.options(_proxy(port, "ann:right-horse")))
        none = await _failure(plane.options(_proxy(port)))
        assert str(none).startswith(
            f"The proxy http://127.0.0.1:{port} wants credentials (it answered 407 Proxy Authentication Required). Give"
        )
        wrong = await _failure(plane.options(_proxy(port, "ann:wrong-horse")))
        assert (wrong.code, "refused the credentials of 'ann' (it answered 401 Unauthorized)" in str(wrong)) == (
            "proxy-401",
            True,
        )
        assert "agent.proxyCredentials" in wrong.hint
        assert "wrong-horse" not in str(wrong)
    assert f"CONNECT localhost:{plane.port}" in (tmp_path / "tinyproxy.log").read_text()


async def test_a_port_that_the_proxy_does_not_serve_is_named(plane: Plane, tmp_path: Path) -> None:
    with tinyproxy(tmp_path, [1]) as port:
        failed = await _failure(plane.options(_proxy(port)))
    assert f"does not let this cluster connect to localhost:{plane.port} (it answered 403 Forbidden)." in str(failed)
    assert f"allow CONNECT to localhost:{plane.port}" in failed.hint


async def test_a_control_plane_that_the_proxy_cannot_reach_is_named(plane: Plane, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    with tinyproxy(tmp_path, [nobody]) as port:
        options = AgentOptions(url=f"https://localhost:{nobody}", cluster="c", secret="s", proxy=_proxy(port))
        failed = await _failure(options)
    assert f"The proxy http://127.0.0.1:{port} could not reach localhost:{nobody} (it answered 500 " in str(failed)


async def test_a_proxy_that_is_not_there_is_named_with_who_named_it(plane: Plane) -> None:
    (nobody,) = free_ports(1)
    failed = await _failure(plane.options(_proxy(nobody)))
    assert str(failed).startswith(f"The proxy http://127.0.0.1:{nobody} does not answer: ")
    assert "It is named by agent.proxy" in failed.hint


async def test_a_proxy_that_speaks_something_else_is_named(plane: Plane) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        failed = await _failure(plane.options(_proxy(port)))
    assert f"The proxy http://127.0.0.1:{port} does not speak HTTP" in str(failed)


async def test_a_proxy_that_opens_tls_is_passed_with_its_authority_and_else_named(plane: Plane, tmp_path: Path) -> None:
    with squid(tmp_path, plane.ca) as (port, authority):
        assert await _is_answered(plane.options(_proxy(port), ca=authority))
        failed = await _failure(plane.options(_proxy(port)))
    assert f"The certificate shown for localhost:{plane.port} through the proxy http://127.0.0.1:{port}" in str(failed)
    assert "It was issued by 'O=Corp,CN=Corp TLS inspection'." in str(failed)
    assert "agent.ca" in failed.hint


async def test_where_a_proxy_lets_no_websocket_through_requests_carry_the_link(plane: Plane, tmp_path: Path) -> None:
    with squid(tmp_path, plane.ca, upgrades=False) as (port, authority):
        options = plane.options(_proxy(port), ca=authority)
        ways = Ways(options, SystemClock())
        with pytest.raises(FairleadError) as failed:
            await _is_answered(options, ways)
        assert (failed.value.code, ways.polls) == ("no-control-plane", True)
        assert await _is_answered(options, ways)
        assert "agent.transport" in failed.value.hint


async def test_requests_say_why_they_do_not_get_through_as_websockets_do(plane: Plane, tmp_path: Path) -> None:
    def failure_of(options: AgentOptions) -> Awaitable[FairleadError]:
        return _failure(options, Polling(options))

    with tinyproxy(tmp_path, [plane.port], "ann:right-horse") as port:
        assert await _is_answered(plane.options(), Polling(plane.options(_proxy(port, "ann:right-horse"))))
        none = await failure_of(plane.options(_proxy(port)))
        assert "wants credentials (it answered 407 Proxy Authentication Required)" in str(none)
    (nobody,) = free_ports(1)
    assert "does not answer: " in str(await failure_of(plane.options(_proxy(nobody))))
    (tmp_path / "other").mkdir()
    certificates.write(tmp_path / "other", {})
    untrusted = await failure_of(plane.options(ca=tmp_path / "other" / "ca.crt"))
    assert untrusted.code == "certificate-untrusted"
    assert "It was issued by 'CN=test-ca'" in str(untrusted)


async def test_the_control_planes_reason_to_refuse_is_heard_by_requests_too(plane: Plane) -> None:
    options = plane.options()
    assert await _is_answered(options, Polling(options))
    async with Polling(options).control() as link:
        await link.send(encode(Hello(cluster=plane.cluster, kube_uid="uid-2", version="test")))
        assert [data async for data in link] == []
        assert link.close_code == 4403
        assert "second Kubernetes cluster" in link.close_reason


async def test_what_a_proxy_answers_inside_the_tls_it_opened_is_told_apart_from_the_control_plane(
    plane: Plane, tmp_path: Path
) -> None:
    with squid(tmp_path, plane.ca) as (port, authority):
        failed = await _failure(plane.options(_proxy(port), ca=authority, host="refused.example"))
    assert failed.code == "no-control-plane"
    assert "answered 403 Forbidden (by 1.1 " in str(failed)
    assert "squid" in str(failed)
    assert f") through the proxy http://127.0.0.1:{port}" in str(failed)


async def test_without_a_proxy_an_unknown_authority_is_named_too(plane: Plane, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificates.write(tmp_path / "other", {})
    assert await _is_answered(plane.options())
    failed = await _failure(plane.options(ca=tmp_path / "other" / "ca.crt"))
    assert "It was issued by 'CN=test-ca'" in str(failed)


async def test_an_authority_file_that_cannot_be_read_is_named(plane: Plane, tmp_path: Path) -> None:
    (tmp_path / "no.crt").write_text("nothing")
    failed = await _failure(plane.options(ca=tmp_path / "no.crt"))
    assert isinstance(failed, Invalid)
    assert f"{tmp_path}/no.crt cannot be read as certificates" in str(failed)


async def test_the_control_planes_reason_to_refuse_is_heard(plane: Plane) -> None:
    assert await _is_answered(plane.options())
    async with WebSockets(plane.options()).control() as link:
        await link.send(encode(Hello(cluster=plane.cluster, kube_uid="uid-2", version="test")))
        assert [data async for data in link] == []
        assert (link.close_code, link.close_reason) == (
            4403,
            "The secret of 'here' is used by a second Kubernetes cluster.",
        )
