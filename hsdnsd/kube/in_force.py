"""What is told of one resource, object by object -> what is in force, and when: never half a list."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hsdnsd.kube.source import Held, Sink
from hsdnsd.kube.union import Alone, Ledger
from hsdnsd.records.model import Amended, Deleted, Fact, Key, Kind, Listed, Memory


class InForce:
    """Of a list waits, until it has ended, what differs from what is held: no answer is made from half a list. (Where
    nothing is held yet, objects are in force as they come: what is known is answered, and of the rest nothing denied.)

    Objects may be told twice, and deletions of what never was: a change says what is, so nothing follows from that.
    """

    def __init__(self, kind: Kind, emit: Sink, held: Held, ledger: Ledger | Alone, part: int) -> None:
        """
        Args:
            emit: told of the changes, in their order. held: what it is told ends up there.
            ledger: shared with the other parts that the kind is watched in, of which this is number `part`.
        """
        self._kind = kind
        self._emit = emit
        self._held = held
        self._ledger = ledger
        self._part = part
        self._told: set[Key] | None = None  # what a list holds that has not ended, or is not in force
        self._news: dict[Key, Memory] = {}  # how that differs from what is held
        self._portions: Iterator[Amended] = iter(())  # of what a list that has ended changes
        self._there: Collection[Key] = ()  # after that

    @property
    def listing(self) -> bool:
        """A list has begun, and what it says is not in force."""
        return self._told is not None

    @property
    def _waits(self) -> bool:
        """Whether what is told now must not be in force yet. (Where all parts of a kind are listed for the first time
        while it is held as it was recalled, they come into force together.)"""
        return (self._told is not None or not self._ledger.complete) and self._held.knows(self._kind)

    def begin_list(self) -> None:
        self._told = set()
        self._news = {}

    def begin_watch(self) -> None:
        """A list that has not ended never will."""
        self._told = None

    def admit(self, fact: Fact, version: str) -> bool:
        """An object as it is at a version.

        Returns:
            Whether that is news to be in force now.
        """
        key = fact.key
        if self._told is not None:
            self._told.add(key)
        if not self._ledger.upserted(self._part, key, version):
            return False
        self._ledger.waiting.pop(key, None)
        if self._waits:
            waiting = self._ledger.waiting if self._told is None else self._news
            waiting.pop(key, None)
            if (news := self._held.news(fact)) is not None:
                waiting[key] = news
            return False
        self._news.pop(key, None)
        return True

    def remove(self, key: Key, version: str) -> None:
        """An object is gone since a version."""
        waits = self._waits
        if self._told is not None:
            self._told.discard(key)
            self._news.pop(key, None)
            if waits:  # its end says that too
                return
        if self._ledger.deleted(self._part, key, version):
            self._ledger.waiting.pop(key, None)
            if not waits:
                self._emit(Deleted(self._kind, key))

    def end_list(self) -> None:
        """All objects of the list have been told: the others are gone. `settle` puts that in force."""
        known = self._held.knows(self._kind)
        self._there = self._ledger.listed(self._part, self._told or set(), self._news)
        self._news = {}
        self._portions = iter(())
        if self._ledger.complete and (known or self._ledger.waiting):
            gone = self._held.beyond(self._kind, self._there)
            change = Amended(self._kind, tuple(self._ledger.waiting.values()), tuple(gone))
            self._portions = self._held.portions(change)
        elif self._ledger.complete:
            self._emit(Listed(self._kind, self._there))

    def settle(self) -> bool:
        """Put the next portion of what a list that has ended changes in force.

        Returns:
            Whether more are left.
        """
        for portion in self._portions:
            waiting = self._ledger.waiting
            told = tuple([memory for memory in portion.told if waiting.pop(memory.key, None) is not None])
            gone = tuple([key for key in portion.gone if key not in self._there])
            if told or gone or portion.last:
                self._emit(Amended(self._kind, told, gone, portion.last))
            if not portion.last:
                return True
        self._told, self._there = None, ()
        return False
