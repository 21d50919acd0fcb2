from __future__ import annotations

import dns.flags
import dns.message
import pytest

from hsdnsd.errors import WireError
from hsdnsd.wire.message import Message, build_query, matches, read_message_untrusted
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset
from tests.support.packets import (
    AAAA,
    CNAME,
    MX,
    NS,
    OPT,
    PTR,
    RESPONSE,
    SOA,
    SRV,
    TXT,
    A,
    CountedBytes,
    message,
    name,
    opt,
    pointer,
    question,
    record,
    u16,
    u32,
)

ASKED = question("a.test")
OWNER = pointer(12)
TEST = pointer(14)
RR = record(OWNER, A, b"\x0a\0\0\1")


def rrset(owner: str, rtype: int, *rdatas: bytes, ttl: int = 60) -> RRset:
    return RRset(Name(name(owner)), rtype, ttl, rdatas)


def test_everything_of_a_response() -> None:
    wire = message(
        ASKED,
        [record(OWNER, CNAME, b"\1b" + TEST), record(b"\1b" + TEST, A, b"\x0a\0\0\1")],
        [record(TEST, SOA, b"\2ns" + TEST + b"\0" + u32(1, 2, 3, 4, 5))],
        [record(b"\2ns" + TEST, AAAA, bytes(16)), opt(ttl=0x01008000)],
        flags=RESPONSE | 3,
    )
    assert read_message_untrusted(wire) == Message(
        id=0x1234,
        flags=0x8183,
        rcode=0x13,
        question=ASKED,
        answer=(rrset("a.test", CNAME, name("b.test")), rrset("b.test", A, b"\x0a\0\0\1")),
        authority=(rrset("test", SOA, name("ns.test") + b"\0" + u32(1, 2, 3, 4, 5)),),
        additional=(rrset("ns.test", AAAA, bytes(16)),),
        has_opt=True,
        foreign=0,
    )


# A name stands uncompressed at 24, so that rdata can point to it: m.x.
BEFORE = record(name("m.x"), TXT, b"")
M_X = pointer(12 + len(ASKED))


@pytest.mark.parametrize(
    ("rtype", "sent", "expanded"),
    [
        (A, b"\1\2\3\4", b"\1\2\3\4"),
        (AAAA, bytes(range(16)), bytes(range(16))),
        (NS, M_X, name("m.x")),
        (CNAME, b"\1a" + M_X, name("a.m.x")),
        (PTR, name("P.q"), name("P.q")),
        (SOA, M_X + b"\1r" + M_X + bytes(20), name("m.x") + name("r.m.x") + bytes(20)),
        (MX, u16(10) + M_X, u16(10) + name("m.x")),
        (SRV, u16(1, 2, 3) + M_X, u16(1, 2, 3) + name("m.x")),
        (39, M_X, name("m.x")),
        (14, M_X + M_X, name("m.x") * 2),
        (17, M_X + M_X, name("m.x") * 2),
        (18, u16(1) + M_X, u16(1) + name("m.x")),
        (36, u16(1) + M_X, u16(1) + name("m.x")),
        (35, u16(1, 2) + b"\1s\0\2ab" + M_X, u16(1, 2) + b"\1s\0\2ab" + name("m.x")),
        # The rest is octets, whatever they look like (RFC 3597).
        (TXT, b"\xff", b"\xff"),
        (TXT, M_X, M_X),
        (46, u16(1) + M_X, u16(1) + M_X),
        (65280, b"", b""),
        (0, M_X, M_X),
        (255, M_X, M_X),
    ],
)
def test_rdata(rtype: int, sent: bytes, expanded: bytes) -> None:
    wire = message(ASKED, [BEFORE, record(OWNER, rtype, sent), RR])
    assert read_message_untrusted(wire).answer[1].rdatas[0] == expanded


