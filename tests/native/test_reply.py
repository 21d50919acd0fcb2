"""Replies of hits are octet for octet those of `hsdnsd.wire.answer.render`."""

from __future__ import annotations

import pytest

from hsdnsd.wire.answer import Answer, build_answer, render
from hsdnsd.wire.const import AA, CD, QR, RA, RD, TC
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query, read_query_untrusted
from hsdnsd.wire.rrset import RRset, soa_rdata, srv_rdata
from tests.support.twins import Question, Twin, folded, opt, query

NAME = folded("www.example")
ZONE = folded("example")
SOA = RRset(ZONE, 6, 30, (soa_rdata(folded("ns.example"), folded("root.example"), 7, 1, 2, 3, 4),))


def addresses(count: int, ttl: int = 300) -> RRset:
    return RRset(NAME, 1, ttl, tuple(bytes([10, 0, number >> 8, number & 255]) for number in range(count)))


def expected(answer: Answer, wire: bytes, age: int = 0, turn: int = 0) -> bytes:
    asked = read_query_untrusted(wire)
    assert isinstance(asked, Query)
    return render(answer, asked, asked.udp_size, age, turn)


TARGETS = [Name(bytes([5]) + b"web-%d" % number + NAME) for number in range(3)]
ANSWERS = {
    "an address": build_answer(NAME, 0, [addresses(1)]),
    "ten addresses": build_answer(NAME, 0, [addresses(10)], aa=True, fixed=True),
    "SRV with addresses": build_answer(
        NAME,
        0,
        [RRset(NAME, 33, 5, tuple(srv_rdata(0, 33, 80, target) for target in TARGETS))],
        (),
        [RRset(target, 1, 5, (bytes(4),)) for target in TARGETS],
        aa=True,
    ),
    "a chain": build_answer(
        NAME, 0, [RRset(NAME, 5, 60, (TARGETS[0],)), RRset(TARGETS[0], 1, 5, (bytes(4), b"\1\2\3\4"))]
    ),
    "NXDOMAIN": build_answer(NAME, 3, (), [SOA], aa=True, fixed=True),
    "NODATA": build_answer(NAME, 0, (), [SOA]),
    "nothing": build_answer(NAME, 0),
    "SERVFAIL": Answer(2, False, 0, 0, 0, b"", b"", 0),
    "SERVFAIL and why": Answer(2, False, 0, 0, 0, b"", b"", 0, ede=14),
    "stale": build_answer(NAME, 0, [addresses(2, 30)], aa=True, fixed=True, ede=3),
    "stale, with addresses": build_answer(
        NAME,
        0,
        [RRset(NAME, 33, 5, (srv_rdata(0, 33, 80, TARGETS[0]),))],
        (),
        [RRset(TARGETS[0], 1, 5, (bytes(4),))],
        aa=True,
        ede=3,
    ),
    "no room for why": build_answer(NAME, 0, [addresses(28), RRset(NAME, 16, 5, (b"\7" + bytes(7),))], ede=3),
    "too long, and why": build_answer(NAME, 0, [addresses(40)], ede=65535),
    "too long for 512": build_answer(NAME, 0, [addresses(40)]),
    "too long for 1232": build_answer(NAME, 0, [addresses(90)]),
}
QUERIES = {
    "plain": query(),
    "another case": query("wWw.ExamplE", id=0xFFFF),
    "CD": query(flags=RD | CD),
    "EDNS": query(opt=opt(4096)),
    "EDNS and DO": query(opt=opt(do=True)),
    "EDNS of 600": query(opt=opt(600)),
    "EDNS of 0": query(opt=opt(0)),
}


@pytest.mark.parametrize("wire", QUERIES.values(), ids=QUERIES.keys())
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_hit_is_what_render_makes(twin: Twin, answer: Answer, wire: bytes) -> None:
    asked = read_query_untrusted(wire)
    assert isinstance(asked, Query)
    table = twin.Table()
    table.put(Question(NAME, 1, asked.do, asked.cd), answer, 1000.0)
    for turn in range(12):
        for age, now in ((0, 1000.9), (1, 1001.0), (29, 1029.5), (10_000_000, 10_001_000.0)):
            table.put(Question(NAME, 1, asked.do, asked.cd), answer, 1000.0)
            for before in range(turn):
                assert table.answer(wire, 1000.0) == expected(answer, wire, 0, before)
            assert table.answer(wire, now) == expected(answer, wire, age, turn)


def flags_of(reply: bytes | None) -> int:
    assert reply is not None
    return int.from_bytes(reply[2:4], "big")


def test_flags(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME), ANSWERS["ten addresses"], 0.0, 9.0)
    table.put(Question(NAME, 1, False, True), ANSWERS["an address"], 0.0, 9.0)
    assert flags_of(table.answer(query(), 1.0)) == QR | AA | RD | RA
    assert flags_of(table.answer(query(flags=0), 1.0)) == QR | AA | RA
    assert flags_of(table.answer(query(flags=RD | CD), 1.0)) == QR | RD | RA | CD
    table.put(Question(NAME), ANSWERS["too long for 512"], 0.0, 9.0)
    assert flags_of(table.answer(query(), 1.0)) == QR | TC | RD | RA
    assert flags_of(table.answer(query(opt=opt()), 1.0)) == QR | RD | RA


def test_what_fits_to_the_octet_is_not_cut(twin: Twin) -> None:
    """A reply of exactly the asker's size has no TC, one octet less of room makes it (RFC 1035 section 4.2.1)."""
    body = bytes(700 - 12 - len(NAME) - 4 - 11)
    table = twin.Table()
    table.put(Question(NAME), Answer(0, False, 1, 0, 0, body, b"", 0), 0.0, 9.0)
    whole = table.answer(query(opt=opt(700)), 1.0)
    assert whole is not None
    assert len(whole) == 700
    cut = table.answer(query(opt=opt(699)), 1.0)
    assert flags_of(cut) & TC
    assert cut is not None
    assert cut[6:12] == b"\0\0\0\0\0\1"


def test_no_ttl_goes_below_zero(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME), ANSWERS["a chain"], 0.0)
    reply = table.answer(query(), 6.0)
    assert reply == expected(ANSWERS["a chain"], query(), 6)
    assert reply is not None
    assert reply[reply.index(TARGETS[0][:6]) - 6 :][:4] == (54).to_bytes(4, "big")


def test_a_clock_before_the_answer_ages_nothing(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME), ANSWERS["an address"], 100.0, 200.0)
    assert table.answer(query(), 50.0) == expected(ANSWERS["an address"], query())
