"""`bench/run`: what a person asks for -> a plan; samples, as they come, on the terminal; results."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bench import generator, machine, rounds
from bench.cluster import generate
from bench.ending import workplace
from bench.errors import AbsentError, BenchError
from bench.plan import Plan
from bench.samples import FLOOD, GENERATORS, MEMORY, RATE, TAIL, Sample, summarise
from bench.scenarios import hit_scenarios
from bench.servers import BY_NAME, SERVERS
from bench.servers.base import Server
from bench.servers.hsdnsd import BUILT
from bench.store import store
from bench.table import Report, markdown

RESULTS = Path(__file__).resolve().parent / "results"
HITS = hit_scenarios(generate())
SPECIAL = ("miss", "tail")
KUBERNETES = "--kubernetes"


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0; 1 if it can't be run or anything could not be measured."""
    if KUBERNETES in arguments:
        _on_kubernetes([word for word in arguments if word != KUBERNETES])
    options = parser().parse_args(arguments)
    try:
        return _run(options, arguments)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _on_kubernetes(arguments: Sequence[str]) -> NoReturn:
    """The other bench, in the environment that holds hsdnsd and what it takes to write to an API server."""
    python = BUILT.with_name("python")
    if not os.access(python, os.X_OK):
        sys.exit(f"bench: no {python}: `make build` makes it")
    os.chdir(RESULTS.parent.parent)
    os.execv(python, [str(python), "-m", "bench.kubernetes", *arguments])


