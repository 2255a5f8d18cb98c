"""The committed custom resource definitions are those our types give."""

from __future__ import annotations

import runpy
from pathlib import Path

CRDS = Path(__file__).parents[2] / "deploy" / "crds"


def test_the_committed_definitions_are_fresh() -> None:
    files = runpy.run_path(str(CRDS / "generate.py"))["files"]()
    assert {path.name: path.read_text() for path in CRDS.glob("*.yaml")} == files
