"""Logs say who and what, and never a secret."""

from __future__ import annotations

import io
import json
from pathlib import Path

from tests.parts.disks import fill, small_disk

from fairlead.runtime.logs import logger, set_up


def test_a_line_is_one_json_object_with_its_keys() -> None:
    out = io.StringIO()
    set_up(stream=out)
    logger("scheduler", cycle=7).info("pod.bound", pod="ns/a")
    line = json.loads(out.getvalue())
    assert (line["event"], line["component"], line["cycle"], line["pod"]) == ("pod.bound", "scheduler", 7, "ns/a")
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


def test_values_of_secret_keys_are_hidden_at_any_depth() -> None:
    out = io.StringIO()
    set_up(stream=out)
    logger("x").info("e", token="t0p", headers={"Authorization": "Bearer t0p"}, rows=[{"client_secret": "t0p"}])
    assert "t0p" not in out.getvalue()


def test_a_log_on_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk, (disk / "log").open("a", buffering=1) as out:
        set_up(stream=out)
        ballast = fill(disk)
        logger("x").info("lost", text="x" * 20_000)
        ballast.unlink()
        logger("x").info("kept")
        assert json.loads((disk / "log").read_text().splitlines()[-1])["event"] == "kept"


def test_lower_levels_are_left_out() -> None:
    out = io.StringIO()
    set_up("warning", "console", stream=out)
    logger("x").info("quiet")
    logger("x").warning("loud")
    assert "quiet" not in out.getvalue()
    assert "loud" in out.getvalue()
