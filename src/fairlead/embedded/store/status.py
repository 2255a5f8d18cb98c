"""Refusals in the words of the real API server: code, reason, message, details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from fairlead.kube.transport import Response
from fairlead.objects.kinds import Kind

Doc = dict[str, Any]
"""A JSON object inside the store; never changed once stored."""

JSON_HEADERS: Final = {"content-type": "application/json"}

_MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"


class StatusError(Exception):
    """A refusal on its way out."""

    def __init__(self, code: int, reason: str, message: str, details: Doc | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def document(self) -> Doc:
        """Give the Status object."""
        body: Doc = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}

    def response(self) -> Response:
        """Give the answer that carries it; a wish to wait goes into the Retry-After header."""
        seconds = (self.details or {}).get("retryAfterSeconds")
        headers = JSON_HEADERS | ({"retry-after": str(seconds)} if seconds else {})
        return Response(status=self.code, headers=headers, body=orjson.dumps(self.document()))


class Fault(NamedTuple):
    """One thing that is wrong with a field: path, kind of fault (FieldValueInvalid ...), message."""

    field: str
    reason: str
    message: str


def required(field: str, hint: str = "") -> Fault:
    """Give the fault of a missing field."""
    return Fault(field, "FieldValueRequired", f"Required value{': ' + hint if hint else ''}")


def wrong(field: str, value: object, hint: str) -> Fault:
    """Give the fault of a value that is not allowed."""
    return Fault(field, "FieldValueInvalid", f"Invalid value: {orjson.dumps(value).decode()}: {hint}")


def forbidden_field(field: str, hint: str) -> Fault:
    """Give the fault of a field that may not be set or changed."""
    return Fault(field, "FieldValueForbidden", f"Forbidden: {hint}")


def success(code: int = 200, details: Doc | None = None) -> Response:
    """Give the Status that says it was done."""
    body: Doc = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    body |= {"details": details} if details else {}
    body |= {"code": code} if code != 200 else {}
    return Response(status=code, headers=JSON_HEADERS, body=orjson.dumps(body))


def not_found(kind: Kind[Any], name: str) -> StatusError:
    """Give the refusal: no such object."""
    return StatusError(404, "NotFound", f'{kind.resource} "{name}" not found', _about(kind, name))


def already_exists(kind: Kind[Any], name: str) -> StatusError:
    """Give the refusal: the name is taken."""
    return StatusError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _about(kind, name))


def conflict(kind: Kind[Any], name: str, why: str = _MODIFIED, subresource: str = "") -> StatusError:
    """Give the refusal: the state does not allow it."""
    suffix = f"/{subresource}" if subresource else ""
    plural = kind.plural + suffix
    resource = plural + (f".{kind.group}" if kind.group else "")
    details = {**_about(kind, name), "kind": plural}
    return StatusError(409, "Conflict", f'Operation cannot be fulfilled on {resource} "{name}": {why}', details)


def other_uid(kind: Kind[Any], name: str, wanted: str, present: str) -> StatusError:
    """Give the refusal: the object of that name is not the one that was meant."""
    why = (
        f"the UID in the precondition ({wanted}) does not match the UID in record ({present}). "
        "The object might have been deleted and then recreated"
    )
    details = {**_about(kind, name), "kind": kind.kind}
    return StatusError(409, "Conflict", f'Operation cannot be fulfilled on {kind.kind} "{name}": {why}', details)


def invalid(kind: Kind[Any], name: str, faults: Sequence[Fault]) -> StatusError:
    """Give the refusal: fields are wrong."""
    texts = [f"{fault.field}: {fault.message}" for fault in faults]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    named = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    causes = [{"reason": fault.reason, "message": fault.message, "field": fault.field} for fault in faults]
    details = {**_about(kind, name), "kind": kind.kind, "causes": causes}
    return StatusError(422, "Invalid", f'{named} "{name}" is invalid: {text}', details)


def forbidden(kind: Kind[Any], name: str, why: str, causes: Sequence[Doc] = ()) -> StatusError:
    """Give the refusal: not allowed."""
    details = _about(kind, name) | ({"causes": list(causes)} if causes else {})
    return StatusError(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {why}', details)


def bad_request(message: str) -> StatusError:
    """Give the refusal: the request itself makes no sense."""
    return StatusError(400, "BadRequest", message)


def unsupported(what: str) -> StatusError:
    """Give the refusal of everything the embedded API does not do."""
    return StatusError(400, "BadRequest", f"the embedded API does not support {what}")


def no_such_resource() -> StatusError:
    """Give the refusal: nothing is served at that path."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def no_such_method() -> StatusError:
    """Give the refusal: that verb is not served there."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def bad_media_type(accepted: Sequence[str]) -> StatusError:
    """Give the refusal: the body is in a format that is not taken."""
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def expired(message: str) -> StatusError:
    """Give the refusal: that revision is no longer known."""
    return StatusError(410, "Expired", message)


def busy(message: str, seconds: int, causes: Sequence[Doc] = ()) -> StatusError:
    """Give the refusal: not now. Units: seconds; 0 says nothing about when."""
    details: Doc = {"causes": list(causes)}
    return StatusError(429, "TooManyRequests", message, details | ({"retryAfterSeconds": seconds} if seconds else {}))


def _about(kind: Kind[Any], name: str) -> Doc:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in details.items() if value}
