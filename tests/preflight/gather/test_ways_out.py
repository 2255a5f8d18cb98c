"""The ways out as they are asked: every host of a row, its network part alone, and where it led to with its port."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.parts.apiserver import free_ports

from fairlead.preflight.check import Finding, Who, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import Config, config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import asks, here
from fairlead.preflight.gather.look import Orders, look
from fairlead.preflight.gather.reach import Seen
from fairlead.preflight.gather.registry import asked, wanted_of
from fairlead.preflight.gather.services import oidc_facts


@pytest.fixture
def registry() -> Iterator[str]:
    """HOST:PORT of one that asks for a sign-in, and only for it."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/v2/": 401, "/v2/copies/fairlead/manifests/1": 200}.get(self.path, 404))
            self.send_header("docker-distribution-api-version", "registry/2.0")
            self.send_header("location", "https://cdn.example:8443/v2/")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("localhost", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


def urls(document: dict[str, Any]) -> dict[str, str]:
    return {key: ask.url for key, ask in asks.egress_requests(config_of(document), "").items()}


async def third_party(config: Config) -> tuple[Finding, dict[str, Any]]:
    """What is found of a probe's answers, and the facts."""
    wanted = {key: ask for key, ask in asks.egress_requests(config, "").items() if "third-party" in key}
    seen = (await look(Orders(requests=wanted))).requests
    (answers,) = asks.by_way(seen).values()
    way: dict[str, Any] = {"nodes": {"n1": asks.way_facts("third-party-images", answers, config, time.time())}}
    way["hosts_seen"] = sorted(asks.hosts_led_to(answers.values()))
    facts = facts_of({"nodes": [{"name": "n1", "ready": True}], "egress": {"third-party-images": way}})
    return judged(BY_CODE["egress-third-party-images"], facts, config), way


async def test_every_host_of_a_row_is_asked_and_the_worst_is_told_by_name(registry: str) -> None:
    (nobody,) = free_ports(1)
    for hosts in ([registry, f"localhost:{nobody}"], [f"localhost:{nobody}", registry]):
        found, way = await third_party(config_of({"egress": {"third_party": hosts}}))
        assert (str(found.verdict), found.cause) == ("fail", "tcp"), found
        assert f"localhost:{nobody}" in found.seen
        assert registry not in found.seen + found.remedy
        assert way["hosts_seen"] == ["cdn.example:8443"]
    seen_here = await here.facts(config_of({"egress": {"third_party": [f"localhost:{nobody}", registry]}}), "")
    assert seen_here["egress"]["third-party-images"] == {
        "from_workstation": "refused",
        "hosts_seen": ["cdn.example:8443"],
    }


NO_PROMETHEUS = {"prometheus": {"mode": "none"}}
"""Its image would be asked for at its makers' registry."""


async def test_a_path_in_front_of_names_of_images_is_not_asked_for(registry: str) -> None:
    found, _ = await third_party(config_of({**NO_PROMETHEUS, "egress": {"third_party": [f"{registry}/team"]}}))
    assert str(found.verdict) == "pass"


def test_a_path_is_no_part_of_the_network() -> None:
    document = {"registry": {"host": "gcr.io/run-ai-prod"}, "egress": {"third_party": ["quay.io/team", "docker.io"]}}
    found = urls(document)
    assert found["egress:product-images"] == "https://gcr.io/v2/"
    assert found["egress:third-party-images"] == "https://quay.io/v2/"
    assert found["egress:third-party-images@registry-1.docker.io"] == "https://registry-1.docker.io/v2/"
    assert asks.names_of(config_of(document))[1:4] == ("gcr.io", "quay.io", "registry-1.docker.io")
    assert asks.registry_url(config_of(document)) == "https://gcr.io/v2/"


def test_a_chart_is_asked_for_where_it_will_be_had() -> None:
    def url(charts: str) -> str:
        return urls({"egress": {"charts": charts}})["egress:charts"]

    assert url("charts.example/stable") == "https://charts.example/stable/index.yaml"
    assert url("oci://ghcr.example:5000/team/fairlead") == "https://ghcr.example:5000/v2/"
    assert url("https://charts.example/fairlead-1.tgz") == "https://charts.example/fairlead-1.tgz"
    archive = config_of({"egress": {"charts": "https://charts.example/fairlead-1.tgz"}})
    assert asks.class_here("charts", [Seen(status=200, body=b"\x1f\x8b\x08")], archive) == "ok"


def test_a_mirror_is_asked_in_place_of_what_it_copies() -> None:
    found = urls({"registry": {"mirrors": ["mirror.example/copies"]}, "egress": {"third_party": ["quay.io", "gcr.io"]}})
    images = {key: url for key, url in found.items() if "images" in key}
    assert images == dict.fromkeys(("egress:product-images", "egress:third-party-images"), "https://mirror.example/v2/")


def test_images_of_docker_hub_are_asked_for_where_they_are() -> None:
    secret = b'{"auths": {"https://index.docker.io/v1/": {"auth": "QQ=="}}}'
    found = wanted_of("docker.io/busybox:1", secret)
    assert (found.host, found.repository) == ("registry-1.docker.io", "library/busybox")
    assert found.authorization == "Basic QQ=="
    assert wanted_of("docker.io/team/fairlead:1", b"").repository == "team/fairlead"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://cdn.example/x", {"cdn.example"}),
        ("https://cdn.example:8443/x", {"cdn.example:8443"}),
        ("https://[fd00::1]:8443/x", {"[fd00::1]:8443"}),
        ("http://cdn.example/x", {"cdn.example:80"}),
        ("/elsewhere", set()),
        ("https://[broken", set()),
    ],
)
def test_where_an_answer_leads_to_is_known_with_its_port(location: str, host: set[str]) -> None:
    assert asks.hosts_led_to([Seen(headers={"location": location})]) == host


async def test_a_registry_that_alone_is_reached_is_asked_for_every_image(registry: str) -> None:
    ours, theirs = f"{registry}/copies/fairlead:1", f"{registry}/copies/prometheus:v2"
    found = await asked(wanted_of(ours, b"", scheme="http", copies=(ours, theirs)))
    told = {key: value for key, value in found.items() if key.startswith("mirror_")}
    assert told == {"mirror_has_probe_image": True, "mirror_has_product_images": False, "mirror_missing": [theirs]}
    whole = await asked(wanted_of(ours, b"", scheme="http", copies=(ours,)))
    assert (whole["mirror_has_product_images"], "mirror_missing" in whole) == (True, False)
    neither = await asked(wanted_of(theirs, b"", scheme="http", copies=(theirs,)))
    assert (neither["mirror_has_probe_image"], neither["mirror_missing"]) == (False, [theirs])
    assert not any(key.startswith("mirror_") for key in await asked(wanted_of(ours, b"", scheme="http")))


def test_keys_of_a_provider_are_known_with_their_port() -> None:
    document = Seen(status=200, body=b'{"jwks_uri": "https://keys.example:8443/jwks"}')
    assert oidc_facts(document, None)["jwks_host"] == "keys.example:8443"
    refused = facts_of({"oidc": {"discovery_status": 200, "issuer_in_document": "https://i", "jwks_status": 403}})
    found = judged(BY_CODE["oidc-provider"], refused, config_of({"oidc": {"issuer": "https://i"}}))
    assert (found.who, found.remedy.startswith("Look at the log of")) == (Who.YOU, True)
