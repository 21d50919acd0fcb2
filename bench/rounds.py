"""The rounds: in each, every server is started anew, warmed, measured and stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import ask, measure, tail, wire
from bench.cluster import Cluster, generate, manifests
from bench.errors import BenchError
from bench.plan import MISS_RATE, MISSES_A_SECOND, Plan
from bench.process import Process, free_port, running
from bench.samples import FLOOD, GENERATORS, LATENCY, MEMORY, RATE, TAIL, Figures, Key, Sample
from bench.scenarios import hit_scenarios, miss_scenario
from bench.servers import FLOOR, HSDNSD, UPSTREAM
from bench.servers.base import Server, Site
from bench.standin import stand_in
from bench.zone import cluster_records, external_records, zone_file


class Failure(NamedTuple):
    """A measurement that could not be made."""

    reason: str


@dataclass(frozen=True)
class Ground:
    """What all servers stand on.

    Attributes:
        folder: temporary; holds `shared` and a folder for each run. upstream: process and port.
    """

    folder: Path
    shared: Path
    upstream: Process
    upstream_port: int


@contextmanager
def ground(folder: Path, plan: Plan) -> Iterator[Ground]:
    """Write the workload, start the upstream and the API server's stand-in on the generator's core."""
    shared = folder / "shared"
    cluster = generate()
    write_workload(shared, cluster)
    with ExitStack() as opened:
        port = free_port()
        place = folder / "upstream"
        place.mkdir()
        site = Site(place, port, free_port(), port, shared)
        command = UPSTREAM.command(UPSTREAM.find(shared), site)
        upstream = opened.enter_context(running(command, place, plan.generator_core))
        ask.wait_until_ready(upstream, port, miss_scenario("start", 1))
        opened.enter_context(stand_in(folder, plan.generator_core, "small")).kubeconfig(shared)
        yield Ground(folder, shared, upstream, port)


def write_workload(shared: Path, cluster: Cluster) -> None:
    """cluster.yaml, cluster.zone and the upstream's answers."""
    (shared / "cluster.yaml").write_text(manifests(cluster))
    (shared / "cluster.zone").write_text(zone_file(cluster))
    records = [*cluster_records(cluster), *external_records()]
    absent = [question for each in hit_scenarios(cluster) if each.rcode for question in each.questions]
    (shared / "answers").write_bytes(wire.answer_file(records, absent))


def run(plan: Plan, on: Ground) -> Iterator[Sample | Failure]:
    """All rounds; samples as they are made, and what could not be measured."""
    for number in range(1, plan.rounds + 1):
        for server in plan.turn(number - 1):
            yield from _one_server(plan, on, server, number)
        if plan.misses:
            yield _upstream_itself(plan, on, number)
        if plan.tail:
            key = Key(HSDNSD.name, TAIL, TAIL)
            yield _sample(key, number, lambda: tail.measure_tail(plan, on.folder, on.shared, on.upstream_port))


def _sample(key: Key, number: int, figures: Callable[[], Figures]) -> Sample | Failure:
    """One measurement; what disturbs it costs that one, not those of half an hour before."""
    try:
        return Sample(key, number, figures())
    except (BenchError, OSError) as error:  # OSError: somebody did not answer in time
        return Failure(f"{key.server}, {key.scenario or key.measure}: {error}")


def _one_server(plan: Plan, on: Ground, server: Server, number: int) -> Iterator[Sample | Failure]:
    scenarios = list(plan.asked_of(server))
    if not scenarios and not plan.misses_of(server):
        return
    folder = on.folder / f"{server.name}-{number}"
    folder.mkdir()
    site = Site(folder, free_port(), free_port(), on.upstream_port, on.shared)
    command = server.command(server.find(on.shared), site)
    with running(command, folder, plan.server_core, server.environment) as process:
        target = measure.Target(
            process, site.port, plan.generator_core, plan.server_core, on.shared, folder, server.checked
        )
        first = scenarios[0] if scenarios else miss_scenario("start", 1)
        try:
            if server.checked:
                ask.wait_until_ready(process, site.port, first)
        except BenchError as error:
            yield Failure(f"{server.name}: {error}")
            return
        for scenario in scenarios:
            for edns in (False, True):
                try:
                    if server.checked:
                        ask.check(site.port, scenario, edns=edns)
                    figures = measure.greatest_rate(target, scenario, edns=edns, seconds=plan.seconds)
                    yield Sample(Key(server.name, scenario.name, RATE, edns), number, figures)
                    if not edns:
                        figures = measure.flood(target, scenario, seconds=plan.seconds)
                        yield Sample(Key(server.name, scenario.name, FLOOD), number, figures)
                        figures = measure.latencies(target, scenario, edns=edns, rate=plan.rate, seconds=plan.seconds)
                        yield Sample(Key(server.name, scenario.name, LATENCY), number, figures)
                except BenchError as error:
                    yield Failure(f"{server.name}, {scenario.name}: {error}")
        if scenarios:
            yield Sample(Key(server.name, "", MEMORY), number, {"octets": process.memory()})
        if server is FLOOR and scenarios:
            yield _sample(
                Key(server.name, "", GENERATORS),
                number,
                lambda: measure.compare_generators(target, scenarios[0], rate=plan.rate, seconds=plan.seconds),
            )
        if plan.misses_of(server):
            yield from _misses(plan, server, target, number)


def _misses(plan: Plan, server: Server, target: measure.Target, number: int) -> Iterator[Sample | Failure]:
    seconds = plan.seconds
    fresh = miss_scenario(f"rate{number}", int(MISSES_A_SECOND * seconds))
    yield _sample(
        Key(server.name, "miss", RATE),
        number,
        lambda: measure.greatest_rate(target, fresh, edns=False, seconds=seconds, once=True),
    )
    yield _miss_latencies(plan, server, target, f"latency{number}", number)


def _miss_latencies(plan: Plan, server: Server, target: measure.Target, tag: str, number: int) -> Sample | Failure:
    fresh = miss_scenario(tag, int(MISS_RATE * plan.seconds) + 1)
    return _sample(
        Key(server.name, "miss", LATENCY),
        number,
        lambda: measure.latencies(target, fresh, edns=False, rate=MISS_RATE, seconds=plan.seconds),
    )


def _upstream_itself(plan: Plan, on: Ground, number: int) -> Sample | Failure:
    """What a miss would cost if nobody stood between."""
    folder = on.folder / f"{UPSTREAM.name}-{number}"
    folder.mkdir()
    target = measure.Target(on.upstream, on.upstream_port, plan.generator_core, plan.generator_core, on.shared, folder)
    return _miss_latencies(plan, UPSTREAM, target, "direct", number)
