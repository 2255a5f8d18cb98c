"""How the tests are shared out among workers (`make test` runs a few side by side: many tests wait more than they work).

A file's tests stay together, in order, since they share what the file started. All that use the installed product on the
real cluster are one group, for it is installed once; those of preflight there are another, and so is the rest: each group
has a real cluster. The longest come first, so that none of them ends alone.
"""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it comes without types

settings.register_profile("fairlead", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("fairlead")
ROOT = Path(__file__).parents[1]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile all sources anew
sys.dont_write_bytecode = False
os.environ.setdefault("GOGC", "400")  # for API servers, kubelets and their like: memory is there, cores are not
FIRST = ("installed", "preflight_there", "real_cluster", "simulation", "kubernetes")
"""Groups that take minutes, longest first: names of folders, or what the real cluster is used for."""

LAST = "web"
"""The browser's driver keeps an event loop running, in which no asynchronous test can run."""


@pytest.fixture(autouse=True)
def _logs_as_at_first() -> None:
    """A command that ran in this process wrote its log elsewhere; no test after it does because of that."""
    structlog.reset_defaults()


class Grouped(LoadScopeScheduling):  # type: ignore[misc]  # the same
    """Gives each worker whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(ROOT / nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Grouped:
    """Who shares out the tests."""
    return Grouped(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest groups first where workers share the tests."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _turn(item.path))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which groups took longest: what a worker has to do alone decides when all have ended."""
    took: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[_group(ROOT / report.nodeid.partition("::")[0])] += int(1000 * report.duration)
    if sum(took.values()) >= _WORTH_TELLING:
        longest = ", ".join(f"{group} {thousandths // 1000}" for group, thousandths in took.most_common(12))
        terminalreporter.write_line(f"seconds: {longest}; all {sum(took.values()) // 1000}")


_WORTH_TELLING = 60_000


@functools.cache
def _group(path: Path) -> str:
    if path.parent.name != "realcluster":
        return "/".join(path.parts[-2:])
    if "installed: Installed" in path.read_text():
        return "installed"
    return "preflight_there" if path.name.startswith("test_preflight") else "real_cluster"


def _turn(path: Path) -> int:
    found = [turn for turn, first in enumerate(FIRST) if first in (_group(path), path.parent.name)]
    return min(found, default=len(FIRST) + (path.parent.name == LAST))
