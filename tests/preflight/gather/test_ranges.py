"""The range of Services, as objects tell it."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.preflight.gather.ranges import told_range

OURS: dict[str, Any] = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16", "fd00::/108"]}}
MORE: dict[str, Any] = {"metadata": {"name": "extra"}, "spec": {"cidrs": ["10.112.0.0/16"]}}
OPENSHIFT: dict[str, Any] = {"metadata": {"name": "cluster"}, "status": {"serviceNetwork": ["172.30.0.0/16"]}}


@pytest.mark.parametrize(
    ("ranges", "networks", "told"),
    [
        ([MORE, OURS], [], "10.96.0.0/16,fd00::/108,10.112.0.0/16"),
        ([], [OPENSHIFT], "172.30.0.0/16"),
        ([], [{"metadata": {}, "spec": {"serviceNetwork": ["172.31.0.0/16"]}}], "172.31.0.0/16"),
        ([], [], ""),
        ([{"metadata": {"name": "kubernetes"}}], [{"metadata": {}}], ""),
    ],
)
def test_every_range_is_told_and_the_api_servers_own_first(
    ranges: list[dict[str, Any]], networks: list[dict[str, Any]], told: str
) -> None:
    assert told_range(ranges, networks) == told
