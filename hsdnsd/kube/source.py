"""What every source of Kubernetes objects gives: changes, one after the other, for as long as the daemon runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hsdnsd.records.model import Change

# `WatchState.kind` of the objects that manifests hold beside the kinds that are read.
OTHER_KINDS = "other"

# Called on the event loop with each change. Must be quick, may not raise.
Sink = Callable[[Change], None]


class Source(Protocol):
    """Manifests on disk, or the API server."""

    async def run(self, sink: Sink) -> None:
        """Deliver a `Replaced` of each kind first, then changes, until cancelled. Never returns by itself.

        Raises:
            StartError: what was configured can't work (no such directory, kubeconfig not readable).
            ManifestError: a manifest is broken at start.
        """
        ...

    def watches(self) -> tuple[WatchState, ...]:
        """State of each watched kind, for the metrics."""
        ...


class WatchState:
    """Counters of one watched kind; plain integers that the metrics collector reads.

    Attributes:
        kind: "Service", ...; OTHER_KINDS for the one that counts what manifests hold besides.
        synced: it has been listed at least once.
        connected: the stream is open (manifests: the last read succeeded).
        events: changes delivered. relists: lists after the first. failures: lists, watches or reads that failed.
        skipped: objects left out because they could not be understood, or are of another kind (manifests).
        last_alive: monotonic time of the last proof of life; 0.0 before the first.
    """

    __slots__ = ("connected", "events", "failures", "kind", "last_alive", "relists", "skipped", "synced")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.synced = False
        self.connected = False
        self.events = 0
        self.relists = 0
        self.failures = 0
        self.skipped = 0
        self.last_alive = 0.0
