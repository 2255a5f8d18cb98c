"""Committed reference files are what the code gives: `make gen` rewrites them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.parts.generate import ROOT, files


@pytest.mark.parametrize(("path", "text"), [pytest.param(p, t, id=str(p.relative_to(ROOT))) for p, t in files()])
def test_the_reference_file_is_fresh(path: Path, text: str) -> None:
    assert path.exists(), f"{path} is missing: run `make gen`"
    assert path.read_text() == text, f"{path} is stale: run `make gen`"
