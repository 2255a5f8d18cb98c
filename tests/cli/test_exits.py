"""The exit code of an error."""

from __future__ import annotations

import pytest

from fairlead.cli.exits import Exit, exit_of
from fairlead.runtime.errors import Bug


def test_a_bug_of_the_server_is_told_as_ours_with_where_its_details_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(Bug("The server failed to answer.", hint="The log has it under request 1.")) == Exit.BUG
    assert "under request 1" in capsys.readouterr().err
