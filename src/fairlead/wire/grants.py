"""What a grant says: the control plane signs it for one `Open`, the cluster's agent lets exactly that pass, once. Pure.

A grant is a JSON Web Token, signed with ES256. Its claims: `use` "grant", `jti` the channel (used once), `sub` who asks, `cluster`,
`connection` (the word the agent gave in its `Hello`: a grant does not outlive the connection it came on), `iat` and `exp` in seconds
since the epoch, and `ask`: all that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import asdict

from fairlead.wire.agent import Open

ALGORITHM: Final = "ES256"
USE: Final = "grant"
SECONDS: Final = 30
"""Within this the agent has to dial."""
LEEWAY: Final = 60.0
"""Seconds by which the clocks of both ends may differ."""


def claims(ask: Open, *, cluster: str, connection: str, user: str, now: float) -> dict[str, Any]:
    """The claims of a grant for `ask`."""
    who = {"use": USE, "jti": ask.channel, "sub": user, "cluster": cluster, "connection": connection}
    return {**who, "iat": int(now), "exp": int(now) + SECONDS, "ask": _terms(ask)}


def objection(found: Mapping[str, Any], ask: Open, *, cluster: str, connection: str, now: float) -> str:
    """Why claims whose signature is good do not allow `ask` here and now; empty where they do."""
    if found.get("use") != USE:
        return "it is no grant"
    if found.get("cluster") != cluster:
        return "it is for another cluster"
    if found.get("connection") != connection:
        return "it was given on an earlier connection"
    signed, terms = dict(found.get("ask") or {}), _terms(ask)
    if others := sorted(key for key in signed.keys() | terms.keys() if signed.get(key) != terms.get(key)):
        return f"it is for another {' and '.join(_WORDS.get(key, key) for key in others)}"
    return _timely(found, now)


def _timely(found: Mapping[str, Any], now: float) -> str:
    late, early = now - float(found.get("exp", 0)), float(found.get("iat", 0)) - now
    clocks = "; do the clocks of the control plane and of this cluster agree?"
    if late > LEEWAY:
        return f"it expired {late:.0f} s ago{clocks}"
    return f"it begins in {early:.0f} s{clocks}" if early > LEEWAY else ""


_WORDS: Final = {"name": "pod", "kind": "use"}


def _terms(ask: Open) -> dict[str, Any]:
    """All that is asked for, as JSON gives it back."""
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(ask).items() if key != "grant"}
