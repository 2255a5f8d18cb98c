"""What stays of the logs of pods that are gone."""

from __future__ import annotations

import os
from pathlib import Path

from fairlead.embedded.nodes.logs import EarlierLogs, name_of


def a_log(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    log = folder / "container.log"
    log.write_text(text)
    return log


def test_the_last_log_of_a_name_and_owner_is_found_and_no_other(tmp_path: Path) -> None:
    earlier = EarlierLogs(tmp_path / "kept")
    for owner, text in (("u1", "first"), ("u1", "second"), ("u2", "of another")):
        earlier.keep(a_log(tmp_path, text), name_of("ns", "job.a-0", owner))
    found = earlier.find("ns", "job.a-0", "u1")
    assert found is not None
    assert found.read_text() == "second"
    assert earlier.find("ns", "job.a-0", "u3") is None
    assert earlier.find("ns", "job.a-0", "") is not None
    assert earlier.find("other", "job.a-0", "") is None


def test_a_run_that_printed_nothing_hides_no_earlier_one(tmp_path: Path) -> None:
    earlier = EarlierLogs(tmp_path / "kept")
    for text in ("words", ""):
        earlier.keep(a_log(tmp_path, text), name_of("ns", "job-0", "u"))
    found = earlier.find("ns", "job-0", "u")
    assert found is not None
    assert found.read_text() == "words"


def test_only_the_newest_logs_stay(tmp_path: Path) -> None:
    earlier = EarlierLogs(tmp_path / "kept", most=2)
    for number in range(4):
        log = a_log(tmp_path, str(number))
        os.utime(log, (number, number))
        earlier.keep(log, name_of("ns", f"job-{number}", "u"))
    assert sorted(f.read_text() for f in (tmp_path / "kept").iterdir()) == ["2", "3"]
