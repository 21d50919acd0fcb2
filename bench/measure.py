"""One figure of one running server: its greatest rate, or its latencies at a fixed rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import dnsperf, generator, wire
from bench.errors import BenchError
from bench.process import Process
from bench.scenarios import NXDOMAIN, Scenario, data_file

Figures = dict[str, float]

MICROSECONDS = 1e6
RCODES = {0: "NOERROR", NXDOMAIN: "NXDOMAIN"}


@dataclass(frozen=True)
class Target:
    """A server that runs, and what measuring it takes.

    Attributes:
        core: of the generators. programs: where the compiled ones are. folder: for input files.
    """

    process: Process
    port: int
    core: int
    programs: Path
    folder: Path


def greatest_rate(target: Target, scenario: Scenario, *, edns: bool, seconds: float, once: bool = False) -> Figures:
    """dnsperf in a closed loop: queries per second, lost, and the server's CPU time for each answered query.

    `busy` is the share of one core that the server used: below 1 the generator was the limit, not the server.

    Raises:
        BenchError: nothing was answered, or not all replies had the scenario's rcode.
    """
    questions = target.folder / "questions"
    questions.write_text(data_file(scenario.questions))
    before = target.process.cpu()
    run = dnsperf.parse(dnsperf.run(target.port, questions, target.core, seconds=seconds, edns=edns, once=once))
    after = target.process.cpu()
    _must_be(run.rcodes, scenario)
    user, system = after.user - before.user, after.system - before.system
    return {
        "per_second": run.per_second,
        "lost": run.lost,
        "latency": run.latency * MICROSECONDS,
        "cpu": (user + system) / run.completed * MICROSECONDS,
        "user": user / run.completed * MICROSECONDS,
        "system": system / run.completed * MICROSECONDS,
        "busy": (user + system) / run.seconds,
    }


def latencies(target: Target, scenario: Scenario, *, edns: bool, rate: int, seconds: float) -> Figures:
    """An open loop at so many queries a second: quantiles of latency in microseconds, and lost.

    Raises:
        BenchError: nothing was answered, or not all replies had the scenario's rcode.
    """
    queries = target.folder / "queries"
    queries.write_bytes(wire.query_file(scenario.questions, edns=edns))
    load = generator.run(target.programs, target.port, queries, target.core, seconds, rate=rate)
    _must_be({RCODES.get(rcode, str(rcode)): count for rcode, count in enumerate(load.rcodes) if count}, scenario)
    return {
        "p50": load.p50,
        "p99": load.p99,
        "p999": load.p999,
        "max": load.max,
        "lost": load.lost,
        "late": load.late,
    }


def _must_be(rcodes: dict[str, int], scenario: Scenario) -> None:
    if set(rcodes) != {RCODES[scenario.rcode]}:
        raise BenchError(f"{scenario.name}: replies were {rcodes or 'none'}, not {RCODES[scenario.rcode]}")
