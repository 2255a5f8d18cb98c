"""How the tests are shared out among workers (`make test` runs a few side by side: many tests wait more than they work).

A file's tests stay together, in order, since they share what the file started. All that use the installed product on the
real cluster are one group, for it is installed once; the longest groups come first, so that none of them ends alone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

FIRST = ("installed", "simulation", "real_cluster", "kubernetes")
"""Groups that take minutes, longest first: names of folders, or what the real cluster is used for."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the tests, say which belong together and put the longest groups first."""
    if not hasattr(config, "workerinput"):
        return
    groups = {path: _group(path, [i for i in items if i.path == path]) for path in {item.path for item in items}}
    items.sort(key=lambda item: _turn(groups[item.path], item.path))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))


def _group(path: Path, items: list[pytest.Item]) -> str:
    if path.parent.name != "realcluster":
        return "/".join(path.parts[-2:])
    uses = {name for item in items for name in getattr(item, "fixturenames", ())}
    return "installed" if "installed" in uses else "real_cluster"


def _turn(group: str, path: Path) -> int:
    named = [turn for turn, first in enumerate(FIRST) if first in (group, path.parent.name)]
    return min(named, default=len(FIRST))
