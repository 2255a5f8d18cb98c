"""The agent's own look at what it is asked to open: signed by the control plane, for this, here, now, and once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from fairlead.runtime.errors import Denied
from fairlead.wire.agent import Open
from fairlead.wire.grants import ALGORITHM, objection


class Gate:
    """Lets each grant pass once. One for each connection to the control plane: no grant outlives it."""

    def __init__(self, cluster: str, connection: str, now: Callable[[], float]) -> None:
        self._cluster, self._connection, self._now = cluster, connection, now
        self._key: ECKey | None = None
        self._used: set[str] = set()

    def trust(self, key: Mapping[str, Any]) -> None:
        """Takes the control plane's public key. Raises: Denied for what is none; the first key of a connection stays."""
        if self._key is not None:
            return
        try:
            self._key = ECKey.import_key({**key})
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Denied("The control plane told no key by which its grants are known.", code="grant") from error

    def admit(self, ask: Open) -> str:
        """Who asks. Raises: Denied saying why the grant does not allow it."""
        if self._key is None:
            raise _refusal("the control plane told no key to know its grants by")
        try:
            found = jwt.decode(ask.grant, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError) as error:
            raise _refusal("the control plane did not sign it") from error
        why = objection(found, ask, cluster=self._cluster, connection=self._connection, now=self._now())
        if not why and ask.channel in self._used:
            why = "it was used before"
        if why:
            raise _refusal(why)
        self._used.add(ask.channel)
        return str(found.get("sub", ""))


def _refusal(why: str) -> Denied:
    return Denied(f"The cluster's agent refused the grant: {why}.", hint="Ask again: each has a new one.", code="grant")
