"""The agent as a process whose one way to the control plane is a proxy: real proxies, TLS, and work that goes the whole way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import psutil
import pytest
from tests.howto import Reader, blocks, put
from tests.kubernetes.conftest import CLOCK, NUMBERS, _transport
from tests.kubernetes.processes import Process, processes, until
from tests.kubernetes.test_preflight import LOCAL
from tests.kubernetes.test_role_processes import Product, _a_node, _access_key, _agent_token, served_settings
from tests.parts import certificates
from tests.parts.apiserver import ApiServer, free_ports, stop
from tests.parts.build import NEWEST
from tests.parts.proxies import squid, tinyproxy

from fairlead.kube.client import Client, Limits
from fairlead.kube.errors import AlreadyExists
from fairlead.objects import kinds
from fairlead.objects.builtin import Namespace
from fairlead.objects.meta import ObjectMeta

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow, pytest.mark.timeout(600)]

CREDENTIALS = "ann:right-horse"
PROJECT = "proxied"


class Served(Product):
    """The product, whose control plane serves TLS."""

    @property
    def port(self) -> int:
        """Where the control plane listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def ca(self) -> Path:
        """Who signed the control plane's certificate."""
        return self.cluster.folder / "ca.crt"

    def environment(self) -> dict[str, str]:
        """In which the command line trusts that authority too."""
        return {**super().environment(), "FAIRLEAD_CA_FILE": str(self.ca)}

    @contextlib.contextmanager
    def agent(self, **settings: str) -> Iterator[Process]:
        """One that acts, with these settings."""
        told = self.cluster.settings["agent"]
        self.cluster.settings["agent"] = {**told, "url": self.url, "caFile": str(self.ca), **settings}
        process = self.cluster.start("agent")
        try:
            until(process.leads)
            yield process
        finally:
            stop([process.popen])
            self.cluster.processes.remove(process)
            self.cluster.settings["agent"] = told

    def ok(self, *words: str) -> str:
        """What a command that must succeed says."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stderr, self.cluster.logs())
        return done.stdout

    def submit(self, name: str, *words: str) -> None:
        """A workload of the project."""
        self.ok("submit", name, "-p", PROJECT, "-i", "x", *words, "--", "sleep", "600")

    def goes_the_whole_way(self, name: str) -> None:
        """Work comes down and is placed; what waits, why, and what the API server says of a log travel back."""
        self.submit(name, "-g", "1")
        self.submit(f"{name}-big", "-g", "16")
        until(lambda: self.json("describe", name, "-p", PROJECT)["phase"] == "Initializing")
        assert until(lambda: self.json("explain", f"{name}-big", "-p", PROJECT)["reasons"])
        log = self.run("logs", name, "-p", PROJECT)
        assert log.returncode != 0, "the node has no kubelet"
        assert "no preferred addresses found" in log.stderr, "the API server's own words"
        self.ends(name, f"{name}-big")

    def ends(self, *names: str) -> None:
        """The workloads are deleted, and gone from the cluster."""
        self.ok("delete", *names, "-p", PROJECT)
        until(lambda: not self.json("list", "-p", PROJECT))


@pytest.fixture(scope="module")
def product(servers: Callable[[str], ApiServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Everything but an agent; the control plane serves TLS by an authority of its own, at the loopback address alone."""
    server, folder = servers(NEWEST), tmp_path_factory.mktemp("proxied")
    certificates.write(folder, {"server": certificates.Leaf("localhost")})
    node = f"node-{next(NUMBERS)}"
    (folder / "token").write_text(asyncio.run(_prepared(server, node)))
    port, explain = free_ports(2)
    settings = served_settings(folder, port)
    settings["server"] |= {"host": "127.0.0.1", "tlsCert": f"{folder}/server.crt", "tlsKey": f"{folder}/server.key"}
    with processes(server.write_kubeconfig(folder / "kubeconfig"), folder, **settings) as cluster:
        cluster.start("server")
        found = Served(cluster, None, node, f"https://localhost:{port}")  # type: ignore[arg-type]  # nobody asks it for a client
        found.sign_in(until(lambda: _access_key(found.url, found.ca)))
        made = found.json("cluster", "create", node)
        (folder / "secret").write_text(made["client_secret"])
        cluster.settings["controllers"] = {"webhooks": False}
        cluster.settings["agent"] = {
            "cluster": made["uuid"],
            "secretFile": str(folder / "secret"),
            "tokenFile": str(folder / "token"),
        }
        cluster.start("scheduler", FAIRLEAD_SCHEDULER_EXPLAIN_PORT=str(explain))
        cluster.start("controllers")
        found.ok("project", "create", PROJECT, "--gpus", "8")
        yield found
        asyncio.run(_left(server, node))


