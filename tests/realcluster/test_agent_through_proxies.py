"""`docs/howto/agent-behind-a-proxy.md`, followed by the chart's agent: its pods cannot reach the control plane, proxies can.

The control plane's host is `localhost` of this machine: what pods call so is themselves.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.howto import Reader, blocks
from tests.kubernetes.processes import until
from tests.parts.cluster.images import BUSYBOX
from tests.parts.proxies import squid, tinyproxy, tls_end
from tests.realcluster.product import Installed

from fairlead.wire.polling import PUSH_PATH

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.usefixtures("no_work_left")]

CREDENTIALS = "ann:right-horse"
SERVES = "mkdir /tmp/w && echo served > /tmp/w/index.html; echo begun; exec httpd -f -p 8080 -h /tmp/w"
CHANNELS = 4
"""Connections of the agent that the test brings about: the one of the cluster, a log, a shell, a port."""


THROUGH_A_PROXY, TRUSTING, POLLING = blocks("agent-behind-a-proxy")
PROXY, AUTHORITY, WAITING = "http://proxy.corp.example:3128", "corporate-ca.pem", "--wait --timeout=110s"


@pytest.fixture
def reader(installed: Installed, tmp_path: Path) -> Iterator[Reader]:
    """Sets values of the agent as the document says; afterwards they are as before."""
    found = Reader(tmp_path, installed.cluster.kubeconfig)
    yield found
    none = "agent.proxy=,agent.proxyCredentials=,agent.ca=,agent.transport=auto"
    found.types(POLLING, {"agent.transport=poll": f"agent.url={installed.product.url},{none} {WAITING}"})


def _goes_the_whole_way(installed: Installed, name: str) -> None:
    """Work comes down, and runs; its log, a shell and a port of it travel back."""
    product = installed.product
    done = product.run("submit", name, "-p", "team", "-g", "1", "-i", BUSYBOX, "--", "sh", "-c", SERVES)
    assert done.returncode == 0, done.stderr
    until(lambda: product.phase(name) == "Running", 120)
    assert until(lambda: product.run("logs", name, "-p", "team").stdout) == "begun\n"
    said = product.run("exec", name, "-p", "team", "--", "cat", "/tmp/w/index.html")
    assert (said.returncode, said.stdout.strip()) == (0, "served")
    with product.forwarded(name, 8080) as port, socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.read().endswith(b"served\n")
    assert product.run("delete", name, "-p", "team").returncode == 0
    until(lambda: not installed.objects("pods", "runai-team"))


@pytest.fixture
def front(installed: Installed, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Where TLS ends before the control plane, and its authority."""
    plain = urlsplit(installed.product.url)
    with tls_end(tmp_path, (plain.hostname or "", plain.port or 80)) as found:
        yield found


def test_pods_reach_the_control_plane_through_a_proxy_that_wants_a_password(
    installed: Installed, reader: Reader, front: tuple[int, Path], tmp_path: Path
) -> None:
    port, ca = front
    here = installed.cluster.addresses.outside
    log = tmp_path / "tinyproxy.log"
    with tinyproxy(tmp_path, [port], CREDENTIALS, at=(here, 0)) as proxy:
        own = {PROXY: f"http://{here}:{proxy}", "USER:PASSWORD": CREDENTIALS}
        also = f"--reuse-values {WAITING} --set agent.url=https://localhost:{port} --set-file agent.ca={ca}"
        reader.types(THROUGH_A_PROXY, {**own, "--reuse-values": also})
        until(lambda: f"CONNECT localhost:{port}" in log.read_text())
        _goes_the_whole_way(installed, "through")
        assert log.read_text().count(f"CONNECT localhost:{port}") >= CHANNELS


def test_pods_reach_the_control_plane_through_a_proxy_that_opens_tls_and_lets_no_websocket_through(
    installed: Installed, reader: Reader, front: tuple[int, Path], tmp_path: Path
) -> None:
    port, ca = front
    here = installed.cluster.addresses.outside
    log = tmp_path / "squid" / "access.log"
    with squid(tmp_path, ca, here, upgrades=False) as (proxy, authority):
        reader.types(POLLING)
        also = f"--reuse-values {WAITING} --set agent.url=https://localhost:{port},agent.proxy=http://{here}:{proxy}"
        reader.types(TRUSTING, {AUTHORITY: str(authority), "--reuse-values": also})
        until(lambda: f"POST https://localhost:{port}{PUSH_PATH} " in log.read_text())
        _goes_the_whole_way(installed, "opened")
        assert "GET " not in log.read_text(), "it tries no WebSocket"
