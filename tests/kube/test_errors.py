"""A refusal becomes the error that says the remedy."""

from __future__ import annotations

import json

import pytest

from fairlead.kube.errors import AlreadyExists, Expired, Throttled, error_of
from fairlead.kube.transport import Response
from fairlead.runtime.errors import Conflict, Denied, FairleadError, Invalid, NotFound, Permanent, Retryable, SignedOut


def _answer(code: int, reason: str = "", **details: object) -> Response:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": "m", "details": details}
    return Response(status=code, body=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("response", "kind", "code"),
    [
        (_answer(400, "BadRequest"), Invalid, "invalid"),
        (_answer(401), SignedOut, "signed-out"),
        (_answer(403), Denied, "denied"),
        (_answer(404), NotFound, "not-found"),
        (_answer(405), Permanent, "http-405"),
        (_answer(409, "AlreadyExists"), AlreadyExists, "already-exists"),
        (_answer(409, "Conflict"), Conflict, "conflict"),
        (_answer(410), Expired, "expired"),
        (_answer(415), Permanent, "http-415"),
        (_answer(422, causes=[{"field": "metadata.uid"}]), Conflict, "conflict"),
        (_answer(429), Throttled, "throttled"),
        (_answer(429, causes=[{"reason": "DisruptionBudget"}]), Throttled, "disruption-budget"),
        (_answer(500), Retryable, "server-error"),
        (Response(status=502, body=b"<html>bad gateway"), Retryable, "server-error"),
        (Response(status=404, body=b"404 page not found"), NotFound, "not-found"),
    ],
)
def test_a_status_has_one_remedy(response: Response, kind: type[FairleadError], code: str) -> None:
    error = error_of(response)
    assert (type(error), error.code) == (kind, code)
    assert error.message


def test_wrong_fields_are_listed() -> None:
    error = error_of(_answer(422, causes=[{"field": "spec.image", "message": "Required value"}]))
    assert isinstance(error, Invalid)
    assert error.fields == {"spec.image": "Required value"}


def test_the_header_says_when_before_the_body_does() -> None:
    response = Response(status=429, headers={"retry-after": "7"}, body=_answer(429, retryAfterSeconds=3).body)
    error = error_of(response)
    assert isinstance(error, Retryable)
    assert error.after == 7
