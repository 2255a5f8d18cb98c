"""A real Prometheus asked as the probe asks it, and judged: exporters there, missing, of another version; samples taken and refused.

kube-state-metrics is a stand-in that serves its families; node-exporter is real.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.parts.apiserver import free_ports
from tests.parts.build import Unavailable
from tests.parts.clocks import clock_off_by
from tests.parts.prometheus import Prometheus, node_exporter, prometheus

from fairlead.preflight.check import Finding, Verdict, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import Facts, facts_of
from fairlead.preflight.gather import asks, inside
from fairlead.preflight.gather.look import LOOKED, Orders, encoded
from fairlead.preflight.gather.reach import reach
from fairlead.preflight.gather.services import QUERIES, metrics_facts, prometheus_answers
from fairlead.preflight.report import Report, report_of, select

VERSION_2 = """
kube_pod_container_resource_requests{namespace="a",pod="p",container="c",resource="cpu",unit="core"} 1
kube_node_status_allocatable{node="here",resource="cpu",unit="core"} 4
kube_node_info{node="here"} 1
kube_state_metrics_build_info{version="v2.9.2"} 1
"""
VERSION_1 = """
kube_pod_container_resource_requests_cpu_cores{namespace="a",pod="p",container="c"} 1
kube_node_info{node="here"} 1
"""


@contextmanager
def stand_in_for_kube_state_metrics(families: str) -> Iterator[int]:
    """The port of an exporter that serves those."""

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(families.lstrip().encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    try:
        with node_exporter(tmp_path_factory.mktemp("exporter")) as port:
            yield port
    except Unavailable as reason:
        pytest.skip(str(reason))


@contextmanager
def scraping(folder: Path, *words: str, password_hash: str = "", **targets: int) -> Iterator[Prometheus]:
    try:
        with prometheus(folder / f"p{len(list(folder.iterdir()))}", targets, *words, password_hash=password_hash) as it:
            yield it
    except Unavailable as reason:
        pytest.skip(str(reason))


def configured(url: str, **more: Any) -> Config:
    return config_of({"prometheus": {"mode": "existing", "url": url}, **more})


async def asked(config: Config, nodes: list[dict[str, Any]], token: str = "") -> Facts:
    """The facts that one node's probe finds. `token`: for Prometheus."""
    requests = asks.service_requests(config, "", asks.Tokens(prometheus=token), "a1b2")
    seen = dict(zip(requests, await asyncio.gather(*(reach(each) for each in requests.values())), strict=True))
    found: dict[str, Any] = {"facts_version": 1, "nodes": nodes}
    if config.prometheus.url:
        answers = {key: seen[f"{asks.QUERY}{key}"] for key in QUERIES}
        of_it = prometheus_answers(answers["up"], seen.get(asks.NO_TOKEN))
        found |= {"prometheus": of_it, "metrics": metrics_facts(answers, nodes)}
    if asks.REMOTE_WRITE in seen:
        found["remote_write"] = asks.remote_write_facts(seen[asks.REMOTE_WRITE], None)
    return facts_of(found)


def verdicts(facts: Facts, config: Config) -> dict[str, str]:
    """Of the four checks of metrics, and of remote write."""
    codes = ["prometheus", "node-exporter", "kube-state-metrics", "remote-write"]
    report: Report = report_of(facts, config, select(codes, []), {})
    assert all(code in BY_CODE for code in codes)
    return {each.check.code: str(each.finding.verdict) for each in report.results}


async def settled(config: Config, nodes: list[dict[str, Any]], code: str, wanted: str) -> dict[str, str]:
    """The verdicts, once that one is as expected: the first scrapes take a moment."""
    end = time.monotonic() + 120
    while True:
        found = verdicts(await asked(config, nodes), config)
        if found[code] == wanted or time.monotonic() > end:
            return found
        await asyncio.sleep(0.5)


