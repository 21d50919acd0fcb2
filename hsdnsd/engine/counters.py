"""What the engine counts: plain integers in fixed places, which whoever wants them reads at any time.

Every place is known beforehand or comes from the configuration; nothing in a packet can make a new one.
"""

from __future__ import annotations

import enum
from typing import Final

from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.query import Refused

# QTYPEs that are counted by name (those of CoreDNS's metrics), and the place of all others.
TYPES: Final = (
    "A", "AAAA", "CNAME", "DNSKEY", "DS", "MX", "NSEC", "NSEC3", "NS", "PTR", "RRSIG", "SOA", "SRV", "TXT", "HTTPS",
    "SVCB", "IXFR", "AXFR", "ANY", "other",
)  # fmt: skip
TYPE_PLACE: Final = {int(RRType[name]): place for place, name in enumerate(TYPES[:-1])}
OTHER_TYPE: Final = len(TYPES) - 1

# RCODEs that are counted by name, by their number (RFC 6895 section 2.3), and the place of all others.
RCODES: Final = (
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE", "BADVERS", "other",
)  # fmt: skip
RCODE_PLACE: Final = {number: number for number in range(11)} | {int(Rcode.BADVERS): 11}
OTHER_RCODE: Final = len(RCODES) - 1

CACHE_KINDS: Final = ("success", "denial", "failure", "stale")
LIMITS: Final = ("in_flight", "waiters", "per_client")

# Durations are counted in buckets below 1, 2, 4, ... 2^22 microseconds; the last place counts what took longer. A
# power of two is found by counting bits, and a quantile is never off by more than a factor of two.
BUCKETS: Final = 24

# What the gate answers to what it refuses (docs/gate.md); what is not here is met with silence.
REFUSED_RCODE: Final = {
    Refused.OPCODE: Rcode.NOTIMP,
    Refused.OVERSIZE: Rcode.FORMERR,
    Refused.QDCOUNT: Rcode.FORMERR,
    Refused.QUESTION: Rcode.FORMERR,
    Refused.SECTIONS: Rcode.FORMERR,
    Refused.OPT: Rcode.FORMERR,
    Refused.VERSION: Rcode.BADVERS,
    Refused.CLASS: Rcode.REFUSED,
    Refused.QTYPE: Rcode.FORMERR,
    Refused.TRANSFER: Rcode.REFUSED,
    Refused.OBSOLETE: Rcode.NOTIMP,
}


class Outcome(enum.IntEnum):
    """By what a client's question was answered."""

    OWN = 0
    CACHE = 1
    FORWARDED = 2


class Histogram:
    """Durations by power of two of microseconds.

    Attributes:
        counts: by bucket, BUCKETS places; not cumulative.
        seconds: sum of all durations.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration, not below 0."""
        self.counts[min(int(seconds * 1e6).bit_length(), BUCKETS - 1)] += 1
        self.seconds += seconds


class Counters:
    """Everything since the daemon's start. All attributes are to be read; they are changed by the engine alone.

    Attributes:
        requests: well-formed queries, by [own zone][TCP][IPv6][place in TYPES].
        do_requests: those of them with the DO bit.
        responses: answers to them, by [own zone][place in RCODES].
        refusals: messages that the gate let go no further, by reason.
        at_once: answers given without waiting, by Outcome.
        waits: how long the others waited, from the query to its answer, by Outcome.
        cache_hits: by one of CACHE_KINDS. cache_misses: questions that the cache did not know.
        coalesced: questions that joined an exchange which another question had begun.
        limits: queries answered SERVFAIL because of a limit, by one of LIMITS.
        near_misses: replies on an exchange's own socket whose id or question was wrong.
        distrusted: exchanges in which there were so many that nothing was believed over UDP any more.
        upstreams: time until a believed reply, by (upstream, place in RCODES).
        upstream_failures: attempts that came to nothing, by (upstream, why).
        upstream_loops: times that what was sent to an upstream came back, by upstream.
    """

    __slots__ = (
        "at_once",
        "cache_hits",
        "cache_misses",
        "coalesced",
        "distrusted",
        "do_requests",
        "limits",
        "near_misses",
        "refusals",
        "requests",
        "responses",
        "upstream_failures",
        "upstream_loops",
        "upstreams",
        "waits",
    )

    def __init__(self) -> None:
        self.requests = [[[[0] * len(TYPES) for _ in range(2)] for _ in range(2)] for _ in range(2)]
        self.do_requests = 0
        self.responses = [[0] * len(RCODES) for _ in range(2)]
        self.refusals = dict.fromkeys(Refused, 0)
        self.at_once = [0] * len(Outcome)
        self.waits = [Histogram() for _ in Outcome]
        self.cache_hits = dict.fromkeys(CACHE_KINDS, 0)
        self.cache_misses = 0
        self.coalesced = 0
        self.limits = dict.fromkeys(LIMITS, 0)
        self.near_misses = 0
        self.distrusted = 0
        self.upstreams: dict[tuple[str, int], Histogram] = {}
        self.upstream_failures: dict[tuple[str, str], int] = {}
        self.upstream_loops: dict[str, int] = {}

    def request(self, v6: bool, tcp: bool, qtype: int, own: bool = False, do: bool = False) -> None:
        """A query that passed the gate; `own`: for a name of an own zone."""
        self.requests[own][tcp][v6][TYPE_PLACE.get(qtype, OTHER_TYPE)] += 1
        self.do_requests += do

    def response(self, rcode: int, own: bool = False) -> None:
        """An answer to such a query."""
        self.responses[own][RCODE_PLACE.get(rcode, OTHER_RCODE)] += 1

    def refused(self, why: Refused) -> None:
        """A message that the gate let go no further; its error reply, if one is due, is counted with it."""
        self.refusals[why] += 1

    def answered_now(self, outcome: Outcome) -> None:
        """An answer that was given at once."""
        self.at_once[outcome] += 1

    def answered(self, outcome: Outcome, seconds: float) -> None:
        """An answer that was waited for."""
        self.waits[outcome].observe(seconds)

    def cache_hit(self, kind: str) -> None:
        """The cache knew; `kind` is one of CACHE_KINDS."""
        self.cache_hits[kind] += 1

    def limited(self, limit: str) -> None:
        """A query was turned away; `limit` is one of LIMITS."""
        self.limits[limit] += 1

    def upstream_answered(self, upstream: str, rcode: int, seconds: float) -> None:
        """A reply was believed, so long after its message was sent. `upstream` comes from the configuration."""
        key = (upstream, RCODE_PLACE.get(rcode, OTHER_RCODE))
        histogram = self.upstreams.get(key)
        if histogram is None:
            histogram = self.upstreams[key] = Histogram()
        histogram.observe(seconds)

    def upstream_failed(self, upstream: str, why: str) -> None:
        """An attempt came to nothing. `why` comes from an enumeration."""
        key = (upstream, why)
        self.upstream_failures[key] = self.upstream_failures.get(key, 0) + 1

    def upstream_looped(self, upstream: str) -> None:
        """What was sent to an upstream came back."""
        self.upstream_loops[upstream] = self.upstream_loops.get(upstream, 0) + 1
