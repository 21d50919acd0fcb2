"""What is answered below Python, and what goes up although an answer stands ready."""

from __future__ import annotations

import struct

import pytest

from hsdnsd.native.contract import Table
from hsdnsd.wire.answer import Answer, build_answer
from hsdnsd.wire.const import AA, AD, CD, QR, RA, RD, TC
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query, read_query_untrusted
from hsdnsd.wire.rrset import RRset
from tests.support.twins import Question, Twin, folded, opt, option, query

NAME = folded("www.example")
LONGEST = Name(b"".join(bytes([63]) + b"a" * 63 for _ in range(3)) + bytes([61]) + b"a" * 61 + b"\0")
MOST_LABELS = Name(b"\1a" * 127 + b"\0")
ANSWER = build_answer(NAME, 0, [RRset(NAME, 1, 5, (bytes(4),))], aa=True, fixed=True)
EMPTY = Answer(0, True, 0, 0, 0, b"", b"", 0, fixed=True)


def table_of(twin: Twin) -> Table:
    table = twin.Table()
    for name in (NAME, LONGEST, MOST_LABELS, Name(b"\0")):
        for do in (False, True):
            for cd in (False, True):
                table.put(Question(name, 1, do, cd), ANSWER if name == NAME else EMPTY, 0.0, 10.0)
    return table


PLAIN = {
    "a question": query(),
    "another case": query("WWW.eXample"),
    "no RD": query(flags=0),
    "RD, AD and CD": query(flags=RD | AD | CD),
    "an OPT": query(opt=opt()),
    "DO": query(opt=opt(do=True)),
    "a size of 0": query(opt=opt(0)),
    "the largest size": query(opt=opt(65535)),
    "a cookie": query(opt=opt(options=option(10, bytes(8)))),
    "a client subnet": query(opt=opt(options=option(8, bytes(7)))),
    "NSID, padding": query(opt=opt(options=option(3) + option(12, bytes(100)))),
    "64 options": query(opt=opt(options=option(12) * 64)),
    "the longest name": query(LONGEST),
    "most labels": query(MOST_LABELS),
    "the root": query(b"\0"),
}


@pytest.mark.parametrize("wire", PLAIN.values(), ids=PLAIN.keys())
def test_the_plain_good_case_is_answered(twin: Twin, wire: bytes) -> None:
    assert isinstance(read_query_untrusted(wire), Query)
    assert table_of(twin).answer(wire, 1.0) is not None


def header(wire: bytes, place: int, value: int) -> bytes:
    """`wire` with another 16-bit word in its header."""
    return wire[: 2 * place] + struct.pack("!H", value) + wire[2 * place + 2 :]


TSIG = b"\0\0\xfa\0\xff\0\0\0\0\0\0"

UNUSUAL = {
    "nothing": b"",
    "a header cut off": query()[:11],
    "a header alone": query()[:12],
    "no type": query()[:-4],
    "half a type": query()[:-3],
    "no class": query()[:-2],
    "a name cut off": query()[:16],
    "a response": header(query(), 1, QR | RD),
    "AA": header(query(), 1, AA | RD),
    "TC": header(query(), 1, TC | RD),
    "RA": header(query(), 1, RA | RD),
    "Z": header(query(), 1, 0x0040 | RD),
    "an RCODE": header(query(), 1, 3 | RD),
    "a notify": header(query(), 1, 0x2000),
    "opcode 15": header(query(), 1, 0x7800),
    "no question": header(query(), 2, 0),
    "two questions": header(query(), 2, 2),
    "an answer": header(query(), 3, 1),
    "an authority": header(query(), 4, 1),
    "a missing OPT": header(query(), 5, 1),
    "an OPT not counted": header(query(opt=opt()), 5, 0),
    "two OPTs": header(query(opt=opt() + opt()), 5, 2),
    "256 additional records": header(query(opt=opt()), 5, 256),
    "a TSIG": query(opt=TSIG),
    "an octet too many": query() + b"\0",
    "an octet behind the OPT": query(opt=opt() + b"\0"),
    "an OPT cut off": query(opt=opt()[:-1]),
    "version 1": query(opt=opt(version=1)),
    "an extended RCODE": query(opt=b"\0\0\x29\x04\xd0\1\0\0\0\0\0"),
    "a flag beside DO": query(opt=b"\0\0\x29\x04\xd0\0\0\x40\0\0\0"),
    "an OPT below the root": query(opt=b"\1a" + opt()),
    "an OPT by a pointer": query(opt=b"\xc0\x0c" + opt()[1:]),
    "keepalive": query(opt=opt(options=option(11))),
    "an option nobody knows": query(opt=opt(options=option(65001))),
    "65 options": query(opt=opt(options=option(12) * 65)),
    "an option past the end": query(opt=opt(options=struct.pack("!HH", 12, 1))),
    "an option cut off": query(opt=opt(options=b"\0\x0c\0")),
    "a pointer": query(b"\xc0\x0c"),
    "a pointer behind a label": query(b"\3www\xc0\x0c"),
    "a label of 64": query(b"\x40" + bytes(64) + b"\0"),
    "a label of bits": query(b"\x41" + bytes(8) + b"\0"),
    "a name of 256": query(LONGEST[:-1] + b"\1a\0"),
    "a name without an end": query(b"\1a" * 128),
    "class CH": query(qclass=3),
    "class ANY": query(qclass=255),
    "class 0": query(qclass=0),
}


@pytest.mark.parametrize("wire", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_whatever_is_unusual_goes_up(twin: Twin, wire: bytes) -> None:
    assert table_of(twin).answer(wire, 1.0) is None


@pytest.mark.parametrize("qtype", [0, 41, 128, *range(249, 256)])
def test_special_types_are_never_answered(twin: Twin, qtype: int) -> None:
    table = twin.Table()
    table.put(Question(NAME, qtype), ANSWER, 0.0, 10.0)
    assert table.entries == (0, 0)
    assert table.answer(query(qtype=qtype), 1.0) is None


def test_every_prefix_of_a_query_goes_up(twin: Twin) -> None:
    table = table_of(twin)
    whole = query(opt=opt(do=True, options=option(10, bytes(8))))
    assert table.answer(whole, 1.0) is not None
    assert [table.answer(whole[:size], 1.0) for size in range(len(whole))] == [None] * len(whole)


def test_only_letters_fold(twin: Twin) -> None:
    """RFC 4343: octets beside A to Z are told apart, also those that differ in the bit that makes the case."""
    table = twin.Table()
    for octet in range(256):
        table.put(Question(Name(bytes([1, octet, 0]).lower())), EMPTY, 0.0, 10.0, owner=bytes([octet]))
    letters = sum(1 for octet in range(256) if chr(octet).isascii() and chr(octet).isupper())
    assert table.entries == (0, 256 - letters)
    for octet in range(256):
        assert table.answer(query(bytes([1, octet, 0])), 1.0) is not None
    table.drop(b"[")
    assert table.answer(query(b"\1[\0"), 1.0) is None
    assert table.answer(query(b"\1{\0"), 1.0) is not None
