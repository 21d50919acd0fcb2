"""What metrics are read from, with figures that a test chooses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hsdnsd.admin.sources import Sources
from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.engine.counters import BUCKETS, Counters
from hsdnsd.engine.upstreams import Server, Upstream
from hsdnsd.kube.source import WatchState
from hsdnsd.native.contract import COUNTED_TYPES, SIZE_BOUNDS, Outcome

NOW = 1000.0


@dataclass
class BatchFigures:
    """Stands for a UDP socket's counters."""

    received: int = 0
    sent: int = 0
    hits: int = 0
    hits_do: int = 0
    refused_source: int = 0
    send_errors: int = 0
    send_full: int = 0
    kernel_drops: int = 0
    types: dict[tuple[bool, int], int] = field(default_factory=dict)
    rcodes: dict[tuple[bool, int], int] = field(default_factory=dict)
    bucket: dict[Outcome, int] = field(default_factory=dict)

    def hit_types(self, own: bool) -> tuple[int, ...]:
        return tuple(self.types.get((own, place), 0) for place in range(len(COUNTED_TYPES) + 1))

    def hit_rcodes(self, own: bool) -> tuple[int, ...]:
        return tuple(self.rcodes.get((own, rcode), 0) for rcode in range(16))

    def hit_query_sizes(self, own: bool) -> tuple[tuple[int, ...], int]:
        return (1, *(0 for _ in SIZE_BOUNDS)), 40

    def hit_reply_sizes(self, own: bool) -> tuple[tuple[int, ...], int]:
        return (*(0 for _ in SIZE_BOUNDS), 1), 5000

    def latency(self, outcome: Outcome) -> tuple[tuple[int, ...], int]:
        """One reply, in the bucket that was chosen."""
        chosen = self.bucket.get(outcome)
        return tuple(int(place == chosen) for place in range(BUCKETS)), 0 if chosen is None else 1000 * 2**chosen


@dataclass
class TableFigures:
    entries: tuple[int, int] = (3, 2)
    bytes_held: tuple[int, int] = (300, 200)
    evictions: tuple[int, int] = (1, 0)


@dataclass
class DriverFigures:
    pending: int = 4
    crashes: int = 1


@dataclass
class ReloaderFigures:
    applied: int = 12
    failed: int = 13
    good: bool = True
    waiting: tuple[str, ...] = ("threads", "listen")


class Sized:
    """Something with a length and attributes."""

    def __init__(self, length: int, **figures: object) -> None:
        self._length = length
        vars(self).update(figures)

    def __len__(self) -> int:
        return self._length


def sources(**changes: Any) -> Sources:
    """Everything there is to read, small and quiet."""
    watch = WatchState("Service")
    watch.synced = True
    watch.last_alive = NOW - 2.5
    figures = {
        "version": "1.2.3",
        "native": "cython",
        "port": 5353,
        "zone": "cluster.local.",
        "counters": Counters(),
        "cache": Cache(Limits()),
        "table": TableFigures(),
        "batches": lambda: [(False, BatchFigures()), (True, BatchFigures())],
        "driver": DriverFigures(),
        "upstreams": Sized(2, opened=9, pool=Sized(1, resent=3, unmatched=2)),
        "servers": lambda: [Server(Upstream("192.0.2.9", 53), 3)],
        "tcp": Sized(3, accepted=10, refused=1, evicted=2, timed_out=4, accept_errors=5),
        "in_flight": lambda: 6,
        "counts": lambda: {"Service": 7, "Namespace": 8, "records": 70},
        "watches": lambda: [watch],
        "snapshot": None,
        "reloader": ReloaderFigures(),
        "http_rejects": lambda: 11,
        "clock": lambda: NOW,
    }
    return Sources(**(figures | changes))
