"""A page in the place of an answer, with status 200, as proxies and portals give: no check takes it for what was asked for."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.parts import certificates

from fairlead.preflight.check import Finding, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import asks, here
from fairlead.preflight.gather.look import Orders, look
from fairlead.preflight.gather.registry import asked, wanted_of
from fairlead.preflight.gather.services import QUERIES, prometheus_answers
from fairlead.preflight.gather.stream import Stream, hold

PAGE = b"<!DOCTYPE html><html><body><h1>Access denied</h1>Ask the help desk.</body></html>"
HERE = "127.0.0.2"
"""A registry at localhost would be asked without TLS."""
WAYS = ("product-images", "third-party-images", "metrics", "control-plane", "sign-in")


@contextmanager
def portal(folder: Path) -> Iterator[tuple[int, str]]:
    """(port, authority) of a server that answers everything with the page, over TLS."""
    certificates.write(folder, {"server": certificates.Leaf("portal", addresses=(HERE,))})
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer((HERE, 0), Answers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_port, (folder / "ca.crt").read_text()
        server.shutdown()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(address, authority)"""
    with portal(tmp_path) as (port, ca):
        yield f"{HERE}:{port}", ca


def configured(host: str) -> Config:
    return config_of(
        {
            "registry": {"host": host},
            "egress": {"charts": host, "third_party": [host]},
            "control_plane": {"url": f"https://{host}"},
            "oidc": {"issuer": f"https://{host}"},
            "prometheus": {"mode": "existing", "url": f"https://{host}"},
            "remote_write": {"url": f"https://{host}/api/v1/write"},
        }
    )


async def gathered(config: Config, ca: str) -> dict[str, Any]:
    """What this machine and a probe see of all ways."""
    found: dict[str, Any] = {"facts_version": 1, "nodes": [{"name": "n1", "ready": True, "os": "linux"}]}
    found |= await here.facts(config, ca)
    wanted = asks.egress_requests(config, ca)
    requests = wanted | asks.service_requests(config, ca, asks.Tokens(), "a1")
    seen = (await look(Orders(requests=requests))).requests
    for key in wanted:
        name = key.removeprefix(asks.EGRESS)
        found["egress"].setdefault(name, {})["nodes"] = {"n1": asks.egress_facts(name, seen[key], config, time.time())}
    answers = {key: seen[f"{asks.QUERY}{key}"] for key in QUERIES}
    found["prometheus"] = prometheus_answers(answers["up"], None)
    found["remote_write"] = asks.remote_write_facts(seen[asks.REMOTE_WRITE], None)
    return found


async def test_no_way_out_and_no_service_is_proven_by_a_page(page: tuple[str, str]) -> None:
    host, ca = page
    config = configured(host)
    facts = facts_of(await gathered(config, ca))

    def said(code: str) -> Finding:
        return judged(BY_CODE[code], facts, config)

    for way in ("charts", *WAYS):
        found = said(f"egress-{way}")
        assert (str(found.verdict), found.cause) == ("fail", "block-page"), (way, found)
    for code, cause in (("remote-write", "block-page"), ("prometheus", "unreachable")):
        assert (str(said(code).verdict), said(code).cause) == ("fail", cause), said(code)
    behind = said("oidc-provider")
    assert (str(behind.verdict), "waits for egress-sign-in" in behind.seen) == ("unknown", True), (
        "the way is the finding"
    )


async def test_neither_the_agent_s_connection_nor_a_registry_is_there_behind_a_page(page: tuple[str, str]) -> None:
    host, ca = page
    held = await hold(Stream(url=f"https://{host}", cluster="c", ca=ca, seconds=2))
    assert asks.stream_facts(held, None)["stream_open"] == "failed"
    assert "status 200 instead of an upgrade" in held.error
    registry = await asked(wanted_of(f"{host}/fairlead:1", b"", ca=ca, scheme="https", proxy=None))
    assert registry.get("blob", {}).get("follow") != "ok", registry


def test_a_page_in_the_place_of_the_cluster_s_api_is_no_cluster(page: tuple[str, str], tmp_path: Path) -> None:
    host, _ = page
    cluster = {"server": f"https://{host}", "certificate-authority": str(tmp_path / "ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    words = ["--kubeconfig", str(tmp_path / "kubeconfig"), "--no-probe", "-o", "json", "--only", "cluster-connectivity"]
    command = [sys.executable, "-m", "fairlead.cli.main", "preflight", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 5, done.stderr
    (found,) = json.loads(done.stdout)["checks"]
    assert (found["verdict"], found["class"]) == ("fail", "block-page"), found
    assert "Access denied" in found["seen"]