HERE = {"name": socket.gethostname(), "ready": True, "os": "linux", "addresses": ["127.0.0.1"]}
ELSEWHERE = {"name": "elsewhere", "ready": True, "os": "linux", "addresses": ["192.0.2.7"]}


async def test_exporters_that_deliver_pass_and_a_node_without_is_named(exporter: int, tmp_path: Path) -> None:
    with (
        stand_in_for_kube_state_metrics(VERSION_2) as states,
        scraping(tmp_path, node=exporter, states=states) as found,
    ):
        config = configured(found.url)
        await settled(config, [HERE], "node-exporter", "pass")
        good = await settled(config, [HERE], "kube-state-metrics", "pass")
        assert (good["prometheus"], good["node-exporter"], good["kube-state-metrics"]) == ("pass", "pass", "pass")
        some = await settled(config, [HERE, ELSEWHERE], "node-exporter", "warn")
        assert some["node-exporter"] == "warn"


async def test_names_of_before_version_2_are_known_and_said(exporter: int, tmp_path: Path) -> None:
    with (
        stand_in_for_kube_state_metrics(VERSION_1) as states,
        scraping(tmp_path, node=exporter, states=states) as found,
    ):
        old = await settled(configured(found.url), [HERE], "kube-state-metrics", "warn")
    assert old["kube-state-metrics"] == "warn"


