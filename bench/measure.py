"""One figure of one running server: its greatest rate, or its latencies at a fixed rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import dnsperf, generator, wire
from bench.errors import BenchError
from bench.process import TICK, Process
from bench.scenarios import NXDOMAIN, Scenario, data_file

Figures = dict[str, float]

MICROSECONDS = 1e6
RCODES = {0: "NOERROR", NXDOMAIN: "NXDOMAIN"}


@dataclass(frozen=True)
class Target:
    """A server that runs, and what measuring it takes.

    Attributes:
        core: of the generators. server_core: of the server.
        programs: where the compiled ones are. folder: for input files.
        checked: whether its replies have to have the scenario's rcode.
    """

    process: Process
    port: int
    core: int
    server_core: int
    programs: Path
    folder: Path
    checked: bool = True


def greatest_rate(target: Target, scenario: Scenario, *, edns: bool, seconds: float, once: bool = False) -> Figures:
    """dnsperf in a closed loop: queries per second, lost, and the server's CPU time for each answered query.

    `busy` is the share of its core that the server used: below 1 the generator was the limit, not the server. `others`
    is the share that anything else took of that core: what disturbed the measurement.

    Raises:
        BenchError: nothing was answered, or not all replies had the scenario's rcode.
    """
    questions = target.folder / "questions"
    questions.write_text(data_file(scenario.questions))
    before, core_before = target.process.cpu(), core_seconds(target.server_core)
    run = dnsperf.parse(dnsperf.run(target.port, questions, target.core, seconds=seconds, edns=edns, once=once))
    after, core_after = target.process.cpu(), core_seconds(target.server_core)
    _must_be(run.rcodes, scenario, target)
    user, system = after.user - before.user, after.system - before.system
    return {
        "per_second": run.per_second,
        "lost": run.lost,
        "latency": run.latency * MICROSECONDS,
        "cpu": (user + system) / run.completed * MICROSECONDS,
        "user": user / run.completed * MICROSECONDS,
        "system": system / run.completed * MICROSECONDS,
        "busy": (user + system) / run.seconds,
        "others": max(0.0, core_after - core_before - user - system) / run.seconds,
    }


def latencies(target: Target, scenario: Scenario, *, edns: bool, rate: int, seconds: float) -> Figures:
    """An open loop at so many queries a second: quantiles of latency in microseconds, and lost.

    Raises:
        BenchError: nothing was answered, or not all replies had the scenario's rcode.
    """
    queries = target.folder / "queries"
    queries.write_bytes(wire.query_file(scenario.questions, edns=edns))
    load = generator.run(target.programs, target.port, queries, target.core, seconds, rate=rate)
    _must_be({RCODES.get(rcode, str(rcode)): count for rcode, count in enumerate(load.rcodes) if count}, scenario, target)
    return {
        "p50": load.p50,
        "p99": load.p99,
        "p999": load.p999,
        "max": load.max,
        "lost": load.lost,
        "late": load.late,
    }


def core_seconds(core: int) -> float:
    """How long a core has not been idle (proc_stat(5): user, nice, system, irq, softirq), in seconds."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, fields)
            return (user + nice + system + irq + softirq) / TICK
    raise BenchError(f"there is no core {core}")


def _must_be(rcodes: dict[str, int], scenario: Scenario, target: Target) -> None:
    if not rcodes or (target.checked and set(rcodes) != {RCODES[scenario.rcode]}):
        raise BenchError(f"{scenario.name}: replies were {rcodes or 'none'}, not {RCODES[scenario.rcode]}")
