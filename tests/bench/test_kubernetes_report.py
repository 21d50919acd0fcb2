"""What the bench on a real API server says of its figures."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bench.kubernetes.plan import QUICK, Plan
from bench.kubernetes.report import an_event, markdown

LATE = {
    "p50": 0.3,
    "p90": 0.9,
    "p99": 1.9,
    "p999": 3.0,
    "max": 4.5,
    "lost": 0,
    "updates": 100,
    "stolen": 0.5,
    "made": 5,
}
FRESH: dict[str, Any] = {**LATE, "api_p50": 2.0, "api_p99": 5.0, "cpu": 300.0}
FRESH["runs"] = [FRESH | {"p99": 1.5}, FRESH | {"p99": 9.5}, dict(FRESH)]
START: dict[str, Any] = {"first": 0.2, "all": 0.3, "resident": 90.0, "peak": 95.0, "cpu": 0.5, "stolen": 0.0, "made": 1}
START["runs"] = [dict(START)]
OUTAGE: dict[str, Any] = {
    **{f"{prefix}{name}": 10.0 for prefix in ("", "quiet_") for name in ("p50", "p99", "p999", "max", "late")},
    "lost": 0, "quiet_lost": 0, "answered": 1000, "quiet_answered": 100,
    "wrong": 0, "checked": 50, "followed": 0.5, "in_load": 1, "before": 90.0, "after": 95.0, "peak": 100.0,
    "stolen": 0.2, "made": 2,
}  # fmt: skip
OUTAGE["runs"] = [dict(OUTAGE), OUTAGE | {"followed": 42.0, "in_load": 0}]


def events(cpu: float, octets: int) -> dict[str, Any]:
    return {"events": 100, "cpu": cpu, "octets": octets}


DOCUMENT: dict[str, Any] = {
    "facts": {"commit": "0123", "date": "2026-01-01", "cpu": "a processor", "cores": "2", "kernel": "6", "load": "0.1"},
    "command": "bench/run --kubernetes", "versions": {"hsdnsd": "0.1.0", "coredns": "1.15.0"}, "notes": [],
    "method": Plan()._asdict(),
    "idle": {"hsdnsd": {"resident": 44.0, "peak": 45.0}, "coredns": {"resident": 50.0, "peak": 51.0}},
    "freshness": {
        "hsdnsd": {"100": dict(FRESH), "400": dict(FRESH)},
        "coredns": {"100": FRESH | {"p99": 2.5}, "400": FRESH | {"p99": 2.5}},
    },
    "start": {
        "hsdnsd": dict(START), "snapshot": dict(START),
        "coredns": START | {"first": 0.9, "all": 1.0, "resident": 220.0},
    },
    "outage": {"hsdnsd": dict(OUTAGE), "coredns": OUTAGE | {"p999": 20.0, "max": 30.0}},
    "fleet": {
        "watchers": 10, "headless": 200, "cluster_ips": 4800,
        "nobody": {"headless": events(1.0, 0), "cluster_ip": events(1.0, 0)},
        "scoped": {
            "start": {"seconds": 1.0, "cpu": 2.0, "octets": 10_000, "resident": 300.0}, "requests": 4,
            "streamed": {"watchers": 2, "seconds": 1.0, "cpu": 0.8, "octets": 30_000, "resident": 300.0},
            "headless": events(1.04, 1_000_000), "cluster_ip": events(1.01, 0),
        },
        "all": {
            "start": {"seconds": 1.0, "cpu": 2.0, "octets": 20_000, "resident": 300.0}, "requests": 3,
            "streamed": {"watchers": 2, "seconds": 1.0, "cpu": 0.8, "octets": 40_000, "resident": 300.0},
            "headless": events(1.04, 1_000_000), "cluster_ip": events(1.04, 500_000),
        },
    },
}  # fmt: skip


def test_all_goals_met() -> None:
    text = markdown(DOCUMENT)
    assert "NOT MET" not in text
    assert text.count("- met: ") == 15
    assert "in steady state 7.7% of the octets" in text
    assert "at a start 5.0% of those of streaming everything, 50% of those of its lists" in text


def test_rounds_are_told_with_their_spread() -> None:
    text = markdown(DOCUMENT)
    assert "| 1.90 (1.50 - 9.50) |" in text
    assert "| 0.5 (0.5 - 42.0); 1x after the load |" in text
    assert "| 3 of 5; 0.5 (0.5 - 0.5) |" in text


def test_one_round_has_no_spread() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["freshness"]["hsdnsd"]["100"]["runs"] = [dict(FRESH)]
    assert "| hsdnsd | 100 | 0.30 | 0.90 | 1.90 | 3.00 | 4.50 |" in markdown(document)


def test_five_thousand_nodes_are_reckoned_from_that() -> None:
    (row,) = (line for line in markdown(DOCUMENT).splitlines() if "as hsdnsd does" in line and line.count("|") == 6)
    # 500 times 10,000 octets and 2 s; 500,000 deliveries a second of 1,000 octets and 40 us, or 0 and 10, as 1 to 24.
    assert row == "| as hsdnsd does (scoped) | 0.0 | 1,000 | 20 | 5.6 |"


@pytest.mark.parametrize(
    ("section", "server", "figure", "bad"),
    [
        ("idle", "hsdnsd", "resident", 45.1),
        ("start", "snapshot", "first", 0.31),
        ("start", "hsdnsd", "first", 0.91),
        ("start", "hsdnsd", "all", 1.01),
        ("start", "hsdnsd", "resident", 100.1),
        ("start", "coredns", "resident", 150.0),
        ("outage", "hsdnsd", "lost", 1),
        ("outage", "hsdnsd", "wrong", 1),
        ("outage", "hsdnsd", "p999", 20.0),
        ("outage", "hsdnsd", "max", 30.0),
        ("outage", "hsdnsd", "peak", 118.0),
    ],
)
def test_a_goal_that_is_missed_is_told(section: str, server: str, figure: str, bad: float) -> None:
    document = copy.deepcopy(DOCUMENT)
    document[section][server][figure] = bad
    assert markdown(document).count("- NOT MET: ") == 1


@pytest.mark.parametrize(("figure", "bad"), [("p99", 2.6), ("lost", 1)])
def test_freshness_is_judged_at_each_rate(figure: str, bad: float) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["freshness"]["hsdnsd"]["400"][figure] = bad
    assert markdown(document).count("- NOT MET: ") == 1


def test_without_its_peer_it_is_judged_alone() -> None:
    document = copy.deepcopy(DOCUMENT)
    for section in ("idle", "freshness", "start", "outage"):
        del document[section]["coredns"]
    del document["versions"]["coredns"]
    document["notes"] = ["CoreDNS is left out: no coredns"]
    text = markdown(document)
    assert "than CoreDNS's" not in text
    assert "- CoreDNS is left out: no coredns" in text


def test_what_an_event_costs_is_what_watchers_add() -> None:
    assert an_event(DOCUMENT["fleet"], "scoped", "headless") == pytest.approx((1000, 40))
    assert an_event(DOCUMENT["fleet"], "scoped", "cluster_ip") == pytest.approx((0, 10))


def test_a_part_is_a_report_too() -> None:
    part = {name: value for name, value in DOCUMENT.items() if name not in ("start", "outage", "fleet")}
    assert markdown(part).count("\n## ") == 2


def test_it_takes_less_than_a_quarter_of_an_hour() -> None:
    assert QUICK.seconds() < Plan().seconds() < 15 * 60
    assert QUICK.seconds() < 5 * 60
    assert Plan().rounds * Plan().updates == 10_000
