"""What the HTTP server says of itself: events of our log, and no traceback for what is no failure of ours."""

from __future__ import annotations

import asyncio
import io
import logging

import pytest

from fairlead.embedded.web import speak
from fairlead.runtime.errors import Unreachable
from fairlead.runtime.logs import set_up


def _raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (_raised(asyncio.CancelledError()), False),
        (_raised(RuntimeError("started"), Unreachable("The log ended.")), False),
        (_raised(ValueError("a bug")), True),
    ],
)
def test_only_a_bug_comes_with_its_traceback(error: BaseException, is_told: bool) -> None:
    out = io.StringIO()
    set_up("info", "console", out)
    speak()
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
    assert ("Traceback" in out.getvalue(), "answer." in out.getvalue()) == (is_told, True)
