"""Storage classes of researchers' volumes: the default one, and those that may be used."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.cluster.admission.claims import Classes, completions, refusals

SET = Classes(default="fast", allowed=("fast", "shared"))


def claim(*names: str | None) -> dict[str, Any]:
    """A claim of that class; without a word about one where none is given."""
    return {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], **dict.fromkeys(["storageClassName"] if names else [], *names)},
    }


@pytest.mark.parametrize(("names", "expected"), [((), "fast"), ((None,), "fast"), (("",), None), (("other",), None)])
def test_a_claim_that_says_nothing_of_a_class_gets_the_default(
    names: tuple[str | None, ...], expected: str | None
) -> None:
    changes = completions(claim(*names), SET)
    assert {c["path"]: c["value"] for c in changes} == ({"/spec/storageClassName": expected} if expected else {})
    assert completions(claim(*names), Classes()) == ()


def test_a_class_that_is_not_among_those_allowed_is_refused_with_them() -> None:
    (told,) = refusals(claim("slow"), SET)
    assert told == "spec.storageClassName is 'slow': in a project it is one of fast, shared."
    for allowed in (claim("shared"), claim(""), claim()):
        assert refusals(allowed, SET) == ()
    assert refusals(claim("slow"), Classes(default="fast")) == ()