async def _prepared(server: ApiServer, node: str) -> str:
    """A node with GPUs and the product's namespace; gives a token of the agent's account."""
    async with _transport(server) as transport:
        client = Client(transport, CLOCK, Random(5), Limits(call=10, watch=60))
        for name in ("fairlead", "kube-system"):
            with contextlib.suppress(AlreadyExists):
                await client.create(kinds.NAMESPACE, Namespace(metadata=ObjectMeta(name=name)))
        await _a_node(client, node)
        return await _agent_token(client, transport)


async def _left(server: ApiServer, node: str) -> None:
    """What schedulers of later tests would see."""
    async with _transport(server) as transport:
        client = Client(transport, CLOCK, Random(5), Limits(call=10, watch=60))
        for kind, name in ((kinds.NODE, node), (kinds.PROJECT, PROJECT), (kinds.DEPARTMENT, "default")):
            await client.delete(kind, name)


def _dialled(process: Process) -> set[int]:
    """Ports that the process is connected to."""
    return {c.raddr.port for c in psutil.Process(process.popen.pid).net_connections("tcp") if c.raddr}


def test_work_goes_the_whole_way_through_a_proxy_that_wants_a_password(product: Served, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(CREDENTIALS)
    (port,) = free_ports(1)
    way = {"proxy": f"http://127.0.0.1:{port}", "proxyCredentialsFile": str(tmp_path / "credentials")}
    log = tmp_path / "tinyproxy.log"
    with product.agent(**way) as agent:
        with tinyproxy(tmp_path, [product.port], CREDENTIALS, at=("127.0.0.1", port)):
            product.goes_the_whole_way("through")
            assert log.read_text().count(f"CONNECT localhost:{product.port}") >= 3, "the agent, why, the log"
            assert (port in _dialled(agent), product.port in _dialled(agent)) == (True, False)
        until(lambda: f"The proxy http://127.0.0.1:{port} does not answer" in agent.log.read_text())
        product.submit("meanwhile", "-g", "1")
        with tinyproxy(tmp_path, [product.port], CREDENTIALS, at=("127.0.0.1", port)):
            until(lambda: product.json("describe", "meanwhile", "-p", PROJECT)["phase"] == "Initializing")
            product.ends("meanwhile")


def test_work_goes_the_whole_way_through_a_proxy_that_opens_tls(product: Served, tmp_path: Path) -> None:
    with (
        squid(tmp_path, product.ca) as (port, authority),
        product.agent(proxy=f"http://127.0.0.1:{port}", caFile=str(authority)) as agent,
    ):
        product.goes_the_whole_way("opened")
        assert (port in _dialled(agent), product.port in _dialled(agent)) == (True, False)
        assert "CONNECT" in (tmp_path / "squid" / "access.log").read_text()


def test_an_address_in_an_exempt_range_is_reached_without_the_proxy(product: Served) -> None:
    (nobody,) = free_ports(1)
    way = {"proxy": f"http://127.0.0.1:{nobody}", "noProxy": "10.0.0.0/8,127.0.0.0/8"}
    with product.agent(url=f"https://127.0.0.1:{product.port}", **way) as agent:
        product.goes_the_whole_way("exempt")
        assert product.port in _dialled(agent)


def test_a_secret_that_was_replaced_is_read_at_the_next_try(product: Served, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("not-the-secret")
    with product.agent(secretFile=str(file)) as agent:
        until(lambda: "fairlead cluster secret NAME" in agent.log.read_text())
        file.write_text((product.cluster.folder / "secret").read_text())
        product.goes_the_whole_way("replaced")


LIST, LOOK = blocks("own-authority")


def test_an_authority_of_ones_own_is_trusted_where_the_guide_has_it_named(product: Served, tmp_path: Path) -> None:
    reader = Reader(tmp_path, product.cluster.folder / "kubeconfig", Product.environment(product))
    own = {"https://fairlead.example.com": product.url}
    assert PROJECT in reader.types(f"{put(LIST, own)}fairlead project list", {"corporate-ca.pem": str(product.ca)})
    plain = reader.tries(LIST, {**own, " FAIRLEAD_CA_FILE=corporate-ca.pem": ""})
    assert (plain.returncode != 0, "FAIRLEAD_CA_FILE names another authority" in plain.stderr) == (True, True)
    (tmp_path / "other").mkdir()
    certificates.write(tmp_path / "other", {"server": certificates.Leaf("localhost")})
    for authority, verdict in ((product.ca, "pass"), (tmp_path / "other" / "ca.crt", "fail")):
        config = {**LOCAL, "ca_bundle": str(authority), "control_plane": {"url": product.url}}
        (tmp_path / "fairlead.yaml").write_text(json.dumps(config))
        (found,) = json.loads(reader.tries(LOOK.strip() + " -o json").stdout)["checks"]
        assert (found["verdict"], "localhost" in found["seen"]) == (verdict, verdict == "fail"), found
