"""What the agent opens, and what it refuses although the control plane seems to ask for it."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from msgspec.structs import replace

from fairlead.cluster.agent.grants import Gate
from fairlead.runtime.errors import Denied
from fairlead.server.auth.grants import Grants
from fairlead.wire.agent import Open
from fairlead.wire.grants import LEEWAY, SECONDS, claims

NOW = 1_000_000.0
SERVER = Grants(b"k" * 32)
ASK = Open(channel="c-1", grant="", kind="exec", namespace="runai-vision", name="train-0-0", command=("ls", "-l"))


class Time:
    """A clock that the test moves."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def a_gate(time: Time | None = None, connection: str = "word") -> Gate:
    gate = Gate("here", connection, time or Time())
    gate.trust(SERVER.public)
    return gate


def signed(ask: Open = ASK, **more: Any) -> Open:
    return SERVER.sign(ask, **{"cluster": "here", "connection": "word", "user": "mira", "now": NOW, **more})


def refused(gate: Gate, ask: Open) -> str:
    with pytest.raises(Denied) as error:
        gate.admit(ask)
    return str(error.value)


def test_what_the_control_plane_signed_passes_once_and_names_who_asks() -> None:
    gate, ask = a_gate(), signed()
    assert gate.admit(ask) == "mira"
    assert "it was used before" in refused(gate, ask)
    assert gate.admit(signed(replace(ASK, channel="c-2"))) == "mira"


def test_a_grant_is_good_until_it_expires_and_clocks_may_differ_a_little() -> None:
    time = Time()
    time.now = NOW + SECONDS + LEEWAY
    assert a_gate(time).admit(signed()) == "mira"
    time.now += 1
    assert "it expired 61 s ago; do the clocks" in refused(a_gate(time), signed())
    time.now = NOW - LEEWAY - 1
    assert "it begins in 61 s; do the clocks" in refused(a_gate(time), signed())


def test_a_grant_of_another_cluster_or_of_an_earlier_connection_is_refused() -> None:
    assert "it is for another cluster" in refused(a_gate(), signed(cluster="there"))
    assert "it was given on an earlier connection" in refused(a_gate(connection="next"), signed())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "train-1-0"}, "another pod"),
        ({"namespace": "runai-speech"}, "another namespace"),
        ({"container": "sidecar"}, "another container"),
        ({"command": ("rm", "-r", "/")}, "another command"),
        ({"kind": "port-forward", "port": 22}, "another use and port"),
        ({"channel": "c-2"}, "another channel"),
    ],
)
def test_a_grant_for_something_else_is_refused_with_what_differs(change: dict[str, Any], told: str) -> None:
    assert f"it is for {told}." in refused(a_gate(), replace(signed(), **change))


def test_a_grant_that_somebody_changed_or_made_is_refused() -> None:
    head, body, signature = signed().grant.split(".")
    others = Grants(b"x" * 32).sign(ASK, cluster="here", connection="word", user="mira", now=NOW)
    forged = claims(ASK, cluster="here", connection="word", user="mira", now=NOW)
    shared = jwt.encode({"alg": "HS256"}, forged, OctKey.import_key(str(SERVER.public).encode()))
    flipped = ("A" if body[10] != "A" else "B").join((body[:10], body[11:]))
    for grant in (f"{head}.{flipped}.{signature}", f"{head}.{body}.", others.grant, shared, "", "a.b.c"):
        assert "the control plane did not sign it" in refused(a_gate(), replace(ASK, grant=grant)), grant


def test_nothing_passes_before_the_key_is_told_and_the_first_key_stays() -> None:
    gate = Gate("here", "word", Time())
    assert "told no key" in refused(gate, signed())
    with pytest.raises(Denied, match="told no key"):
        gate.trust({"kty": "oct"})
    gate.trust(SERVER.public)
    gate.trust(Grants(b"x" * 32).public)
    assert gate.admit(signed()) == "mira"


def test_the_agent_is_told_no_private_key_and_the_same_secret_gives_the_same_key() -> None:
    assert SERVER.public.keys() >= {"kty", "crv", "x", "y"}
    assert "d" not in SERVER.public
    assert Grants(b"k" * 32).public == SERVER.public
