"""The server's refusals as our error tree: what to do about each."""

from __future__ import annotations

import contextlib

import msgspec

from fairlead.kube.transport import Response
from fairlead.objects.meta import Status
from fairlead.runtime.errors import (
    Conflict,
    Denied,
    FairleadError,
    Invalid,
    NotFound,
    Permanent,
    Retryable,
    SignedOut,
    Unreachable,
)

_BODY = msgspec.json.Decoder(Status)


class Expired(Retryable):
    """The revision asked for is too old (410): list again."""

    code = "expired"


class Throttled(Retryable):
    """The server is busy (429), or a disruption budget forbids an eviction (code `disruption-budget`)."""

    code = "throttled"


class Uncertain(Unreachable):
    """No answer came to a call that must not simply be sent again: look first whether it was done."""

    code = "uncertain"


class AlreadyExists(Conflict):
    """The name is taken."""

    code = "already-exists"


def status_of(response: Response) -> Status:
    """Give the Status in an answer's body; one made from the status code where the body holds none."""
    with contextlib.suppress(msgspec.DecodeError):
        status = _BODY.decode(response.body)
        if status.kind == "Status":
            return status
    return Status(code=response.status, message=response.body[:200].decode(errors="replace"))


def error_of(response: Response) -> FairleadError:
    """Give the error an answer of 400 or more stands for, its message the server's own."""
    return error_of_status(status_of(response), response.status, response.retry_after)


def error_of_status(status: Status, code: int, retry_after: float | None = None) -> FairleadError:
    """Give the error of a Status, as a watch carries it too. `retry_after` in seconds, from the header."""
    message = status.message or f"the API answered {code}"
    after = retry_after if retry_after is not None else (status.details.retry_after_seconds or None)
    if code == 410:
        return Expired(message)
    if code == 429:
        return Throttled(message, after=after, code=_throttle_code(status))
    if code >= 500:
        return Retryable(message, after=after, code="server-error")
    return _permanent(status, code, message)


def _permanent(status: Status, code: int, message: str) -> FairleadError:
    if code == 409 and status.reason == "AlreadyExists":
        return AlreadyExists(message)
    if code == 422 and {cause.field_ for cause in status.details.causes} == {"metadata.uid"}:
        return Conflict(message)  # a patch that names another UID: the object meant is gone
    if code in (400, 422):
        return Invalid(message, fields={cause.field_: cause.message for cause in status.details.causes if cause.field_})
    plain: dict[int, type[Permanent]] = {401: SignedOut, 403: Denied, 404: NotFound, 409: Conflict}
    return plain[code](message) if code in plain else Permanent(message, code=f"http-{code}")


def _throttle_code(status: Status) -> str:
    budget = any(cause.reason == "DisruptionBudget" for cause in status.details.causes)
    return "disruption-budget" if budget else ""
