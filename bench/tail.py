"""The daemon's tail: hits at a fixed rate while it lists a large cluster, is scraped, and takes events.

10,000 headless Services with 100,000 endpoints come from the API server's stand-in. The daemon has listed them once
and then answers; first in quiet, then while it is made to list everything again, twice, is scraped every second and
takes 1,000 EndpointSlice events a second. The questions are for pods of these Services, so events also take away
answers that are being asked for, some seventy a second: those are no hits, and are made anew.

The generator sees every reply, and all that delays one: its own core, which it shares with the API server's stand-in,
and the machine. Of hits alone the daemon tells, from the kernel's receive timestamp to the reply in the kernel's hands.
"""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from bench import ask, generator, wire
from bench.cluster import large
from bench.errors import BenchError
from bench.plan import QUIET_SECONDS, TAIL_SECONDS, Plan
from bench.process import free_port, running
from bench.samples import Figures
from bench.scenarios import Question, Scenario
from bench.servers import HSDNSD
from bench.servers.base import Site
from bench.servers.hsdnsd import common
from bench.standin import StandIn, get, stand_in

EVENTS = 1000  # a second
SCRAPE_INTERVAL = 1.0  # seconds
# So far apart that the daemon is back at its watch in between: while it pauses before a list, no event reaches it.
LIST_AT = (0, 6)  # scrapes
ASKED_SERVICES = 60  # ten pods each
TURN = 200  # microseconds: the API server's stand-in needs the better part of the generator's core

_HITS = "hit_own"  # the outcome
_BUCKET = re.compile(r"^hsdnsd_udp_request_duration_seconds_bucket\{(.*)\} ([\d.e+]+)$", re.MULTILINE)
_SAMPLE = re.compile(r'^hsdnsd_watch_(relists|events)_total\{kind="EndpointSlice"\} ([\d.e+]+)$', re.MULTILINE)


def questions() -> Scenario:
    asked = [
        Question(f"{pod.name}.{service.domain}", "A")
        for service in large(ASKED_SERVICES).services
        for pod in service.pods
    ]
    return Scenario("tail", "tail", "A of one pod of a headless Service, of 10,000 such Services", tuple(asked), 1)


def measure_tail(plan: Plan, folder: Path, shared: Path, upstream: int) -> Figures:
    """One run; see the module.

    Raises:
        BenchError: the daemon does not start, answers wrong, or did not do what was to be measured.
    """
    scenario = questions()
    place = folder / f"tail-{time.monotonic_ns()}"
    place.mkdir()
    queries = place / "queries"
    queries.write_bytes(wire.query_file(scenario.questions, edns=False))
    site = Site(place, free_port(), free_port(), upstream, shared)
    with stand_in(place, plan.generator_core, "large") as api:
        words = [*common(HSDNSD.find(shared), site), "--kubeconfig", str(api.kubeconfig(place))]
        with running(words, place, plan.server_core) as process:
            started = ask.wait_until_ready(process, site.port, scenario)
            ask.check(site.port, scenario, edns=False)
            before = hits(_metrics(site.admin))
            quiet = generator.run(_load(plan, shared, site, queries, QUIET_SECONDS))
            between = hits(_metrics(site.admin))
            told = _Scraper(site.admin, api)
            api.tell(f"events?rate={EVENTS}")
            loaded = told.during(_load(plan, shared, site, queries, TAIL_SECONDS))
            api.tell("events?rate=0")
            after = hits(_metrics(site.admin))
            memory = process.memory()
    # Slices may come by more than one watch, each of which is listed again.
    if told.relists < len(LIST_AT) or not told.events:
        raise BenchError(f"the daemon listed {told.relists} times and took {told.events} events: nothing was measured")
    return {
        **{f"quiet_{name}": getattr(quiet, name) for name in ("p50", "p99", "p999", "max", "lost")},
        **{name: getattr(loaded, name) for name in ("p50", "p99", "p999", "max", "lost", "late")},
        **{f"quiet_hits_{name}": figure for name, figure in hit_figures(before, between).items()},
        **{f"hits_{name}": figure for name, figure in hit_figures(between, after).items()},
        "not_found": loaded.answered - loaded.rcodes[0],
        "answered": loaded.answered,
        "start": started,
        "lists": len(LIST_AT),
        "events": told.events,
        "scrapes": len(told.took),
        "scrape_longest": max(told.took),
        "octets": memory,
    }


def _load(plan: Plan, shared: Path, site: Site, queries: Path, seconds: float) -> list[str]:
    return generator.command(shared, site.port, queries, plan.generator_core, seconds, rate=plan.rate, turn=TURN)


class _Scraper:
    """Scrapes the daemon once a second, and has it list again at times.

    Attributes:
        took: how long each scrape took, in seconds. relists, events: EndpointSlices listed again, events taken.
    """

    def __init__(self, admin: int, api: StandIn) -> None:
        self._admin = admin
        self._api = api
        self.took: list[float] = []
        self.relists = 0
        self.events = 0

    def during(self, command: list[str]) -> generator.Load:
        """Work while a generator runs; what it told."""
        before = self._scrape()
        self.took.clear()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as generating:
            try:
                while not self._is_over(generating):
                    if len(self.took) in LIST_AT:
                        self._api.tell("relist")
                    self._scrape()
                output = generating.stdout.read() if generating.stdout else ""
            finally:
                generating.kill()
        after = self._scrape()
        self.relists = int(after["relists"] - before["relists"])
        self.events = int(after["events"] - before["events"])
        return generator.parse(output)

    def _is_over(self, process: subprocess.Popen[str]) -> bool:
        """Whether a process has ended; waits until the next scrape is due."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(SCRAPE_INTERVAL)
        return process.returncode is not None

    def _scrape(self) -> dict[str, float]:
        start = time.monotonic()
        text = _metrics(self._admin)
        self.took.append(time.monotonic() - start)
        return watch_counts(text)


def _metrics(admin: int) -> str:
    return get(admin, "/metrics", timeout=30).decode()


def hits(metrics: str) -> dict[float, float]:
    """How many hits took at most so many microseconds in the daemon, since its start; the last of them: all.

    Raises:
        BenchError: the daemon's metrics do not tell.
    """
    found: dict[float, float] = {}
    for labels, count in _BUCKET.findall(metrics):
        value = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if value.get("outcome") == _HITS:
            found[float(value["le"]) * 1e6] = float(count)
    if not found:
        raise BenchError("the daemon's metrics do not tell how long its hits took")
    return dict(sorted(found.items()))


def hit_figures(before: dict[float, float], after: dict[float, float]) -> Figures:
    """Quantiles of hits in between, each the upper bound of its bucket in microseconds, and their number.

    Raises:
        BenchError: there was no hit.
    """
    counts = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    number = max(counts.values())
    if not number:
        raise BenchError("there was no hit: nothing was measured")
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {"count": number} | {
        name: next(bound for bound, count in counts.items() if count >= share * number)
        for name, share in shares.items()
    }


def watch_counts(metrics: str) -> dict[str, float]:
    """How often EndpointSlices were listed again, and how many events of them were taken.

    Raises:
        BenchError: the daemon's metrics do not tell.
    """
    found = {name: float(number) for name, number in _SAMPLE.findall(metrics)}
    if found.keys() != {"relists", "events"}:
        raise BenchError("the daemon's metrics do not tell its lists and events")
    return found
