"""All exchanges in flight: whom to ask next and how, which replies to believe, and when to give up."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence

from hsdnsd.cache.policy import TtlLimits, accept
from hsdnsd.cache.store import Key
from hsdnsd.engine.aloft import Flown
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.exchange import MAX_MESSAGES, Attempt, Exchange, ExchangeOptions, Problem, Send
from hsdnsd.engine.upstreams import ForwardZone, Server
from hsdnsd.errors import WireError
from hsdnsd.wire.const import EDNS_UDP_SIZE, HEADER_SIZE, TC, Rcode
from hsdnsd.wire.message import Message, build_query, matches, read_message_untrusted
from hsdnsd.wire.name import Name

# Of the MAX_MESSAGES of a question, to one server.
MAX_UDP_PER_SERVER = 3
MAX_TCP_PER_SERVER = 1
MAX_FORCED_TCP_PER_SERVER = 2
# Replies over UDP that do not match: one may have gone astray, and a broken server makes one for each message it is
# sent. More are somebody's guesses, and no datagram is looked at any more: who may guess 65,536 times is right once.
MAX_NEAR_MISSES = 4
# A refused connection is known at once; a server that restarts gets this long before it is tried again.
REFUSED_AGAIN_AFTER = 0.2


class Exchanges:
    """All exchanges in flight. The caller drains `sends`, `closes` and `deafened` after every call.

    When a reply comes over UDP that does not match, somebody may be guessing (RFC 5452). The same is asked over TCP at
    once, where nobody who is not on the path can say anything (as BIND does since 9.21), and what TCP says is the
    outcome: a guess over UDP that does match is worth nothing. Many upstreams, though, can't be reached over TCP, and
    one stray datagram would make every question to them fail. So a reply that matches is set aside, and believed if TCP
    comes to nothing; but only as long as there were no more than MAX_NEAR_MISSES wrong ones. From then on the question
    is asked over TCP or not at all, and fails rather than be answered by who guesses fastest. Where TCP is dead a
    forger who knows every port thus has some guesses out of 65,536 for a question, and elsewhere one.

    Attributes:
        sends: messages to send. closes: exchanges whose sockets are to be closed.
        deafened: exchanges whose sockets for UDP are to be closed, and the others left.
        ttls, attempt_timeout: as they are now.
    """

    def __init__(
        self,
        counters: Counters,
        is_own: Callable[[Name], bool],
        ttls: TtlLimits,
        entropy: Callable[[int], bytes],
        options: ExchangeOptions,
    ) -> None:
        """
        Args:
            entropy: gives so many octets of the system's random source.
        """
        self.sends: list[Send] = []
        self.closes: list[int] = []
        self.deafened: list[int] = []
        self._counters = counters
        self._entropy = entropy
        self.reconfigure(is_own, ttls, options)
        self._random = memoryview(b"")
        self._last_number = 0
        self._by_number: dict[int, Exchange] = {}
        self._by_key: dict[Key, Exchange] = {}
        self._wakes: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._by_number)

    def reconfigure(self, is_own: Callable[[Name], bool], ttls: TtlLimits, options: ExchangeOptions) -> None:
        """Ask, and accept what comes, like this from now on."""
        self._is_own = is_own
        self.ttls = ttls
        self._options = options
        self.attempt_timeout = options.attempt_timeout

    @property
    def plain(self) -> bool:
        """Whether upstreams are asked over UDP first, in small letters."""
        return not (self._options.force_tcp or self._options.mix_case)

    def by_number(self, number: int) -> Exchange | None:
        """An exchange that is not over."""
        return self._by_number.get(number)

    def find(self, key: Key) -> Exchange | None:
        """The exchange that is asking this already."""
        return self._by_key.get(key)

    def start(self, key: Key, zone: ForwardZone, deadline: float, budget: int, now: float) -> Exchange | None:
        """Begin to ask, at most `budget` messages, until `deadline`; None if the zone has nobody who can be asked."""
        servers = zone.order(now)
        if not servers:
            return None
        self._last_number += 1
        exchange = Exchange(self._last_number, key, servers, now, deadline, min(budget, MAX_MESSAGES))
        self._by_number[exchange.number] = exchange
        self._by_key[key] = exchange
        self._ask_next(exchange, now)
        return exchange

    def adopt(self, flown: Flown, others: Sequence[Server], deadline: float) -> Exchange:
        """Go on with a question whose first message was sent by somebody else; if need be, `others` are asked too."""
        servers = [flown.server, *(server for server in others if server is not flown.server)]
        self._last_number += 1
        exchange = Exchange(self._last_number, flown.key, servers, flown.sent_at, deadline, MAX_MESSAGES - 1)
        self._by_number[exchange.number] = exchange
        self._by_key[flown.key] = exchange
        exchange.udp_sent[flown.server] = 1
        exchange.attempts.append(Attempt(flown.server, flown.id, exchange.question, False, flown.edns, flown.sent_at))
        patience = flown.server.hedge_after if len(servers) > 1 else self.attempt_timeout
        self._wake_at(exchange, flown.sent_at + patience)
        return exchange

    def reply(self, number: int, attempt_number: int, wire: bytes, now: float) -> Exchange | None:
        """Octets that came from the server of an attempt; the exchange if that ends it."""
        exchange = self._by_number.get(number)
        if exchange is None:
            return None
        attempt = exchange.attempts[attempt_number]
        if exchange.deaf and not attempt.tcp:
            return None
        if not matches(wire, attempt.id, exchange.question) or (
            self._options.mix_case and wire[HEADER_SIZE : HEADER_SIZE + len(attempt.question)] != attempt.question
        ):
            return self._near_miss(exchange, attempt, now)
        if exchange.near_misses and not attempt.tcp:
            return self._set_aside(exchange, attempt, wire, now)
        return self._read(exchange, attempt, wire, now)

    def failed(self, number: int, attempt_number: int, now: float) -> Exchange | None:
        """An attempt's socket could not be opened, or was refused; the exchange if that ends it."""
        exchange = self._by_number.get(number)
        if exchange is None:
            return None
        attempt = exchange.attempts[attempt_number]
        if attempt.over:
            return None
        attempt.server.silent(now)
        attempt.over = True
        exchange.problem = Problem.NETWORK
        self._counters.upstream_failed(attempt.server.name, Problem.NETWORK.value)
        if (doubtful := self._take_doubtful(exchange)) is not None:
            return self._read(exchange, *doubtful, now)
        if exchange.deaf and not exchange.waits_for_tcp:
            return None if self._ask_next(exchange, now) else self._end(exchange)
        if any(not self._times_asked(exchange, server) for server in exchange.servers):
            self._ask_next(exchange, now)
        elif all(attempt.over for attempt in exchange.attempts):
            self._wake_at(exchange, now + REFUSED_AGAIN_AFTER)
        return None

    def spend(self, number: int) -> bool:
        """Whether the exchange may cost one message more than was sent for it; it is counted, if it may."""
        exchange = self._by_number.get(number)
        if exchange is None or exchange.budget <= 0:
            return False
        exchange.budget -= 1
        exchange.resent += 1
        return True

    def server_of(self, number: int, attempt_number: int) -> Server | None:
        """Whom an attempt's message was sent to; None if the exchange is over."""
        exchange = self._by_number.get(number)
        return None if exchange is None else exchange.attempts[attempt_number].server

    def looped(self, number: int, attempt_number: int, now: float) -> Exchange | None:
        """An attempt's message came back to us; the exchange if that ends it."""
        exchange = self._by_number.get(number)
        if exchange is None or exchange.attempts[attempt_number].over:
            return None
        attempt = exchange.attempts[attempt_number]
        exchange.spent.add(attempt.server)
        return self._failed(exchange, attempt, Problem.LOOP, now)

    def next_wake(self) -> float | None:
        """When `expire` has something to do."""
        while self._wakes:
            wake, number = self._wakes[0]
            exchange = self._by_number.get(number)
            if exchange is not None and wake in (exchange.wake, exchange.attend_at):
                return wake
            heapq.heappop(self._wakes)
        return None

    def attend(self, exchange: Exchange, when: float) -> None:
        """Let `expire` say when `when` has come, if the exchange is not over by then. The earliest `when` counts."""
        if when < exchange.attend_at:
            exchange.attend_at = when
            heapq.heappush(self._wakes, (when, exchange.number))

    def expire(self, now: float) -> tuple[list[Exchange], list[Exchange]]:
        """Ask again where nothing came; the exchanges that are over, and those whose waiters are to be looked at."""
        over: list[Exchange] = []
        attended: list[Exchange] = []
        while (wake := self.next_wake()) is not None and wake <= now:
            exchange = self._by_number[heapq.heappop(self._wakes)[1]]
            if exchange.attend_at <= now:
                exchange.attend_at = math.inf
                attended.append(exchange)
                if wake != exchange.wake:
                    continue
            ended = self._expire(exchange, now)
            if ended is not None:
                over.append(ended)
        return over, attended

    def give_up(self) -> list[Exchange]:
        """End every exchange at once."""
        return [self._end(exchange) for exchange in list(self._by_number.values())]

    def _expire(self, exchange: Exchange, now: float) -> Exchange | None:
        """Time to look at an exchange; the same if it is over."""
        for attempt in exchange.attempts:
            if not attempt.over and now >= attempt.sent_at + self.attempt_timeout:
                attempt.over = attempt.silent = True
                attempt.server.silent(now)
                self._counters.upstream_failed(attempt.server.name, Problem.TIMEOUT.value)
        if now >= exchange.deadline:
            return self._end(exchange)
        if (doubtful := self._take_doubtful(exchange)) is not None:
            return self._read(exchange, *doubtful, now)
        waits = any(not attempt.over for attempt in exchange.attempts)
        if not (self._ask_next(exchange, now) or waits):
            return self._end(exchange)
        if exchange.wake <= now:
            self._wake_at(exchange, now + self.attempt_timeout)
        return None

    def _read(self, exchange: Exchange, attempt: Attempt, wire: bytes, now: float) -> Exchange | None:
        """A reply that is believed to be the server's; the exchange if that ends it."""
        server = attempt.server
        if len(wire) > EDNS_UDP_SIZE and not attempt.tcp:
            # More than we said that we take. It came in fragments, and all but the first can be forged without
            # knowing id or port (CVE-2025-59024).
            return self._truncated(exchange, attempt, now)
        try:
            message = read_message_untrusted(wire)
        except WireError:
            return self._failed(exchange, attempt, Problem.MALFORMED, now)
        if message.flags & TC:
            return self._truncated(exchange, attempt, now)
        server.answered(now - attempt.sent_at)
        self._counters.upstream_answered(server.name, message.rcode, now - attempt.sent_at)
        if attempt.tcp and exchange.near_misses:
            self._deafen(exchange)
        if attempt.edns and not message.has_opt and message.rcode in (Rcode.FORMERR, Rcode.NOTIMP):
            server.refused_edns(now)
            attempt.over = True
            if self._send(exchange, server, attempt.tcp, now):
                self._wake_at(exchange, now + self.attempt_timeout)
                return None
        elif attempt.edns:
            server.took_edns(message.has_opt)
        elif exchange.silent_with_edns(server):
            server.silent_to_edns(now)
        return self._judge(exchange, attempt, message, now)

    def _truncated(self, exchange: Exchange, attempt: Attempt, now: float) -> Exchange | None:
        # RFC 2181 section 9: what is in a truncated reply is ignored, and asked for over TCP.
        exchange.truncated = True
        attempt.over = True
        if attempt.tcp or not self._send(exchange, attempt.server, True, now):
            return self._failed(exchange, attempt, Problem.MALFORMED, now)
        self._wake_at(exchange, now + self.attempt_timeout)
        return None

    def _near_miss(self, exchange: Exchange, attempt: Attempt, now: float) -> Exchange | None:
        # It may be forged, and the right one may still come: wait on.
        self._counters.near_misses += 1
        if attempt.tcp:
            return self._failed(exchange, attempt, Problem.MALFORMED, now)
        exchange.near_misses += 1
        if exchange.near_misses == 1:
            self._ask_over_tcp(exchange, attempt.server, now)
        elif exchange.near_misses > MAX_NEAR_MISSES:
            self._counters.distrusted += 1
            self._deafen(exchange)
            if not (exchange.waits_for_tcp or self._ask_next(exchange, now)):
                return self._end(exchange)
        return None

    def _set_aside(self, exchange: Exchange, attempt: Attempt, wire: bytes, now: float) -> Exchange | None:
        """A reply over UDP that matches, while somebody may be guessing: TCP is heard first."""
        if exchange.doubtful is None:
            exchange.doubtful = attempt, wire
            self._ask_over_tcp(exchange, attempt.server, now)
        doubtful = self._take_doubtful(exchange)
        return None if doubtful is None else self._read(exchange, *doubtful, now)

    def _ask_over_tcp(self, exchange: Exchange, server: Server, now: float) -> None:
        if self._send(exchange, server, True, now):
            self._wake_at(exchange, now + self.attempt_timeout)

    def _take_doubtful(self, exchange: Exchange) -> tuple[Attempt, bytes] | None:
        """What was set aside, if TCP, which was to be heard first, has come to nothing."""
        if exchange.waits_for_tcp:
            return None
        doubtful, exchange.doubtful = exchange.doubtful, None
        return doubtful

    def _deafen(self, exchange: Exchange) -> None:
        """Look at nothing that comes over UDP any more."""
        exchange.deaf = True
        exchange.doubtful = None
        for attempt in exchange.attempts:
            # Of the server that is no sign, good or bad.
            attempt.over |= not attempt.tcp
        self.deafened.append(exchange.number)

    def _judge(self, exchange: Exchange, attempt: Attempt, message: Message, now: float) -> Exchange | None:
        key = exchange.key
        accepted = accept(message, key.name, key.qtype, self._is_own, self.ttls, key.do)
        if accepted is not None:
            exchange.accepted = accepted
            for earlier in exchange.attempts:
                # Asked before and silent still: were it not counted here, a dead server that another one covers for
                # would be asked first for ever.
                if not earlier.over and earlier.sent_at < attempt.sent_at and earlier.server is not attempt.server:
                    earlier.server.silent(now)
            return self._end(exchange)
        exchange.spent.add(attempt.server)
        if message.rcode in (Rcode.NOERROR, Rcode.NXDOMAIN):
            return self._failed(exchange, attempt, Problem.LAME, now)
        exchange.rcode = message.rcode
        return self._failed(exchange, attempt, Problem.RCODE, now)

    def _failed(self, exchange: Exchange, attempt: Attempt, problem: Problem, now: float) -> Exchange | None:
        attempt.over = True
        exchange.problem = problem
        self._counters.upstream_failed(attempt.server.name, problem.value)
        if (doubtful := self._take_doubtful(exchange)) is not None:
            return self._read(exchange, *doubtful, now)
        if self._ask_next(exchange, now) or any(not other.over for other in exchange.attempts):
            return None
        return self._end(exchange)

    def _end(self, exchange: Exchange) -> Exchange:
        del self._by_number[exchange.number]
        del self._by_key[exchange.key]
        self.closes.append(exchange.number)
        exchange.budget = 0
        return exchange

    def _ask_next(self, exchange: Exchange, now: float) -> bool:
        """Send the next message: to the first server asked least. False if no more may be sent."""
        candidates = [server for server in exchange.servers if server not in exchange.spent]
        if not candidates:
            return False
        server = min(candidates, key=lambda server: self._times_asked(exchange, server))
        if not self._send(exchange, server, exchange.deaf or self._only_tcp(server), now):
            return False
        fresh = any(not self._times_asked(exchange, server) for server in candidates)
        self._wake_at(exchange, now + (server.hedge_after if fresh else self.attempt_timeout))
        return True

    def _times_asked(self, exchange: Exchange, server: Server) -> int:
        return (exchange.tcp_sent if exchange.deaf or self._only_tcp(server) else exchange.udp_sent)[server]

    def _only_tcp(self, server: Server) -> bool:
        return self._options.force_tcp or server.upstream.tls_name is not None

    def _send(self, exchange: Exchange, server: Server, tcp: bool, now: float) -> bool:
        sent = exchange.tcp_sent if tcp else exchange.udp_sent
        most = MAX_UDP_PER_SERVER
        if tcp:
            most = MAX_FORCED_TCP_PER_SERVER if self._only_tcp(server) else MAX_TCP_PER_SERVER
        if exchange.budget <= 0 or sent[server] >= most:
            return False
        exchange.budget -= 1
        sent[server] += 1
        key = exchange.key
        # A message is lost more often than a server says nothing to an OPT: where it is known to take one, or its
        # records are needed for a proof, a second one goes with it too.
        tries = 2 if key.do or server.knows_edns else 1
        edns = exchange.silent_with_edns(server) < tries and server.takes_edns(now)
        question = self._mixed_case(exchange.question) if self._options.mix_case else exchange.question
        attempt = Attempt(server, self._random_id(), question, tcp, edns, now)
        wire = build_query(
            attempt.id,
            question,
            rd=True,
            cd=key.cd,
            do=key.do and edns,
            udp_size=EDNS_UDP_SIZE if edns else None,
            pad=server.upstream.tls_name is not None,
        )
        self.sends.append(Send(exchange.number, len(exchange.attempts), server.upstream, tcp, wire))
        exchange.attempts.append(attempt)
        return True

    def _wake_at(self, exchange: Exchange, when: float) -> None:
        exchange.wake = min(when, exchange.deadline)
        heapq.heappush(self._wakes, (exchange.wake, exchange.number))

    def _random_id(self) -> int:
        return int.from_bytes(self._random_octets(2), "big")

    def _mixed_case(self, question: bytes) -> bytes:
        """The question with every letter of its name in a case of its own choosing."""
        coins = int.from_bytes(self._random_octets(32), "big")
        octets = bytearray(question)
        for at, octet in enumerate(question[:-4]):
            if 0x61 <= octet <= 0x7A and coins >> at & 1:
                octets[at] = octet - 0x20
        return bytes(octets)

    def _random_octets(self, size: int) -> memoryview:
        # From the system's random source, a block at a time (CVE-2019-19794, CVE-2025-40780).
        if len(self._random) < size:
            self._random = memoryview(self._entropy(512))
        taken, self._random = self._random[:size], self._random[size:]
        return taken
