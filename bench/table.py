"""The results as tables in Markdown, with everything that a reader needs to judge them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.samples import FLOOD, GENERATORS, LATENCY, MEMORY, RATE, TAIL, Key, Summary, median
from bench.scenarios import Scenario
from bench.servers import FLOOR, UPSTREAM
from bench.servers.base import Server

NONE = "–"
FULL = 0.95  # of its core: a server that used less was not the limit
DISTURBED = 0.05  # of the server's core, taken by something else


@dataclass(frozen=True)
class Report:
    """All that is told of a bench.

    Attributes:
        facts: of the machine (bench/machine.py). versions: by server.
        servers, scenarios: what was measured, in the order of the tables.
        notes: servers left out, and measurements that failed.
    """

    facts: dict[str, str]
    versions: dict[str, str]
    servers: tuple[Server, ...]
    scenarios: tuple[Scenario, ...]
    summary: Summary
    notes: Sequence[str]
    command: str
    rounds: int
    seconds: float
    rate: int


def markdown(report: Report) -> str:
    """The whole document."""
    return "\n".join(_sections(report)).rstrip() + "\n"


def _sections(report: Report) -> Iterator[str]:
    yield "# Measured\n"
    yield f"{_head(report)}\n"
    if any(_found(report, RATE)):
        yield "## CPU time for an answer, microseconds\n"
        yield "Total (user + system) of the server's process, over the answers given, under dnsperf's closed loop. Less is better.\n"
        yield from _grid(report, RATE, _cpu)
        yield "\nThe same with EDNS in the query:\n"
        yield from _grid(report, RATE, _cpu, edns=True)
        yield "\n## Queries per second on one core\n"
        yield (
            "Closed loop, no EDNS, from the other core; first from bench/generator (batches, 200 queries outstanding), then from dnsperf\n"
            "(100 outstanding). `≥`: the server used less than 95 % of its core, so it would have answered more. Lost queries stand\n"
            "behind the number, where there were any.\n"
        )
        yield from _grid(report, FLOOD, _per_second)
        yield "\ndnsperf:\n"
        yield from _grid(report, RATE, _per_second)
        yield ""
    if any(_found(report, LATENCY)):
        yield f"## Latency at {report.rate:,} queries per second, microseconds: p50 / p99 / p99.9\n"
        yield "Open loop, no EDNS. Lost queries stand behind, where there were any; `–`: not measured.\n"
        yield from _grid(report, LATENCY, _latency)
        yield ""
    yield from _generators(report)
    yield from _memory(report)
    yield from _misses(report)
    yield from _tail(report)
    yield from _method(report)


def _head(report: Report) -> str:
    facts = report.facts
    return (
        f"Commit {facts['commit']}, {facts['date']}. {facts['cpu']}, {facts['cores']} cores; Linux {facts['kernel']},"
        f" {facts['system']}.\nMedian of {report.rounds} round{'s' if report.rounds > 1 else ''},"
        f" {report.seconds:g} s for each figure. Made by `{report.command}`. How to read it: [README](../README.md)."
    )


def _found(report: Report, measure: str) -> Iterator[Key]:
    hits = {scenario.name for scenario in report.scenarios}
    return (key for key in report.summary if key.measure == measure and key.scenario in hits)


def _grid(report: Report, measure: str, cell: Callable[[Summary, Key], str], *, edns: bool = False) -> Iterator[str]:
    """A row for each server, a column for each scenario."""
    yield from _table_head(["", *(scenario.title for scenario in report.scenarios)])
    for server in report.servers:
        keys = [Key(server.name, scenario.name, measure, edns) for scenario in report.scenarios]
        if any(key in report.summary for key in keys):
            yield _row(_title(server), *(cell(report.summary, key) for key in keys))


def _cpu(summary: Summary, key: Key) -> str:
    cpu, user, system = (median(summary, key, figure) for figure in ("cpu", "user", "system"))
    if cpu is None or user is None or system is None:
        return NONE
    return f"{cpu:.1f} ({user:.1f} + {system:.1f})"


def _per_second(summary: Summary, key: Key) -> str:
    per_second, lost, busy = (median(summary, key, figure) for figure in ("per_second", "lost", "busy"))
    if per_second is None or busy is None:
        return NONE
    return f"{'≥ ' if busy < FULL else ''}{per_second:,.0f}{_lost(lost)}"


def _latency(summary: Summary, key: Key) -> str:
    values = [median(summary, key, figure) for figure in ("p50", "p99", "p999")]
    if any(value is None for value in values):
        return NONE
    return " / ".join(f"{value:,.0f}" for value in values if value is not None) + _lost(median(summary, key, "lost"))


def _lost(lost: float | None) -> str:
    return f" ({lost:,.0f} lost)" if lost else ""


def _generators(report: Report) -> Iterator[str]:
    key = Key(FLOOR.name, "", GENERATORS)
    if key in report.summary:
        value = {name: spread.median for name, spread in report.summary[key].items()}
        yield (
            f"The same server (the socket floor) at the same rate under both generators: bench/generator p50 {value['p50']:,.0f}, "
            f"p99 {value['p99']:,.0f};\ndnsperf p50 {value['dnsperf_p50']:,.0f}, p99 {value['dnsperf_p99']:,.0f}. "
            "dnsperf's count until it has read the reply, ours until the kernel has it.\n"
        )


def _memory(report: Report) -> Iterator[str]:
    rows = [(server, median(report.summary, Key(server.name, "", MEMORY), "octets")) for server in report.servers]
    found = [(server, octets) for server, octets in rows if octets is not None and server.name != FLOOR.name]
    if not found:
        return
    yield "## Resident memory after the hits, MiB\n"
    yield from _table_head(["", "MiB"])
    yield from (_row(_title(server), f"{octets / 2**20:.0f}") for server, octets in found)
    yield ""


def _misses(report: Report) -> Iterator[str]:
    direct = median(report.summary, Key(UPSTREAM.name, "miss", LATENCY), "p50")
    rows = []
    for server in (*report.servers, UPSTREAM):
        rate, latency = (Key(server.name, "miss", measure) for measure in (RATE, LATENCY))
        if rate not in report.summary and latency not in report.summary:
            continue
        p50 = median(report.summary, latency, "p50")
        added = NONE if p50 is None or direct is None or server is UPSTREAM else f"{p50 - direct:,.0f}"
        per_second = _per_second(report.summary, rate)
        rows.append(
            _row(_title(server), _cpu(report.summary, rate), per_second, _latency(report.summary, latency), added)
        )
    if not rows:
        return
    yield "## Misses: names that nobody has asked before\n"
    yield (
        "The upstream is a C program on the generator's core that answers at once. CPU time in microseconds for a miss, closed loop;\n"
        "latency in microseconds at 1,000 misses a second, p50 / p99 / p99.9; added: p50 less that of the upstream asked directly.\n"
    )
    yield from _table_head(["", "CPU", "per second", "latency", "added"])
    yield from rows
    yield ""


def _tail(report: Report) -> Iterator[str]:
    for key in (key for key in report.summary if key.measure == TAIL):
        value = {name: spread.median for name, spread in report.summary[key].items()}
        yield f"## The daemon's tail at {report.rate:,} queries per second, microseconds\n"
        yield (
            "10,000 headless Services with 100,000 endpoints from the API server's stand-in: in quiet; and while they are listed again\n"
            f"({value['relists']:.0f} times in 15 s), {value['events']:,.0f} EndpointSlice events are taken and /metrics is scraped each second\n"
            f"(longest scrape {value['scrape_longest'] * 1000:,.0f} ms). First right answer {value['start']:.1f} s after the start;"
            f" {value['octets'] / 2**20:.0f} MiB.\n"
        )
        yield from _table_head(["", "p50", "p99", "p99.9", "max", "lost"])
        for title, prefix in (("in quiet", "quiet_"), ("list, scrapes, events", "")):
            figures = (value[f"{prefix}{name}"] for name in ("p50", "p99", "p999", "max", "lost"))
            yield _row(title, *(f"{figure:,.0f}" for figure in figures))
        yield ""


def _method(report: Report) -> Iterator[str]:
    disturbed = [
        f"{key.server} {key}" for key, figures in report.summary.items()
        if "others" in figures and figures["others"].median > DISTURBED
    ]  # fmt: skip
    yield "## What stood where\n"
    yield from _table_head(["", "version", "how it comes by the names"])
    yield from (_row(_title(server), report.versions.get(server.name, ""), server.role) for server in report.servers)
    yield ""
    for note in report.notes:
        yield f"- {note}"
    if disturbed:
        yield (
            f"- In {len(disturbed)} of the measurements something else took more than {DISTURBED:.0%} of the server's core;"
            f" load of the machine at the start: {report.facts['load']}."
        )


def _title(server: Server) -> str:
    return f"**{server.title}**" if server.name == "hsdnsd" else server.title


def _table_head(titles: Sequence[str]) -> Iterator[str]:
    yield _row(*titles)
    yield "|---|" + "---:|" * (len(titles) - 1)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
