"""The query gate: every packet of the corpus and every row of docs/gate.md, octet for octet."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from hsdnsd.wire.query import Query, Refusal, Refused, error_reply, read_query_untrusted
from tests.support.packets import (
    AAAA,
    A,
    ClientPacket,
    CountedBytes,
    client_packets,
    message,
    name,
    opt,
    pointer,
    query,
    question,
    record,
    u16,
)

STEPS = {
    "W1": Refused.SHORT,
    "W3": Refused.RESPONSE,
    "W4": Refused.OPCODE,
    "W5": Refused.OVERSIZE,
    "W6": Refused.QDCOUNT,
    "W7": Refused.QDCOUNT,
    "W8": Refused.QUESTION,
    "W9": Refused.QUESTION,
    "W10": Refused.SECTIONS,
    "W11": Refused.SECTIONS,
    "W12": Refused.OPT,
    "W15": Refused.VERSION,
    "W16": Refused.CLASS,
    "W17": Refused.QTYPE,
    "W18": Refused.TRANSFER,
    "W19": Refused.OBSOLETE,
}
RCODES = {"FORMERR": 1, "SERVFAIL": 2, "NOTIMP": 4, "REFUSED": 5, "BADVERS": 16}
CORPUS = client_packets()

ASKED = question("a.test")


def expected_reply(packet: ClientPacket, verdict: str) -> bytes | None:
    """The octets of a verdict, by the definition of `h:` and `q:` and nothing else."""
    if verdict in ("DROP", "CLOSE"):
        return None
    kind, _, rcode = verdict.partition(":")
    wire = packet.wire
    flags = wire[2] << 8 | wire[3]
    if kind == "HDR":
        opcode = flags & 0x7800
        rd = 0 if opcode else flags & 0x0100
        return wire[:2] + u16(0x8000 | opcode | rd | RCODES[rcode], 0, 0, 0, 0)
    assert kind == "Q"
    end = wire.index(0, 12) + 5
    # Only a query that was read to its end gets an OPT back; it never has options here, but for class and NXNAME.
    back = b""
    if RCODES[rcode] == 16:
        back = bytes.fromhex("000029 04d0 01 00 0000 0000")
    head = u16(0x8080 | flags & 0x0110 | RCODES[rcode] & 15, 1, 0, 0, 1 if back else 0)
    return wire[:2] + head + wire[12:end] + back


@pytest.mark.parametrize("packet", CORPUS, ids=lambda packet: packet.id)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_corpus(packet: ClientPacket, tcp: bool) -> None:
    truncated = not tcp and len(packet.wire) > 4096
    verdict = packet.tcp if tcp else packet.udp
    found = read_query_untrusted(packet.wire, truncated)
    step = "W23" if tcp and packet.step == "W5" else packet.step
    if step in ("W21", "W23"):
        assert isinstance(found, Query)
        assert found.question == packet.wire[12 : 12 + len(found.question)]
        assert found.rd is (step == "W23" and packet.wire[2] & 1 == 1)
    else:
        assert found == Refusal(STEPS[step], expected_reply(packet, verdict))


def test_corpus_reaches_every_step() -> None:
    assert {packet.step for packet in CORPUS} == {*STEPS, "W21", "W23"}


def test_no_refusal_is_longer_than_what_was_sent() -> None:
    for packet in CORPUS:
        found = read_query_untrusted(packet.wire)
        if isinstance(found, Refusal) and found.reply is not None:
            assert len(found.reply) <= len(packet.wire)


A_TEST = "0161 0474657374 00"


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("1234 0100 0000 0000 0000 0000", "1234 8101 0000 0000 0000 0000"),
        (f"1234 0100 0002 0000 0000 0000 {A_TEST} 0001 0001 {A_TEST} 0001 0001", "1234 8101 0000 0000 0000 0000"),
        (f"1234 7900 0001 0000 0000 0000 {A_TEST} 0001 0001", "1234 f804 0000 0000 0000 0000"),
        (f"1234 2100 0001 0000 0000 0000 {A_TEST} 0006 0001", "1234 a004 0000 0000 0000 0000"),
        ("1234 0100 0001 0000 0000 0000 c00c 0001 0001", "1234 8101 0000 0000 0000 0000"),
        (f"1234 8180 0001 0000 0000 0000 {A_TEST} 0001 0001", None),
        (
            f"1234 0100 0001 0000 0000 0001 {A_TEST} 0001 0001 00 0029 04d0 00 01 0000 0000",
            f"1234 8180 0001 0000 0000 0001 {A_TEST} 0001 0001 00 0029 04d0 01 00 0000 0000",
        ),
        (f"1234 0100 0001 0000 0000 0000 {A_TEST} 0001 0003", f"1234 8185 0001 0000 0000 0000 {A_TEST} 0001 0003"),
        ("47455420 2f20485454502f312e310d0a", "4745 d004 0000 0000 0000 0000"),
        # The upper bits of the version word are an RCODE and do not matter; CD and DO go back.
        (
            f"1234 0110 0001 0000 0000 0001 {A_TEST} 0001 0001 00 0029 1000 ff 02 8000 0000",
            f"1234 8190 0001 0000 0000 0001 {A_TEST} 0001 0001 00 0029 04d0 01 00 8000 0000",
        ),
        # EDE 21 for the class, 30 for NXNAME, and no other, and only into an OPT.
        (
            f"1234 0000 0001 0000 0000 0001 {A_TEST} 0001 00ff 00 0029 0000 00 00 0000 0000",
            f"1234 8085 0001 0000 0000 0001 {A_TEST} 0001 00ff 00 0029 04d0 00 00 0000 0006 000f 0002 0015",
        ),
        (
            f"1234 0100 0001 0000 0000 0001 {A_TEST} 0080 0001 00 0029 04d0 00 00 8000 0000",
            f"1234 8181 0001 0000 0000 0001 {A_TEST} 0080 0001 00 0029 04d0 00 00 8000 0006 000f 0002 001e",
        ),
        (
            f"1234 0100 0001 0000 0000 0001 {A_TEST} 00fa 0001 00 0029 04d0 00 00 0000 0000",
            f"1234 8181 0001 0000 0000 0001 {A_TEST} 00fa 0001 00 0029 04d0 00 00 0000 0000",
        ),
        (
            f"1234 0100 0001 0000 0000 0001 {A_TEST} 00fc 0001 00 0029 04d0 00 00 0000 0000",
            f"1234 8185 0001 0000 0000 0001 {A_TEST} 00fc 0001 00 0029 04d0 00 00 0000 0000",
        ),
        (f"1234 0100 0001 0000 0000 0000 {A_TEST} 00fd 0001", f"1234 8184 0001 0000 0000 0000 {A_TEST} 00fd 0001"),
        # Flags that do not belong into a query are not given back, nor is an RCODE.
        (f"1234 07ff 0001 0000 0000 0000 {A_TEST} 00fe 0001", f"1234 8194 0001 0000 0000 0000 {A_TEST} 00fe 0001"),
    ],
)
def test_example_octets(sent: str, back: str | None) -> None:
    found = read_query_untrusted(bytes.fromhex(sent))
    assert isinstance(found, Refusal)
    assert found.reply == (None if back is None else bytes.fromhex(back))


def test_plain_query() -> None:
    assert read_query_untrusted(query(question("A.teST", AAAA), flags=0x0130)) == Query(
        id=0x1234,
        question=question("A.teST", AAAA),
        name=name("a.test"),  # type: ignore[arg-type]
        qtype=AAAA,
        rd=True,
        cd=True,
        ad=True,
        has_opt=False,
        do=False,
        udp_size=512,
        keepalive=False,
        trailing=False,
    )


@pytest.mark.parametrize(
    ("size", "taken"), [(0, 512), (511, 512), (512, 512), (513, 513), (1232, 1232), (1233, 1232), (65535, 1232)]
)
def test_udp_size_is_kept_between_512_and_1232(size: int, taken: int) -> None:
    found = read_query_untrusted(query(ASKED, [opt(size=size)]))
    assert isinstance(found, Query)
    assert found.has_opt
    assert found.udp_size == taken


@pytest.mark.parametrize("ttl", [0x00008000, 0xFF00FFFF, 0x0000C001])
def test_do_is_read_and_the_flags_beside_it_are_not(ttl: int) -> None:
    found = read_query_untrusted(query(ASKED, [opt(ttl=ttl)]))
    assert isinstance(found, Query)
    assert found.do


@pytest.mark.parametrize("ttl", [0, 0x7FFF, 0xFF000000])
def test_do_is_not_set_by_other_bits(ttl: int) -> None:
    found = read_query_untrusted(query(ASKED, [opt(ttl=ttl)]))
    assert isinstance(found, Query)
    assert not found.do


def refused(found: Query | Refusal) -> tuple[Refused, bytes | None]:
    assert isinstance(found, Refusal)
    return found.why, found.reply


Q_FORMERR = u16(0x1234, 0x8181, 1, 0, 0, 0) + ASKED
KEEPALIVE = u16(11, 0)
TSIG = record(name("key"), 250, bytes(16), 0, 255)


@pytest.mark.parametrize(
    ("additional", "why"),
    [
        pytest.param([opt(), opt()], Refused.OPT, id="two OPT"),
        pytest.param([opt(owner=name("x"))], Refused.OPT, id="owner is not the root"),
        pytest.param([opt(owner=pointer(12 + 7))], Refused.OPT, id="owner is a pointer to a root"),
        pytest.param([opt(u16(100))], Refused.OPT, id="option header is cut off"),
        pytest.param([opt(u16(100, 1))], Refused.OPT, id="option reaches past the OPT"),
        pytest.param([opt(u16(100, 0) * 65)], Refused.OPT, id="65 options"),
        pytest.param([opt(u16(11, 2, 100))], Refused.OPT, id="keepalive with a time"),
        pytest.param([opt(u16(100, 0, 11, 2, 100) + KEEPALIVE)], Refused.OPT, id="the first keepalive counts"),
        pytest.param([TSIG, opt()], Refused.SECTIONS, id="TSIG is not the last"),
        pytest.param([record(name("x"), A, b"")] * 3, Refused.SECTIONS, id="three records"),
        pytest.param([opt()[:-1]], Refused.SECTIONS, id="record is cut off"),
        pytest.param([record(name("x"), A, bytes(4))[:-1]], Refused.SECTIONS, id="rdata is cut off"),
        pytest.param([record(pointer(12 + len(ASKED)), A, b"")], Refused.SECTIONS, id="owner points at itself"),
        pytest.param([record(pointer(4000), A, b"")], Refused.SECTIONS, id="owner points forwards"),
        pytest.param([record(pointer(4), A, b"")], Refused.SECTIONS, id="owner points into the header"),
        pytest.param([b"\xc0"], Refused.SECTIONS, id="pointer is cut off"),
        pytest.param([record(b"\x40", A, b"")], Refused.SECTIONS, id="label of type 01"),
        pytest.param([record(b"\1a" * 127 + b"\1a\0", A, b"")], Refused.SECTIONS, id="owner of 257 octets"),
        pytest.param([opt(u16(100, 1)), record(b"", A, b"")[:-1]], Refused.SECTIONS, id="sections before OPT"),
    ],
)
def test_wrong_sections_and_opts(additional: list[bytes], why: Refused) -> None:
    assert refused(read_query_untrusted(query(ASKED, additional))) == (why, Q_FORMERR)


@pytest.mark.parametrize(
    "additional",
    [
        pytest.param([opt(u16(100, 0) * 64)], id="64 options"),
        pytest.param([TSIG], id="TSIG"),
        pytest.param([opt(), TSIG], id="OPT, TSIG"),
        pytest.param([record(pointer(12), A, bytes(4)), opt()], id="A, OPT"),
        pytest.param([record(name("x")[:-1] + pointer(14), A, bytes(4))], id="owner ends in a pointer"),
        pytest.param([record(b"\1a" * 127 + b"\0", A, b"")], id="owner of 255 octets"),
        pytest.param([record(name("x" * 63), A, b"")], id="owner with the longest label"),
    ],
)
def test_right_sections_and_opts(additional: list[bytes]) -> None:
    found = read_query_untrusted(query(ASKED, additional))
    assert isinstance(found, Query)
    assert not found.trailing
    assert found.has_opt is any(octets[1:3] == u16(41) for octets in additional)


def test_an_owner_may_point_far_back() -> None:
    asked = b"\1a" * 127 + b"\0" + u16(A, 1)
    assert isinstance(read_query_untrusted(query(asked, [record(pointer(264), A, b"")])), Query)
    assert isinstance(read_query_untrusted(query(asked, [record(pointer(271), A, b"")])), Refusal)


def test_authority_is_as_wrong_as_answer() -> None:
    rr = record(pointer(12), A, bytes(4))
    assert refused(read_query_untrusted(message(ASKED, authority=[rr], flags=0x0100))) == (Refused.SECTIONS, Q_FORMERR)
    # Nothing behind the question is read any more, so no OPT goes back.
    assert refused(read_query_untrusted(message(ASKED, [rr], additional=[opt()], flags=0x0100)))[1] == Q_FORMERR


@pytest.mark.parametrize(("options", "asked"), [(KEEPALIVE, True), (KEEPALIVE + u16(11, 1) + b"x", True), (b"", False)])
def test_keepalive(options: bytes, asked: bool) -> None:
    found = read_query_untrusted(query(ASKED, [opt(options)]))
    assert isinstance(found, Query)
    assert found.keepalive is asked


def test_trailing_octets_are_told_and_left_alone() -> None:
    found = read_query_untrusted(query(ASKED, [opt()]) + b"?")
    assert isinstance(found, Query)
    assert found.trailing
    assert found.question == ASKED


def test_first_fault_wins() -> None:
    chaos = query(question("a.test", 252, 3), [opt(ttl=0x10000)])
    assert refused(read_query_untrusted(chaos))[0] is Refused.VERSION
    assert refused(read_query_untrusted(query(question("a.test", 252, 3))))[0] is Refused.CLASS
    assert refused(read_query_untrusted(query(ASKED), truncated=True))[0] is Refused.OVERSIZE
    assert refused(read_query_untrusted(message(b"\xc0", qdcount=2, flags=0), truncated=True))[0] is Refused.OVERSIZE
    assert refused(read_query_untrusted(message(b"\xc0", qdcount=2, flags=0x0800), truncated=True))[0] is Refused.OPCODE


def ask(*additional: bytes, flags: int = 0x0100) -> Query:
    found = read_query_untrusted(query(ASKED, list(additional), flags=flags))
    assert isinstance(found, Query)
    return found


@pytest.mark.parametrize(
    ("asked", "rcode", "ede", "expected"),
    [
        (ask(), 2, None, u16(0x1234, 0x8182, 1, 0, 0, 0) + ASKED),
        (ask(), 2, 22, u16(0x1234, 0x8182, 1, 0, 0, 0) + ASKED),
        (ask(flags=0x0010), 5, None, u16(0x1234, 0x8095, 1, 0, 0, 0) + ASKED),
        (ask(opt()), 2, None, u16(0x1234, 0x8182, 1, 0, 0, 1) + ASKED + opt()),
        (ask(opt()), 2, 22, u16(0x1234, 0x8182, 1, 0, 0, 1) + ASKED + opt(u16(15, 2, 22))),
        (ask(opt(ttl=0x8000)), 16, None, u16(0x1234, 0x8180, 1, 0, 0, 1) + ASKED + opt(ttl=0x01008000)),
    ],
)
def test_error_reply(asked: Query, rcode: int, ede: int | None, expected: bytes) -> None:
    assert error_reply(asked, rcode, ede) == expected


@pytest.mark.parametrize(
    "wire",
    [
        query(b"\1a" * 30000),
        query(b"\0" + u16(1, 1), [opt(u16(100, 0) * 15000)]),
        query(b"\0" + u16(1, 1), [record(b"\1a" * 30000, A, b"")]),
        query(b"\1a" * 127 + b"\0" + u16(1, 1), [opt(u16(100, 0) * 64)]),
    ],
)
def test_work_is_bounded_whatever_is_sent(wire: bytes) -> None:
    counted = CountedBytes(wire)
    read_query_untrusted(counted)
    assert counted.reads <= 400


GATE_DOCUMENT = (Path(__file__).parents[2] / "docs" / "gate.md").read_text()


def octets(line: str) -> bytes:
    """The hexadecimal words behind the first word of a line, up to the first that is none."""
    return bytes.fromhex("".join(itertools.takewhile(re.compile(r"[0-9a-f]+").fullmatch, line.split()[1:])))


def test_the_document_shows_what_happens() -> None:
    lines = re.findall(r"^(?:in|out) .*$", GATE_DOCUMENT, re.MULTILINE)
    assert len(lines) == 12
    for sent, back in zip(lines[::2], lines[1::2], strict=True):
        assert refused(read_query_untrusted(octets(sent)))[1] == octets(back)


def test_the_document_has_every_label_at_its_step() -> None:
    rows = re.findall(r"^\| (W\d+) \|.*\| `(\w+)` \|[^|]*\|$", GATE_DOCUMENT, re.MULTILINE)
    assert {step: why.value for step, why in STEPS.items()} == dict(rows)
