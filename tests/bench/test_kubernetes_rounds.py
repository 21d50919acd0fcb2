"""Rounds on a machine that others share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.kubernetes import rounds
from bench.kubernetes.rounds import TRIES, calm_rounds, calmest, medians, watched
from bench.machine import CpuTime

Made = list[tuple[int, str]]


def of(stolen: dict[str, list[float]], made: Made) -> rounds.Measured[str]:
    """Rounds from which so much is stolen, of each server in turn; what comes out of each is its number."""

    def measured(number: int, name: str) -> Iterator[tuple[str, rounds.Figures]]:
        made.append((number, name))
        yield name, {"p99": float(number), "lost": 1, "stolen": stolen[name][number]}

    return measured


def test_the_servers_take_turns_at_being_first() -> None:
    made: Made = []
    calm_rounds(["a", "b"], 3, of({"a": [0.0] * 3, "b": [0.0] * 3}, made))
    assert made == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]


def test_a_disturbed_round_is_made_again_and_does_not_count() -> None:
    made: Made = []
    found = calm_rounds(["a", "b"], 2, of({"a": [0.0, 9.0, 0.5], "b": [0.1, 0.2, 0.3]}, made))
    assert len(made) == 6
    assert [run["p99"] for run in found["a"]["runs"]] == [0.0, 2.0]
    assert [run["p99"] for run in found["b"]["runs"]] == [0.0, 1.0]
    assert (found["a"]["p99"], found["a"]["lost"], found["a"]["made"]) == (1.0, 2, 3)


def test_there_is_an_end_to_it() -> None:
    made: Made = []
    found = calm_rounds(["a"], 2, of({"a": [9.0, 7.0, 8.0, 6.0]}, made))
    assert len(made) == TRIES * 2
    assert [run["stolen"] for run in found["a"]["runs"]] == [7.0, 6.0], "the least disturbed, in their order"


def test_of_rounds_that_are_alike_the_first_count() -> None:
    runs = [{"stolen": 0.0, "number": number} for number in range(4)]
    assert calmest(runs, 3) == runs[:3]


def test_of_several_runs_counts_are_added_up_and_the_rest_is_the_median() -> None:
    runs = [{"lost": lost, "p99": p99} for lost, p99 in ((0, 1.0), (2, 9.0), (1, 3.0))]
    assert medians(runs) == {"lost": 3, "p99": 3.0, "runs": runs}


def test_what_is_stolen_is_told_in_per_cent(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([CpuTime(100, 1000), CpuTime(105, 1200)])
    monkeypatch.setattr(rounds, "cpu_time", lambda: next(times))
    assert watched(lambda: {"p99": 1.0}) == {"p99": 1.0, "stolen": 2.5}
