"""What was measured, and the medians of it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

Figures = dict[str, float]

RATE, FLOOD, LATENCY, MEMORY, TAIL, GENERATORS = "rate", "flood", "latency", "memory", "tail", "generators"


class Key(NamedTuple):
    """What a figure is of.

    Attributes:
        scenario: "" for memory.
        measure: RATE (dnsperf's closed loop), FLOOD (that of bench/generator), LATENCY (at a fixed rate), MEMORY, TAIL,
            or GENERATORS (both generators at the same rate).
    """

    server: str
    scenario: str
    measure: str
    edns: bool = False

    def __str__(self) -> str:
        """For people, while it runs: "pod-a+edns rate"."""
        return f"{self.scenario}{'+edns' if self.edns else ''} {self.measure}".strip()


class Sample(NamedTuple):
    """One measurement of one round."""

    key: Key
    round: int
    figures: Figures


class Spread(NamedTuple):
    median: float
    low: float
    high: float


Summary = dict[Key, dict[str, Spread]]


def summarise(samples: Iterable[Sample]) -> Summary:
    """Median, least and greatest of every figure over the rounds."""
    values: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        for name, value in sample.figures.items():
            values[sample.key][name].append(value)
    return {
        key: {name: Spread(statistics.median(row), min(row), max(row)) for name, row in figures.items()}
        for key, figures in values.items()
    }


def median(summary: Summary, key: Key, figure: str) -> float | None:
    """A median, None where there is none."""
    spread = summary.get(key, {}).get(figure)
    return None if spread is None else spread.median
