"""Services asked from pods of a real cluster: a Prometheus, its exporters, a receiver of samples, a sign-in provider, the control plane.

Prometheus, the node-exporters (one in each node) and the provider are real; kube-state-metrics is a stand-in that serves its families.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import uvicorn
from tests.kubernetes.processes import until
from tests.parts.apiserver import free_ports
from tests.parts.build import Unavailable
from tests.parts.cluster.cluster import Cluster
from tests.parts.cluster.machines import Service
from tests.parts.debian import program
from tests.parts.openid import CLIENT, OpenId, openid
from tests.parts.prometheus import PROGRAMS, Prometheus, prometheus
from tests.parts.proxies import cutting
from tests.preflight.gather.test_prometheus import VERSION_1, VERSION_2, stand_in_for_kube_state_metrics
from tests.realcluster.test_preflight import LOCAL, Preflight, by_node, check, loaded, preflight

from fairlead.server.api.application import create_app, create_context
from fairlead.server.auth.permissions import administrator
from fairlead.server.config import ServerConfig
from fairlead.server.services import clusters

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]

PLANE = "https://fairlead.invalid"
METRICS = ("prometheus", "node-exporter", "kube-state-metrics", "remote-write")
SIGN_IN = ("oidc-provider", "egress-sign-in")
ALL = ("--only", ",".join((*METRICS, *SIGN_IN)))
NODES = ("node-1", "node-2")


@dataclass(frozen=True)
class Services:
    """`whole`: has all exporters and takes samples; `poor`: the old names, node-1 alone, and takes none."""

    whole: Prometheus
    poor: Prometheus
    provider: OpenId
    plane: Plane


@dataclass(frozen=True)
class Plane:
    """A control plane, and a cluster that it knows by this secret."""

    port: int
    cluster: str
    secret: str = "cluster-secret"


@contextmanager
def control_plane(folder: Path, host: str) -> Iterator[Plane]:
    """It serves at that address until the end of the block."""
    found: Queue[Plane] = Queue()
    config = ServerConfig(database_url=f"sqlite+aiosqlite:///{folder}/fairlead.db", signing_key=b"k" * 32)
    context = create_context(config, time.time)
    (port,) = free_ports(1)
    server = uvicorn.Server(
        uvicorn.Config(create_app(context), host=host, port=port, log_config=None, ws="websockets-sansio")
    )

    async def serve() -> None:
        await context.database.migrate()
        made, _ = await clusters.create_cluster(context, administrator("test"), "here", secret=Plane.secret)
        found.put(Plane(port, made.id))
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="control-plane")
    thread.start()
    try:
        until(lambda: server.started, 60)
        yield found.get(timeout=60)
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.fixture(scope="module")
def services(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder, outside = tmp_path_factory.mktemp("services"), real_cluster.addresses.outside
    with ExitStack() as stack:
        try:
            exporter = program(*PROGRAMS[1])
            targets = [
                each for node in NODES for each in (stack.enter_context(exporting(real_cluster, node, exporter)),)
            ]
            new, old = (
                stack.enter_context(stand_in_for_kube_state_metrics(families)) for families in (VERSION_2, VERSION_1)
            )
            whole = scraping(*targets, f"127.0.0.1:{new}")
            poor = scraping(targets[0], f"127.0.0.1:{old}")
            takes = "--web.enable-remote-write-receiver"
            full = stack.enter_context(prometheus(folder / "whole", {}, takes, settings=whole, host=outside))
            part = stack.enter_context(prometheus(folder / "poor", {}, settings=poor, host=outside))
            until(lambda: scraped(full) == len(targets) + 1 and scraped(part) == 2)
            yield Services(
                full,
                part,
                stack.enter_context(openid(folder / "openid", f"{PLANE}/oidc/callback", host=outside)),
                stack.enter_context(control_plane(folder, outside)),
            )
        except Unavailable as reason:
            pytest.skip(str(reason))


@contextmanager
def exporting(cluster: Cluster, node: str, exporter: Path) -> Iterator[str]:
    """Where a node-exporter in the node answers."""
    where = f"{cluster.nodes[node].address}:9100"
    few = ["--collector.disable-defaults", "--collector.uname", "--collector.meminfo"]
    running = Service(cluster.nodes[node].machine, "node-exporter", [exporter, f"--web.listen-address={where}", *few])
    running.start()
    yield where
    running.kill()


def scraped(source: Prometheus) -> int:
    """Targets whose last scrape it has, and which answered."""
    with urllib.request.urlopen(f"{source.url}/api/v1/query?query=up", timeout=20) as answer:
        return sum(series["value"][1] == "1" for series in json.loads(answer.read())["data"]["result"])


def scraping(*targets: str) -> dict[str, Any]:
    """Settings of a Prometheus that scrapes these every other second."""
    jobs = [{"job_name": "all", "static_configs": [{"targets": list(targets)}]}]
    return {"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": jobs}


def config(services: Services, source: Prometheus, issuer: str = "", *, ca: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {
        **LOCAL,
        "prometheus": {"mode": "existing", "url": source.url},
        "remote_write": {"url": f"{source.url}/api/v1/write"},
        "oidc": {"issuer": issuer or services.provider.issuer, "client_id": CLIENT},
        "control_plane": {"url": PLANE},
    }
    return found | ({"ca_bundle": str(services.provider.ca)} if ca else {})


def said(report: dict[str, Any], *codes: str) -> dict[str, tuple[str, str | None]]:
    return {code: (check(report, code)["verdict"], check(report, code)["class"]) for code in codes}


def test_services_that_are_right_pass_from_pods(preflight: Preflight, services: Services) -> None:
    report = preflight.report(config(services, services.whole), *ALL)
    assert {code: verdict for code, (verdict, _) in said(report, *METRICS, *SIGN_IN).items()} == dict.fromkeys(
        (*METRICS, *SIGN_IN), "pass"
    ), report
    assert by_node(report, "node-exporter") == dict.fromkeys(NODES, "pass")
    assert by_node(report, "egress-sign-in") == dict.fromkeys(NODES, "pass")


@pytest.fixture
def namespace(preflight: Preflight, services: Services) -> Iterator[str]:
    """The product's, with the cluster's secret."""
    secret = f"--from-literal=secret={services.plane.secret}"
    preflight.kubectl("create", "namespace", "agent")
    preflight.kubectl("-n", "agent", "create", "secret", "generic", "agent", secret)
    yield "agent"
    preflight.kubectl("delete", "namespace", "agent", "--wait=false")


def test_what_is_old_missing_not_trusted_or_cut_is_told_each_by_its_name(
    preflight: Preflight, services: Services, namespace: str, real_cluster: Cluster
) -> None:
    """The agent's connection shows the cluster's secret, is let in, and is cut by a box on the way."""
    outside = real_cluster.addresses.outside
    with cutting(services.plane.port, 3, host=outside) as port:
        control = {"url": f"http://{outside}:{port}", "cluster": services.plane.cluster, "token_secret": "agent"}
        whole = config(services, services.poor, ca=False) | {"namespace": namespace, "control_plane": control}
        report = preflight.report(whole, *ALL[:1], f"{ALL[1]},control-plane,egress-control-plane")
    assert said(report, "control-plane")["control-plane"] == ("fail", "cut"), check(report, "control-plane")
    assert by_node(report, "egress-control-plane") == dict.fromkeys(NODES, "pass")
    assert "Holding the agent's connection" in report["progress"]
    assert said(report, *METRICS) == {
        "prometheus": ("pass", None),
        "node-exporter": ("warn", "absent"),
        "kube-state-metrics": ("warn", "old-names"),
        "remote-write": ("fail", "not-found"),
    }
    assert by_node(report, "node-exporter") == {"node-1": "pass", "node-2": "warn"}
    assert said(report, *SIGN_IN) == {"oidc-provider": ("unknown", "not-known"), "egress-sign-in": ("fail", "tls")}
    assert by_node(report, "egress-sign-in") == dict.fromkeys(NODES, "fail")
    assert "CN=test-ca" in check(report, "egress-sign-in")["seen"]


def test_a_provider_that_browsers_reach_and_pods_do_not_is_told_as_such(
    preflight: Preflight, services: Services, real_cluster: Cluster
) -> None:
    outside = real_cluster.addresses.outside
    for name in NODES:
        real_cluster.nodes[name].machine.run("ip", "route", "add", "unreachable", outside)
    try:
        report = preflight.report(config(services, services.whole), "--only", ",".join(SIGN_IN))
    finally:
        for name in NODES:
            real_cluster.nodes[name].machine.run("ip", "route", "del", "unreachable", outside)
    assert said(report, *SIGN_IN) == {"oidc-provider": ("fail", "pod-cannot"), "egress-sign-in": ("fail", "tcp")}


def test_an_issuer_that_differs_by_a_slash_is_told(preflight: Preflight, services: Services) -> None:
    wrong = config(services, services.whole, f"{services.provider.issuer}/")
    report = preflight.report(wrong, "--no-probe", "--only", "oidc-provider")
    assert said(report, "oidc-provider") == {"oidc-provider": ("fail", "issuer")}
    assert "the slash at the end counts" in check(report, "oidc-provider")["seen"]


__all__ = ["loaded", "preflight"]
