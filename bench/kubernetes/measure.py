"""The sections of the report: each runs its part on a real API server and returns figures, ready to be stored."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench import cluster
from bench.cluster import Cluster, generate, objects
from bench.errors import BenchError
from bench.kubernetes import fleet, fresh, lines, outage, recorded, start
from bench.kubernetes.api import connected, token
from bench.kubernetes.lab import BOTH, HSDNSD, Lab
from bench.kubernetes.plan import RATES, Plan
from bench.kubernetes.rounds import Figures, calm_rounds, watched
from bench.measure import quantile
from tests.cluster.control_plane import API_PORT, ControlPlane

Say = Callable[[str], None]

IDLE = 10.0  # seconds of rest before memory is read
SMALL = (10, 0, 20)  # headless Services of three pods, of ten, and Services with a ClusterIP
ASKED = 60  # Services of whose ten pods the hits are
SNAPSHOT = "snapshot"  # how hsdnsd with one is called
ALL = ("--set", "zone.endpoints=all")
# Lists are asked for by many at once here, of a machine that may be busy, under a token that API priority and fairness
# does not hold back: none is to be given up for that (after 60 s, by default).
PATIENT = "--request-timeout=10m"
STREAMED = 10  # watchers whose lists are streamed, for comparison
MILLI, MICRO = 1e3, 1e6


def small(lab: Lab, plan: Plan, say: Say) -> Iterator[tuple[str, Figures]]:
    """Idle and freshness: an API server with little in it."""
    if not {"idle", "freshness"} & set(plan.sections):
        return
    with lab.control_plane() as plane:
        if "idle" in plan.sections:
            fill(plane, generate(*SMALL))
            yield "idle", dict(_idle(lab, plane, say))
        if "freshness" in plan.sections:
            yield "freshness", _freshness(lab, plan, plane, say)


def large(lab: Lab, plan: Plan, say: Say, programs: Path) -> Iterator[tuple[str, Figures]]:
    """Start, memory and the outage: an API server with 10,000 headless Services."""
    if not {"start", "outage"} & set(plan.sections):
        return
    services = cluster.large(plan.services)
    with lab.control_plane() as plane:
        say(f"{plan.services:,} Services made in {fill(plane, services):.0f} s")
        if "start" in plan.sections:
            yield "start", _starts(lab, plan, plane, services, say)
        if "outage" in plan.sections:
            yield "outage", _outages(lab, plan, plane, services, say, programs)


def fleets(lab: Lab, plan: Plan, say: Say) -> Iterator[tuple[str, Figures]]:
    if "fleet" in plan.sections:
        with lab.control_plane(PATIENT) as plane:
            services = fleet.cluster()
            fill(plane, services)
            yield "fleet", uvloop.run(_fleet(lab, plan, plane, services, say))


def fill(plane: ControlPlane, services: Cluster) -> float:
    """Make the objects; the seconds that it took."""

    async def work() -> None:
        async with connected(plane) as api:
            await api.fill(objects(services))

    begun = time.monotonic()
    uvloop.run(work())
    return time.monotonic() - begun


def _here(lab: Lab) -> list[str]:
    return [name for name in BOTH if name in lab.programs]


def _idle(lab: Lab, plane: ControlPlane, say: Say) -> Iterator[tuple[str, Figures]]:
    wanted = start.sample(generate(*SMALL).services[: SMALL[0]])
    for name in _here(lab):
        with lab.serving(name, plane.kubeconfig()) as server:
            start.await_answers(server, wanted)
            time.sleep(IDLE)
            figures = start.memory(server.process.popen.pid)._asdict()
        say(f"idle       {name:9} {lines.idle(figures)}")
        yield name, figures


def _freshness(lab: Lab, plan: Plan, plane: ControlPlane, say: Say) -> Figures:
    asked = fresh.services()
    fill(plane, Cluster(asked, (), ()))

    async def block(server: Any, rate: int) -> fresh.Freshness:
        async with connected(plane) as api:
            return await fresh.measure(api, server, asked, rate, plan.updates)

    def measured(number: int, name: str) -> Iterator[tuple[tuple[str, int], Figures]]:
        with lab.serving(name, plane.kubeconfig()) as server:
            for rate in RATES:
                figures = watched(lambda rate=rate: fresh_figures(uvloop.run(block(server, rate))))
                say(f"freshness  {name:9} {number + 1} at {rate}/s: {lines.freshness(figures)}")
                yield (name, rate), figures

    result: dict[str, Figures] = {name: {} for name in _here(lab)}
    for (name, rate), figures in calm_rounds(_here(lab), plan.rounds, measured).items():
        result[name][str(rate)] = figures
        say(f"freshness  {name:9} at {rate}/s, medians: {lines.freshness(figures)}")
    return result


def fresh_figures(found: fresh.Freshness) -> Figures:
    """Milliseconds; CPU time in microseconds for an update."""
    late, replies = sorted(found.late), sorted(found.replies)
    if not late:
        raise BenchError("no update came")
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {
        "updates": found.updates,
        "lost": found.lost,
        **{name: quantile(late, share) * MILLI for name, share in shares.items()},
        "api_p50": quantile(replies, 0.5) * MILLI,
        "api_p99": quantile(replies, 0.99) * MILLI,
        "cpu": found.cpu / found.updates * MICRO,
    }


def _starts(lab: Lab, plan: Plan, plane: ControlPlane, services: Cluster, say: Say) -> Figures:
    wanted = start.sample(services.services)
    snapshot, kubeconfig = lab.folder / "snapshot", plane.kubeconfig()

    def begin(name: str, *options: str) -> Figures:
        with lab.serving(name, kubeconfig, *options) as server:
            first, every = start.await_answers(server, wanted)
            time.sleep(start.SETTLING)
            resident, peak = start.memory(server.process.popen.pid)
            cpu = server.process.cpu().total
        return {"first": first, "all": every, "resident": resident, "peak": peak, "cpu": cpu}

    def measured(_number: int, name: str) -> Iterator[tuple[str, Figures]]:
        options = ("--set", f"source.snapshot={snapshot}") if name == HSDNSD else ()
        snapshot.unlink(missing_ok=True)
        for label in (name, SNAPSHOT) if name == HSDNSD else (name,):
            # One file for all: a snapshot is good for who has the same.
            figures = watched(lambda: begin(name, *options))
            say(f"start      {label:9} {lines.start(figures)}")
            yield label, figures

    return calm_rounds(_here(lab), plan.starts, measured)


def _outages(
    lab: Lab, plan: Plan, plane: ControlPlane, services: Cluster, say: Say, programs: Path
) -> dict[str, Figures]:
    wanted = start.sample(services.services)
    # The markers are not among the sample that every server is asked for.
    asked, markers = services.services[:ASKED], iter(services.services[ASKED + 1 :])

    def measured(number: int, name: str) -> Iterator[tuple[str, Figures]]:
        with lab.serving(name, plane.kubeconfig()) as server:
            start.await_answers(server, wanted)
            time.sleep(start.SETTLING)
            before = start.memory(server.process.popen.pid)
            outlast = functools.partial(outage.measure, server, plane, asked, next(markers), programs)
            figures = watched(lambda: outage_figures(outlast(plan.quiet, plan.outage), before))
        say(f"outage     {name:9} {number + 1}: {lines.outage(figures)}")
        yield name, figures

    return calm_rounds(_here(lab), plan.outages, measured)


def outage_figures(found: outage.Outage, before: start.Memory) -> Figures:
    """Microseconds; MiB."""
    loads = {"": found.load, "quiet_": found.quiet}
    return {
        **{f"{prefix}{each}": getattr(load, each) for prefix, load in loads.items()
           for each in ("p50", "p99", "p999", "max", "lost", "answered", "late")},
        "wrong": found.wrong, "checked": found.checked, "followed": found.followed, "in_load": int(found.in_load),
        "before": before.resident, "after": found.after.resident, "peak": found.after.peak,
    }  # fmt: skip


async def _fleet(lab: Lab, plan: Plan, plane: ControlPlane, services: Cluster, say: Say) -> Figures:
    """Bytes and CPU of the API server for watchers that are scoped, as hsdnsd's default is, or not."""
    figures: Figures = {"watchers": plan.watchers, "headless": fleet.HEADLESS, "cluster_ips": fleet.CLUSTER_IPS}
    sorts = {"headless": services.rings, "cluster_ip": services.plain}
    host = f"{plane.host}:{API_PORT}"
    async with connected(plane) as api:
        for scope, options in (("nobody", None), ("scoped", ()), ("all", ALL)):
            requests = [] if options is None else await asyncio.to_thread(
                recorded.requests, lab, lab.folder, token(plane), host, options
            )  # fmt: skip
            watching = fleet.Fleet(plane, requests, plan.watchers)
            try:
                started = await watching.start()
                figures[scope] = {"start": started._asdict(), "requests": len(requests)}
                if requests:
                    say(f"fleet      {scope:9} {lines.fleet_start(started._asdict(), plan.watchers)}")
                for sort, changed in sorts.items():
                    followed = await watching.follow(api, changed, plan.event_rate, plan.events)
                    figures[scope][sort] = followed._asdict()
                    say(f"fleet      {scope:9} {sort} {lines.fleet_events(followed._asdict(), plan.watchers)}")
            finally:
                watching.stop()
            if requests:
                figures[scope]["streamed"] = await _streamed(plane, requests, say)
    return figures


async def _streamed(plane: ControlPlane, requests: Sequence[recorded.Asked], say: Say) -> Figures:
    """The start of a few watchers whose lists come as one stream with the watch."""
    watching = fleet.Fleet(plane, requests, STREAMED, streamed=True)
    try:
        started = await watching.start()
    finally:
        watching.stop()
    say(f"fleet      streamed  {lines.fleet_start(started._asdict(), STREAMED)}")
    return {"watchers": STREAMED, **started._asdict()}
