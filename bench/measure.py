"""One figure of one running server: its greatest rate, or its latencies at a fixed rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import dnsperf, generator, wire
from bench.errors import BenchError
from bench.process import TICK, Cpu, Process
from bench.samples import Figures
from bench.scenarios import NXDOMAIN, Scenario, data_file

MICROSECONDS = 1e6
RCODES = {0: "NOERROR", NXDOMAIN: "NXDOMAIN"}
WINDOW = 128  # outstanding; a receive buffer of the kernel's default size holds some 160 small datagrams


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
    meter = _Meter(target)
    run = dnsperf.parse(dnsperf.run(target.port, questions, target.core, seconds=seconds, edns=edns, once=once))
    used = meter.read(run.completed, run.seconds)
    _must_be(run.rcodes, scenario, target)
    return {"per_second": run.per_second, "lost": run.lost, "latency": run.latency * MICROSECONDS, **used}


def flood(target: Target, scenario: Scenario, *, seconds: float) -> Figures:
    """bench/generator in a closed loop: it sends in batches and so goes further than dnsperf before it is the limit.

    Raises:
        BenchError: see `greatest_rate`.
    """
    queries = target.folder / "queries"
    queries.write_bytes(wire.query_file(scenario.questions, edns=False))
    meter = _Meter(target)
    load = generator.run(generator.command(target.programs, target.port, queries, target.core, seconds, window=WINDOW))
    used = meter.read(load.answered, load.seconds)
    _must_be(_named(load), scenario, target)
    return {"per_second": load.per_second, "lost": load.lost, "latency": load.p50, **used}


def latencies(target: Target, scenario: Scenario, *, edns: bool, rate: int, seconds: float) -> Figures:
    """An open loop at so many queries a second: quantiles of latency in microseconds, and lost.

    Raises:
        BenchError: nothing was answered, or not all replies had the scenario's rcode.
    """
    queries = target.folder / "queries"
    queries.write_bytes(wire.query_file(scenario.questions, edns=edns))
    load = generator.run(generator.command(target.programs, target.port, queries, target.core, seconds, rate=rate))
    _must_be(_named(load), scenario, target)
    return {
        "p50": load.p50,
        "p99": load.p99,
        "p999": load.p999,
        "max": load.max,
        "lost": load.lost,
        "late": load.late,
    }


def compare_generators(target: Target, scenario: Scenario, *, rate: int, seconds: float) -> Figures:
    """The same server at the same rate under both generators: what bench/generator says of latencies, and dnsperf.

    dnsperf takes the time when it has read a reply, bench/generator when the kernel had it, so dnsperf's are longer by
    the wait of its own process.
    """
    own = latencies(target, scenario, edns=False, rate=rate, seconds=seconds)
    questions = target.folder / "questions"
    questions.write_text(data_file(scenario.questions))
    told = dnsperf.run(target.port, questions, target.core, seconds=seconds, rate=rate, each=True)
    sorted_latencies = sorted(seconds * MICROSECONDS for seconds in dnsperf.parse_latencies(told))
    if not sorted_latencies:
        raise BenchError("dnsperf -v told no latency")
    theirs = {f"dnsperf_{name}": quantile(sorted_latencies, share) for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {"p50": own["p50"], "p99": own["p99"], **theirs}


def quantile(in_order: Sequence[float], share: float) -> float:
    """The value that a share of them does not exceed (nearest rank)."""
    return in_order[min(int(share * len(in_order)), len(in_order) - 1)]


class _Meter:
    """CPU time from its making until it is read."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._start = time.monotonic()
        self._before, self._core_before = self._now()

    def read(self, answers: int, seconds: float) -> Figures:
        """The server's, for each answer, in microseconds; and the shares of its core that it and others used.

        Args:
            seconds: for which it was asked; the generator's start and end do not belong to it.
        """
        if not answers:
            raise BenchError("nothing was answered")
        after, core_after = self._now()
        used = after.since(self._before)
        others = max(0.0, core_after - self._core_before - used.total)
        return {
            "cpu": used.total / answers * MICROSECONDS,
            "user": used.user / answers * MICROSECONDS,
            "system": used.system / answers * MICROSECONDS,
            "busy": used.total / seconds,
            "others": others / (time.monotonic() - self._start),
        }

    def _now(self) -> tuple[Cpu, float]:
        return self._target.process.cpu(), core_seconds(self._target.server_core)


def core_seconds(core: int) -> float:
    """How long a core has not been idle (proc_stat(5): user, nice, system, irq, softirq), in seconds."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, fields)
            return (user + nice + system + irq + softirq) / TICK
    raise BenchError(f"there is no core {core}")


def _named(load: generator.Load) -> dict[str, int]:
    return {RCODES.get(rcode, str(rcode)): count for rcode, count in enumerate(load.rcodes) if count}


def _must_be(rcodes: dict[str, int], scenario: Scenario, target: Target) -> None:
    if not rcodes or (target.checked and set(rcodes) != {RCODES[scenario.rcode]}):
        raise BenchError(f"{scenario.name}: replies were {rcodes or 'none'}, not {RCODES[scenario.rcode]}")
