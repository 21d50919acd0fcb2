"""Figures as lines for the terminal, while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]


def idle(found: Figures) -> str:
    return "{resident:.1f} MiB, at most {peak:.1f}".format(**found)


def freshness(found: Figures) -> str:
    return (
        "p50 {p50:.2f} ms, p99 {p99:.2f}, p99.9 {p999:.2f}, max {max:.2f}, {lost} of {updates} lost;"
        " the API server itself p50 {api_p50:.1f}, p99 {api_p99:.1f}; CPU {cpu:.0f} us an update;"
        " {stolen:.1f} % stolen"
    ).format(**found)


def start(found: Figures) -> str:
    return (
        "first right answer after {first:.2f} s, all after {all:.2f} s; {resident:.0f} MiB, at most {peak:.0f};"
        " CPU {cpu:.2f} s; {stolen:.1f} % stolen"
    ).format(**found)


def outage(found: Figures) -> str:
    return (
        "{lost} lost, {wrong} wrong, p50 {p50:.0f} us, p99 {p99:.0f}, p99.9 {p999:.0f}, max {max:.0f}"
        " (quiet: p99.9 {quiet_p999:.0f}, max {quiet_max:.0f}); followed after {followed:.1f} s{when};"
        " {before:.0f} MiB before, {peak:.0f} at most, {after:.0f} after; {stolen:.1f} % stolen"
    ).format(**found, when="" if found["in_load"] else " (after the load)")


def fleet_start(found: Figures, watchers: int) -> str:
    return (
        f"start: {found['seconds']:.1f} s, {found['octets'] / watchers / 1e6:.2f} MB and"
        f" {found['cpu'] / watchers * 1e3:.0f} ms of CPU a watcher"
    )


def fleet_events(found: Figures, watchers: int) -> str:
    each = found["octets"] / found["events"] / watchers
    return f"{found['events']} events: CPU {found['cpu']:.2f} s, {each:,.0f} octets a watcher and event"