def _run(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    _demand(options)
    facts = machine.describe()
    os.sched_setaffinity(0, {options.generator_core})
    with workplace() as folder:
        shared = folder / "shared"
        shared.mkdir()
        generator.compile_all(shared)
        servers, versions, notes = _find(options.server, shared)
        plan = _plan(options, servers)
        for note in notes:
            print(note, flush=True)
        print(f"about {max(1, round(plan.duration() / 60))} min; --quick is one round of {plan.rounds}", flush=True)
        samples: list[Sample] = []
        failures: list[str] = []
        with rounds.ground(folder, plan) as ground:
            for made in rounds.run(plan, ground):
                if isinstance(made, Sample):
                    samples.append(made)
                    print(f"{made.round}/{plan.rounds}  {line(made)}", flush=True)
                elif made.reason not in failures:
                    failures.append(made.reason)
                    print(f"FAILED {made.reason}", file=sys.stderr, flush=True)
    notes += [f"Failed: {reason}" for reason in failures]
    report = Report(
        facts, versions, servers, plan.scenarios, summarise(samples), notes,
        shlex.join(["bench/run", *arguments]), plan.rounds, plan.seconds, plan.rate,
    )  # fmt: skip
    print(f"\n{markdown(report)}")
    if where := destination(options):
        store(where, report, samples)
        print(f"written to {where}")
    return 1 if failures else 0


def line(sample: Sample) -> str:
    """One measurement, in a line."""
    key, figures = sample.key, sample.figures
    head = f"{key.server:14} {key!s:22} "
    if key.measure == MEMORY:
        return head + f"{figures['octets'] / 2**20:.1f} MiB"
    if key.measure in (RATE, FLOOD):
        return head + (
            f"{figures['per_second']:,.0f} queries/s, {figures['lost']:.0f} lost, latency {figures['latency']:,.0f} us,"
            f" CPU {figures['cpu']:.2f} us a query ({figures['user']:.2f} user + {figures['system']:.2f} system),"
            f" core {figures['busy']:.0%} used"
        )
    if key.measure == GENERATORS:
        return head + (
            f"bench/generator: p50 {figures['p50']:,.0f} us, p99 {figures['p99']:,.0f};"
            f" dnsperf: p50 {figures['dnsperf_p50']:,.0f}, p99 {figures['dnsperf_p99']:,.0f}"
        )
    tail = f" in the load (p99.9 of hits at most {figures['hits_p999']:,.0f})" if key.measure == TAIL else ""
    return head + (
        f"p50 {figures['p50']:,.0f} us, p99 {figures['p99']:,.0f}, p99.9 {figures['p999']:,.0f},"
        f" max {figures['max']:,.0f}{tail}, {figures['lost']:.0f} lost;"
        f" the generator was late by {figures['late']:,.0f} at most"
    )


def _demand(options: argparse.Namespace) -> None:
    missing = [name for name in ("dnsperf", "taskset") if shutil.which(name) is None]
    if missing:
        raise BenchError(f"{' and '.join(missing)} needed (Debian: dnsperf, util-linux)")
    cores = os.sched_getaffinity(0)
    wanted = {options.server_core, options.generator_core}
    if not wanted <= cores or len(wanted) < 2:
        raise BenchError(f"two cores are needed, one for the server, one for the generator; here are {sorted(cores)}")


def _find(wanted: Sequence[str], shared: Path) -> tuple[tuple[Server, ...], dict[str, str], list[str]]:
    """The servers that are here, their versions, and a line about each that is not."""
    found, versions, notes = [], {}, []
    for server in [BY_NAME[name] for name in wanted] or SERVERS:
        try:
            program = server.find(shared)
        except AbsentError as error:
            notes.append(f"{server.title} is left out: {error}")
        else:
            found.append(server)
            versions[server.name] = server.describe(program)
    if not found:
        raise BenchError("; ".join(notes))
    return tuple(found), versions, notes


def _plan(options: argparse.Namespace, servers: tuple[Server, ...]) -> Plan:
    wanted = options.scenario or [*(scenario.name for scenario in HITS), *SPECIAL]
    return Plan(
        servers=servers,
        scenarios=tuple(scenario for scenario in HITS if scenario.name in wanted),
        misses="miss" in wanted,
        tail="tail" in wanted and BY_NAME["hsdnsd"] in servers,
        rounds=1 if options.quick else options.rounds,
        seconds=options.seconds,
        rate=options.rate,
        server_core=options.server_core,
        generator_core=options.generator_core,
    )


def destination(options: argparse.Namespace) -> Path | None:
    """Where results go: a part of a bench, or a quick one, does not take the place of a whole one unless told to."""
    if options.store:
        return Path(options.store)
    return None if options.quick or options.server or options.scenario else RESULTS


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="bench/run",
        description="Measure hsdnsd beside the servers that are on this machine. bench/README.md tells how to read it.",
        epilog="The whole bench is written to bench/results/; a part of it, or a quick one, only with --store.",
    )
    add = result.add_argument
    names = ", ".join(BY_NAME)
    add(
        "--server",
        action="append",
        default=[],
        choices=BY_NAME,
        metavar="NAME",
        help=f"only this one; repeatable: {names}",
    )
    scenarios = (*(scenario.name for scenario in HITS), *SPECIAL)
    add("--scenario", action="append", default=[], choices=scenarios, metavar="NAME",
        help=f"only this one; repeatable: {', '.join(scenarios)}")  # fmt: skip
    add(KUBERNETES, action="store_true",
        help="instead: the watch-driven half, on a real API server; its options: --kubernetes --help")  # fmt: skip
    add("--quick", action="store_true", help="one round")
    add("--rounds", type=_at_least_one, default=5, metavar="N", help="rounds, of which the median counts (%(default)s)")
    add("--seconds", type=float, default=0.9, metavar="S", help="of each measurement (%(default)s)")
    add("--rate", type=_at_least_one, default=20_000, metavar="N", help="queries a second for latencies (%(default)s)")
    add("--server-core", type=int, default=0, metavar="CORE", help="(%(default)s)")
    add("--generator-core", type=int, default=1, metavar="CORE", help="(%(default)s)")
    add("--store", metavar="FOLDER", help="write latest.json, latest.md and latest.svg there")
    return result


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
