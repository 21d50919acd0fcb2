"""What every source of Kubernetes objects gives: changes, one after the other, for as long as the daemon runs."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, Protocol

from hsdnsd.records.model import Amended, Change, Fact, Key, Kind, Memory

# `WatchState.kind` of the objects that manifests hold beside the kinds that are read.
OTHER_KINDS = "other"

# Called on the event loop with each change. Must be quick, may not raise.
Sink = Callable[[Change], None]


class Held(Protocol):
    """What a source has to know of what is held, so that a list can be compared with it; see `Table`."""

    def knows(self, kind: Kind) -> bool: ...
    def news(self, fact: Fact) -> Memory | None: ...
    def beyond(self, kind: Kind, keys: Collection[Key]) -> list[Key]: ...
    def portions(self, change: Amended) -> Iterator[Amended]: ...


class Source(Protocol):
    """Manifests on disk, or the API server."""

    async def load(self) -> None:
        """What takes long of `run` and asks nobody, so that it can be done before other work that is less urgent."""
        ...

    async def run(self, sink: Sink) -> None:
        """Deliver all objects of each kind first, up to its `Replaced`, `Listed` or last `Amended`, then changes,
        until cancelled. Never returns by itself.

        Raises:
            StartError: what was configured can't work (no such directory, kubeconfig not readable).
            ManifestError: a manifest is broken at start.
        """
        ...

    def watches(self) -> Sequence[Watched]:
        """State of each watched kind, for the metrics."""
        ...


class Cause(enum.Enum):
    """Why a list or a watch ended otherwise than it should, or why a kind is listed."""

    START = "start"  # nothing is known yet
    TRANSPORT = "transport"  # no answer, or only a part of one; silence
    UNAUTHORIZED = "unauthorized"  # 401
    FORBIDDEN = "forbidden"  # 403
    GONE = "gone"  # 410: the version to go on from
    BUSY = "busy"  # 429, 5xx
    REFUSED = "refused"  # any other status
    ERROR = "error"  # an ERROR event, but 410
    JUNK = "junk"  # what can't be understood
    BACKWARDS = "backwards"  # the version to go on from is newer than the server
    SHORT = "short"  # the server ends watches at once
    LIST = "list"  # a streamed list does not end, or breaks off


# Seconds, upper bounds of the buckets of `Durations`, all but the last: from 1 us to two minutes.
DURATION_BOUNDS: Final = tuple(2**power / 1e6 for power in range(28))


class Durations:
    """A histogram.

    Attributes:
        counts: by bucket, not cumulative. seconds: sum of all durations.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(DURATION_BOUNDS) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration; two clocks may make it negative, which is taken for 0."""
        seconds = max(seconds, 0.0)
        self.counts[min(int(seconds * 1e6).bit_length(), len(DURATION_BOUNDS))] += 1
        self.seconds += seconds


class Watched(Protocol):
    """What is read of a watched kind; see `WatchState`."""

    @property
    def kind(self) -> str: ...
    @property
    def synced(self) -> bool: ...
    @property
    def connected(self) -> bool: ...
    @property
    def events(self) -> int: ...
    @property
    def relists(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def last_alive(self) -> float: ...
    @property
    def lists(self) -> Counter[str]: ...
    @property
    def decode_seconds(self) -> float: ...
    @property
    def programming(self) -> Durations: ...


class WatchState:
    """Counters of one watched kind; plain integers that the metrics collector reads.

    Attributes:
        kind: "Service", ...; OTHER_KINDS for the one that counts what manifests hold besides.
        synced: it has been listed at least once.
        connected: the stream is open (manifests: the last read succeeded).
        events: of watches (manifests: changes delivered). lists: that came to their end, by why they were begun.
        relists: those of them after the first. failures: lists, watches or reads that failed.
        skipped: objects left out because they could not be understood, or are of another kind (manifests).
        last_alive: monotonic time of the last proof of life; 0.0 before the first.
        decode_seconds: spent on turning octets into changes.
        programming: of headless Services' slices, from when Kubernetes saw what triggered a change until the change
            was in the answers.
    """

    __slots__ = ("connected", "decode_seconds", "events", "failures", "kind", "last_alive", "lists", "programming",
                 "relists", "skipped", "synced")  # fmt: skip

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.synced = False
        self.connected = False
        self.events = 0
        self.relists = 0
        self.failures = 0
        self.skipped = 0
        self.last_alive = 0.0
        self.lists: Counter[str] = Counter()
        self.decode_seconds = 0.0
        self.programming = Durations()
