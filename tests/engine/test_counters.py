from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.cache.store import Kind
from hsdnsd.engine.counters import (
    BUCKETS,
    CACHE_KINDS,
    OTHER_RCODE,
    OTHER_TYPE,
    RCODES,
    REFUSED_RCODE,
    TYPE_PLACE,
    TYPES,
    Counters,
    Histogram,
    Outcome,
)
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.query import Refusal, Refused, read_query_untrusted

QUESTION = b"\1a\4test\0"


def message(
    flags: int = 0x0100,
    counts: tuple[int, int, int, int] = (1, 0, 0, 0),
    qtype: int = 1,
    qclass: int = 1,
    rest: bytes = b"",
) -> bytes:
    return struct.pack("!6H", 0x1234, flags, *counts) + QUESTION + struct.pack("!HH", qtype, qclass) + rest


def opt(version: int = 0) -> bytes:
    return struct.pack("!BHHBBHH", 0, RRType.OPT, 1232, 0, version, 0, 0)


REFUSED = {
    Refused.SHORT: message()[:11],
    Refused.RESPONSE: message(flags=0x8100),
    Refused.OPCODE: message(flags=0x2000),
    Refused.OVERSIZE: message(),
    Refused.QDCOUNT: message(counts=(2, 0, 0, 0)),
    Refused.QUESTION: message()[:-1],
    Refused.SECTIONS: message(counts=(1, 1, 0, 0)),
    Refused.OPT: message(counts=(1, 0, 0, 2), rest=opt() + opt()),
    Refused.VERSION: message(counts=(1, 0, 0, 1), rest=opt(version=1)),
    Refused.CLASS: message(qclass=3),
    Refused.QTYPE: message(qtype=RRType.TSIG),
    Refused.TRANSFER: message(qtype=RRType.AXFR),
    Refused.OBSOLETE: message(qtype=RRType.MAILB),
}


@pytest.mark.parametrize("why", Refused)
def test_the_rcode_that_is_counted_for_a_refusal_is_the_one_that_the_gate_answers(why: Refused) -> None:
    verdict = read_query_untrusted(REFUSED[why], truncated=why is Refused.OVERSIZE)
    assert isinstance(verdict, Refusal)
    assert verdict.why is why
    if verdict.reply is None:
        assert why not in REFUSED_RCODE
        return
    rcode = verdict.reply[3] & 0xF
    if why is Refused.VERSION:
        # RFC 6891 section 6.1.3: the upper eight bits stand in the TTL of the OPT, which ends the reply.
        rcode |= verdict.reply[-6] << 4
    assert rcode == REFUSED_RCODE[why]


def test_requests() -> None:
    counters = Counters()
    counters.request(False, False, RRType.A)
    counters.request(True, False, RRType.AAAA, own=True, do=True)
    counters.request(True, True, 65280)
    counters.request(True, True, RRType.NAPTR)
    assert counters.requests[0][0][0][TYPES.index("A")] == 1
    assert counters.requests[1][0][1][TYPES.index("AAAA")] == 1
    assert counters.requests[0][1][1][OTHER_TYPE] == 2
    assert sum(n for own in counters.requests for tcp in own for family in tcp for n in family) == 4
    assert counters.do_requests == 1


@given(st.integers(0, 65535))
def test_every_type_has_a_place(qtype: int) -> None:
    counters = Counters()
    counters.request(False, False, qtype)
    place = counters.requests[0][0][0].index(1)
    assert TYPES[place] == (RRType(qtype).name if qtype in TYPE_PLACE else "other")


@given(st.integers(0, 4095), st.booleans())
def test_every_rcode_has_a_place(rcode: int, own: bool) -> None:
    counters = Counters()
    counters.response(rcode, own)
    place = counters.responses[own].index(1)
    if rcode in set(Rcode):
        assert RCODES[place] == Rcode(rcode).name
    elif rcode > 10:
        assert place == OTHER_RCODE
    assert sum(map(sum, counters.responses)) == 1


def test_the_places_of_rcodes_are_their_names() -> None:
    named = {RCODES[i]: i for i in range(11)}
    assert named == {
        "NOERROR": 0,
        "FORMERR": 1,
        "SERVFAIL": 2,
        "NXDOMAIN": 3,
        "NOTIMP": 4,
        "REFUSED": 5,
        "YXDOMAIN": 6,
        "YXRRSET": 7,
        "NXRRSET": 8,
        "NOTAUTH": 9,
        "NOTZONE": 10,
    }


@given(st.lists(st.floats(0, 10)))
def test_a_histogram_counts_every_duration_below_its_bound(durations: list[float]) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.observe(seconds)
    assert sum(histogram.counts) == len(durations)
    assert histogram.seconds == pytest.approx(sum(durations))
    for place in range(BUCKETS - 1):
        bound = 2**place / 1e6
        assert sum(histogram.counts[: place + 1]) == sum(int(seconds * 1e6) < 2**place for seconds in durations)
        assert sum(histogram.counts[: place + 1]) <= sum(seconds < bound + 1e-6 for seconds in durations)


def test_answers_at_once_and_after_a_wait() -> None:
    counters = Counters()
    counters.answered_now(Outcome.OWN)
    counters.answered_now(Outcome.OWN)
    counters.answered(Outcome.FORWARDED, 0.5)
    assert counters.at_once == [2, 0, 0]
    assert [sum(wait.counts) for wait in counters.waits] == [0, 0, 1]


def test_names_that_nobody_knows_are_mistakes() -> None:
    counters = Counters()
    for kind in Kind:
        counters.cache_hit(kind.value)
    assert counters.cache_hits == {"success": 1, "denial": 1, "failure": 1, "stale": 0}
    assert set(counters.cache_hits) == set(CACHE_KINDS)
    with pytest.raises(KeyError):
        counters.cache_hit("prefetch")
    with pytest.raises(KeyError):
        counters.limited("patience")


def test_upstreams() -> None:
    counters = Counters()
    counters.upstream_answered("10.0.0.1:53", Rcode.NXDOMAIN, 0.25)
    counters.upstream_answered("10.0.0.1:53", Rcode.NXDOMAIN, 0.25)
    counters.upstream_answered("10.0.0.1:53", 23, 1.0)
    counters.upstream_answered("10.0.0.1:53", 3841, 1.0)
    assert {key: (sum(h.counts), h.seconds) for key, h in counters.upstreams.items()} == {
        ("10.0.0.1:53", 3): (2, 0.5),
        ("10.0.0.1:53", OTHER_RCODE): (2, 2.0),
    }
    counters.upstream_failed("10.0.0.1:53", "timeout")
    counters.upstream_failed("10.0.0.1:53", "timeout")
    assert counters.upstream_failures == {("10.0.0.1:53", "timeout"): 2}