@pytest.mark.parametrize(
    ("rtype", "rdata"),
    [
        pytest.param(A, bytes(3), id="A of 3 octets"),
        pytest.param(A, bytes(5), id="A of 5 octets"),
        pytest.param(A, b"", id="A of none"),
        pytest.param(AAAA, bytes(15), id="AAAA of 15 octets"),
        pytest.param(AAAA, bytes(4), id="AAAA of 4 octets"),
        pytest.param(NS, b"", id="NS of none"),
        pytest.param(NS, name("a") + b"\0", id="NS with an octet too many"),
        pytest.param(NS, b"\1", id="NS cut off in a label"),
        pytest.param(NS, b"\xc0", id="NS cut off in a pointer"),
        pytest.param(CNAME, b"\1a", id="CNAME that would end in the next record"),
        pytest.param(CNAME, pointer(4096), id="CNAME that points forwards"),
        pytest.param(MX, b"\0", id="MX without a name"),
        pytest.param(MX, u16(1), id="MX without a name, whole preference"),
        pytest.param(SRV, u16(1, 2, 3), id="SRV without a target"),
        pytest.param(SOA, b"\0\0" + bytes(19), id="SOA one octet short"),
        pytest.param(SOA, b"\0\0" + bytes(21), id="SOA one octet long"),
        pytest.param(SOA, b"\0" + bytes(20), id="SOA with one name"),
        pytest.param(35, u16(1, 2) + b"\1s\1s", id="NAPTR without its regexp"),
        pytest.param(35, u16(1, 2) + b"\0\0\x7f", id="NAPTR with a string past the end"),
        pytest.param(35, b"\0", id="NAPTR of one octet"),
    ],
)
def test_wrong_rdata(rtype: int, rdata: bytes) -> None:
    # The octets behind would make most of them right.
    with pytest.raises(WireError):
        read_message_untrusted(message(ASKED, [record(OWNER, rtype, rdata), record(b"\0", TXT, bytes(40))]))


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(u16(1, RESPONSE, 1, 0, 0), id="header is cut off"),
        pytest.param(message(ASKED, flags=0x0100), id="query"),
        pytest.param(message(ASKED, flags=RESPONSE | 0x1000), id="opcode 2"),
        pytest.param(message(b"", qdcount=0), id="no question"),
        pytest.param(message(ASKED * 2, qdcount=2), id="two questions"),
        pytest.param(message(pointer(12) + u16(1, 1)), id="question is a pointer"),
        pytest.param(message(ASKED[:-1]), id="question is cut off"),
        pytest.param(message(b"\1"), id="name of the question is cut off"),
        pytest.param(u16(1, RESPONSE, 1, 2, 0, 0) + ASKED + RR, id="ANCOUNT is too large"),
        pytest.param(u16(1, RESPONSE, 1, 65535, 65535, 65535) + ASKED + RR * 9, id="counts are much too large"),
        pytest.param(u16(1, RESPONSE, 1, 0, 1, 0) + ASKED + RR[:9], id="record is cut off"),
        pytest.param(u16(1, RESPONSE, 1, 1, 0, 1) + ASKED + RR + RR[:-1], id="rdata is cut off"),
        pytest.param(message(ASKED, [opt()]), id="OPT in the answer"),
        pytest.param(message(ASKED, [], [opt()]), id="OPT in the authority"),
        pytest.param(message(ASKED, [], [], [opt(), opt()]), id="two OPT"),
        pytest.param(message(ASKED, [], [], [opt(owner=name("x"))]), id="OPT is not the root's"),
        pytest.param(message(ASKED, [record(pointer(12 + len(ASKED)), A, bytes(4))]), id="owner points at itself"),
        pytest.param(message(ASKED, [record(pointer(4000), A, bytes(4))]), id="owner points forwards"),
    ],
)
def test_what_is_no_response(wire: bytes) -> None:
    with pytest.raises(WireError):
        read_message_untrusted(wire)


