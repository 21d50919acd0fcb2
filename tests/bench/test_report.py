"""The report of a bench: table, picture and file tell the samples, and what they do not tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.cluster import generate
from bench.picture import Bar, svg
from bench.samples import FLOOD, GENERATORS, LATENCY, MEMORY, RATE, TAIL, Figures, Key, Sample, summarise
from bench.scenarios import hit_scenarios
from bench.servers import BY_NAME, UPSTREAM
from bench.store import store
from bench.table import Report, markdown

SCENARIOS = hit_scenarios(generate(1, 1, 1))[:2]
SVG = "{http://www.w3.org/2000/svg}"


def rate(cpu: float, busy: float = 1.0, lost: int = 0, others: float = 0.0) -> Figures:
    used = {"cpu": cpu, "user": cpu / 4, "system": cpu * 3 / 4, "busy": busy, "others": others}
    return {"per_second": 1e6 / cpu, "lost": lost, "latency": 100.0, **used}


def latency(p50: float, lost: int = 0) -> Figures:
    return {"p50": p50, "p99": 2 * p50, "p999": 3 * p50, "max": 4 * p50, "lost": lost, "late": 0.0}


SAMPLES = [
    Sample(Key("hsdnsd", "pod-a", RATE), 1, rate(4.0, busy=0.5)),
    Sample(Key("hsdnsd", "pod-a", RATE), 2, rate(5.0, busy=0.5)),
    Sample(Key("hsdnsd", "pod-a", RATE), 3, rate(9.0, busy=0.5)),
    Sample(Key("hsdnsd", "pod-a", FLOOD), 1, rate(4.0)),
    Sample(Key("floor", "pod-a", RATE), 1, rate(2.5, lost=7)),
    Sample(Key("coredns", "pod-a", RATE), 1, rate(25.0, others=0.3)),
    Sample(Key("hsdnsd", "pod-a", LATENCY), 1, latency(20)),
    Sample(Key("coredns", "pod-a", LATENCY), 1, latency(200, lost=12)),
    Sample(Key("floor", "", GENERATORS), 1, {"p50": 11.0, "p99": 12.0, "dnsperf_p50": 13.0, "dnsperf_p99": 14.0}),
    Sample(Key("hsdnsd", "", MEMORY), 1, {"octets": 40 * 2**20}),
    Sample(Key("floor", "", MEMORY), 1, {"octets": 2**20}),
    Sample(Key("hsdnsd", "miss", RATE), 1, rate(50.0)),
    Sample(Key("hsdnsd", "miss", LATENCY), 1, latency(90)),
    Sample(Key("upstream", "miss", LATENCY), 1, latency(15)),
    Sample(
        Key("hsdnsd", TAIL, TAIL), 1,
        latency(30, lost=5) | {f"quiet_{name}": value for name, value in latency(21).items()}
        | {f"quiet_hits_{name}": value for name, value in latency(16).items()}
        | {f"hits_{name}": value for name, value in latency(32).items()} | {"answered": 5000.0, "hits_count": 4990.0}
        | {"lists": 4.0, "events": 15000.0, "scrape_longest": 0.25, "start": 1.5, "octets": 250 * 2**20},
    ),
]  # fmt: skip


@pytest.fixture
def report() -> Report:
    facts = {"commit": "abc", "date": "2026-11-21 12:00 UTC", "cpu": "A CPU", "cores": "2", "kernel": "6.1"}
    return Report(
        facts=facts | {"system": "Debian", "load": "0.10"},
        versions={"hsdnsd": "0.1.0", "coredns": "1.15.0"},
        servers=(BY_NAME["floor"], BY_NAME["hsdnsd"], BY_NAME["coredns"]),
        scenarios=SCENARIOS,
        summary=summarise(SAMPLES),
        notes=["unbound is left out: no unbound"],
        command="bench/run",
        rounds=3,
        seconds=2.0,
        rate=20_000,
    )


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """The first table under a heading, by the first cell of each row."""
    table = text.split(f"## {heading}")[1].split("\n|", 1)[1].split("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n|")]
    return {row[0]: row[1:] for row in cells}


def test_cpu_time_is_the_median_with_its_parts(report: Report) -> None:
    found = rows(markdown(report), "CPU time for an answer")
    assert found["**hsdnsd**"] == ["5.0 (1.2 + 3.8)", "-"]
    assert found["CoreDNS"] == ["25.0 (6.2 + 18.8)", "-"]
    assert found[""] == ["pod A", "10 addresses"]


def test_the_cost_is_told_beside_the_others(report: Report) -> None:
    assert "On pod A, hsdnsd takes 2.00 of socket floor, 0.20 of CoreDNS." in " ".join(markdown(report).split())


def test_a_rate_says_when_the_generator_was_the_limit_and_what_was_lost(report: Report) -> None:
    text = markdown(report)
    assert rows(text, "Queries per second on one core")["**hsdnsd**"][0] == "250,000"
    dnsperf = text.split("\ndnsperf:\n")[1]
    assert "| **hsdnsd** | ≥ 200,000 | - |" in dnsperf
    assert "| socket floor | 400,000 (7 lost) | - |" in dnsperf


def test_latencies_memory_misses_and_tail_are_told(report: Report) -> None:
    text = markdown(report)
    latencies = rows(text, "Latency at 20,000 queries per second")
    assert latencies["**hsdnsd**"][0] == "20 / 40 / 60"
    assert latencies["CoreDNS"][0] == "200 / 400 / 600 (12 lost)"
    assert rows(text, "Resident memory") == {"": ["MiB"], "---": ["---:"], "**hsdnsd**": ["40"]}
    misses = rows(text, "Misses")
    assert misses["**hsdnsd**"] == ["50.0 (12.5 + 37.5)", "20,000", "90 / 180 / 270", "75 / 150"]
    assert misses[UPSTREAM.title][-2:] == ["15 / 30 / 45", "-"]
    tail = rows(text, "The daemon's tail")
    assert tail["in quiet"] == ["21", "42", "63", "84", "0"]
    assert tail["list, scrapes, events"] == ["30", "60", "90", "120", "5"]
    assert tail["in quiet: hits"] == ["≤ 16", "≤ 32", "≤ 48", "≤ 64", "-"]
    assert tail["list, scrapes, events: hits"] == ["≤ 32", "≤ 64", "≤ 96", "≤ 128", "-"]
    assert "Of 5,000 replies 10 were no hits" in " ".join(text.split())
    assert "they are listed again 4 times, 15,000 EndpointSlice events" in " ".join(text.split())


def test_what_is_missing_and_what_disturbed_is_told(report: Report) -> None:
    text = markdown(report)
    assert "- unbound is left out: no unbound" in text
    assert "in 1 measurements something else took more than 5% of the server's core, 30% at most" in text
    assert "Commit abc" in text
    assert "A CPU" in text


def test_a_report_of_little_has_no_empty_tables(report: Report) -> None:
    little = {key: value for key, value in report.summary.items() if key.measure == MEMORY}
    text = markdown(Report(**{**vars(report), "summary": little}))
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Resident memory after the hits, MiB",
        "Who and what",
        "Notes",
    ]


def test_the_picture_is_to_scale_and_safe() -> None:
    bars = [Bar("socket floor", 0.5, 2.0, own=False), Bar("<hsdnsd> & co", 1.0, 4.0, own=True)]
    root = ElementTree.fromstring(svg(bars, "A CPU & more"))
    rects = [
        (each.get("class"), float(each.get("x") or 0), float(each.get("width") or 0))
        for each in root.iter(f"{SVG}rect")
    ]
    assert [name for name, _, _ in rects] == ["user", "system", "own-user", "own-system"]
    widths = [width for _, _, width in rects]
    assert widths[1] == pytest.approx(4 * widths[0], abs=0.2)
    assert widths[3] == pytest.approx(2 * widths[1], abs=0.2)
    assert rects[1][1] == pytest.approx(rects[0][1] + widths[0], abs=0.2)
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert "<hsdnsd> & co" in texts
    assert "2.5" in texts
    assert "5.0" in texts
    assert float(root.get("width") or 0) >= rects[3][1] + widths[3]


def test_the_files_hold_everything(report: Report, tmp_path: Path) -> None:
    store(tmp_path / "results", report, SAMPLES)
    stored = json.loads((tmp_path / "results" / "latest.json").read_text())
    [found] = [each for each in stored["medians"] if (each["server"], each["measure"]) == ("coredns", "rate")]
    assert found["figures"]["cpu"] == {"median": 25.0, "low": 25.0, "high": 25.0}
    assert len(stored["samples"]) == len(SAMPLES)
    assert (tmp_path / "results" / "latest.md").read_text() == markdown(report)
    drawn = (tmp_path / "results" / "latest.svg").read_text()
    assert drawn.index(">socket floor<") < drawn.index(">hsdnsd<") < drawn.index(">CoreDNS<")
