"""The generator's line, and a few queries sent with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cluster import Cluster
from bench.errors import BenchError
from bench.generator import Load, command, parse, run
from bench.scenarios import hit_scenarios
from bench.wire import query_file

LINE = (
    '{"seconds": 2.0, "sent": 40, "answered": 39, "answered_in_time": 38, "lost": 1, "refused": 0, "stray": 0,'
    ' "realtime": true, "late": 1.5, "p50": 20.0, "p99": 30.0, "p999": 40.0, "max": 50.0, "rcodes": [38, 0, 0, 1]}'
)


@pytest.fixture
def queries(tmp_path: Path, cluster: Cluster) -> Path:
    path = tmp_path / "queries"
    path.write_bytes(query_file(hit_scenarios(cluster)[0].questions, edns=True))
    return path


def test_its_line_is_read() -> None:
    load = parse(LINE)
    assert load == Load(2.0, 40, 39, 1, 20.0, 30.0, 40.0, 50.0, 1.5, True, (38, 0, 0, 1))
    assert load.per_second == 19.5


@pytest.mark.parametrize("line", ["", "load: no", "{}", LINE.replace('"p50": 20.0, ', "")])
def test_anything_else_is_an_error_that_shows_it(line: str) -> None:
    with pytest.raises(BenchError, match="the generator said"):
        parse(line)


def test_a_generator_that_was_held_up_is_not_believed() -> None:
    with pytest.raises(BenchError, match="late by 101 ms"):
        parse(LINE.replace('"late": 1.5', '"late": 101000.0'))


def undisturbed(line: list[str]) -> Load:
    """What the generator measures, in a while in which the machine leaves it its core."""
    for _ in range(20):
        try:
            return run(line)
        except BenchError as error:
            if "late by" not in str(error):
                raise
    raise AssertionError("it was held up twenty times")


@pytest.mark.parametrize("turn", [None, 1000])
def test_an_open_loop_sends_what_is_due(
    shared: Path, upstream: int, core: int, queries: Path, turn: int | None
) -> None:
    load = undisturbed(command(shared, upstream, queries, core, 0.1, rate=2000, turn=turn))
    assert (load.sent, load.answered, load.lost) == (200, 200, 0)
    assert load.rcodes[0] == 200
    assert 0 < load.p50 <= load.p99 <= load.p999 <= load.max


def test_a_closed_loop_sends_when_it_is_answered(shared: Path, upstream: int, core: int, queries: Path) -> None:
    load = run(command(shared, upstream, queries, core, 0.05, window=4))
    assert load.sent == load.answered > 4
    assert load.lost == 0


def test_silence_is_loss(shared: Path, tmp_path: Path, upstream: int, core: int) -> None:
    malformed = tmp_path / "malformed"
    malformed.write_bytes((12).to_bytes(2, "big") + bytes(12))  # no question: the upstream says nothing
    load = undisturbed(command(shared, upstream, malformed, core, 0.01, rate=500))
    assert (load.sent, load.answered, load.lost) == (5, 0, 5)


def test_what_is_lost_does_not_hold_up_a_closed_loop(shared: Path, queries: Path, upstream: int, core: int) -> None:
    queries.write_bytes(queries.read_bytes() + (12).to_bytes(2, "big") + bytes(12))
    load = run(command(shared, upstream, queries, core, 0.2, window=50))
    assert load.answered >= 600 * load.lost > 0
    assert load.sent == load.answered + load.lost


def test_a_file_without_a_query_is_an_error(shared: Path, tmp_path: Path, core: int) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    with pytest.raises(BenchError, match="holds no query"):
        run(command(shared, 1, empty, core, 0.01, rate=1))
