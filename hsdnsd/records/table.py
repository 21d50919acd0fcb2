"""What is known of the cluster: all that lists and watches have told, or the snapshot recalls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hsdnsd.records.holdings import Holdings
from hsdnsd.records.model import (
    KIND_OF,
    Amended,
    Change,
    Fact,
    Key,
    Kind,
    Listed,
    Listing,
    Memory,
    Replaced,
    Upserted,
)
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.portions import portions
from hsdnsd.records.result import EVERYTHING, Owner


class Table(Holdings):
    """The facts of the cluster as they were last told. One owner; not thread-safe."""

    serial: int
    """Unix seconds of the last change of any record; 0 before the first. The SOA serial."""

    def __init__(self, options: ZoneOptions) -> None:
        super().__init__(options)
        self.serial = 0
        self._listed: set[Kind] = set()
        self._recalled: dict[Kind, set[Key]] = {}  # what nobody has told of since

    @property
    def synced(self) -> bool:
        """Whether every expected kind has been listed at least once."""
        return self._options.expect <= self._listed

    @property
    def stale(self) -> bool:
        """Whether a kind of object is held as it was recalled, and has not been listed since."""
        return bool(self._recalled)

    def knows(self, kind: Kind) -> bool:
        """Whether all objects of a kind have been told of or recalled, if that is expected at all."""
        return kind in self._listed or kind in self._recalled or kind not in self._options.expect

    @property
    def knows_addresses(self) -> bool:
        """Whether everybody who may have an address is known, but for pods."""
        return self.knows(Kind.SERVICE) and self.knows(Kind.ENDPOINT_SLICE)

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        """Take in one change, and say whose answers it ends (often nobody's). Cannot fail on any fact.

        Before all expected kinds are listed answers are not kept (unless they are recalled), so what is told up to the
        end of a kind's first list ends nobody's. That ends EVERYTHING, unless it changes no record and other kinds are
        still expected. SOA serials in answers do not count: only the SOA question tells the serial, and is never kept.
        """
        touched: set[Owner] = set()
        if isinstance(change, Upserted):
            self._upsert(KIND_OF[type(change.fact)], (change.fact,), touched)
        elif isinstance(change, Listing):
            self._upsert(change.kind, change.facts, touched)
        elif isinstance(change, Amended):
            self._amend(change, touched)
        elif isinstance(change, Listed):
            return self._end_list(change, unix_time)
        elif isinstance(change, Replaced):
            if change.kind not in self._listed:
                return self._first_list(change, unix_time)
            self._replace(change, touched)
        else:
            self._remove(change.kind, change.key, touched)
        if touched:
            self.serial = max(self.serial, unix_time)
        return frozenset(touched)

    def recall(self, kind: Kind, memories: Iterable[Memory], unix_time: int) -> None:
        """Hold what is remembered of a kind of which nothing has been told yet; its first list, or `forget`, ends
        that. To be called before anybody is answered."""
        self._hold(memories)
        self._recalled[kind] = set(self._keys(kind))
        self.serial = max(self.serial, unix_time)

    def forget(self, kind: Kind) -> frozenset[Owner]:
        """Hold nothing of a kind that is only recalled. Says whose answers that ends."""
        if kind not in self._recalled:
            return frozenset()
        touched: set[Owner] = set()
        for key in self._recalled.pop(kind):
            self._remove(kind, key, touched)
        return frozenset((EVERYTHING,))

    def news(self, fact: Fact) -> Memory | None:
        """What a fact says, in the form in which it is held; None if it says what is held already, which then counts
        as recalled no longer."""
        if (news := self._news(fact)) is None and self._recalled:
            self._recalled.get(KIND_OF[type(fact)], set()).discard(fact.key)
        return news

    def portions(self, change: Amended) -> Iterator[Amended]:
        """A change in portions of which none takes long; see `hsdnsd.records.portions`."""
        return portions(change, self)

    def _upsert(self, kind: Kind, facts: tuple[Fact, ...], touched: set[Owner]) -> None:
        if not self._recalled and not self.synced and kind not in self._listed:
            self._hold(facts)
            return
        recalled = self._recalled.get(kind, set())
        for fact in facts:
            recalled.discard(fact.key)
            self._put(fact, touched)

    def _end_list(self, change: Listed, unix_time: int) -> frozenset[Owner]:
        touched: set[Owner] = set()
        for key in self.beyond(change.kind, change.keys):
            self._remove(change.kind, key, touched)
        first = change.kind not in self._listed
        if touched or (first and change.keys):
            self.serial = max(self.serial, unix_time)
        self._recalled.pop(change.kind, None)
        if not first:
            return frozenset(touched)
        self._listed.add(change.kind)
        return frozenset((EVERYTHING,))

    def _amend(self, change: Amended, touched: set[Owner]) -> None:
        recalled = self._recalled.get(change.kind, set())
        for key in change.gone:
            self._remove(change.kind, key, touched)
            recalled.discard(key)
        for memory in change.told:
            self._put(memory, touched)
            recalled.discard(memory.key)
        if change.last:
            self._recalled.pop(change.kind, None)
            if change.kind not in self._listed:
                self._listed.add(change.kind)
                touched.add(EVERYTHING)

    def _first_list(self, change: Replaced, unix_time: int) -> frozenset[Owner]:
        # A cluster's first list would name a hundred thousand owners, only to end everything.
        touched: set[Owner] = set()
        for key in self.beyond(change.kind, {fact.key for fact in change.facts}):
            self._remove(change.kind, key, touched)
        changed = bool(touched)
        for fact in change.facts:
            touched.clear()
            self._put(fact, touched)
            changed = changed or bool(touched)
        was_synced = self.synced
        self._listed.add(change.kind)
        changed = self._recalled.pop(change.kind, None) is not None or changed
        if changed:
            self.serial = max(self.serial, unix_time)
        return frozenset((EVERYTHING,)) if changed or self.synced != was_synced else frozenset()

    def _replace(self, change: Replaced, touched: set[Owner]) -> None:
        for key in self.beyond(change.kind, {fact.key for fact in change.facts}):
            self._remove(change.kind, key, touched)
        for fact in change.facts:
            self._put(fact, touched)
