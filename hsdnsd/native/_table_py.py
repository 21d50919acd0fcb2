"""The twin of `_table.pyx`: finished answers, with the same bounds, evictions and replies."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator

from hsdnsd.native import contract
from hsdnsd.native._gate_py import is_special, read_question
from hsdnsd.native.checks import check_answer, check_name
from hsdnsd.wire.answer import Answer, render
from hsdnsd.wire.const import EDNS_UDP_SIZE, HEADER_SIZE
from hsdnsd.wire.edns import OPT_SIZE
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query, Question

_Key = tuple[bytes, int, bool, bool]

_NOBODY = contract.OWNER_SLOTS


class Entry:
    """One finished answer."""

    __slots__ = (
        "answer",
        "asked",
        "expires",
        "key",
        "made",
        "newer",
        "older",
        "refresh_at",
        "slot",
        "stamp",
        "turn",
        "weight",
    )

    def __init__(
        self, key: _Key, answer: Answer, made: float, expires: float, refresh_at: float, slot: int, stamp: int
    ) -> None:
        self.key = key
        self.answer = answer
        self.made = made
        self.expires = expires
        self.refresh_at = refresh_at
        self.slot = slot
        self.stamp = stamp
        self.turn = 0
        self.asked = False
        self.weight = weight(key[0], answer)
        self.newer: Entry | None = None
        self.older: Entry | None = None


def weight(name: bytes, answer: Answer) -> int:
    """Octets that malloc takes for an entry: its parts and 8 of malloc's own, in steps of 16."""
    records = 0 if is_oversize(name, answer) else len(answer.ttls) + len(answer.body)
    return (contract.ENTRY_BYTES + len(name) + contract.KEY_BYTES + records + 8 + 15) & ~15


def is_oversize(name: bytes, answer: Answer) -> bool:
    """Whether no asker over UDP can be given the records: all get TC, so the records need not be held."""
    return HEADER_SIZE + len(name) + 4 + len(answer.body) > EDNS_UDP_SIZE


def may_hold(answer: Answer, query: Query) -> bool:
    """Whether the asker's limit leaves room for all records. Without, the engine makes the answer anew (`find`)."""
    size = HEADER_SIZE + len(query.question) + len(answer.body) + (OPT_SIZE if query.has_opt else 0)
    return size <= query.udp_size


class Queue:
    """One side of the table: a bound, and the order in which entries leave (SIEVE)."""

    def __init__(self, limit: int) -> None:
        index = limit // contract.INDEX_STRIDE
        self.room = limit - index * contract.INDEX_BYTES
        self.most = index * 3 // 4
        self.bytes = 0
        self.count = 0
        self.evictions = 0
        self._newest: Entry | None = None
        self._oldest: Entry | None = None
        self._hand: Entry | None = None

    def add(self, entry: Entry) -> None:
        """Put an entry at the young end."""
        entry.older = self._newest
        if self._newest is not None:
            self._newest.newer = entry
        else:
            self._oldest = entry
        self._newest = entry
        self.bytes += entry.weight
        self.count += 1

    def remove(self, entry: Entry) -> None:
        """Take an entry out; the hand moves on if it points there."""
        if self._hand is entry:
            self._hand = entry.newer
        if entry.newer is not None:
            entry.newer.older = entry.older
        else:
            self._newest = entry.older
        if entry.older is not None:
            entry.older.newer = entry.newer
        else:
            self._oldest = entry.newer
        entry.newer = entry.older = None
        self.bytes -= entry.weight
        self.count -= 1

    def fits(self, weight: int) -> bool:
        """Whether an entry of this weight has room now."""
        return self.bytes + weight <= self.room and self.count < self.most

    def victim(self, table: Table, now: float) -> Entry:
        """The entry to leave next: from the hand on, the first not asked for since the hand came by, or dead.

        Raises:
            LookupError: the queue is empty.
        """
        for spared, entry in enumerate(self._from_hand()):
            if spared == contract.SECOND_CHANCES or not entry.asked or not table.is_live(entry, now):
                self._hand = entry
                return entry
            entry.asked = False
        raise LookupError("an empty queue")

    def _from_hand(self) -> Iterator[Entry]:
        """Entries from old to young, beginning at the hand, and round again for ever."""
        entry = self._hand or self._oldest
        while entry is not None:
            yield entry
            entry = entry.newer or self._oldest


