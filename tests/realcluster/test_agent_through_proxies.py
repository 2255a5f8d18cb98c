"""The chart's agent, in pods that cannot reach the control plane: its host is `localhost` of this machine, where proxies may go."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.kubernetes.processes import until
from tests.kubernetes.test_chart import CHART
from tests.parts.cluster.images import BUSYBOX
from tests.parts.proxies import squid, tinyproxy, tls_end
from tests.realcluster.product import Installed

from fairlead.wire.polling import PUSH_PATH

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1200)]

CREDENTIALS = "ann:right-horse"
SERVES = "mkdir /tmp/w && echo served > /tmp/w/index.html; echo begun; exec httpd -f -p 8080 -h /tmp/w"
CHANNELS = 4
"""Connections of the agent that the test brings about: the one of the cluster, a log, a shell, a port."""


@contextlib.contextmanager
def a_way(installed: Installed, **values: str) -> Iterator[None]:
    """The agent goes by these values of the chart, and then as before."""
    none = {"agent.proxy": "", "agent.proxyCredentials": "", "agent.ca": "", "agent.transport": "auto"}
    before = {"agent.url": installed.product.url, **none}
    _upgrade(installed, {**before, **values})
    try:
        yield
    finally:
        _upgrade(installed, before)


def _upgrade(installed: Installed, values: dict[str, str]) -> None:
    """As the guide has it. A value that is a file's path is read from there."""
    words = [
        f"--set-file={key}={value}" if value.startswith("/") else f"--set={key}={value}"
        for key, value in values.items()
    ]
    done = installed.helm.run(
        "upgrade", "fairlead", str(CHART), "-n", "fairlead", "--reuse-values", "--wait", "--timeout=110s", *words
    )
    assert done.returncode == 0, f"{done.stderr}\n{installed.told()}"


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
    installed: Installed, front: tuple[int, Path], tmp_path: Path
) -> None:
    port, ca = front
    here = installed.cluster.addresses.outside
    log = tmp_path / "tinyproxy.log"
    with tinyproxy(tmp_path, [port], CREDENTIALS, at=(here, 0)) as proxy:
        way = {"agent.proxy": f"http://{here}:{proxy}", "agent.proxyCredentials": CREDENTIALS, "agent.ca": str(ca)}
        with a_way(installed, **{"agent.url": f"https://localhost:{port}", **way}):
            until(lambda: f"CONNECT localhost:{port}" in log.read_text())
            _goes_the_whole_way(installed, "through")
            assert log.read_text().count(f"CONNECT localhost:{port}") >= CHANNELS


def test_pods_reach_the_control_plane_through_a_proxy_that_opens_tls_and_lets_no_websocket_through(
    installed: Installed, front: tuple[int, Path], tmp_path: Path
) -> None:
    port, ca = front
    here = installed.cluster.addresses.outside
    log = tmp_path / "squid" / "access.log"
    with squid(tmp_path, ca, here, upgrades=False) as (proxy, authority):
        way = {"agent.proxy": f"http://{here}:{proxy}", "agent.ca": str(authority), "agent.transport": "poll"}
        with a_way(installed, **{"agent.url": f"https://localhost:{port}", **way}):
            until(lambda: f"POST https://localhost:{port}{PUSH_PATH} " in log.read_text())
            _goes_the_whole_way(installed, "opened")
            assert "GET " not in log.read_text(), "it tries no WebSocket"
