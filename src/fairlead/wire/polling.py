"""A link made of requests, for ways that let no WebSocket through: the frames of `wire/agent.py`, carried otherwise.

`POST` to the path of the WebSocket opens it, with the same headers; the answer (201) names it in `LINK_HEADER`, which all further
requests bear. `POST PUSH_PATH` carries messages there, `POST PULL_PATH` waits up to `WAIT_SECONDS` for messages from there, `DELETE
PUSH_PATH` ends it. A request whose answer did not come ends it too: nothing is sent twice. Bodies are MessagePack.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

PUSH_PATH: Final = "/api/agent/v1/link"
PULL_PATH: Final = "/api/agent/v1/link/next"
LINK_HEADER: Final = "X-Fairlead-Link"
WAIT_SECONDS: Final = 20.0
"""Less than proxies let a request wait, which is mostly a minute."""
GONE_SECONDS: Final = 45.0
"""Whoever asked for nothing for so long is gone."""
CONTENT_TYPE: Final = "application/msgpack"

Message = str | bytes


class Pulled(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came. `code`: with which the other end closed the link after these messages; None while it is open."""

    messages: list[Any] = []
    """Each a `Message`."""
    code: int | None = None
    reason: str = ""


def pushed(messages: list[Message]) -> bytes:
    """Messages as the body of a request."""
    return msgspec.msgpack.encode(messages)


def read_pushed(data: bytes) -> list[Message]:
    """Raises: msgspec.MsgspecError."""
    return _checked(msgspec.msgpack.decode(data, type=list[Any]))


def answer(found: Pulled) -> bytes:
    """What came as the body of an answer."""
    return msgspec.msgpack.encode(found)


def read_answer(data: bytes) -> Pulled:
    """Raises: msgspec.MsgspecError."""
    found = msgspec.msgpack.decode(data, type=Pulled)
    _checked(found.messages)
    return found


def _checked(messages: list[Any]) -> list[Message]:
    if not all(isinstance(each, Message) for each in messages):
        raise msgspec.ValidationError("a message is text or bytes")
    return messages
