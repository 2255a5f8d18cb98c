"""Metrics as prometheus_client has them, made by their names in the table: of what is not there nothing can be made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info  # noqa: TID251  # here they are made
from prometheus_client.core import GaugeMetricFamily  # noqa: TID251  # here they are made
from prometheus_client.registry import Collector, CollectorRegistry  # noqa: TID251  # here they are made

from fairlead.runtime.metrics import BY_NAME, Kind, Metric

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


M = TypeVar("M", Counter, Gauge, Histogram)


class Sample(NamedTuple):
    """One value of a gauge. `labels`: values in the table's order."""

    name: str
    labels: tuple[str, ...]
    value: float


Read = Callable[[], Iterable[Sample]]
"""Gives the values at a scrape. It is called in a thread of its own: what it reads must not change under its hands."""


def gauge(name: str, *firsts: tuple[str, ...]) -> Gauge:
    """A gauge that is set. `firsts`: values of its labels that are served from the beginning, as 0; the same below."""
    metric = _of(name, "gauge")
    return _begun(Gauge(name, metric.meaning, metric.labels), firsts)


def counter(name: str, *firsts: tuple[str, ...]) -> Counter:
    """A counter. Without its first value an increase from nothing to 1 is not seen as one."""
    metric = _of(name, "counter")
    return _begun(Counter(name.removesuffix("_total"), metric.meaning, metric.labels), firsts)


def histogram(name: str, *firsts: tuple[str, ...]) -> Histogram:
    """A histogram of seconds."""
    metric = _of(name, "histogram")
    return _begun(Histogram(name, metric.meaning, metric.labels, buckets=_SECONDS), firsts)


def info(name: str) -> Info:
    """What a process is, in words."""
    return Info(name.removesuffix("_info"), _of(name, "info").meaning)


@contextmanager
def serving(read: Read, *names: str, registry: CollectorRegistry = REGISTRY) -> Iterator[None]:
    """While it lasts these gauges are served, with what `read` gives at each scrape."""
    collector = _Collector(read, tuple(_of(name, "gauge") for name in names))
    registry.register(collector)
    try:
        yield
    finally:
        registry.unregister(collector)


class _Collector(Collector):
    def __init__(self, read: Read, metrics: tuple[Metric, ...]) -> None:
        self._read = read
        self._metrics = metrics

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The names, without a value: asked when it is registered."""
        return [_family(metric) for metric in self._metrics]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The values."""
        families = {metric.name: _family(metric) for metric in self._metrics}
        for name, labels, value in self._read():
            families[name].add_metric(labels, value)
        return families.values()


def _begun(made: M, firsts: Iterable[tuple[str, ...]]) -> M:
    for values in firsts:
        made.labels(*values)
    return made


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)


def _of(name: str, kind: Kind) -> Metric:
    metric = BY_NAME[name]
    if metric.kind != kind:
        raise TypeError(f"{name} is a {metric.kind} in the table of metrics, not a {kind}")
    return metric
