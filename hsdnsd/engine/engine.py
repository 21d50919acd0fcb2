"""The heart: queries, upstream replies and the clock go in; replies, exchanges and a deadline come out. No I/O.

The driver calls `query`, `upstream_reply`, `upstream_failed`, `records_changed` and `deadline_passed`; after each
call it drains `replies`, `sends`, `closes`, `deafened` and `looping`, and arms one timer at `next_deadline`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol

import msgspec

from hsdnsd.cache.cache import Cache
from hsdnsd.cache.policy import TtlLimits
from hsdnsd.cache.store import Entry, Key, Kind
from hsdnsd.engine.aloft import Flown, Grant, Threads, grant
from hsdnsd.engine.counters import Counters, Outcome
from hsdnsd.engine.exchange import MAX_MESSAGES, Exchange, ExchangeOptions, Send
from hsdnsd.engine.exchanges import Exchanges
from hsdnsd.engine.fit import build_own, fits_udp, for_udp
from hsdnsd.engine.lookup import Lookup
from hsdnsd.engine.loops import LoopProbes
from hsdnsd.engine.renewal import Renewal
from hsdnsd.engine.resolver import Bounds, Resolver
from hsdnsd.engine.rewrite import renamed, restored
from hsdnsd.engine.route import LocalOptions, Route
from hsdnsd.engine.static import StaticRecords
from hsdnsd.engine.upstreams import Forwards, Server, Upstream
from hsdnsd.records.result import EVERYTHING, Owner
from hsdnsd.records.zone import Zone
from hsdnsd.wire.answer import Answer, build_answer, render
from hsdnsd.wire.const import EDE, MAX_MESSAGE, Rcode, RRType
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query, Question, Refusal, error_reply, read_query_untrusted
from hsdnsd.wire.rrset import RRset, hinfo_rdata

SILENCE = b""
# Answers that one change has made again. It may end thousands; the others wait to be asked for, as making one takes a
# tenth of a millisecond, and the event loop is not to be held.
_RENEWED_AT_ONCE = 16
_FOREVER = float("inf")
# An answer that is asked for in the last tenth of its life is fetched again before it ends, if it lives long enough
# for that to be worth a message.
_REFRESH_IN_LAST = 0.1
_REFRESH_FROM = 10.0
# RFC 8482 section 4.2: the answer to ANY for a name that is not ours, so that nobody is amplified through us.
_ANY_TTL = 3600
_ANY_RDATA = hinfo_rdata(b"RFC8482", b"")


class Finished(Protocol):
    """The table of finished answers that the packet path serves from (hsdnsd.native)."""

    def put(
        self,
        question: Question,
        answer: Answer,
        made: float,
        expires: float = ...,
        *,
        owner: bytes | None = ...,
        refresh_at: float = ...,
    ) -> None:
        """Keep an answer until `expires` or until its owner changes; by default for ever."""
        ...

    def drop(self, owner: bytes) -> None:
        """Give nobody an answer of this owner any more."""
        ...

    def given(self, question: Question) -> int:
        """How often the answer that was last put for a question has been given."""
        ...

    def due(self) -> list[tuple[Name, int, bool, bool, int]]:
        """What has been asked for since its `refresh_at`."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def answer(self, wire: bytes, now: float) -> bytes | None:
        """The reply to a datagram, if it is held."""
        ...


