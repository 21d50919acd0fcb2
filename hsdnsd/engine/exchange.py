"""Questions in flight to upstreams: one exchange for any number of askers, a bounded number of messages each."""

from __future__ import annotations

import enum
import heapq
import math
from collections.abc import Callable

import msgspec

from hsdnsd.cache.policy import Accepted, TtlLimits, accept
from hsdnsd.cache.store import Key
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.lookup import Lookup
from hsdnsd.engine.upstreams import ForwardZone, Server, Upstream
from hsdnsd.errors import WireError
from hsdnsd.wire.const import CLASS_IN, EDNS_UDP_SIZE, HEADER_SIZE, TC, Rcode
from hsdnsd.wire.message import Message, build_query, matches, read_message_untrusted
from hsdnsd.wire.name import Name

# Upstream messages for one client query, whatever the upstreams do. (CoreDNS before 1.14.7 sent up to 40,000.)
MAX_MESSAGES = 6
MAX_UDP_PER_SERVER = 3
MAX_TCP_PER_SERVER = 1
MAX_FORCED_TCP_PER_SERVER = 2
# A refused connection is known at once; a server that restarts gets this long before it is tried again.
REFUSED_AGAIN_AFTER = 0.2


class Problem(enum.Enum):
    """Why an exchange ended without an answer."""

    TIMEOUT = "timeout"
    NETWORK = "network"  # refused, unreachable, no socket
    MALFORMED = "malformed"  # the right id and question, and nothing that can be believed behind them
    RCODE = "rcode"  # SERVFAIL, REFUSED, ... from every server asked
    LAME = "lame"  # a reply that does not answer the question
    LOOP = "loop"  # what was sent came back to us


class Send(msgspec.Struct, frozen=True, gc=False):
    """One message to an upstream: over UDP from a fresh connected socket, so from its own random port (RFC 5452
    section 9.2), or over TCP.

    Attributes:
        exchange: number of the exchange; attempt: number of the message within it.
    """

    exchange: int
    attempt: int
    upstream: Upstream
    tcp: bool
    wire: bytes


class Attempt:
    """One message that was sent."""

    __slots__ = ("edns", "id", "over", "question", "sent_at", "server", "tcp")

    def __init__(self, server: Server, id: int, question: bytes, tcp: bool, edns: bool, sent_at: float) -> None:
        self.server = server
        self.id = id
        self.question = question
        self.tcp = tcp
        self.edns = edns
        self.sent_at = sent_at
        self.over = False


class Exchange:
    """One question that upstreams are being asked.

    Attributes:
        waiters: whoever wants the outcome; the engine's.
        deadline: when it is given up. wake: when it is to be looked at next.
        impatient_at: when whoever waits is to be given something older, if there is anything; inf: never, or done.
        budget: messages that may still be sent.
        truncated: a reply over UDP was truncated, so the answer came over TCP.
        accepted, problem, rcode: the outcome, once it is over; rcode is the last failing server's, if it said one.
    """

    __slots__ = (
        "accepted", "attempts", "budget", "deadline", "escalated", "impatient_at", "key", "number", "problem",
        "question", "rcode", "resent", "servers", "spent", "started", "tcp_sent", "truncated", "udp_sent", "waiters",
        "wake",
    )  # fmt: skip

    def __init__(
        self, number: int, key: Key, servers: list[Server], started: float, deadline: float, budget: int
    ) -> None:
        self.number = number
        self.started = started
        self.key = key
        self.question = key.name + key.qtype.to_bytes(2, "big") + CLASS_IN.to_bytes(2, "big")
        self.servers = servers
        self.deadline = deadline
        self.budget = budget
        self.wake = 0.0
        self.impatient_at = math.inf
        self.waiters: list[Lookup] = []
        self.attempts: list[Attempt] = []
        self.resent = 0
        self.udp_sent = dict.fromkeys(servers, 0)
        self.tcp_sent = dict.fromkeys(servers, 0)
        self.spent: set[Server] = set()  # said something that asking again would not change
        self.escalated = False
        self.truncated = False
        self.accepted: Accepted | None = None
        self.problem = Problem.TIMEOUT
        self.rcode: int | None = None

    @property
    def sent(self) -> int:
        """Messages that it has cost so far."""
        return len(self.attempts) + self.resent


class ExchangeOptions(msgspec.Struct, frozen=True):
    """How upstreams are asked.

    Attributes:
        attempt_timeout: seconds after which the same server is asked again.
        force_tcp: ask over TCP from the first; otherwise over UDP, and over TCP what is truncated or doubtful.
        mix_case: spell each question's name in capitals and small letters at random, and believe only a reply that
            has it the same (draft-vixie-dnsext-dns0x20).
    """

    attempt_timeout: float = 1.2
    force_tcp: bool = False
    mix_case: bool = False


