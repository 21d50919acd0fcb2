"""One question that upstreams are being asked: its messages, whoever waits for it, and what came of it."""

from __future__ import annotations

import enum
import math

import msgspec

from hsdnsd.cache.policy import Accepted
from hsdnsd.cache.store import Key
from hsdnsd.engine.lookup import Lookup
from hsdnsd.engine.upstreams import Server, Upstream
from hsdnsd.wire.const import CLASS_IN

# Upstream messages for one client query, whatever the upstreams do. (CoreDNS before 1.14.7 sent up to 40,000.)
MAX_MESSAGES = 6


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
    """One message that was sent.

    Attributes:
        over: nothing is expected of it any more. silent: because nothing came in its time.
    """

    __slots__ = ("edns", "id", "over", "question", "sent_at", "server", "silent", "tcp")

    def __init__(self, server: Server, id: int, question: bytes, tcp: bool, edns: bool, sent_at: float) -> None:
        self.server = server
        self.id = id
        self.question = question
        self.tcp = tcp
        self.edns = edns
        self.sent_at = sent_at
        self.over = False
        self.silent = False


class Exchange:
    """One question that upstreams are being asked.

    Attributes:
        waiters: whoever wants the outcome; first those who can't wait for its end, by their deadlines. The resolver's.
        payer: who began it, so that its messages come out of that one's budget; None: nobody who waits.
        deadline: when it is given up. wake: when it is to be looked at next.
        attend_at: when whoever waits is to be looked at; inf: not before the end.
        budget: messages that may still be sent; 0 once it is over.
        near_misses: replies over UDP that did not match. deaf: what comes over UDP is not looked at any more.
        doubtful: a matching reply over UDP that came when somebody may have been guessing, and its attempt.
        truncated: a reply over UDP was truncated, so the answer came over TCP.
        accepted, problem, rcode: the outcome, once it is over; rcode is the last failing server's, if it said one.
    """

    __slots__ = (
        "accepted", "attempts", "attend_at", "budget", "deadline", "deaf", "doubtful", "key", "near_misses", "number",
        "payer", "problem", "question", "rcode", "resent", "servers", "spent", "started", "tcp_sent", "truncated",
        "udp_sent", "waiters", "wake",
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
        self.attend_at = math.inf
        self.waiters: list[Lookup] = []
        self.payer: Lookup | None = None
        self.attempts: list[Attempt] = []
        self.resent = 0
        self.udp_sent = dict.fromkeys(servers, 0)
        self.tcp_sent = dict.fromkeys(servers, 0)
        self.spent: set[Server] = set()  # said something that asking again would not change
        self.near_misses = 0
        self.deaf = False
        self.doubtful: tuple[Attempt, bytes] | None = None
        self.truncated = False
        self.accepted: Accepted | None = None
        self.problem = Problem.TIMEOUT
        self.rcode: int | None = None

    @property
    def sent(self) -> int:
        """Messages that it has cost so far."""
        return len(self.attempts) + self.resent

    @property
    def waits_for_tcp(self) -> bool:
        """Whether something may still come over TCP."""
        return any(attempt.tcp and not attempt.over for attempt in self.attempts)

    def silent_with_edns(self, server: Server) -> int:
        """Messages with an OPT to which a server has said nothing."""
        return sum([attempt.silent and attempt.edns and attempt.server is server for attempt in self.attempts])


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
