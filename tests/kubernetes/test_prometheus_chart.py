"""The chart's three ways to have metrics collected, and the configurations it makes in a real Prometheus."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ruamel.yaml import YAML
from tests.kubernetes.processes import until
from tests.kubernetes.test_chart import CHART, NEWEST, Helm, program  # noqa: F401  # a fixture
from tests.metrics.test_rules import RULES, promtool
from tests.parts.apiserver import free_ports
from tests.parts.build import Unavailable
from tests.parts.helm import helm
from tests.parts.nameserver import asking, nameserver
from tests.parts.prometheus import prometheus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KINDS = ("--api-versions", "monitoring.coreos.com/v1")
WRITES = (
    "remoteWrite.url=https://metrics.example.com/api/v1/write,remoteWrite.existingSecret=sending,"
    "remoteWrite.headers.X-Scope-OrgID=lab,remoteWrite.proxyUrl=http://p:3128,agent.url=https://x,agent.cluster=c7,agent.secret=s"
)


def values(*words: str) -> list[str]:
    """As Helm takes them."""
    return [part for word in words for part in ("--set", word)]


def named(objects: list[dict[str, Any]], kind: str, name: str = "fairlead-prometheus") -> dict[str, Any]:
    (found,) = (o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


def configuration(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(named(objects, "ConfigMap")["data"]["prometheus.yml"]))


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("bundled", {"StatefulSet", "NetworkPolicy", "Service"}),
        ("existing", {"ConfigMap"}),
        ("operator", {"ServiceMonitor", "PrometheusRule", "Service"}),
    ],
)
def test_each_way_brings_what_it_needs_and_nothing_of_the_others(program: Helm, mode: str, kinds: set[str]) -> None:  # noqa: F811
    without = {_of(o) for o in program.objects(*values("prometheus.enabled=false"))}
    brought = [o for o in program.objects(*KINDS, *values(f"prometheus.mode={mode}")) if _of(o) not in without]
    found = {o["kind"] for o in brought}
    assert kinds <= found
    others = {"StatefulSet", "NetworkPolicy", "Service", "ServiceMonitor", "PrometheusRule", "Role"} - kinds
    assert not found & others


def _of(o: dict[str, Any]) -> tuple[str, str, str]:
    return o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]


def test_the_rules_are_those_of_the_repository_in_every_way(program: Helm) -> None:  # noqa: F811
    wanted = YAML(typ="safe").load(RULES.read_text())
    bundled = named(program.objects(), "ConfigMap")
    existing = named(program.objects(*values("prometheus.mode=existing")), "ConfigMap", "fairlead-prometheus-scrape")
    operator = named(program.objects(*KINDS, *values("prometheus.mode=operator")), "PrometheusRule", "fairlead")
    read = YAML(typ="safe").load
    assert read(bundled["data"]["rules.yaml"]) == read(existing["data"]["rules.yaml"]) == operator["spec"] == wanted


def test_what_is_sent_elsewhere_goes_with_its_secret_its_headers_and_through_the_proxy(
    program: Helm,  # noqa: F811
    tmp_path: Path,
) -> None:
    objects = program.objects(*values(WRITES))
    found = configuration(objects)
    assert found["global"]["external_labels"] == {"cluster": "c7"}
    (write,) = found["remote_write"]
    assert (write["url"], write["proxy_url"]) == ("https://metrics.example.com/api/v1/write", "http://p:3128")
    assert write["headers"] == {"X-Scope-OrgID": "lab"}
    assert write["authorization"] == {"credentials_file": "/etc/prometheus/remote-write/token"}
    (volume,) = (
        v for v in named(objects, "StatefulSet")["spec"]["template"]["spec"]["volumes"] if v["name"] == "configuration"
    )
    secret = volume["projected"]["sources"][1]["secret"]
    assert (secret["name"], secret["items"]) == ("sending", [{"key": "token", "path": "remote-write/token"}])
    file = tmp_path / "prometheus.yml"
    file.write_text(named(objects, "ConfigMap")["data"]["prometheus.yml"])
    promtool("check", "config", "--syntax-only", str(file))


def test_a_password_goes_with_its_name(program: Helm) -> None:  # noqa: F811
    (write,) = configuration(program.objects(*values(WRITES, "remoteWrite.username=ann")))["remote_write"]
    assert write["basic_auth"] == {"username": "ann", "password_file": "/etc/prometheus/remote-write/password"}
    assert "authorization" not in write


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("prometheus.mode=existing,remoteWrite.url=https://x.example.com/w", "prometheus.mode bundled"),
        ("prometheus.mode=grafana", "mode"),
        ("remoteWrite.url=metrics.example.com", "url"),
        ("prometheus.retention=long", "retention"),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_is(program: Helm, words: str, told: str) -> None:  # noqa: F811
    done = program.run("template", "fairlead", str(CHART), *NEWEST, *values(words))
    assert (done.returncode != 0, told in done.stderr) == (True, True), done.stderr


def test_its_pod_may_ask_the_api_server_nothing_and_has_no_token(program: Helm) -> None:  # noqa: F811
    objects = [o for o in program.objects() if o["metadata"]["name"] == "fairlead-prometheus"]
    assert not [o for o in objects if "rules" in o or "subjects" in o]
    assert named(objects, "ServiceAccount")["automountServiceAccountToken"] is False


def test_services_lead_to_every_pod_that_serves_metrics(program: Helm) -> None:  # noqa: F811
    objects = program.objects()
    services = [o for o in objects if o["kind"] == "Service" and o["metadata"]["name"] == "fairlead-metrics"]
    assert {o["metadata"]["namespace"] for o in services} == {"fairlead", "fairlead-node"}
    assert all(o["spec"]["clusterIP"] == "None" and o["spec"]["publishNotReadyAddresses"] for o in services)
    serving = [o for o in objects if o["kind"] in ("Deployment", "DaemonSet")]
    assert len(serving) == 4
    for each in serving:
        template = each["spec"]["template"]
        assert services[0]["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        (container,) = template["spec"]["containers"]
        assert {"name": "health", "containerPort": 9090} in container["ports"]


def test_its_samples_are_on_a_volume_of_its_own_unless_told_otherwise(program: Helm) -> None:  # noqa: F811
    (claim,) = named(program.objects(), "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "20Gi"}
    without = named(program.objects(*values("prometheus.storage.enabled=false")), "StatefulSet")["spec"]
    assert "volumeClaimTemplates" not in without
    assert {"name": "data", "emptyDir": {"sizeLimit": "20Gi"}} in without["template"]["spec"]["volumes"]


def test_dashboards_are_there_for_grafanas_sidecar_where_they_are_asked_for(program: Helm) -> None:  # noqa: F811
    objects = program.objects(*values("prometheus.dashboards.enabled=true,prometheus.dashboards.namespace=grafana"))
    found = [o for o in objects if o["metadata"]["name"].startswith("fairlead-dashboard-")]
    titles = {json.loads(text)["title"] for o in found for text in o["data"].values()}
    assert titles == {"Fairlead: cluster", "Fairlead: project", "Fairlead: nodes"}
    assert all(o["metadata"]["namespace"] == "grafana" for o in found)
    assert all(o["metadata"]["labels"]["grafana_dashboard"] == "1" for o in found)


# both configurations, in a real Prometheus


@contextmanager
def a_pod(address: str, port: int, role: str) -> Iterator[None]:
    """Serves what a pod of that role does, as far as it matters here."""

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(f'fairlead_build_info{{role="{role}"}} 1\nprocess_open_fds 7\n'.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer((address, port), Exporter) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield
        server.shutdown()


def asked(url: str, query: str) -> list[dict[str, str]]:
    with urllib.request.urlopen(f"{url}/api/v1/query?query={quote(query)}", timeout=20) as answer:
        return [series["metric"] for series in json.loads(answer.read())["data"]["result"]]


def test_the_bundled_one_finds_pods_by_name_and_sends_on_what_is_ours(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    names = {"fairlead-metrics.fairlead.svc.cluster.local": "127.0.0.2"}
    names |= {"fairlead-metrics.fairlead-node.svc.cluster.local": "127.0.0.3"}
    try:
        with contextlib.ExitStack() as stack:
            receiver = stack.enter_context(prometheus(tmp_path / "receiver", {}, "--web.enable-remote-write-receiver"))
            words = f"remoteWrite.url={receiver.url}/api/v1/write,agent.url=https://x,agent.cluster=c7,agent.secret=s"
            found = configuration(Helm(helm(3), tmp_path).objects(*values(words, "prometheus.scrapeInterval=1s")))
            (discovery,) = found["scrape_configs"][0]["dns_sd_configs"]
            assert discovery.pop("port") == 9090
            discovery["port"] = port  # another may be in use on this machine
            found["rule_files"] = [str(RULES)]
            for address, role in (("127.0.0.2", "scheduler"), ("127.0.0.3", "node")):
                stack.enter_context(a_pod(address, port, role))
            address = stack.enter_context(nameserver(names))
            within = asking(address, tmp_path, "fairlead.svc.cluster.local", "svc.cluster.local", "cluster.local")
            sender = stack.enter_context(prometheus(tmp_path / "sender", {}, settings=found, within=within))
            until(lambda: {s["role"] for s in asked(sender.url, "fairlead_build_info")} == {"scheduler", "node"}, 90)
            until(lambda: len(asked(receiver.url, "fairlead_build_info")) == 2, 90)
            assert asked(sender.url, "process_open_fds")
            assert {s["cluster"] for s in asked(receiver.url, '{__name__=~".+"}')} == {"c7"}
            assert not asked(receiver.url, "process_open_fds")
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_what_an_existing_one_is_told_keeps_our_pods_of_those_it_sees(tmp_path: Path) -> None:
    """Debian's cannot ask an API server: what it would have been told of pods is given to it instead."""
    kept, other, ended, port = free_ports(4)
    try:
        objects = Helm(helm(3), tmp_path).objects(*values("prometheus.mode=existing"))
        (job,) = YAML(typ="safe").load(named(objects, "ConfigMap", "fairlead-prometheus-scrape")["data"]["scrape.yaml"])
        (discovery,) = job.pop("kubernetes_sd_configs")
        assert discovery == {"role": "pod", "namespaces": {"names": ["fairlead", "fairlead-node"]}}
        (scheduler,) = (
            o for o in objects if o["metadata"]["name"] == "fairlead-scheduler" and o["kind"] == "Deployment"
        )
        mine = scheduler["spec"]["template"]
        job["static_configs"] = [
            _seen(mine, kept, "health"),
            _seen(mine, port, "explain"),
            _seen(mine, ended, "health", phase="Succeeded"),
            _seen({"metadata": {"labels": {}, "annotations": {}}}, other, "health"),
        ]
        with prometheus(tmp_path / "p", {}, settings={"scrape_configs": [job]}) as running:
            until(lambda: asked(running.url, "up"), 90)
            (series,) = asked(running.url, "up")
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert series["instance"] == f"127.0.0.1:{kept}"
    assert (series["namespace"], series["pod"]) == ("fairlead", "a-pod")


def _seen(template: dict[str, Any], port: int, port_name: str, phase: str = "Running") -> dict[str, Any]:
    """A port of such a pod, as Prometheus learns it from the API server."""
    found = {"namespace": "fairlead", "pod_name": "a-pod", "pod_phase": phase, "pod_container_port_name": port_name}
    for sort, noted in (("label", "labels"), ("annotation", "annotations")):
        found |= {
            f"pod_{sort}_{re.sub('[^a-zA-Z0-9_]', '_', key)}": value
            for key, value in template["metadata"][noted].items()
        }
    return {
        "targets": [f"127.0.0.1:{port}"],
        "labels": {f"__meta_kubernetes_{key}": value for key, value in found.items()},
    }