class Exchanges:
    """All exchanges in flight. The caller drains `sends` and `closes` after every call.

    Attributes:
        sends: messages to send. closes: exchanges whose sockets are to be closed.
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
        self._counters = counters
        self._is_own = is_own
        self._ttls = ttls
        self._entropy = entropy
        self._options = options
        self._attempt_timeout = options.attempt_timeout
        self._random = memoryview(b"")
        self._last_number = 0
        self._by_number: dict[int, Exchange] = {}
        self._by_key: dict[Key, Exchange] = {}
        self._wakes: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._by_number)

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

    def reply(self, number: int, attempt_number: int, wire: bytes, now: float) -> Exchange | None:
        """Octets that came from the server of an attempt; the exchange if that ends it."""
        exchange = self._by_number.get(number)
        if exchange is None:
            return None
        attempt = exchange.attempts[attempt_number]
        server = attempt.server
        if not matches(wire, attempt.id, exchange.question) or (
            self._options.mix_case and wire[HEADER_SIZE : HEADER_SIZE + len(attempt.question)] != attempt.question
        ):
            return self._near_miss(exchange, attempt, now)
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
        if attempt.edns and not message.has_opt and message.rcode in (Rcode.FORMERR, Rcode.NOTIMP):
            server.refused_edns(now)
            attempt.over = True
            if self._send(exchange, server, attempt.tcp, now):
                self._wake_at(exchange, now + self._attempt_timeout)
                return None
        return self._judge(exchange, attempt, message, now)

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
            if exchange is not None and wake in (exchange.wake, exchange.impatient_at):
                return wake
            heapq.heappop(self._wakes)
        return None

    def impatience(self, exchange: Exchange, when: float) -> None:
        """Let `expire` say when `when` has come, if the exchange is not over by then."""
        exchange.impatient_at = when
        heapq.heappush(self._wakes, (when, exchange.number))

    def expire(self, now: float) -> tuple[list[Exchange], list[Exchange]]:
        """Ask again where nothing came; the exchanges that are given up, and those whose waiters are impatient."""
        over: list[Exchange] = []
        impatient: list[Exchange] = []
        while (wake := self.next_wake()) is not None and wake <= now:
            exchange = self._by_number[heapq.heappop(self._wakes)[1]]
            if exchange.impatient_at <= now:
                exchange.impatient_at = math.inf
                impatient.append(exchange)
                if wake != exchange.wake:
                    continue
            for attempt in exchange.attempts:
                if not attempt.over and now - attempt.sent_at >= self._attempt_timeout:
                    attempt.over = True
                    attempt.server.silent(now)
                    self._counters.upstream_failed(attempt.server.name, Problem.TIMEOUT.value)
            waits = any(not attempt.over for attempt in exchange.attempts)
            if now >= exchange.deadline or not (self._ask_next(exchange, now) or waits):
                over.append(self._end(exchange))
            elif exchange.wake <= now:
                self._wake_at(exchange, now + self._attempt_timeout)
        return over, impatient

    def give_up(self) -> list[Exchange]:
        """End every exchange at once."""
        return [self._end(exchange) for exchange in list(self._by_number.values())]

    def _truncated(self, exchange: Exchange, attempt: Attempt, now: float) -> Exchange | None:
        # RFC 2181 section 9: what is in a truncated reply is ignored, and asked for over TCP.
        exchange.truncated = True
        attempt.over = True
        if attempt.tcp or not self._send(exchange, attempt.server, True, now):
            return self._failed(exchange, attempt, Problem.MALFORMED, now)
        self._wake_at(exchange, now + self._attempt_timeout)
        return None

    def _near_miss(self, exchange: Exchange, attempt: Attempt, now: float) -> Exchange | None:
        # It may be forged, and the right one may still come: wait on. But one guess was made, so the same is asked
        # over TCP, where nobody who is not on the path can guess (as BIND does since 9.21).
        self._counters.near_misses += 1
        if attempt.tcp:
            return self._failed(exchange, attempt, Problem.MALFORMED, now)
        if not exchange.escalated:
            exchange.escalated = True
            self._send(exchange, attempt.server, True, now)
        return None

    def _judge(self, exchange: Exchange, attempt: Attempt, message: Message, now: float) -> Exchange | None:
        accepted = accept(message, exchange.key.name, exchange.key.qtype, self._is_own, self._ttls)
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
        if self._ask_next(exchange, now) or any(not other.over for other in exchange.attempts):
            return None
        return self._end(exchange)

    def _end(self, exchange: Exchange) -> Exchange:
        del self._by_number[exchange.number]
        del self._by_key[exchange.key]
        self.closes.append(exchange.number)
        return exchange

    def _ask_next(self, exchange: Exchange, now: float) -> bool:
        """Send the next message: to the first server asked least. False if no more may be sent."""
        candidates = [server for server in exchange.servers if server not in exchange.spent]
        if not candidates:
            return False
        server = min(candidates, key=lambda server: self._times_asked(exchange, server))
        if not self._send(exchange, server, self._only_tcp(server), now):
            return False
        fresh = any(not self._times_asked(exchange, server) for server in candidates)
        self._wake_at(exchange, now + (server.hedge_after if fresh else self._attempt_timeout))
        return True

    def _times_asked(self, exchange: Exchange, server: Server) -> int:
        return (exchange.tcp_sent if self._only_tcp(server) else exchange.udp_sent)[server]

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
        edns = server.takes_edns(now)
        key = exchange.key
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
