"""A bounded store of finished answers: octets are counted, and a flood of names asked once pushes out nothing else."""

from __future__ import annotations

import enum
from collections import OrderedDict

import msgspec

from hsdnsd.wire.answer import Answer
from hsdnsd.wire.name import Name

# What one entry costs beside its octets: key, entry, answer, dictionary slot (measured with tracemalloc, rounded up).
ENTRY_OVERHEAD = 640


class Kind(enum.Enum):
    """Answers that hold data, denials and failures have budgets of their own: none can push out another."""

    SUCCESS = "success"
    DENIAL = "denial"
    FAILURE = "failure"


class Key(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """Everything that may make two answers differ (CVE-2024-0874: CD and DO are part of it). Class is always IN.

    Attributes:
        name: folded.
        zone: folded name of the forward zone that was asked, so that one upstream can't speak for another's names. It
            means the same whatever zones are added or taken away.
    """

    name: Name
    qtype: int
    do: bool
    cd: bool
    zone: Name


class Entry(msgspec.Struct, gc=False):
    """One kept answer.

    Attributes:
        answer: as it came, TTLs as of `stored`.
        chase: folded name at which the chain leaves what the upstream may say, to be completed by our own look-up.
        stored, expires: monotonic seconds.
        streak: failures in a row, for the back-off of RFC 9520 section 3.2.
        asked: since the clock hand passed last.
    """

    answer: Answer
    kind: Kind
    stored: float
    expires: float
    chase: Name | None = None
    streak: int = 0
    asked: bool = False


class Store:
    """Entries up to a budget in bytes, evicted in the order they came, but for those asked since: they go round again.

    (FIFO with reinsertion, the clock algorithm: what was asked once is gone after one round, what is asked stays.)
    """

    __slots__ = ("_entries", "bytes", "evictions", "limit")

    def __init__(self, limit: int) -> None:
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self.limit = limit
        self.bytes = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> list[tuple[Key, Entry]]:
        """Everything that is held now; asking so is not asking for it."""
        return list(self._entries.items())

    def keys(self) -> list[Key]:
        """The keys of everything that is held now."""
        return list(self._entries)

    def get(self, key: Key) -> Entry | None:
        """The entry, fresh or not."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.asked = True
        return entry

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry in place of any before it; one that is larger than the whole budget is not kept."""
        before = self._entries.pop(key, None)
        if before is not None:
            self.bytes -= size_of(key, before)
        size = size_of(key, entry)
        if size > self.limit:
            return
        self._entries[key] = entry
        self.bytes += size
        if self.bytes > self.limit:
            self._shrink()

    def resize(self, limit: int) -> None:
        """This is the budget now; what is over it goes."""
        self.limit = limit
        self._shrink()

    def remove(self, key: Key) -> None:
        """Forget an entry, if it is held."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= size_of(key, entry)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.bytes = 0

    def _shrink(self) -> None:
        while self.bytes > self.limit:
            self._evict()

    def _evict(self) -> None:
        # Ends: every turn either removes an entry or takes its mark away.
        while True:
            key, entry = next(iter(self._entries.items()))
            if not entry.asked:
                self.remove(key)
                self.evictions += 1
                return
            entry.asked = False
            self._entries.move_to_end(key)


def size_of(key: Key, entry: Entry) -> int:
    """Octets that an entry under its key is counted as."""
    answer = entry.answer
    return ENTRY_OVERHEAD + len(key.name) + len(answer.body) + len(answer.ttls)
