"""Metrics are made by their names in the table, and gauges that are read are served only while somebody stands behind them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from fairlead.runtime import instruments
from fairlead.runtime.instruments import Sample, serving


@pytest.mark.parametrize("make", [instruments.gauge, instruments.counter, instruments.histogram, instruments.info])
def test_a_name_that_is_not_in_the_table_is_no_metric(make: object) -> None:
    with pytest.raises(KeyError, match="fairlead_nonsense"):
        make("fairlead_nonsense")  # type: ignore[operator]


def test_a_metric_is_of_the_type_that_the_table_says() -> None:
    with pytest.raises(TypeError, match="fairlead_evictions_total is a counter in the table of metrics, not a gauge"):
        instruments.gauge("fairlead_evictions_total")


def test_gauges_that_are_read_are_served_while_it_lasts_and_only_by_their_names() -> None:
    registry = CollectorRegistry()
    read = [Sample("runai_gpu_count_per_node", ("n1",), 4.0)]
    with serving(lambda: read, "runai_gpu_count_per_node", registry=registry):
        assert b'runai_gpu_count_per_node{node="n1"} 4.0' in generate_latest(registry)
        read.append(Sample("runai_allocated_gpus", (), 1.0))
        with pytest.raises(KeyError, match="runai_allocated_gpus"):
            generate_latest(registry)
    assert generate_latest(registry) == b""