async def test_a_prometheus_without_exporters_fails_and_one_that_is_away_is_no_answer(tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    with scraping(tmp_path, nothing=nobody) as bare:
        none = await settled(configured(bare.url), [HERE], "prometheus", "pass")
    assert (none["prometheus"], none["node-exporter"], none["kube-state-metrics"]) == ("pass", "fail", "fail")
    away = verdicts(await asked(configured(f"http://127.0.0.1:{nobody}"), [HERE]), configured("http://x"))
    assert (away["prometheus"], away["node-exporter"]) == ("fail", "unknown")


async def test_an_installed_product_asks_it_as_well_unless_that_takes_a_token(exporter: int, tmp_path: Path) -> None:
    codes = ("prometheus", "node-exporter", "kube-state-metrics")

    async def told(config: Config) -> dict[str, str]:
        document = {"facts_version": 1, "run": {"after_install": True}, "nodes": [HERE]}
        return verdicts(facts_of({**document, **await inside.facts(config, [HERE], time.time())}), config)

    with scraping(tmp_path, node=exporter) as found:
        await settled(configured(found.url), [HERE], "node-exporter", "pass")
        seen = await told(configured(found.url))
        assert [seen[code] for code in codes] == ["pass", "pass", "fail"]
        with_token = await told(config_of({"prometheus": {"mode": "existing", "url": found.url, "token_secret": "t"}}))
        assert [with_token[code] for code in codes] == ["unknown"] * 3


class _Guard(BaseHTTPRequestHandler):
    """A stand-in for who signs people in before a Prometheus: it knows two tokens, one of which may not query."""

    behind = ""

    def do_GET(self) -> None:
        """Pass it on to who may."""
        status = {"Bearer reads": 200, "Bearer knows-us": 403}.get(self.headers.get("authorization", ""), 401)
        body = b""
        if status == 200:
            with urlopen(f"{self.behind}{self.path}", timeout=20) as answer:
                body = answer.read()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


async def test_a_token_is_good_refused_or_may_not_query(exporter: int, tmp_path: Path) -> None:
    with (
        scraping(tmp_path, node=exporter) as found,
        ThreadingHTTPServer(("127.0.0.1", 0), type("Guard", (_Guard,), {"behind": found.url})) as guard,
    ):
        threading.Thread(target=guard.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        await settled(configured(found.url), [HERE], "prometheus", "pass")
        theirs = {"mode": "existing", "url": f"http://127.0.0.1:{guard.server_port}", "token_secret": "t"}
        config = config_of({"prometheus": theirs})
        for token, verdict, cause in (
            ("reads", Verdict.PASS, ""),
            ("another", Verdict.FAIL, "token"),
            ("knows-us", Verdict.FAIL, "role"),
            ("", Verdict.FAIL, "token"),
        ):
            facts = await asked(config, [HERE], token)
            said = judged(BY_CODE["prometheus"], facts, config)
            assert (said.verdict, said.cause) == (verdict, cause), (token, said)
        guard.shutdown()
    whole = await asked(config, [HERE], "reads")
    assert judged(BY_CODE["prometheus"], whole, config).cause == "unreachable", "it is gone"


async def test_one_sample_is_written_refused_or_finds_nobody(tmp_path: Path) -> None:
    """A receiver, one that is not switched on, one that wants a password, and none at all."""
    hashed = "$2b$04$WYb1i8pGJ7Wj5xq0hLrUd.4yeRzBZqzSgJQ9DC3Yd6Z8p8lq7nJpe"
    (nobody,) = free_ports(1)
    with (
        scraping(tmp_path, "--web.enable-remote-write-receiver") as takes,
        scraping(tmp_path) as off,
        scraping(tmp_path, password_hash=hashed) as shut,
    ):
        for url, verdict, status in (
            (takes.url, "pass", 204),
            (off.url, "fail", 404),
            (shut.url, "fail", 401),
            (f"http://127.0.0.1:{nobody}", "unknown", None),
        ):
            config = config_of({"remote_write": {"url": f"{url}/api/v1/write"}})
            facts = await asked(config, [HERE])
            assert (verdicts(facts, config)["remote-write"], facts.maybe_number("remote_write", "post_one_sample")) == (
                verdict,
                status,
            ), url
        assert judged(BY_CODE["egress-metrics"], facts, config).verdict is Verdict.FAIL, "the way is the finding"
        query = await reach(asks.request(f"{takes.url}/api/v1/query?query=fairlead_preflight", config, ""))
        assert b'"run":"a1b2"' in query.body, "it is there"


async def test_a_sender_whose_clock_is_off_is_refused_or_not_found(exporter: int, tmp_path: Path) -> None:
    """The probe is real and stamps its own sample; a receiver that scrapes knows what time it is."""
    with scraping(tmp_path, "--web.enable-remote-write-receiver", node=exporter) as found:
        config = config_of({"remote_write": {"url": f"{found.url}/api/v1/write"}})
        await settled(configured(found.url), [HERE], "node-exporter", "pass")
        right, late, ahead = (sent(config, shift) for shift in ("+0", "-90m", "+15m"))
    assert (right.verdict, right.cause) == ("pass", "")
    assert (late.verdict, late.cause, late.seen) == ("fail", "clock", "400: out of bounds")
    assert "clock-skew" in late.remedy
    assert (ahead.verdict, ahead.cause) in (("warn", "dropped"), ("fail", "clock")), (
        "older ones take it, newer refuse it"
    )
    assert "clock-skew" in ahead.remedy


def off_by(shift: str) -> dict[str, str]:
    """Environment of a process whose clock is off."""
    try:
        return clock_off_by(shift)
    except Unavailable as reason:
        pytest.skip(str(reason))


def sent(config: Config, shift: str) -> Finding:
    """What remote-write says of what a probe saw whose clock is off by that."""
    token = asks.Tokens()
    run = f"clock{shift}"
    orders = Orders(
        requests=asks.service_requests(config, "", token, run),
        read_back=asks.read_back_requests(config, "", token, run),
    )
    body = encoded(orders)
    words = [sys.executable, "-m", "fairlead.cli.main", "probe", "look"]
    done = subprocess.run(
        words, input=b"%d\n" % len(body) + body, env=os.environ | off_by(shift), stdout=-1, timeout=120
    )
    looked = LOOKED.decode(done.stdout.splitlines()[-1])
    wrote = asks.remote_write_facts(looked.requests[asks.REMOTE_WRITE], looked.read_back.get(asks.REMOTE_WRITE))
    facts = facts_of({"facts_version": 1, "nodes": [HERE], "remote_write": wrote})
    return report_of(facts, config, select(["remote-write"], []), {}).results[0].finding
