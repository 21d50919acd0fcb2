"""The long way to an answer: along a CNAME chain, over own zones, cache and upstreams, until it ends."""

from __future__ import annotations

import bisect
import operator
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import msgspec

from hsdnsd.cache.cache import Cache
from hsdnsd.cache.store import Entry, Key, Kind
from hsdnsd.engine.aloft import Flown, Nobody, Threads, is_shared
from hsdnsd.engine.counters import Counters, Outcome
from hsdnsd.engine.exchange import MAX_MESSAGES, Exchange, Problem
from hsdnsd.engine.exchanges import Exchanges
from hsdnsd.engine.lookup import Lookup
from hsdnsd.engine.rewrite import restored
from hsdnsd.engine.route import Route
from hsdnsd.engine.upstreams import ForwardZone
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
# Seconds that an answer may need from here to its client.
_ON_ITS_WAY = 0.02
# Long ago.
_AT_ONCE = 0.0
_deadline = operator.attrgetter("deadline")


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

    @property
    def last_word(self) -> float:
        """Seconds after which nothing is waited for any more, so that the answer is there by the deadline."""
        return self.deadline - min(_ON_ITS_WAY, self.deadline / 10)


class Resolver:
    """Carries look-ups to their end.

    Attributes:
        replies: (client, octets) of look-ups that had to wait; drained by the driver.
        threads: who else asks upstreams.
    """

    def __init__(
        self,
        route: Route,
        cache: Cache,
        exchanges: Exchanges,
        counters: Counters,
        bounds: Bounds,
        coredns: bool,
        publish: Callable[[Key, Entry], None],
    ) -> None:
        """
        Args:
            publish: lets the packet path give an answer of the cache's for as long as that may.
        """
        self.replies: list[tuple[Hashable, bytes]] = []
        self._cache = cache
        self._exchanges = exchanges
        self._counters = counters
        self._publish = publish
        self._per_source: Counter[str] = Counter()
        self.threads: Threads = Nobody()
        self.reconfigure(route, bounds, coredns)

    def reconfigure(self, route: Route, bounds: Bounds, coredns: bool) -> None:
        """Carry look-ups on like this from now on, those under way too."""
        self._route = route
        self._bounds = bounds
        self._coredns = coredns

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
            key = Key(lookup.name, lookup.query.qtype, lookup.query.do, lookup.query.cd, zone.name)
            entry = self._cache.get(key, now)
            if entry is not None and entry.kind is Kind.FAILURE:
                # RFC 8767 section 5: while asking again is not due, what was known before is given at once.
                entry = self._stale(key, now) or entry
            elif entry is None:
                entry = self._ask(lookup, key, zone, now)
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
        self._release(exchange.key, entry, now)
        if entry.kind is Kind.FAILURE:
            entry = self._stale(exchange.key, now) or entry
        waiters, exchange.waiters = exchange.waiters, []
        self._carry_on(exchange, waiters, entry, now)

    def attend(self, exchange: Exchange, now: float) -> None:
        """An exchange takes long, and goes on. Whoever waits is given what was known before, if that is due; or else
        those are answered whose own time is over.
        """
        stale = self._cache.stale(exchange.key, now)
        leaving = exchange.waiters
        if stale is None or now < (due := exchange.started + self._bounds.stale_after):
            leaving = leaving[: bisect.bisect(leaving, now, key=_deadline)]
            if stale is not None:
                self._exchanges.attend(exchange, due)
        exchange.waiters = exchange.waiters[len(leaving) :]
        self._attend_first(exchange)
        if not leaving:
            return
        if stale is not None:
            self._counters.cache_hit("stale")
        self._carry_on(exchange, leaving, stale or _failure(exchange.key, _PROBLEM_EDE[exchange.problem], now), now)

    def refresh(self, name: Name, qtype: int, do: bool, cd: bool, now: float) -> None:
        """Ask again what is in demand and about to run out, with nobody waiting (prefetch)."""
        zone = None if self._route.is_own(name) else self._route.match(name)
        if zone is None or len(self._exchanges) >= self._bounds.in_flight:
            return
        key = Key(name, qtype, do, cd, zone.name)
        if self._find(key, now) is None and not self._exchanges.start(
            key, zone, now + self._bounds.last_word, MAX_MESSAGES, now
        ):
            self._unclaim(key)

    def adopt(self, flown: Flown, now: float) -> Exchange | None:
        """Go on with a question that somebody else has begun to ask; None: it is being asked here too."""
        if self._exchanges.find(flown.key) is not None:
            return None
        zone = self._route.match(flown.key.name)
        others = zone.order(now) if zone is not None else ()
        exchange = self._exchanges.adopt(flown, others, flown.sent_at + self._bounds.last_word)
        if self._cache.stale(flown.key, now) is not None:
            self._exchanges.attend(exchange, flown.sent_at + self._bounds.stale_after)
        return exchange

    def _carry_on(self, exchange: Exchange, waiters: list[Lookup], entry: Entry, now: float) -> None:
        for lookup in waiters:
            if lookup is exchange.payer:
                # Only who began the exchange pays for it: the others cost no message. If it goes on, for all of it.
                lookup.budget -= exchange.sent + exchange.budget
            self._forget_source(lookup)
            lookup.truncated |= exchange.truncated
            reply = self._extend(lookup, entry, now)
            if reply is None:
                reply = self.advance(lookup, now)
            if reply is not None:
                self._counters.answered(Outcome.FORWARDED, now - lookup.started)
                self.replies.append((lookup.client, reply))

    def _ask(self, lookup: Lookup, key: Key, zone: ForwardZone, now: float) -> Entry | None:
        """Wait for an exchange; an entry at once if there is nothing to wait for."""
        self._counters.cache_misses += 1
        waiting = self._per_source[lookup.source] + self.threads.waiting_of(lookup.source)
        if waiting >= self._bounds.per_client:
            return self._turned_away(key, "per_client", now)
        exchange = self._find(key, now)
        if exchange is None:
            if len(self._exchanges) + self.threads.in_flight >= self._bounds.in_flight:
                self._unclaim(key)
                return self._turned_away(key, "in_flight", now)
            if lookup.budget > 0 and now < lookup.deadline:
                exchange = self._exchanges.start(key, zone, lookup.deadline, lookup.budget, now)
            if exchange is None:
                self._unclaim(key)
                return self._stale(key, now) or _failure(key, EDE.NO_REACHABLE_AUTHORITY, now)
            exchange.payer = lookup
            if self._cache.stale(key, now) is not None:
                self._exchanges.attend(exchange, now + self._bounds.stale_after)
        elif len(exchange.waiters) >= self._bounds.waiters:
            return self._turned_away(key, "waiters", now)
        elif now >= lookup.deadline:
            return self._stale(key, now) or _failure(key, EDE.NO_REACHABLE_AUTHORITY, now)
        else:
            self._counters.coalesced += 1
            if now >= exchange.started + self._bounds.stale_after:
                stale = self._stale(key, now)
                if stale is not None:
                    return stale
        if lookup.deadline < exchange.deadline:
            # Seldom: who comes along a chain may have begun before whoever began the exchange.
            bisect.insort(exchange.waiters, lookup, key=_deadline)
            self._attend_first(exchange)
        else:
            exchange.waiters.append(lookup)
        self._per_source[lookup.source] += 1
        return None

    def _find(self, key: Key, now: float) -> Exchange | None:
        """The exchange that asks this, if there is one. What others have begun to ask is ours to go on with; what
        nobody asks is ours to ask, until `_release` or `_unclaim`.
        """
        exchange = self._exchanges.find(key)
        if exchange is None and is_shared(key):
            self.threads.claim(key, now)
            exchange = self._exchanges.find(key)
        return exchange

    def _unclaim(self, key: Key) -> None:
        """We don't ask this after all."""
        if is_shared(key):
            self.threads.release(key, _AT_ONCE)

    def _release(self, key: Key, entry: Entry, now: float) -> None:
        """An exchange is over: others may ask the same, unless the cache knows something that only we can tell."""
        if not is_shared(key):
            return
        until = _AT_ONCE
        if entry.expires > now and (entry.kind is Kind.FAILURE or entry.chase is not None):
            until = entry.expires
        elif entry.expires > now and self.threads.may_ask(key):
            self._publish(key, entry)
        self.threads.release(key, until)

    def _attend_first(self, exchange: Exchange) -> None:
        """See to it that who can't wait for the end of an exchange is not forgotten."""
        if exchange.waiters and exchange.waiters[0].deadline < exchange.deadline:
            self._exchanges.attend(exchange, exchange.waiters[0].deadline)

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
