"""The one error tree. A class says the remedy; `code` is a stable word for programs.

    FairleadError               our own, always with a sentence for people
    ├── Retryable               try again, after `after` seconds
    │   └── Unreachable         the other side did not answer
    ├── Permanent               trying again gives the same
    │   ├── Invalid             the input is wrong; `fields` says where
    │   ├── Denied              not allowed
    │   │   └── SignedOut       not signed in
    │   ├── NotFound            no such thing
    │   └── Conflict            the state does not allow it
    └── Bug                     ours; carries what is needed to look into it

Three places turn these into something else: `server/api/problems.py` (HTTP), `cli/exits.py` (exit code), `runtime/reconcile.py` (requeue).
"""

from __future__ import annotations

from collections.abc import Mapping


class FairleadError(Exception):
    """Root. `message`: what was wrong. `hint`: what was expected and what to do."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Retryable(FairleadError):
    """The same call may work later; `after` in seconds, None = the caller's own back-off."""

    code = "retry"

    def __init__(self, message: str, *, hint: str = "", code: str = "", after: float | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.after = after


class Unreachable(Retryable):
    """The other side did not answer, or not in time."""

    code = "unreachable"


class Permanent(FairleadError):
    """The same call will fail again."""

    code = "permanent"


class Invalid(Permanent):
    """The input is wrong; `fields` maps a path to what was expected there."""

    code = "invalid"

    def __init__(
        self, message: str, *, hint: str = "", code: str = "", fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.fields = dict(fields or {})


class Denied(Permanent):
    """Signed in, but not allowed."""

    code = "denied"


class SignedOut(Denied):
    """Not signed in, or no longer."""

    code = "signed-out"


class NotFound(Permanent):
    """No such thing, or not visible to whoever asks."""

    code = "not-found"


class Conflict(Permanent):
    """The present state does not allow it: the name is taken, or somebody changed it first."""

    code = "conflict"


class Bug(FairleadError):
    """Ours. The message says what was being done."""

    code = "bug"
