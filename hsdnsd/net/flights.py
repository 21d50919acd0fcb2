"""Between the flights of the packet path and the engine: what may be asked goes down, what became of it comes up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import Final, cast

from hsdnsd.cache.store import Key
from hsdnsd.engine.aloft import Flown, Grant, is_shared
from hsdnsd.engine.counters import OTHER_TYPE, TYPE_PLACE, Counters, Outcome
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.upstreams import EXPLORE_ONE_IN, Policy, Server, Upstream
from hsdnsd.native import NameSet, flight_contract
from hsdnsd.native.contract import COUNTED_TYPES, MAX_CHOICE, MAX_SERVERS
from hsdnsd.native.flight_contract import Choice, HandedOver, Plan, Tally, Trouble
from hsdnsd.native.peer import source_of
from hsdnsd.net.contract import Asked, Client
from hsdnsd.net.pool import describe
from hsdnsd.net.sockaddr import to_sockaddr
from hsdnsd.net.upstream import Exchanges
from hsdnsd.wire.const import Rcode
from hsdnsd.wire.name import ROOT, Name

# A question is the engine's until it says that it has done; should it forget, for so many seconds.
_CLAIM: Final = 120.0
# Flights taken over in one go, so that clients and upstreams get their turn.
_AT_ONCE: Final = 64
_CHOICES: Final = {
    Policy.SEQUENTIAL: Choice.FIRST,
    Policy.RANDOM: Choice.AT_RANDOM,
    Policy.ROUND_ROBIN: Choice.IN_TURN,
    Policy.FASTEST: Choice.EXPLORING,
}
_PLACES: Final = (*(TYPE_PLACE.get(qtype, OTHER_TYPE) for qtype in COUNTED_TYPES), OTHER_TYPE)

# `hsdnsd.net.driver.Driver.query`.
Query = Callable[[bytes, Client, str, bool, float], bytes | None]


class Flights:
    """What threads ask by themselves, as the engine knows them (`hsdnsd.engine.aloft.Threads`).

    Attributes:
        flights: the native part, for its counters.
        listeners: by the number of their thread.
    """

    def __init__(self, flights: flight_contract.Flights, engine: Engine, exchanges: Exchanges, query: Query) -> None:
        """
        Args:
            query: gives the engine the query of one who waited.
        """
        self.flights = flights
        self.listeners: dict[int, Asked] = {}
        self._engine = engine
        self._exchanges = exchanges
        self._query = query
        self._grant: Grant | None = None
        self._servers: dict[int, Server] = {}
        self._numbers: dict[Upstream, int] = {}
        self._last_number = 0
        # What is still to be said of flights that were adopted in the middle of something.
        self._ends: list[tuple[int, HandedOver, str | None]] = []
        exchanges.elsewhere = lambda: flights.sockets
        engine.share(self)

    @property
    def in_flight(self) -> int:
        return self.flights.in_flight

    def waiting_of(self, source: str) -> int:
        if not self.flights.waiting:
            return 0
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        return self.flights.waiting_of(socket.inet_pton(family, source.partition("%")[0]))

    def claim(self, key: Key, now: float) -> None:
        flight = self.flights.claim(key.name, key.qtype, key.cd, now + _CLAIM)
        if flight is not None:
            self._adopt(flight, now)

    def release(self, key: Key, until: float) -> None:
        self.flights.release(key.name, key.qtype, key.cd, until)

    def may_ask(self, key: Key) -> bool:
        return is_shared(key) and self.flights.may_fly(key.name, key.qtype)

    def reserve(self, exact: Iterable[Name], below: Iterable[Name]) -> None:
        # What is under way by the rules of before is the engine's; `refresh` grants by the new ones.
        self._grant = None
        self.flights.grant(None)
        self.flights.set_names(NameSet(exact, below))

    def take(self, now: float) -> None:
        """Take over what is the engine's by now; to be followed by `settle`."""
        if not self.flights.pending:
            return
        for landed in self.flights.landed():
            key = Key(landed.name, landed.qtype, False, landed.cd, ROOT)
            opt = landed.opt if landed.edns else None
            server = self._servers[landed.server]
            self._engine.landed(key, landed.answer, landed.keep, server, landed.took, opt, landed.at)
        for flight in self.flights.handed_over(_AT_ONCE, now + _CLAIM):
            self._adopt(flight, now)

    def count(self) -> None:
        """Bring the counters up to date."""
        tally = self.flights.tally()
        if tally.answers:
            _count(self._engine.counters, tally)

    def ends(self) -> list[tuple[int, HandedOver, str | None]]:
        """(exchange, flight, whom it asked in vain and why) of adopted flights whose end is known already."""
        ends, self._ends = self._ends, []
        return ends

    def refresh(self, now: float) -> None:
        """Grant what the engine grants now."""
        grant = self._engine.grant(now)
        if grant != self._grant:
            self._grant = grant
            self.flights.grant(None if grant is None else self._plan(grant))

    def _adopt(self, flight: HandedOver, now: float) -> None:
        server = self._servers[flight.server]
        key = Key(flight.name, flight.qtype, False, flight.cd, ROOT)
        exchange = self._engine.adopt(Flown(key, server, flight.id, flight.edns, flight.sent_at), now)
        problem = None
        if exchange is None:
            os.close(flight.fd)
        else:
            problem = self._exchanges.adopt(exchange, server.upstream, flight.id, flight.fd)
            if flight.trouble is Trouble.REFUSED:
                problem = describe(server.upstream, OSError(flight.problem, os.strerror(flight.problem)))
        for number, wire, peer, arrived in flight.waiters:
            listener = self.listeners.get(number)
            if listener is not None:
                # Its time counts from when it came.
                reply = self._query(wire, (listener, peer), source_of(peer), False, arrived)
                if reply:
                    listener.reply(peer, reply)
                    listener.flush(now)
        if exchange is None:
            return
        self._engine.adopted(exchange)
        if problem is not None or flight.trouble in (Trouble.REPLY, Trouble.LOOPED):
            self._ends.append((exchange, flight, problem))

    def _plan(self, grant: Grant) -> Plan | None:
        servers = tuple((self._number(server), edns) for server, edns in grant.servers[:MAX_CHOICE])
        ttls = grant.ttls
        return Plan(
            until=grant.until,
            patience=grant.patience,
            choice=_CHOICES[grant.policy],
            servers=servers,
            one_in=EXPLORE_ONE_IN,
            no_aaaa=grant.no_aaaa,
            in_flight=grant.in_flight,
            waiters=grant.waiters,
            per_client=grant.per_client,
            ttls=(ttls.least, ttls.most, ttls.least_negative, ttls.most_negative),
        )

    def _number(self, server: Server) -> int:
        """The number of a server. One that has none gets that of the one which got its own longest ago."""
        number = self._numbers.get(server.upstream)
        if number is None:
            number = self._last_number = (self._last_number + 1) % MAX_SERVERS
            before = self._servers.get(number)
            if before is not None:
                del self._numbers[before.upstream]
            family, address = to_sockaddr(server.upstream.host, server.upstream.port)
            packed = socket.inet_pton(family, address[0].partition("%")[0])
            scope = cast("int", address[3]) if family == socket.AF_INET6 else 0
            self.flights.set_server(number, (packed, server.upstream.port, scope))
            self._numbers[server.upstream] = number
        self._servers[number] = server
        return number


def _count(counters: Counters, tally: Tally) -> None:
    for v6, requests in enumerate(tally.requests):
        for place, count in zip(_PLACES, requests, strict=True):
            counters.requests[False][False][v6][place] += count
    counters.responses[False][Rcode.NOERROR] += tally.answers - tally.denials
    counters.responses[False][Rcode.NXDOMAIN] += tally.denials
    counters.cache_misses += tally.answers
    counters.coalesced += tally.coalesced
    waits = counters.waits[Outcome.FORWARDED]
    waits.counts[:] = map(int.__add__, waits.counts, tally.waits)
    waits.seconds += tally.waited