class Table:
    """See `hsdnsd.native.contract.Table`."""

    def __init__(
        self, positive_bytes: int = contract.POSITIVE_BYTES, negative_bytes: int = contract.NEGATIVE_BYTES
    ) -> None:
        if positive_bytes < 0 or negative_bytes < 0:
            raise ValueError("a bound below 0")
        self._entries: dict[_Key, Entry] = {}
        self._positive = Queue(positive_bytes)
        self._negative = Queue(negative_bytes)
        self._seed = os.urandom(16)
        self._generations: dict[int, int] = {}
        self._epoch = 0
        self._due: list[tuple[Name, int, bool, bool, int]] = []

    @property
    def entries(self) -> tuple[int, int]:
        return self._positive.count, self._negative.count

    @property
    def bytes_held(self) -> tuple[int, int]:
        return self._positive.bytes, self._negative.bytes

    @property
    def evictions(self) -> tuple[int, int]:
        return self._positive.evictions, self._negative.evictions

    def put(
        self,
        question: Question,
        answer: Answer,
        made: float,
        expires: float = math.inf,
        *,
        owner: bytes | None = None,
        refresh_at: float = math.inf,
    ) -> None:
        check_name(question.name)
        check_answer(answer)
        if is_special(question.qtype):
            return
        slot = _NOBODY if owner is None else self._slot(owner)
        key = (bytes(question.name), question.qtype, question.do, question.cd)
        entry = Entry(key, answer, made, expires, refresh_at, slot, self._stamp(slot))
        queue = self._queue(entry)
        older = self._entries.get(key)
        if older is not None:
            self._remove(older)
            entry.asked = older.asked
        if entry.weight > queue.room or queue.most == 0:
            return
        while not queue.fits(entry.weight):
            self._remove(queue.victim(self, made))
            queue.evictions += 1
        self._entries[key] = entry
        queue.add(entry)

    def drop(self, owner: bytes) -> None:
        slot = self._slot(owner)
        self._generations[slot] = self._generations.get(slot, 0) + 1

    def given(self, question: Question) -> int:
        entry = self._entries.get((bytes(question.name), question.qtype, question.do, question.cd))
        return 0 if entry is None else entry.turn

    def clear(self) -> None:
        self._epoch += 1

    def due(self) -> list[tuple[Name, int, bool, bool, int]]:
        due, self._due = self._due, []
        return due

    def answer(self, wire: bytes, now: float) -> bytes | None:
        query = read_question(wire)
        hit = None if query is None else self.find(query, now)
        return None if query is None or hit is None else self.render(hit, query, now)

    def find(self, query: Query, now: float) -> Entry | None:
        """The entry that may be given to this asker now."""
        entry = self._entries.get((query.name, query.qtype, query.do, query.cd))
        if entry is None or not self.is_live(entry, now) or not (query.rd or entry.answer.fixed):
            return None
        if entry.answer.ar and not may_hold(entry.answer, query):
            return None
        return entry

    def render(self, entry: Entry, query: Query, now: float) -> bytes:
        """The reply from an entry that was found, which is thereby in demand."""
        turn = entry.turn
        entry.turn = (turn + 1) & 0xFFFFFFFF
        entry.asked = True
        if now >= entry.refresh_at and len(self._due) < contract.MAX_DUE:
            entry.refresh_at = math.inf
            name, qtype, do, cd = entry.key
            self._due.append((Name(name), qtype, do, cd, entry.turn))
        answer = entry.answer
        if answer.rotate_count:
            turn %= answer.rotate_count
        return render(answer, query, query.udp_size, age_of(entry.made, now), turn)

    def is_live(self, entry: Entry, now: float) -> bool:
        """Whether an entry may still be given: not run out, its owner unchanged."""
        return now < entry.expires and entry.stamp == self._stamp(entry.slot)

    def _stamp(self, slot: int) -> int:
        return self._epoch + self._generations.get(slot, 0)

    def _slot(self, owner: bytes) -> int:
        digest = hashlib.blake2b(owner, digest_size=8, key=self._seed).digest()
        return int.from_bytes(digest, "big") % contract.OWNER_SLOTS

    def _queue(self, entry: Entry) -> Queue:
        return self._positive if entry.answer.an else self._negative

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.key]
        self._queue(entry).remove(entry)


def age_of(made: float, now: float) -> int:
    """Whole seconds since an answer was made."""
    return max(0, int(now - made))
