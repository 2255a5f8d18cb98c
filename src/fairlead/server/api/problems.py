"""Errors as HTTP answers: the one place where a remedy becomes a status. Body: `{"code", "message", "details", "reason"}`."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Iterable
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fairlead.runtime.errors import (
    Conflict,
    Denied,
    FairleadError,
    Invalid,
    NotFound,
    Permanent,
    Retryable,
    SignedOut,
)
from fairlead.wire.rest import access, auth, base, organisation, workloads

_log = structlog.get_logger()

_STATUS: tuple[tuple[type[FairleadError], int], ...] = (
    (SignedOut, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Invalid, 400),
    (Permanent, 400),
    (Retryable, 503),
)
"""First match wins: the narrower classes stand first."""


def install(app: FastAPI) -> None:
    """Makes the application answer every error with a problem document."""
    app.add_exception_handler(FairleadError, _ours)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def status_of(error: FairleadError) -> int:
    """HTTP status of an error of ours."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def document(status: int, message: str, *, details: str = "", reason: str = "", **more: Any) -> dict[str, Any]:
    """The error document."""
    return {"code": status, "message": message, "details": details, "reason": reason, **more}


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FairleadError)
    more: dict[str, Any] = {}
    if isinstance(error, Invalid) and error.fields:
        more["complianceIssues"] = [{"field": f, "details": d} for f, d in error.fields.items()]
    details = error.hint or "; ".join(f"{f}: {d}" for f, d in getattr(error, "fields", {}).items())
    status = status_of(error)
    headers = {"Retry-After": str(int(getattr(error, "after", None) or 1))} if status == 503 else None
    body = document(status, error.message, details=details, reason=error.code, **more)
    return JSONResponse(body, status, headers=headers)


async def _malformed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if any(e["type"] == "json_invalid" for e in error.errors()):
        return _no_json(error)
    issues = [{"field": _path(e["loc"]), "details": _expected(e)} for e in error.errors()]
    first = issues[0] if issues else {"field": "body", "details": "valid JSON"}
    body = document(
        422,
        f"The request is not as expected at {first['field']}.",
        details="; ".join(f"{i['field']}: {i['details']}" for i in issues),
        reason="malformed",
        complianceIssues=issues,
    )
    return JSONResponse(body, 422)


def _no_json(error: RequestValidationError) -> JSONResponse:
    """For a body that cannot be read as JSON: at which line and column, and what was expected there."""
    wrong = next(e for e in error.errors() if e["type"] == "json_invalid")
    before = str(error.body)[: int(wrong["loc"][-1])]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    where = f"line {line}, column {column}: {wrong['ctx']['error']}"
    issues = [{"field": "body", "details": where}]
    text = f"The body is no JSON, from line {line}, column {column} on."
    return JSONResponse(document(422, text, details=where, reason="malformed", complianceIssues=issues), 422)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and error.detail == _UNREADABLE:
        issues = [{"field": "body", "details": "JSON that is nested less deeply, in UTF-8"}]
        text = "The body cannot be read: it is nested too deeply, or is no text."
        details = f"body: {issues[0]['details']}"
        return JSONResponse(document(422, text, details=details, reason="malformed", complianceIssues=issues), 422)
    hint = "The paths are listed at /api/openapi.json." if error.status_code in (404, 405, 501) else ""
    text = f"{request.method} {request.url.path}: {error.detail}."
    body = document(error.status_code, text, details=hint, reason="http")
    return JSONResponse(body, error.status_code, headers=error.headers)


_UNREADABLE = "There was an error parsing the body"
"""What FastAPI says of a body that its JSON reader fails on without saying where."""


async def _bug(request: Request, error: Exception) -> JSONResponse:
    if isinstance(
        error.__cause__, FairleadError
    ):  # in the middle of an answer, which is cut off: nothing else can be said
        _log.info("answer cut off", path=request.url.path, message=str(error.__cause__))
        return JSONResponse(document(503, "The answer was cut off."), 503)
    number = uuid.uuid4().hex[:12]
    _log.error("request failed", request=number, path=request.url.path, exc_info=error)
    details = f"It is our bug. The server's log has it under request {number}."
    return JSONResponse(document(500, "The server failed to answer.", details=details, reason="bug"), 500)


def _path(location: Iterable[Any]) -> str:
    parts = [str(p) for p in location]
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] in ("body", "query", "path") else parts)


def _expected(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        typed = str(error["loc"][-1])
        if typed in _FIELDS:
            return "no such field here; another request has it"
        near = difflib.get_close_matches(typed, _FIELDS, 1)
        return f"no such field{f'; did you mean `{near[0]}`?' if near else ''}"
    return str(error["msg"])


def _fields() -> list[str]:
    modules = (access, auth, organisation, workloads)
    models = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base.Request)
    ]
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


_FIELDS = _fields()
