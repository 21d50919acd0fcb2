"""What a round does with a measurement that fails."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.rounds import Failure, _sample
from bench.samples import LATENCY, TAIL, Figures, Key, Sample


@pytest.mark.parametrize("trouble", [BenchError("the generator was late by 170 ms"), TimeoutError("timed out")])
def test_what_disturbs_a_measurement_costs_that_one(trouble: Exception) -> None:
    def disturbed() -> Figures:
        raise trouble

    assert _sample(Key("upstream", "miss", LATENCY), 5, disturbed) == Failure(f"upstream, miss: {trouble}")
    assert _sample(Key("hsdnsd", TAIL, TAIL), 5, dict) == Sample(Key("hsdnsd", TAIL, TAIL), 5, {})


def test_what_nobody_has_foreseen_ends_the_bench() -> None:
    with pytest.raises(ZeroDivisionError):
        _sample(Key("hsdnsd", "miss", LATENCY), 1, lambda: {"p50": 1 / 0})
