"""Results on disk: latest.json, latest.md, latest.svg."""

from __future__ import annotations

import json
from pathlib import Path

from bench.picture import Bar, svg
from bench.samples import RATE, Key, Sample, median
from bench.servers import HSDNSD
from bench.table import Report, markdown

PICTURED = "pod-a"


def store(folder: Path, report: Report, samples: list[Sample]) -> None:
    """Write the three files; the picture only where there is something to see in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(document(report, samples), indent=1, ensure_ascii=False) + "\n")
    (folder / "latest.md").write_text(markdown(report))
    if bars := picture_bars(report):
        facts = report.facts
        foot = f"{facts['cpu']}, one core; median of {report.rounds}; {facts['date']}"
        (folder / "latest.svg").write_text(svg(bars, foot))


def document(report: Report, samples: list[Sample]) -> dict[str, object]:
    """Everything that was measured: medians with their spread, and each sample."""
    return {
        "facts": report.facts,
        "command": report.command,
        "method": {"rounds": report.rounds, "seconds": report.seconds, "rate": report.rate},
        "versions": report.versions,
        "notes": list(report.notes),
        "medians": [
            {**key._asdict(), "figures": {name: spread._asdict() for name, spread in figures.items()}}
            for key, figures in report.summary.items()
        ],
        "samples": [{**key._asdict(), "round": number, "figures": figures} for key, number, figures in samples],
    }


def picture_bars(report: Report) -> list[Bar]:
    """The bars of the servers that were measured, the cheapest first."""
    bars = []
    for server in report.servers:
        key = Key(server.name, PICTURED, RATE)
        user, system = median(report.summary, key, "user"), median(report.summary, key, "system")
        if user is not None and system is not None:
            bars.append(Bar(server.title, user, system, own=server is HSDNSD))
    return sorted(bars, key=lambda bar: bar.total)
