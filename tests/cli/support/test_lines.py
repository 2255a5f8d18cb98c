"""What is cut out of free text, and what stays readable."""

from __future__ import annotations

import pytest

from fairlead.cli.support.lines import clean, clean_lines
from fairlead.preflight.redact import Left

KEY = "-----BEGIN RSA PRIVATE KEY-----MIIEpAIBAAKCAQEAshort-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("token=abc", "abc"),
        ("password: hunter2", "hunter2"),
        ('{"event":"x","password":"two words","next":1}', "two words"),
        ("proxy: http://mira:hunter2@proxy.example:3128", "hunter2"),
        ("proxy: http://mira:hunter2@proxy.example:3128", "mira"),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        (f"read {KEY} from a file", "MIIE"),
        ("GET /x?api_key=q1w2e3&page=2", "q1w2e3"),
        ("AWS_SECRET_ACCESS_KEY=wJalr", "wJalr"),
        ("hash aB3" + "xY9z" * 10, "xY9zxY9z"),
    ],
)
def test_a_secret_is_cut(line: str, secret: str) -> None:
    left = Left()
    assert secret not in clean(line, left)
    assert left.told(), "and it is said that something was"


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"bind.failed","pod":"train-0","node":"n1","code":"conflict"}',
        "n1 has 4 of 8 GPUs, 2.5 are free: 64 GiB",
        "tokens were counted",
        "2026-01-01T00:00:00Z cycle=12 seconds=0.031",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert clean(line, Left()) == line


def test_a_key_over_many_lines_goes_with_all_of_them() -> None:
    lines = ["before", "-----BEGIN PRIVATE KEY-----", "MIIEshort", "tail==", "-----END PRIVATE KEY-----", "after"]
    assert list(clean_lines(lines, Left())) == ["before", "[cut]", "after"]


def test_a_key_that_never_ends_takes_the_rest_with_it() -> None:
    assert list(clean_lines(["-----BEGIN PRIVATE KEY-----", "MIIEshort"], Left())) == ["[cut]"]
