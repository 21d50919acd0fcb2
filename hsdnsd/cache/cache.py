"""The cache of upstream answers: three stores by kind, and the rules of when an entry may be given out."""

from __future__ import annotations

import msgspec

from hsdnsd.cache.store import Entry, Key, Kind, Store
from hsdnsd.wire.answer import Answer, restamped
from hsdnsd.wire.const import EDE, Rcode
from hsdnsd.wire.name import Name


class Limits(msgspec.Struct, frozen=True):
    """Budgets in bytes (0: keep none of that kind), and TTLs in seconds."""

    success_bytes: int = 32 << 20
    denial_bytes: int = 4 << 20
    failure_bytes: int = 1 << 20
    failure_ttl: float = 1.0
    max_stale: float = 3600.0  # for how long past its time an answer may still be given when nobody answers
    max_failure_ttl: float = 30.0  # RFC 9520 section 3.2 allows 300


# RFC 8767 section 4 recommends 30 s as the TTL of stale data.
STALE_TTL = 30


class Cache:
    """Answers by question. `now` is monotonic seconds."""

    def __init__(self, limits: Limits) -> None:
        self.stores = {kind: Store(0) for kind in Kind}
        self.resize(limits)
        # In the order in which they are asked: data before its absence, and a failure only if nothing better is known.
        self._order = tuple(self.stores.values())

    def resize(self, limits: Limits) -> None:
        """Keep by these limits from now on; what does not fit any more is forgotten."""
        self.limits = limits
        self.stores[Kind.SUCCESS].resize(limits.success_bytes)
        self.stores[Kind.DENIAL].resize(limits.denial_bytes)
        self.stores[Kind.FAILURE].resize(limits.failure_bytes)

    def get(self, key: Key, now: float) -> Entry | None:
        """The answer that may be given now, or None."""
        for store in self._order:
            entry = store.get(key)
            if entry is not None and entry.expires > now:
                return entry
        return None

    def stale(self, key: Key, now: float) -> Entry | None:
        """What was known before its time ran out, marked as stale (RFC 8767 section 4), or None.

        An answer that did not stop to be true is better than none, so a later failure never hides it.
        """
        for kind, ede in ((Kind.SUCCESS, EDE.STALE_ANSWER), (Kind.DENIAL, EDE.STALE_NXDOMAIN)):
            entry = self.stores[kind].get(key)
            if entry is not None and now < entry.expires + self.limits.max_stale:
                ede = ede if entry.answer.rcode == Rcode.NXDOMAIN else EDE.STALE_ANSWER
                return Entry(restamped(entry.answer, STALE_TTL, ede), kind, now, now, entry.chase)
        return None

    def put(self, key: Key, answer: Answer, ttl: int, now: float, chase: Name | None = None) -> Entry:
        """Keep what an upstream said for `ttl` seconds; 0 is not kept (RFC 1035 section 3.2.1). Returns the entry."""
        successes, denials, failures = self._order
        if answer.an and answer.rcode == Rcode.NOERROR:
            entry = Entry(answer, Kind.SUCCESS, now, now + ttl, chase)
            store, other = successes, denials
        else:
            entry = Entry(answer, Kind.DENIAL, now, now + ttl, chase)
            store, other = denials, successes
        other.remove(key)
        failures.remove(key)
        if ttl > 0:
            store.put(key, entry)
        else:
            store.remove(key)
        return entry

    def put_failure(self, key: Key, answer: Answer, now: float) -> Entry:
        """Remember that nobody could answer: a second, then twice as long each time in a row (RFC 9520)."""
        store = self.stores[Kind.FAILURE]
        before = store.get(key)
        streak = 0 if before is None else before.streak + 1
        ttl = min(self.limits.failure_ttl * 2 ** min(streak, 16), self.limits.max_failure_ttl)
        entry = Entry(answer, Kind.FAILURE, now, now + ttl, streak=streak)
        if ttl > 0:
            store.put(key, entry)
        return entry

    def clear(self) -> None:
        """Forget everything."""
        for store in self._order:
            store.clear()
