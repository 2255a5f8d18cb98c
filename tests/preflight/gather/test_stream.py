"""The agent's connection as a probe holds it: the real control plane over TLS, real proxies, and a box that cuts what stays open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.cluster.agent.test_agent_way_out import SECRET, Plane, plane
from tests.parts.apiserver import free_ports
from tests.parts.proxies import cutting, squid, tinyproxy

from fairlead.preflight.check import Finding, judged
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.config import config_of
from fairlead.preflight.facts import facts_of
from fairlead.preflight.gather import asks
from fairlead.preflight.gather.asks import Tokens
from fairlead.preflight.gather.reach import reach
from fairlead.preflight.gather.stream import Held, Stream, hold

LONG = 70.0
"""What a connection that stays open is held for. Units: seconds."""


def configured(plane: Plane, **proxy: str) -> dict[str, Any]:
    control = {"url": f"https://localhost:{plane.port}", "cluster": plane.cluster, "token_secret": "agent"}
    return {"control_plane": control, "proxy": proxy, "egress": {"third_party": []}}


def ordered(plane: Plane, document: dict[str, Any], secret: str = SECRET, ca: Path | None = None) -> Stream:
    """What the probe is told to hold, for a shorter time and with more echoes."""
    found = asks.stream_request(config_of(document), (ca or plane.ca).read_text(), Tokens(control_plane=secret))
    assert found is not None
    return replace(found, seconds=2.0, every=0.3, patience=5.0)


async def verdict(held: Held, plane: Plane, document: dict[str, Any]) -> Finding:
    """What `control-plane` says of it. The health document is asked for as the probe does."""
    health = await reach(asks.request(f"https://localhost:{plane.port}/healthz", config_of({}), plane.ca.read_text()))
    told = asks.stream_facts(held, health) | asks.health_facts(health)
    facts = facts_of({"facts_version": 1, "nodes": [], "control_plane": told})
    return judged(BY_CODE["control-plane"], facts, config_of(document))


async def test_what_stays_open_passes_and_disturbs_nobody(plane: Plane, tmp_path: Path) -> None:
    with tinyproxy(tmp_path, [plane.port]) as port:
        for document in (configured(plane), configured(plane, https=f"http://127.0.0.1:{port}")):
            held = await hold(ordered(plane, document))
            assert (held.is_open, held.code, held.error) == (True, None, "")
            assert held.seconds >= 2
            found = await verdict(replace(held, seconds=LONG), plane, document)
            assert (str(found.verdict), found.cause) == ("pass", "")
    assert f"CONNECT localhost:{plane.port}" in (tmp_path / "tinyproxy.log").read_text()


async def test_a_secret_that_is_wrong_is_told_and_one_that_is_missing_leaves_it_unknown(plane: Plane) -> None:
    document = configured(plane)
    wrong = await verdict(await hold(ordered(plane, document, "not-the-secret")), plane, document)
    assert (str(wrong.verdict), wrong.cause) == ("fail", "token")
    none = await verdict(await hold(ordered(plane, document, "")), plane, document)
    assert str(none.verdict) == "unknown"
    assert "token_secret" in none.seen


async def test_a_proxy_that_lets_pages_through_and_no_upgrade_is_found(plane: Plane, tmp_path: Path) -> None:
    with squid(tmp_path, plane.ca, upgrades=False) as (port, authority):
        document = configured(plane, https=f"http://127.0.0.1:{port}")
        ca = authority.read_text()
        page = await reach(asks.request(f"https://localhost:{plane.port}/healthz", config_of(document), ca))
        held = await hold(ordered(plane, document, ca=authority))
        refused = await hold(ordered(plane, document, "not-the-secret", ca=authority))
    assert page.status == 200
    found = await verdict(held, plane, document)
    assert (str(found.verdict), found.cause) == ("warn", "polling")
    assert "instead of an upgrade" in found.seen
    assert f"WebSockets (Upgrade) to localhost:{plane.port} at the proxy http://127.0.0.1:{port}" in found.remedy
    found = await verdict(refused, plane, document)
    assert (str(found.verdict), found.cause) == ("fail", "token")


async def test_where_requests_do_not_get_through_either_it_fails(plane: Plane, tmp_path: Path) -> None:
    with cutting(plane.port, 1.0) as port, squid(tmp_path, plane.ca, upgrades=False) as (proxy, authority):
        document = configured(Plane(port, plane.cluster, plane.ca), https=f"http://127.0.0.1:{proxy}")
        held = await hold(ordered(Plane(port, plane.cluster, plane.ca), document, ca=authority))
    assert (held.is_open, held.transport) == (False, "websocket")
    found = await verdict(held, plane, document)
    assert (str(found.verdict), found.cause) == ("fail", "stream")
    assert "instead of an upgrade" in found.seen


async def test_a_box_that_cuts_or_forgets_what_stays_open_is_found(plane: Plane) -> None:
    for silently, said in ((False, "cut after"), (True, "no echo within 5 s")):
        with cutting(plane.port, 1.0, silently=silently) as port:
            document = configured(Plane(port, plane.cluster, plane.ca))
            found = await verdict(await hold(replace(ordered(plane, document), seconds=LONG)), plane, document)
        assert (str(found.verdict), found.cause) == ("fail", "cut"), found
        assert said in found.seen
        assert "without an idle time-out" in found.remedy


async def test_nobody_there_and_an_authority_that_is_not_known_do_not_open(plane: Plane, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    gone = Plane(nobody, plane.cluster, plane.ca)
    away = await hold(ordered(gone, configured(gone)))
    untrusted = await hold(replace(ordered(plane, configured(plane)), ca=""))
    assert (away.is_open, untrusted.is_open) == (False, False)
    assert "verify failed" in untrusted.error
    found = await verdict(away, gone, configured(gone))
    assert (str(found.verdict), found.cause) == ("unknown", "not-known")
    assert "waits for egress-control-plane: refused" in found.seen, "that check has the cause"


__all__ = ["plane"]
