"""What a bench does, in which order, and for how long; and what a person can ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import cli
from bench.cluster import generate
from bench.plan import Plan
from bench.scenarios import data_file, hit_scenarios
from bench.servers import BY_NAME, FLOOR, HSDNSD

SCENARIOS = hit_scenarios(generate(1, 1, 1))
BENCH = Path(cli.__file__).parent


def plan(*names: str, misses: bool = True, tail: bool = False, rounds: int = 5) -> Plan:
    servers = tuple(BY_NAME[name] for name in names)
    return Plan(servers, SCENARIOS, misses, tail, rounds, 2.0, 20_000, 0, 1)


def test_every_server_comes_first_in_turn() -> None:
    some = plan("floor", "hsdnsd", "nsd")
    assert [some.turn(number)[0].name for number in range(4)] == ["floor", "hsdnsd", "nsd", "floor"]
    assert all(set(some.turn(number)) == set(some.servers) for number in range(4))


def test_a_server_is_asked_what_it_serves() -> None:
    some = plan("nsd", "hsdnsd", "coredns")
    names = {server.name: [scenario.name for scenario in some.asked_of(server)] for server in some.servers}
    assert names["nsd"] == ["pod-a", "headless-a", "srv", "nxdomain"]
    assert names["hsdnsd"] == ["pod-a", "headless-a", "srv", "external", "nxdomain"]
    assert [some.misses_of(server) for server in some.servers] == [False, True, False]
    assert not plan("hsdnsd", misses=False).misses_of(HSDNSD)


def test_more_takes_longer() -> None:
    assert plan("hsdnsd").duration() > plan("hsdnsd", misses=False).duration() > plan("nsd", misses=False).duration()
    assert plan("hsdnsd", tail=True).duration() > plan("hsdnsd").duration()
    assert plan("hsdnsd", rounds=5).duration() == pytest.approx(5 * plan("hsdnsd", rounds=1).duration())


def test_a_data_file_has_a_line_for_each_question() -> None:
    lines = data_file(SCENARIOS[2].questions).splitlines()
    assert lines == ["_client._tcp.db-000.team-00.svc.cluster.local SRV"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], cli.RESULTS),
        (["--rounds", "9"], cli.RESULTS),
        (["--quick"], None),
        (["--server", "hsdnsd"], None),
        (["--scenario", "pod-a"], None),
        (["--quick", "--store", "there"], Path("there")),
    ],
)
def test_only_a_whole_bench_takes_the_place_of_the_last(arguments: list[str], expected: Path | None) -> None:
    assert cli.destination(cli.parser().parse_args(arguments)) == expected


@pytest.mark.parametrize("arguments", [["--server", "none"], ["--rounds", "0"], ["--scenario", "all"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: bench/run" in capsys.readouterr().err


def test_one_core_for_both_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--server-core", "0", "--generator-core", "0"]) == 1
    assert capsys.readouterr().err.startswith("bench: ")


def test_the_readme_tells_each_scenario() -> None:
    text = (BENCH / "README.md").read_text()
    for scenario in SCENARIOS:
        assert f"| `{scenario.name}` | {scenario.meaning} |" in text
    assert all(f"`{name}`" in text for name in cli.SPECIAL)


def test_the_front_page_shows_the_newest_results() -> None:
    text = (BENCH.parent / "README.md").read_text()
    for name in ("latest.svg", "latest.md"):
        path = cli.RESULTS / name
        assert f"]({path.relative_to(BENCH.parent)})" in text
        assert path.is_file()


def test_the_floor_is_not_looked_at() -> None:
    assert [server.name for server in BY_NAME.values() if not server.checked] == [FLOOR.name]