class Engine:
    """Answers queries from the own zones, from the cache, or from upstreams."""

    def __init__(
        self,
        zone: Zone | None,
        forwards: Forwards,
        cache: Cache,
        finished: Finished,
        counters: Counters,
        entropy: Callable[[int], bytes],
        *,
        bounds: Bounds | None = None,
        exchange: ExchangeOptions | None = None,
        ttls: TtlLimits | None = None,
        local: LocalOptions | None = None,
        coredns: bool = False,
    ) -> None:
        """
        Args:
            zone: the own zones; None if no source of Kubernetes objects is configured.
            entropy: gives so many octets of the system's random source.
            local: what is answered here beside the own zones; None: nothing.
            coredns: what comes of an ExternalName whose target lies elsewhere is told as CoreDNS tells it.
        """
        self._bounds = bounds or Bounds()
        self._route = Route(zone, forwards, local)
        self._cache = cache
        self._finished = finished
        self._counters = counters
        self._exchanges = Exchanges(
            counters, self._route.is_own, ttls or TtlLimits(), entropy, exchange or ExchangeOptions()
        )
        self._forwards = forwards
        self._loops = LoopProbes(
            forwards,
            entropy,
            exchange is not None and exchange.force_tcp,
            self._exchanges.sends,
            self._exchanges.closes,
        )
        self._looping: list[Upstream] = []
        self._resolver = Resolver(self._route, cache, self._exchanges, counters, self._bounds, coredns, self._publish)
        self._renewal = Renewal()
        self._turn = 0

    @property
    def replies(self) -> list[tuple[Hashable, bytes]]:
        """(client as it was given to `query`, octets) of those who had to wait."""
        return self._resolver.replies

    @property
    def sends(self) -> list[Send]:
        """Messages to upstreams."""
        return self._exchanges.sends

    @property
    def closes(self) -> list[int]:
        """Exchanges that are over: their sockets are to be closed."""
        return self._exchanges.closes

    @property
    def deafened(self) -> list[int]:
        """Exchanges that hear nothing over UDP any more: those of their sockets are to be closed."""
        return self._exchanges.deafened

    @property
    def looping(self) -> list[Upstream]:
        """Upstreams that were found to lead back to us."""
        return self._looping

    @property
    def in_flight(self) -> int:
        """Exchanges that wait for an upstream."""
        return len(self._exchanges)

    def query(
        self, wire: bytes, client: Hashable, source: str, tcp: bool, now: float, truncated: bool = False
    ) -> bytes | None:
        """A datagram or a TCP message from a client.

        Args:
            client: opaque; comes back with the reply. source: its address, in text.
            truncated: the datagram was longer than the receive buffer.

        Returns:
            The reply if it is known at once; SILENCE if none is due (over TCP: close the connection); None if it will
            come through `replies`.
        """
        query = read_query_untrusted(wire, truncated)
        if isinstance(query, Refusal):
            self._counters.refused(query.why)
            return query.reply or SILENCE
        if query.qtype == RRType.HINFO and (server := self._loops.recognise(query.name)) is not None:
            self._found_loop(server, now)
            return SILENCE
        name = self._route.final(query.name)
        own = name is not None and self._route.is_own(name)
        self._counters.request(":" in source, tcp, query.qtype, own, query.do)
        if name is None:
            # As where a DNAME makes a name too long (RFC 6672 section 2.2).
            self._counters.response(Rcode.YXDOMAIN)
            return error_reply(query, Rcode.YXDOMAIN)
        if own and not tcp and (reply := self._finished.answer(wire, now)) is not None:
            return self._counted(reply)
        limit = MAX_MESSAGE if tcp else query.udp_size
        reply = self._answer_own(query, name, limit, now) if own else self._answer_other(query, name, limit, now)
        if reply is not None:
            return reply
        lookup = Lookup(query, name, client, source, tcp, now, now + self._bounds.last_word, MAX_MESSAGES)
        return self._resolver.advance(lookup, now)

    def upstream_reply(self, exchange: int, attempt: int, wire: bytes, now: float) -> None:
        """Octets that came on the socket of an attempt; the socket being connected, from the right address."""
        if exchange < 0:
            self._loops.answered(exchange)
        else:
            self._finish(self._exchanges.reply(exchange, attempt, wire, now), now)

    def upstream_failed(self, exchange: int, attempt: int, now: float) -> None:
        """The socket of an attempt could not be opened or connected, was refused, or was closed by the other side."""
        self._finish(self._exchanges.failed(exchange, attempt, now), now)

    def spend(self, exchange: int) -> bool:
        """Whether one more message may be sent for an exchange, because one was lost that is nobody's fault."""
        return self._exchanges.spend(exchange)

    def upstream_looped(self, exchange: int, attempt: int, now: float) -> None:
        """The message of an attempt came back to us as a query."""
        server = self._loops.server_of(exchange) if exchange < 0 else self._exchanges.server_of(exchange, attempt)
        if server is not None:
            self._found_loop(server, now)
            self._finish(self._exchanges.looped(exchange, attempt, now), now)

    def replace_upstreams(self, zone: Name, upstreams: Sequence[Upstream], now: float) -> None:
        """Ask these from now on for what a forward zone takes."""
        for known in self._forwards.zones:
            if known.name == zone:
                known.replace(upstreams)
        self._loops.changed(now)

    def watch_for_loops(self, now: float) -> None:
        """From now on, probe every upstream for whether it leads back to us."""
        self._loops.begin(now)

    def next_deadline(self) -> float | None:
        """Monotonic time at which `deadline_passed` is to be called; None: there is nothing to wait for."""
        wake, probe = self._exchanges.next_wake(), self._loops.wake
        if wake is None:
            return None if probe == _FOREVER else probe
        return min(wake, probe)

    def deadline_passed(self, now: float) -> None:
        """Time has gone by: ask again, or give up, where nothing came."""
        if now >= self._loops.wake:
            self._loops.expire(now)
        over, attended = self._exchanges.expire(now)
        for exchange in attended:
            self._resolver.attend(exchange, now)
        for exchange in over:
            self._finish(exchange, now)

    def reconfigure(
        self,
        zone: Zone | None,
        forwards: Forwards,
        now: float,
        *,
        static: StaticRecords,
        bounds: Bounds,
        exchange: ExchangeOptions,
        ttls: TtlLimits,
        local: LocalOptions,
        coredns: bool,
    ) -> None:
        """Go by these rules from now on, as if they had been given from the first; keywords as of the constructor.

        What was cached stays. What upstreams are being asked for goes on as it was begun; what comes of it is told,
        and chains go on, by these rules. Nobody is given a finished answer of the old ones, once this returns.
        """
        self._bounds = bounds
        self._forwards = forwards
        self._route = Route(zone, forwards, local)
        self._route.static = static
        self._exchanges.reconfigure(self._route.is_own, ttls, exchange)
        self._loops.reconfigure(forwards, exchange.force_tcp, now)
        self._resolver.reconfigure(self._route, bounds, coredns)
        self._resolver.threads.reserve(*self._route.reserved())
        self._finished.clear()

    def share(self, threads: Threads) -> None:
        """From now on others ask upstreams too, what `grant` allows; what they have no end for is adopted."""
        self._resolver.threads = threads
        threads.reserve(*self._route.reserved())

    def grant(self, now: float) -> Grant | None:
        """What others may ask now."""
        exchanges = self._exchanges
        if not exchanges.plain:
            return None
        return grant(
            self._forwards.default, self._bounds, exchanges.ttls, self._route.no_aaaa, exchanges.attempt_timeout, now
        )

    @property
    def counters(self) -> Counters:
        """What it counts."""
        return self._counters

    def adopt(self, flown: Flown, now: float) -> int | None:
        """Go on with a question that others have begun to ask.

        Returns:
            The number of its exchange, of which the message is attempt 0; None: it is being asked here too.
        """
        exchange = self._resolver.adopt(flown, now)
        return None if exchange is None else exchange.number

    def adopted(self, exchange: int) -> None:
        """Whoever waited for an adopted question has been given to `query`: the first of them pays for it."""
        adopted = self._exchanges.by_number(exchange)
        if adopted is not None and adopted.waiters:
            adopted.payer = adopted.waiters[0]
            self._counters.coalesced -= 1

    def landed(
        self, key: Key, answer: Answer, ttl: int, server: Server, took: float, opt: bool | None, at: float
    ) -> None:
        """Others have asked and told everybody who waited.

        Args:
            ttl: seconds that it may be kept. took: seconds until the reply.
            opt: whether it had an OPT, if one was sent. at: when that was.
        """
        self._cache.put(key, answer, ttl, at)
        server.answered(took)
        if opt is not None:
            server.took_edns(opt)
        self._counters.upstream_answered(server.name, answer.rcode, took)

    def refresh(self, now: float) -> None:
        """Fetch again what is in demand and about to run out, before anybody has to wait for it."""
        for name, qtype, do, cd, _ in self._finished.due():
            final = self._route.final(name)
            if final is not None:
                self._resolver.refresh(final, qtype, do, cd, now)

    def give_up(self, now: float) -> None:
        """Answer everybody who still waits: SERVFAIL."""
        for exchange in self._exchanges.give_up():
            self._finish(exchange, now)

    def records_changed(self, owners: Iterable[Owner], now: float) -> None:
        """The own zones changed: nobody is given an answer of these owners any more, once this returns.

        Some of those that were asked for, here or of the packet path, are made again at once (`Renewal`).
        """
        ended: list[tuple[Query, bool]] = []
        for owner in owners:
            if owner == EVERYTHING:
                self._finished.clear()
                self._renewal.clear()
            else:
                self._finished.drop(owner)
                ended += self._renewal.take(owner)
        in_demand = (query for query, asked in ended if asked or self._finished.given(query))
        for query in itertools.islice(in_demand, _RENEWED_AT_ONCE):
            name = self._route.final(query.name)
            if name is not None and self._route.is_own(name):
                self._make_own(query, name, now, asked=False)

    def static_changed(self, records: StaticRecords) -> None:
        """These are the static records now: nobody is given another answer for their names, once this returns."""
        self._route.static = records
        self._resolver.threads.reserve(*self._route.reserved())
        # A name that is new among them may have been answered by anybody before.
        self._finished.clear()

    def _found_loop(self, server: Server, now: float) -> None:
        self._loops.found(server, now)
        self._counters.upstream_looped(server.name)
        self._looping.append(server.upstream)

    def _finish(self, exchange: Exchange | None, now: float) -> None:
        if exchange is not None:
            self._resolver.finish(exchange, now)

    def _answer_own(self, query: Query, name: Name, limit: int, now: float) -> bytes | None:
        """The reply for a name of an own zone; None if a chain is to be followed or an upstream asked."""
        answer = self._make_own(query, name, now, asked=True)
        return None if answer is None else self._reply(answer, query, limit, Outcome.OWN)

    def _make_own(self, query: Query, name: Name, now: float, *, asked: bool) -> Answer | None:
        """The same before it is a reply; the packet path gives it from now on."""
        result, _ = self._route.find(name, query.qtype)
        if result is None or result.chase is not None:
            return None
        if name is not query.name:
            records = restored(result.answer, name, query.name)
            if records is None:
                return None
            result = msgspec.structs.replace(result, answer=records)
        answer = build_own(query.name, result, self._turn)
        if result.owner is not None:
            held = for_udp(query.name, answer)
            self._finished.put(query, held, now, owner=result.owner)
            if fits_udp(query.name, held):
                self._renewal.note(result.owner, query, asked)
        return answer

    def _answer_other(self, query: Query, name: Name, limit: int, now: float) -> bytes | None:
        """The reply for any other name, if it is known or refused; None if an upstream is to be asked."""
        denial, zone = self._route.find_elsewhere(name, query.qtype)
        if denial is not None:
            answer = build_answer(query.name, denial.rcode, authority=denial.authority, fixed=True)
            self._finished.put(query, answer, now, owner=denial.owner)
            return self._reply(answer, query, limit, Outcome.OWN)
        if zone is None or not query.rd:
            # Without RD: RFC 1034 section 4.3.1; it also keeps others from looking into the cache.
            self._counters.response(Rcode.REFUSED)
            return error_reply(query, Rcode.REFUSED, EDE.NOT_AUTHORITATIVE)
        if query.qtype == RRType.ANY:
            hinfo = RRset(query.name, RRType.HINFO, _ANY_TTL, (_ANY_RDATA,))
            return self._reply(build_answer(query.name, Rcode.NOERROR, [hinfo], fixed=True), query, limit, Outcome.OWN)
        entry = self._cache.get(Key(name, query.qtype, query.do, query.cd, zone.name), now)
        if entry is None or entry.chase is not None or entry.kind is Kind.FAILURE:
            return None
        if name is not query.name:
            entry = renamed(entry, name, query.name)
            if entry is None:
                return None
        self._counters.cache_hit(entry.kind.value)
        self._publish(query, entry)
        return self._reply(entry.answer, query, limit, Outcome.CACHE, int(now - entry.stored))

    def _publish(self, question: Question, entry: Entry) -> None:
        """Let the packet path give what the cache holds."""
        life = entry.expires - entry.stored
        refresh_at = entry.expires - life * _REFRESH_IN_LAST if life >= _REFRESH_FROM else _FOREVER
        self._finished.put(question, entry.answer, entry.stored, entry.expires, refresh_at=refresh_at)

    def _counted(self, reply: bytes) -> bytes:
        """An own answer that was finished while those who asked for it waited here: where many ask at once for what has
        just changed, the first of them has it made."""
        self._counters.response(reply[3] & 0xF, True)
        self._counters.answered_now(Outcome.OWN)
        return reply

    def _reply(self, answer: Answer, query: Query, limit: int, outcome: Outcome, age: int = 0) -> bytes:
        self._counters.response(answer.rcode, answer.aa)
        self._counters.answered_now(outcome)
        self._turn += 1
        return render(answer, query, limit, age, self._turn)