def test_records_of_a_name_and_type_are_one_rrset() -> None:
    wire = message(
        ASKED,
        [
            record(OWNER, A, b"\0\0\0\1", 30),
            record(OWNER, TXT, b"\1x", 5),
            record(name("A.TEST"), A, b"\0\0\0\2", 20),
            record(OWNER, A, b"\0\0\0\1", 40),
            record(OWNER, A, b"\0\0\0\0", 50),
        ],
        [record(OWNER, A, b"\0\0\0\3", 7)],
    )
    found = read_message_untrusted(wire)
    assert found.answer == (
        rrset("a.test", A, b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\0", ttl=20),
        rrset("a.test", TXT, b"\1x", ttl=5),
    )
    assert found.authority == (rrset("a.test", A, b"\0\0\0\3", ttl=7),)


@pytest.mark.parametrize(
    ("ttl", "taken"),
    [(0, 0), (1, 1), (0x7FFFFFFF, 0x7FFFFFFF), (0x80000000, 0), (0x80000001, 0), (0xFFFFFFFF, 0)],
)
def test_ttl(ttl: int, taken: int) -> None:
    assert read_message_untrusted(message(ASKED, [record(OWNER, A, bytes(4), ttl)])).answer[0].ttl == taken


def test_other_classes_are_dropped_and_counted() -> None:
    wire = message(ASKED, [record(OWNER, A, bytes(4), rclass=3), RR], [], [record(name("k"), 250, b"", rclass=255)])
    found = read_message_untrusted(wire)
    assert found.answer == (rrset("a.test", A, b"\x0a\0\0\1"),)
    assert found.additional == ()
    assert found.foreign == 2


def test_octets_behind_the_end_are_ignored() -> None:
    wire = message(ASKED, [RR])
    assert read_message_untrusted(wire + b"\xc0\xff" * 50) == read_message_untrusted(wire)


def test_any_octet_may_be_in_a_label() -> None:
    odd = b"\5\x80. \0\\" + b"\0"
    assert read_message_untrusted(message(odd + u16(CNAME, 1), [record(OWNER, CNAME, odd)])).answer == (
        RRset(Name(odd), CNAME, 60, (odd,)),
    )


def full(records: list[bytes]) -> bytes:
    """A response of not quite 64 KiB, of as many of the records as go into it, over and over."""
    body: list[bytes] = []
    size = 12 + 259
    index = 0
    while size + len(records[index % len(records)]) <= 65535:
        body.append(records[index % len(records)])
        size += len(body[-1])
        index += 1
    return message(b"\1a" * 127 + b"\0" + u16(A, 1), body)


@pytest.mark.parametrize(
    "wire",
    [
        full([record(pointer(12), A, bytes(4))]),
        full([record(pointer(12 + 2 * label), A, u32(label)) for label in range(127)]),
        full([record(b"\1b" + pointer(14), NS, pointer(12))]),
        full([record(pointer(12), 17, pointer(12) + pointer(14))]),
        full([record(b"\1a" * 127 + b"\0", NS, b"\1b" * 127 + b"\0")]),
        full([record(b"\0", number, b"") for number in range(256, 8000)]),
    ],
    ids=["pointers to a long name", "into it", "one label more", "RP", "no compression", "types"],
)
def test_64_kib_are_read_in_linear_time(wire: bytes) -> None:
    assert len(wire) > 65000
    counted = CountedBytes(wire)
    read_message_untrusted(counted)
    assert counted.reads < 2 * len(wire)


def test_counts_that_cannot_be_met_cost_nothing() -> None:
    wire = CountedBytes(u16(1, RESPONSE, 1, 65535, 65535, 65535) + full([RR])[12:])
    with pytest.raises(WireError):
        read_message_untrusted(wire)
    assert wire.reads < 300


def test_build_query() -> None:
    asked = question("A.test")
    assert build_query(7, asked, rd=True, cd=False, do=False, udp_size=None) == u16(7, 0x0100, 1, 0, 0, 0) + asked
    assert build_query(7, asked, rd=False, cd=True, do=False, udp_size=1232) == (
        u16(7, 0x0010, 1, 0, 0, 1) + asked + opt()
    )
    assert build_query(7, asked, rd=True, cd=False, do=True, udp_size=512) == (
        u16(7, 0x0100, 1, 0, 0, 1) + asked + opt(size=512, ttl=0x8000)
    )


@pytest.mark.parametrize("length", [1, 50, 79, 80, 81, 200])
def test_a_padded_query_is_a_multiple_of_128_octets_long(length: int) -> None:
    """RFC 8467 section 4.1."""
    labels = [63] * (length // 64) + [length % 64 or 1]
    asked = b"".join(bytes((label,)) + b"a" * label for label in labels) + b"\0" + u16(A, 1)
    padded = build_query(7, asked, rd=True, cd=False, do=True, udp_size=1232, pad=True)
    assert len(padded) % 128 == 0
    assert len(padded) - len(build_query(7, asked, rd=True, cd=False, do=True, udp_size=1232)) in range(4, 132)
    read = dns.message.from_wire(padded)
    assert [int(option.otype) for option in read.options] == [12]
    assert (read.edns, read.payload, read.ednsflags) == (0, 1232, dns.flags.DO)
    assert build_query(7, asked, rd=True, cd=False, do=False, udp_size=None, pad=True)[12:] == asked


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (message(ASKED), True),
        (message(question("A.TEST")), True),
        (message(ASKED, flags=0x8000), True),
        (message(ASKED, [RR])[:-1], True),
        (message(ASKED, id=0x1235), False),
        (message(ASKED, flags=0x0180), False),
        (message(ASKED, flags=RESPONSE | 0x0800), False),
        (message(ASKED, qdcount=0), False),
        (message(ASKED, qdcount=2), False),
        (message(question("b.test")), False),
        (message(question("a.test.x")), False),
        (message(question("a.test", AAAA)), False),
        (message(question("a.test", A, 3)), False),
        (message(ASKED)[:-1], False),
        (message(ASKED)[:12], False),
        (b"", False),
    ],
)
def test_matches(wire: bytes, expected: bool) -> None:
    assert matches(wire, 0x1234, ASKED) is expected


def test_a_type_is_not_folded() -> None:
    assert matches(message(question("a.test", 65)), 0x1234, question("a.test", 65))
    assert not matches(message(question("a.test", 97)), 0x1234, question("a.test", 65))
    assert not matches(message(question("a.test", 1, 0x41)), 0x1234, question("a.test", 1, 0x61))


def test_opt_is_never_handed_on() -> None:
    found = read_message_untrusted(message(ASKED, [RR], [], [opt()]))
    assert OPT not in {records.rtype for records in (*found.answer, *found.authority, *found.additional)}
    assert found.has_opt
