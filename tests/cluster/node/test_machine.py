"""What the kernel tells of a machine: read from this one, and from files that are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.cluster.node.machine import Machine, busy, look, parsed

_STAT = "cpu  100 5 20 700 75 0 0 0 50 0\ncpu0 100 5 20 700 75 0 0 0 50 0\n"
_MEMORY = "MemTotal:       2048 kB\nMemFree:         100 kB\nMemAvailable:   1024 kB\nHugePages_Total:       0\n"


def test_idle_is_what_waits_too_and_guests_are_counted_once() -> None:
    assert parsed(_STAT, _MEMORY) == Machine(total_bytes=2 << 20, available_bytes=1 << 20, idle_ticks=775, ticks=900)


def test_how_busy_it_is_lies_between_two_looks() -> None:
    before = Machine(total_bytes=1, available_bytes=1, idle_ticks=100, ticks=200)
    after = Machine(total_bytes=1, available_bytes=1, idle_ticks=130, ticks=240)
    assert busy(before, after) == 0.25
    assert busy(after, after) is None


def test_a_kernel_that_tells_otherwise_is_no_machine(tmp_path: Path) -> None:
    assert look(tmp_path) is None
    (tmp_path / "stat").write_text("intr 1\n")
    (tmp_path / "meminfo").write_text(_MEMORY)
    assert look(tmp_path) is None


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="this is no Linux")
def test_this_machine_is_told() -> None:
    found = look()
    assert found is not None
    assert 0 < found.available_bytes <= found.total_bytes
    assert 0 < found.idle_ticks <= found.ticks
