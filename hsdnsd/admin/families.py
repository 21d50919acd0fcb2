"""Prometheus' metric families, made from the catalogue: what is not in it can't be counted out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from hsdnsd.admin.catalogue import METRICS, MetricEntry

Counts = tuple[Sequence[int], float]
"""(counts by bucket, the last one for what is above all bounds; sum of what was counted)"""


class Families:
    """A family for each entry of the catalogue but the process's own, in its order."""

    def __init__(self) -> None:
        entries = [entry for name, entry in METRICS.items() if not name.startswith("process_")]
        self._by_name = {entry.name: _family(entry) for entry in entries}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._by_name.values())

    def add(self, name: str, value: float, *labels: str) -> None:
        """One series of a counter or gauge; the labels in the order of the catalogue."""
        family = self._by_name[name]
        if isinstance(family, (CounterMetricFamily, GaugeMetricFamily)):
            _check(name, labels)
            family.add_metric(labels, value)
        else:
            raise TypeError(f"{name} is no counter or gauge")

    def add_histogram(self, name: str, bounds: Sequence[float], counts: Counts, *labels: str) -> None:
        """One series of a histogram; `bounds` are those of all buckets but the last."""
        family = self._by_name[name]
        if not isinstance(family, HistogramMetricFamily):
            raise TypeError(f"{name} is no histogram")
        _check(name, labels)
        buckets = []
        total = 0
        for bound, count in zip((*map(str, bounds), "+Inf"), counts[0], strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric(labels, buckets, counts[1])


def _family(entry: MetricEntry) -> Metric:
    if entry.type == "counter":
        return CounterMetricFamily(entry.name, entry.meaning, labels=entry.labels)
    if entry.type == "gauge":
        return GaugeMetricFamily(entry.name, entry.meaning, labels=entry.labels)
    return HistogramMetricFamily(entry.name, entry.meaning, labels=entry.labels)


def _check(name: str, labels: Sequence[str]) -> None:
    if len(labels) != len(METRICS[name].labels):
        raise TypeError(f"{name} has the labels {', '.join(METRICS[name].labels)}")
