"""What the codes of checks mean: the same texts as the reference, for a control plane that has no way out."""

from __future__ import annotations

from fairlead.preflight.check import Check
from fairlead.preflight.checks import BY_CODE
from fairlead.preflight.explain import meaning
from fairlead.runtime.errors import NotFound
from fairlead.server.auth.permissions import Principal


def title_of(code: str) -> str:
    """What the check is called; its code where a newer cluster knows one that we do not."""
    return BY_CODE[code].title if code in BY_CODE else code


def finding(principal: Principal, code: str) -> tuple[Check, str, dict[str, str]]:
    """(check, what it is about, cause -> what it means and what to do).

    Raises: NotFound for a code that nobody knows.
    """
    principal.require("read", "clusters")
    if code not in BY_CODE:
        raise NotFound(f"There is no check {code!r}.", hint=f"Codes: {', '.join(BY_CODE)}.", code="check-not-found")
    return BY_CODE[code], *meaning(BY_CODE[code])
