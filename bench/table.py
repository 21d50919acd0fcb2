"""The results as tables in Markdown, with everything that a reader needs to judge them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.measure import WINDOW
from bench.plan import TAIL_SECONDS
from bench.samples import FLOOD, GENERATORS, LATENCY, MEMORY, RATE, TAIL, Key, Summary, median
from bench.scenarios import Scenario
from bench.servers import FLOOR, HSDNSD, UPSTREAM
from bench.servers.base import Server

NONE = "-"
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
        yield _text(
            "Total (user + system) of the server's process, over the answers given, under dnsperf's closed loop.",
            "Less is better.",
            _beside(report),
        )
        yield from _grid(report, RATE, _cpu)
        yield "\nThe same with EDNS in the query:\n"
        yield from _grid(report, RATE, _cpu, edns=True)
        yield "\n## Queries per second on one core\n"
        yield _text(
            f"Closed loop, no EDNS, from the other core; first from bench/generator (batches, {WINDOW} outstanding),",
            "then from dnsperf (100 outstanding). `≥`: the server used less than 95 % of its core, so it would have",
            "answered more. Lost queries stand behind the number, where there were any.",
        )
        yield from _grid(report, FLOOD, _per_second)
        yield "\ndnsperf:\n"
        yield from _grid(report, RATE, _per_second)
        yield ""
    if any(_found(report, LATENCY)):
        yield f"## Latency at {report.rate:,} queries per second, microseconds: p50 / p99 / p99.9\n"
        yield _text("Open loop, no EDNS. Lost queries stand behind, where there were any.", _generators(report))
        yield from _grid(report, LATENCY, _latency)
        yield ""
    yield from _memory(report)
    yield from _misses(report)
    yield from _tail(report)
    yield from _origins(report)


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


def _beside(report: Report) -> str:
    """What an answer of hsdnsd's costs as a multiple of others' answers."""
    scenario = report.scenarios[0]
    cost = {
        server: value
        for server in report.servers
        if (value := median(report.summary, Key(server.name, scenario.name, RATE), "cpu"))
    }
    own = cost.pop(HSDNSD, None)
    if own is None or not cost:
        return ""
    times = ", ".join(f"{own / value:.2f} of {server.title}" for server, value in cost.items())
    return f"On {scenario.title}, hsdnsd takes {times}."


def _generators(report: Report) -> str:
    key = Key(FLOOR.name, "", GENERATORS)
    if key not in report.summary:
        return ""
    value = {name: spread.median for name, spread in report.summary[key].items()}
    return (
        f"On the socket floor bench/generator told p50 {value['p50']:,.0f} and p99 {value['p99']:,.0f}, dnsperf"
        f" {value['dnsperf_p50']:,.0f} and {value['dnsperf_p99']:,.0f}; dnsperf counts until it has read the reply,"
        " bench/generator until the kernel has it."
    )


def _memory(report: Report) -> Iterator[str]:
    rows = [(server, median(report.summary, Key(server.name, "", MEMORY), "octets")) for server in report.servers]
    found = [(server, octets) for server, octets in rows if octets is not None and server is not FLOOR]
    if not found:
        return
    yield "## Resident memory after the hits, MiB\n"
    yield from _table_head(["", "MiB"])
    yield from (_row(_title(server), f"{octets / 2**20:.0f}") for server, octets in found)
    yield ""


def _misses(report: Report) -> Iterator[str]:
    direct = Key(UPSTREAM.name, "miss", LATENCY)
    rows = []
    for server in (*report.servers, UPSTREAM):
        rate, latency = (Key(server.name, "miss", measure) for measure in (RATE, LATENCY))
        if rate not in report.summary and latency not in report.summary:
            continue
        added = NONE if server is UPSTREAM else _added(report.summary, latency, direct)
        per_second = _per_second(report.summary, rate)
        rows.append(
            _row(_title(server), _cpu(report.summary, rate), per_second, _latency(report.summary, latency), added)
        )
    if not rows:
        return
    yield "## Misses: names that nobody has asked before\n"
    yield _text(
        "The upstream is a C program on the generator's core that answers at once. CPU time in microseconds for a",
        "miss, and misses per second, under dnsperf's closed loop; latency in microseconds at 1,000 misses a second,",
        "p50 / p99 / p99.9; added: p50 and p99 less those of the upstream asked directly.",
    )
    yield from _table_head(["", "CPU", "per second", "latency", "added"])
    yield from rows
    yield ""


def _added(summary: Summary, key: Key, direct: Key) -> str:
    """How much longer an answer takes than a direct one, p50 / p99."""
    pairs = [(median(summary, key, name), median(summary, direct, name)) for name in ("p50", "p99")]
    told = [f"{whole - part:,.0f}" for whole, part in pairs if whole is not None and part is not None]
    return " / ".join(told) or NONE


def _tail(report: Report) -> Iterator[str]:
    figures = report.summary.get(Key(HSDNSD.name, TAIL, TAIL))
    if figures is None:
        return
    value = {name: spread.median for name, spread in figures.items()}
    yield f"## The daemon's tail at {report.rate:,} queries per second, microseconds\n"
    changed = value["answered"] - value["hits_count"]
    yield _text(
        "10,000 headless Services with 100,000 endpoints, from the API server's stand-in: in quiet, and then",
        f"{TAIL_SECONDS:g} s in which they are listed again {value['lists']:.0f} times, {value['events']:,.0f}",
        "EndpointSlice events are taken, and /metrics is scraped each second",
        f"(longest {value['scrape_longest'] * 1000:,.0f} ms). First right answer {value['start']:.1f} s after the",
        f"start; {value['octets'] / 2**20:.0f} MiB resident. Of {value['answered']:,.0f} replies {changed:,.0f} were",
        "no hits but answers that events had changed. Of hits the daemon tells, from the kernel's receive timestamp to",
        "the reply in the kernel's hands, in powers of two; of all replies the generator, beside the API server.",
    )
    yield from _table_head(["", "p50", "p99", "p99.9", "max", "lost"])
    for title, prefix in (("in quiet", "quiet_"), ("list, scrapes, events", "")):
        row = (value[f"{prefix}{name}"] for name in ("p50", "p99", "p999", "max", "lost"))
        yield _row(title, *(f"{figure:,.0f}" for figure in row))
        bounds = (value[f"{prefix}hits_{name}"] for name in ("p50", "p99", "p999", "max"))
        yield _row(f"{title}: hits", *(f"≤ {bound:,.0f}" for bound in bounds), NONE)
    yield ""


def _origins(report: Report) -> Iterator[str]:
    yield "## Who and what\n"
    yield _row("", "version", "how it comes by the names")
    yield "|---|---|---|"
    yield from (_row(_title(server), report.versions.get(server.name, ""), server.role) for server in report.servers)
    yield ""
    yield from (f"- {scenario.title}: {scenario.meaning}." for scenario in report.scenarios)
    disturbed = [
        figures["others"].median for figures in report.summary.values()
        if "others" in figures and figures["others"].median > DISTURBED
    ]  # fmt: skip
    if report.notes or disturbed:
        yield "\n## Notes\n"
    yield from (f"- {note}" for note in report.notes)
    if disturbed:
        yield (
            f"- Not a quiet machine: in {len(disturbed)} measurements something else took more than {DISTURBED:.0%} of"
            f" the server's core, {max(disturbed):.0%} at most. Load at the start: {report.facts['load']}."
        )


def _text(*sentences: str) -> str:
    """A paragraph and the empty line behind it."""
    return textwrap.fill(" ".join(filter(None, sentences)), width=120) + "\n"


def _title(server: Server) -> str:
    return f"**{server.title}**" if server is HSDNSD else server.title


def _table_head(titles: Sequence[str]) -> Iterator[str]:
    yield _row(*titles)
    yield "|---|" + "---:|" * (len(titles) - 1)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
