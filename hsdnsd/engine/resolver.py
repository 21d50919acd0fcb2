"""The long way to an answer: along a CNAME chain, over own zones, cache and upstreams, until it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import msgspec

from hsdnsd.cache.cache import Cache
from hsdnsd.cache.store import Entry, Key, Kind
from hsdnsd.engine.counters import Counters, Outcome
from hsdnsd.engine.exchange import MAX_MESSAGES, Exchange, Exchanges, Problem
from hsdnsd.engine.lookup import Lookup
from hsdnsd.engine.rewrite import restored
from hsdnsd.engine.route import Route
from hsdnsd.errors import WireError
from hsdnsd.wire.answer import Answer, build_answer, render, rrsets
from hsdnsd.wire.const import EDE, Rcode
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import error_reply
from hsdnsd.wire.rrset import RRset

_PROBLEM_EDE = {
    Problem.TIMEOUT: EDE.NO_REACHABLE_AUTHORITY,
    Problem.NETWORK: EDE.NETWORK_ERROR,
    Problem.MALFORMED: EDE.NETWORK_ERROR,
    Problem.RCODE: EDE.OTHER,
    Problem.LAME: EDE.NO_REACHABLE_AUTHORITY,
    Problem.LOOP: EDE.NO_REACHABLE_AUTHORITY,
}


class Bounds(msgspec.Struct, frozen=True):
    """What the daemon, one question and one client may have open at once, and how long they may take.

    Attributes:
        deadline: seconds for one query.
        stale_after: seconds after which whoever waits is given what was known before, if anything was (the client
            response timer of RFC 8767 section 5).
    """

    in_flight: int = 4096
    waiters: int = 1024
    per_client: int = 256
    deadline: float = 4.0
    stale_after: float = 0.4


class Resolver:
    """Carries look-ups to their end.

    Attributes:
        replies: (client, octets) of look-ups that had to wait; drained by the driver.
    """

    def __init__(
        self, route: Route, cache: Cache, exchanges: Exchanges, counters: Counters, bounds: Bounds, coredns: bool
    ) -> None:
        self.replies: list[tuple[Hashable, bytes]] = []
        self._route = route
        self._cache = cache
        self._exchanges = exchanges
        self._counters = counters
        self._bounds = bounds
        self._coredns = coredns
        self._per_source: Counter[str] = Counter()

    def advance(self, lookup: Lookup, now: float) -> bytes | None:
        """Follow the chain as far as it is known; the reply if that is to its end, None if an upstream is asked."""
        while True:
            own, zone = self._route.find(lookup.name, lookup.query.qtype)
            if own is not None:
                lookup.own |= not lookup.answer
                lookup.answer += own.answer
                lookup.ede = own.ede if own.ede is not None else lookup.ede
                if own.chase is None:
                    return self._conclude(lookup, own.rcode, own.authority, own.additional, own.ede)
                if not lookup.follow(own.chase):
                    return self._fail(lookup, EDE.OTHER)
                continue
            if zone is None:
                # Nobody to ask: what an authoritative server says of a chain that leaves its zones.
                return self._conclude(lookup, Rcode.NOERROR)
            key = Key(lookup.name, lookup.query.qtype, lookup.query.do, lookup.query.cd, zone.number)
            entry = self._cache.get(key, now)
            if entry is not None and entry.kind is Kind.FAILURE:
                # RFC 8767 section 5: while asking again is not due, what was known before is given at once.
                entry = self._stale(key, now) or entry
            elif entry is None:
                entry = self._ask(lookup, key, now)
                if entry is None:
                    return None
            else:
                self._counters.cache_hit(entry.kind.value)
            reply = self._extend(lookup, entry, now)
            if reply is not None:
                return reply

    def finish(self, exchange: Exchange, now: float) -> None:
        """An exchange is over: keep its outcome, and carry on everybody who waited for it."""
        entry = self._keep(exchange, now)
        if entry.kind is Kind.FAILURE:
            entry = self._stale(exchange.key, now) or entry
        self._carry_on(exchange, entry, now)

    def impatient(self, exchange: Exchange, now: float) -> None:
        """An exchange takes long: whoever waits is given what was known before, and the exchange goes on."""
        entry = self._stale(exchange.key, now)
        if entry is not None:
            self._carry_on(exchange, entry, now)

    def refresh(self, name: Name, qtype: int, do: bool, cd: bool, now: float) -> None:
        """Ask again what is in demand and about to run out, with nobody waiting (prefetch)."""
        zone = None if self._route.is_own(name) else self._route.match(name)
        if zone is None or len(self._exchanges) >= self._bounds.in_flight:
            return
        key = Key(name, qtype, do, cd, zone.number)
        if self._exchanges.find(key) is None:
            self._exchanges.start(key, zone, now + self._bounds.deadline, MAX_MESSAGES, now)

    def _carry_on(self, exchange: Exchange, entry: Entry, now: float) -> None:
        waiters, exchange.waiters = exchange.waiters, []
        # Only who began the exchange pays for it: the others cost no message.
        if waiters:
            waiters[0].budget -= exchange.sent
        for lookup in waiters:
            self._forget_source(lookup)
            lookup.truncated |= exchange.truncated
            reply = self._extend(lookup, entry, now)
            if reply is None:
                reply = self.advance(lookup, now)
            if reply is not None:
                self._counters.answered(Outcome.FORWARDED, now - lookup.started)
                self.replies.append((lookup.client, reply))

    def _ask(self, lookup: Lookup, key: Key, now: float) -> Entry | None:
        """Wait for an exchange; an entry at once if there is nothing to wait for."""
        self._counters.cache_misses += 1
        if self._per_source[lookup.source] >= self._bounds.per_client:
            return self._turned_away(key, "per_client", now)
        exchange = self._exchanges.find(key)
        if exchange is None:
            if len(self._exchanges) >= self._bounds.in_flight:
                return self._turned_away(key, "in_flight", now)
            if lookup.budget <= 0 or now >= lookup.deadline:
                return _failure(key, EDE.NO_REACHABLE_AUTHORITY, now)
            zone = self._route.forward_zone(key.zone)
            exchange = self._exchanges.start(key, zone, lookup.deadline, lookup.budget, now)
            if exchange is None:
                return self._stale(key, now) or _failure(key, EDE.NO_REACHABLE_AUTHORITY, now)
            if self._cache.stale(key, now) is not None:
                self._exchanges.impatience(exchange, now + self._bounds.stale_after)
        elif len(exchange.waiters) >= self._bounds.waiters:
            return self._turned_away(key, "waiters", now)
        else:
            self._counters.coalesced += 1
            if now >= exchange.started + self._bounds.stale_after:
                stale = self._stale(key, now)
                if stale is not None:
                    return stale
        exchange.waiters.append(lookup)
        self._per_source[lookup.source] += 1
        return None

    def _stale(self, key: Key, now: float) -> Entry | None:
        entry = self._cache.stale(key, now)
        if entry is not None:
            self._counters.cache_hit("stale")
        return entry

    def _turned_away(self, key: Key, limit: str, now: float) -> Entry:
        self._counters.limited(limit)
        return self._stale(key, now) or _failure(key, EDE.NETWORK_ERROR, now)

    def _keep(self, exchange: Exchange, now: float) -> Entry:
        accepted = exchange.accepted
        problem = exchange.problem
        if accepted is not None:
            try:
                answer = build_answer(exchange.key.name, accepted.rcode, accepted.answer, accepted.authority)
            except WireError:
                # Uncompressed rdata can make a reply of nearly 64 KiB too large to be written again.
                problem = Problem.MALFORMED
            else:
                return self._cache.put(exchange.key, answer, accepted.ttl, now, accepted.chase)
        return self._cache.put_failure(exchange.key, _failure(exchange.key, _PROBLEM_EDE[problem], now).answer, now)

    def _extend(self, lookup: Lookup, entry: Entry, now: float) -> bytes | None:
        """Take what an upstream said into the chain; the reply if it ends there, None if it goes on."""
        known = entry.answer
        if known.rcode == Rcode.SERVFAIL:
            return self._upstreams_failed(lookup, known)
        age = int(now - entry.stored)
        if not lookup.answer and entry.chase is None and lookup.name == lookup.query.name:
            # No chain to put together: the answer stands as it is kept.
            self._counters.response(known.rcode)
            return render(known, lookup.query, lookup.limit, age)
        answer, authority = rrsets(known, lookup.name, age)
        lookup.answer += answer
        lookup.ede = known.ede if known.ede is not None else lookup.ede
        if entry.chase is not None:
            return None if lookup.follow(entry.chase) else self._fail(lookup, EDE.OTHER)
        if self._coredns and lookup.own:
            # CoreDNS tells the CNAME, and nothing of how its target fared (dns-rules E3, E4).
            return self._conclude(lookup, Rcode.NOERROR)
        return self._conclude(lookup, known.rcode, authority)

    def _upstreams_failed(self, lookup: Lookup, failure: Answer) -> bytes:
        if self._coredns and lookup.own:
            if failure.ede == EDE.OTHER:
                return self._conclude(lookup, Rcode.NOERROR)
            lookup.answer.clear()
            return self._conclude(lookup, Rcode.NOERROR, self._route.own_soa(lookup.start))
        return self._fail(lookup, EDE(failure.ede or EDE.OTHER))

    def _conclude(
        self,
        lookup: Lookup,
        rcode: int,
        authority: Sequence[RRset] = (),
        additional: Sequence[RRset] = (),
        ede: int | None = None,
    ) -> bytes:
        query = lookup.query
        records = lookup.answer if lookup.start is query.name else restored(lookup.answer, lookup.start, query.name)
        if records is None:
            return self._fail(lookup, EDE.OTHER)
        try:
            answer = build_answer(
                query.name,
                rcode,
                records,
                authority,
                additional,
                aa=lookup.own,
                ede=lookup.ede if ede is None else ede,
            )
        except WireError:
            return self._fail(lookup, EDE.OTHER)
        self._counters.response(rcode, lookup.own)
        # CoreDNS hands a truncated upstream reply on as truncated.
        limit = 0 if self._coredns and lookup.own and lookup.truncated and not lookup.tcp else lookup.limit
        return render(answer, query, limit)

    def _fail(self, lookup: Lookup, ede: EDE) -> bytes:
        self._counters.response(Rcode.SERVFAIL, lookup.own)
        return error_reply(lookup.query, Rcode.SERVFAIL, ede)

    def _forget_source(self, lookup: Lookup) -> None:
        left = self._per_source[lookup.source] - 1
        if left:
            self._per_source[lookup.source] = left
        else:
            del self._per_source[lookup.source]


def _failure(key: Key, ede: EDE, now: float) -> Entry:
    return Entry(build_answer(key.name, Rcode.SERVFAIL, ede=ede), Kind.FAILURE, now, now)
