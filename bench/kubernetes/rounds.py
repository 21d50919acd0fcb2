"""Rounds on a machine that others share.

What a hypervisor gives to others is taken from whoever would run just then, for milliseconds at a time: a round of
which it has taken much tells of that, and of no server. So more rounds are made where that happens, and of each server
those count from which least was taken, whatever came out of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bench.machine import cpu_time

Figures = dict[str, Any]
Label = TypeVar("Label", bound=Hashable)
# A round of a server, by its number and the server's name: its figures as `watched` gives them, under a label or more.
Measured = Callable[[int, str], Iterator[tuple[Label, Figures]]]

STOLEN = "stolen"  # of all CPU time during a round, in per cent
CALM = 1.0  # at most, of a round that need not be made again
TRIES = 2  # rounds at most, for each that counts
COUNTS = (
    "updates",
    "lost",
    "answered",
    "late",
    "quiet_lost",
    "quiet_answered",
    "quiet_late",
    "wrong",
    "checked",
    "in_load",
)


def watched(measured: Callable[[], Figures]) -> Figures:
    """The figures of a round, with what was taken from it."""
    before = cpu_time()
    figures = measured()
    return figures | {STOLEN: 100 * cpu_time().stolen_since(before)}


def calm_rounds(names: Sequence[str], wanted: int, measured: Measured[Label]) -> dict[Label, Figures]:
    """Medians of the rounds that count, by label.

    Args:
        names: of the servers, which come in turn, another one first in each round.
        wanted: rounds that count.
    """
    found: dict[Label, list[Figures]] = {}
    for number in range(TRIES * wanted):
        if number >= wanted and all(_is_calm(runs, wanted) for runs in found.values()):
            break
        for name in names if number % 2 == 0 else names[::-1]:
            for label, figures in measured(number, name):
                found.setdefault(label, []).append(figures)
    return {label: medians(calmest(runs, wanted)) | {"made": len(runs)} for label, runs in found.items()}


def calmest(runs: Sequence[Figures], wanted: int) -> list[Figures]:
    """The rounds that count, in their order."""
    chosen = sorted(range(len(runs)), key=lambda number: runs[number][STOLEN])[:wanted]
    return [runs[number] for number in sorted(chosen)]


def _is_calm(runs: Sequence[Figures], wanted: int) -> bool:
    return all(run[STOLEN] <= CALM for run in calmest(runs, wanted))


def medians(runs: Sequence[Mapping[str, Any]]) -> Figures:
    """Of several rounds; counts are added up."""
    return {name: (sum if name in COUNTS else statistics.median)(each[name] for each in runs) for name in runs[0]} | {
        "runs": list(runs)
    }
