"""The pump between the engine and the sockets: carries octets, keeps the one timer, and is the packet boundary."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from time import monotonic
from typing import ParamSpec, TypeVar, cast

from hsdnsd.engine.upstreams import LOOPING_FOR
from hsdnsd.native.flight_contract import Trouble
from hsdnsd.net.contract import Asked, Client, EngineLike
from hsdnsd.net.flights import Flights
from hsdnsd.net.pool import Arrival
from hsdnsd.net.seldom import Seldom
from hsdnsd.net.upstream import Exchanges
from hsdnsd.wire.const import HEADER_SIZE, Rcode

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# uvloop's timers count in milliseconds: late by one is never early, and doesn't wake for a deadline just ahead.
_GRAIN = 0.001
# Seconds between two looks for connections to upstreams that are overdue or idle.
_SWEEP = 0.25
# Bits of the header's third octet (RFC 1035 section 4.1.1).
_QR, _OPCODE, _RD = 0x80, 0x78, 0x01


class Driver:
    """Drives one engine on one event loop.

    Whoever has given the engine something calls `settle` after it, once for a batch; then everything that the engine
    wants done is done, and the timer stands right.

    Attributes:
        pending: queries that will be answered later.
        crashes: exceptions that came out of the engine for one packet, and cost that packet alone.
        exchanges: the sockets towards upstreams.
        flights: what the packet path asks upstreams by itself; None: nothing.
    """

    def __init__(self, engine: EngineLike, exchanges: Exchanges, loop: asyncio.AbstractEventLoop) -> None:
        self.pending = 0
        self.crashes = 0
        self._engine = engine
        self.exchanges = exchanges
        self.flights: Flights | None = None
        self._loop = loop
        self._seldom = Seldom()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._sweeper: asyncio.TimerHandle | None = None
        self._fault: asyncio.Future[None] = loop.create_future()
        self._answered: asyncio.Future[None] | None = None
        loop.add_reader(exchanges.fileno(), self.guarded(self._upstreams_readable))

    def close(self) -> None:
        """Stop driving. The exchanges are the caller's."""
        self._loop.remove_reader(self.exchanges.fileno())
        if self.flights is not None:
            self._loop.remove_reader(self.flights.flights.fileno())
        for timer in (self._timer, self._sweeper):
            if timer is not None:
                timer.cancel()

    async def run(self) -> None:
        """Wait for a fault that nobody has foreseen.

        Raises:
            Exception: whatever came out of a guarded callback.
        """
        await asyncio.shield(self._fault)

    def guarded(self, callback: Callable[P, object]) -> Callable[P, None]:
        """The callback, but what it raises comes out of `run`: outside the packet boundary, the unknown is fatal."""

        def call(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                callback(*args, **kwargs)
            except Exception as error:
                if self._fault.done():
                    raise
                self._fault.set_exception(error)

        return call

    def query(
        self, wire: bytes, client: Client, source: str, tcp: bool, now: float, truncated: bool = False
    ) -> bytes | None:
        """`Engine.query`, behind the packet boundary: an exception there costs one SERVFAIL."""
        self._learn(now)
        return self.give(wire, client, source, tcp, now, truncated)

    def give(
        self, wire: bytes, client: Client, source: str, tcp: bool, now: float, truncated: bool = False
    ) -> bytes | None:
        """The same, whatever the packet path has asked meanwhile."""
        try:
            reply = self._engine.query(wire, client, source, tcp, now, truncated)
        except Exception as error:  # noqa: BLE001 - no packet may end the daemon
            self._survived(error, now)
            return servfail(wire)
        if reply is None:
            self.pending += 1
        elif log.isEnabledFor(logging.DEBUG):
            _show(reply)
        return reply

    def came_back(self, wire: bytes, source: str, port: int, now: float) -> bool:
        """Whether a query is a message of our own, from the socket that it was sent on: what is asked there comes back.

        Args:
            wire: the query; its id is one of `exchanges.by_id`. source, port: where it came from.
        """
        attempt = self.exchanges.by_id[wire[:2]]
        if not attempt.sent_from(source, port):
            return False
        self._engine.upstream_looped(attempt.exchange, attempt.number, now)
        return True

    def refresh(self, now: float) -> None:
        """`Engine.refresh`, after a batch in which answers may have been given from the table."""
        try:
            self._engine.refresh(now)
        except Exception as error:  # noqa: BLE001 - as in `query`: what is due was asked for by a packet
            self._survived(error, now)

    def settle(self, now: float) -> None:
        """Do what the engine wants done: open and close exchanges, send replies, set the timer."""
        engine = self._engine
        if self.flights is not None:
            self._end_flights(self.flights, now)
        answered: set[Asked] = set()
        # An exchange that can't be opened gives the engine the next thing to do; it tries six times at most.
        while engine.closes or engine.deafened or engine.sends or engine.replies:
            for exchange in _take(engine.deafened):
                self.exchanges.close_datagrams(exchange)
            over = set(_take(engine.closes))
            for exchange in over:
                self.exchanges.close(exchange)
            for send in _take(engine.sends):
                if send.exchange not in over:
                    problem = self.exchanges.open(send)
                    if problem is not None:
                        self._failed(send.exchange, send.attempt, problem, now)
            for client, octets in _take(engine.replies):
                asked, token = cast("Client", client)
                asked.reply(token, octets)
                answered.add(asked)
                self.pending -= 1
                if log.isEnabledFor(logging.DEBUG):
                    _show(octets)
        self.exchanges.flush()
        if self.flights is not None:
            self.flights.refresh(now)
        for asked in answered:
            asked.flush(now)
        if engine.looping:
            self._tell_loops(now)
        if self._answered is not None and self.pending <= 0 and not self._answered.done():
            self._answered.set_result(None)
        self._arm(now)

    def share(self, flights: Flights) -> None:
        """Let the packet path ask upstreams by itself, from now until `close`."""
        self.flights = flights
        self._loop.add_reader(flights.flights.fileno(), self.guarded(self.catch_up))
        flights.refresh(monotonic())

    def catch_up(self) -> None:
        """Take in what the packet path has done by itself, the counters included."""
        if self.flights is None:
            return
        now = monotonic()
        self.flights.take(now)
        self.flights.count()
        self.refresh(now)
        self.settle(now)

    async def answered(self) -> None:
        """Wait until no query waits for its answer."""
        if self.pending > 0:
            self._answered = self._loop.create_future()
            await self._answered

    def give_up(self) -> None:
        """Answer SERVFAIL to everybody who still waits."""
        now = monotonic()
        self._engine.give_up(now)
        self.settle(now)

    def _upstreams_readable(self) -> None:
        self._hand_over(self.exchanges.receive())

    def _sweep(self) -> None:
        self._sweeper = None
        self._hand_over(self.exchanges.expire())

    def _hand_over(self, arrivals: list[Arrival]) -> None:
        now = monotonic()
        self._learn(now)
        for exchange, attempt, wire, problem in arrivals:
            if wire is None:
                self._failed(exchange, attempt, problem, now)
            else:
                self._hear(exchange, attempt, wire, now)
        self.settle(now)

    def _learn(self, now: float) -> None:
        """Take in what the packet path has done, before the engine judges upstreams by what it has seen itself."""
        if self.flights is not None:
            self.flights.take(now)

    def _end_flights(self, flights: Flights, now: float) -> None:
        """Tell the engine what became of questions that it has adopted."""
        for exchange, flight, problem in flights.ends():
            if problem is not None:
                self.exchanges.close_datagrams(exchange)
                self._failed(exchange, 0, problem, now)
            elif flight.trouble is Trouble.LOOPED:
                self._engine.upstream_looped(exchange, 0, now)
            elif flight.reply is not None:
                self._hear(exchange, 0, flight.reply, now)

    def _hear(self, exchange: int, attempt: int, wire: bytes, now: float) -> None:
        try:
            self._engine.upstream_reply(exchange, attempt, wire, now)
        except Exception as error:  # noqa: BLE001 - as in `query`; the exchange goes on to its deadline
            self._survived(error, now)

    def _failed(self, exchange: int, attempt: int, problem: str, now: float) -> None:
        repeated = self._seldom.due(problem, now)
        if repeated is not None:
            log.warning("upstream %s%s", problem, repeated)
        try:
            self._engine.upstream_failed(exchange, attempt, now)
        except Exception as error:  # noqa: BLE001 - as in `query`
            self._survived(error, now)

    def _deadline_passed(self) -> None:
        self._timer = None
        now = monotonic()
        self._learn(now)
        self._engine.deadline_passed(now)
        self.settle(now)

    def _arm(self, now: float) -> None:
        """Have a timer at or before the engine's deadline. One that is early is left: it arms the next."""
        if self._sweeper is None and len(self.exchanges.pool):
            self._sweeper = self._loop.call_later(_SWEEP, self.guarded(self._sweep))
        deadline = self._engine.next_deadline()
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - now) + _GRAIN, self.guarded(self._deadline_passed))

    def _tell_loops(self, now: float) -> None:
        for upstream in _take(self._engine.looping):
            repeated = self._seldom.due(upstream, now)
            if repeated is not None:
                log.error(
                    "upstream %s leads back to this daemon, and is asked nothing for %g s; what is sent there has to "
                    "end at another server%s",
                    upstream,
                    LOOPING_FOR,
                    repeated,
                )

    def _survived(self, error: Exception, now: float) -> None:
        self.crashes += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        repeated = self._seldom.due((type(error), place.filename, place.lineno), now)
        if repeated is not None:
            log.error("a packet was given up%s", repeated, exc_info=error)


def servfail(wire: bytes) -> bytes:
    """SERVFAIL made of a query's header alone; silence (b"") for what is no query. Cannot fail."""
    if len(wire) < HEADER_SIZE or wire[2] & _QR:
        return b""
    opcode = wire[2] & _OPCODE
    return wire[:2] + bytes((_QR | opcode | (0 if opcode else wire[2] & _RD), Rcode.SERVFAIL)) + bytes(8)


def _show(reply: bytes) -> None:
    """Write an answer to the log, as dig would.

    Every line of it is indented, so that no text in a record passes for one of the log's own.
    """
    # dnslib costs memory and time, and is loaded only where somebody debugs.
    from hsdnsd.wire.inspect import dump

    if reply:
        log.debug("answer:\n  %s", dump(reply).replace("\n", "\n  "))


def _take(waiting: list[T]) -> list[T]:
    """Empty a list of the engine's into one of ours."""
    taken = waiting[:]
    waiting.clear()
    return taken
