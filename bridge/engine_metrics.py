"""The recogniser's own counts as Prometheus metrics: read when they are asked for, nothing is counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.metrics import REGISTRY
from bridge.ports import Engine, Urgency
from bridge.recognise.scheduler import Scheduler


@contextmanager
def engine_metrics(engine: Engine) -> Iterator[None]:
    """`/metrics` tells of this engine as long as the block lasts."""
    figures = _EngineFigures(engine)
    REGISTRY.register(figures)
    try:
        yield
    finally:
        REGISTRY.unregister(figures)


class _EngineFigures(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        full = "0 idle … 1 full: how much of what the recogniser can do is wanted."
        yield GaugeMetricFamily("callbridge_engine_pressure", full, value=self._engine.pressure())
        if isinstance(self._engine, Scheduler):
            yield from _of_scheduler(self._engine)


def _of_scheduler(engine: Scheduler[Any]) -> Iterator[Metric]:
    stats = engine.stats
    yield _by_urgency(CounterMetricFamily, "callbridge_decodes", "Decodes done.", stats.decoded)
    yield _by_urgency(CounterMetricFamily, "callbridge_decodes_shed", "Decodes given up for want of time.", stats.shed)
    yield _by_urgency(GaugeMetricFamily, "callbridge_decodes_waiting", "Decodes that wait.", engine.queued())
    yield CounterMetricFamily("callbridge_decodes_retried", "Decodes that ran away and were redone.", stats.retried)
    yield CounterMetricFamily("callbridge_decodes_failed", "Decodes that failed twice.", stats.failed)
    yield CounterMetricFamily("callbridge_engine_busy_seconds", "Seconds that workers spent decoding.", stats.busy_s)
    yield CounterMetricFamily("callbridge_engine_speech_seconds", "Seconds of speech in finals.", stats.speech_s)
    batches = CounterMetricFamily("callbridge_decode_batches", "Batches decoded, by their size.", labels=["size"])
    for size, count in stats.batches.items():
        batches.add_metric([str(size)], count)
    yield batches
    windows = CounterMetricFamily("callbridge_decode_windows", "Decodes, by the length of window.", labels=["seconds"])
    for seconds, count in stats.windows.items():
        windows.add_metric([str(seconds)], count)
    yield windows
    late = "By how much the most overdue decode is late."
    yield GaugeMetricFamily("callbridge_engine_late_seconds", late, value=max(0.0, engine.oldest_wait()))


def _by_urgency(
    family: type[CounterMetricFamily | GaugeMetricFamily], name: str, about: str, counts: dict[Urgency, int]
) -> Metric:
    found = family(name, about, labels=["urgency"])
    for urgency, count in counts.items():
        found.add_metric([urgency.name.lower()], count)
    return found
