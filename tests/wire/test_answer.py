from __future__ import annotations

from array import array

import pytest

from hsdnsd.errors import WireError
from hsdnsd.wire.answer import Answer, build_answer, render, rrsets, without_additional
from hsdnsd.wire.const import TC, RRType
from hsdnsd.wire.message import read_message_untrusted
from hsdnsd.wire.name import Name, from_text
from hsdnsd.wire.query import Query, read_query_untrusted
from hsdnsd.wire.rrset import RRset, soa_rdata, srv_rdata
from tests.support.packets import CNAME, MX, NS, SOA, SRV, TXT, A, opt, pointer, query, question, record, u16, u32

WEB = from_text("web.db.svc")
ADDRESSES = tuple(bytes([10, 0, 0, last]) for last in range(1, 5))
OWNER = pointer(12)
HUGE = 65535


def rrset(owner: str, rtype: int, *rdatas: bytes, ttl: int = 30) -> RRset:
    return RRset(from_text(owner), rtype, ttl, rdatas)


def ask(text: str = "web.db.svc", qtype: int = A, *additional: bytes, flags: int = 0x0100) -> Query:
    found = read_query_untrusted(query(question(text, qtype), list(additional), flags=flags))
    assert isinstance(found, Query)
    return found


PODS = build_answer(WEB, 0, [rrset("web.db.svc", A, *ADDRESSES)], aa=True)


def test_addresses() -> None:
    body = b"".join(record(OWNER, A, address, 30) for address in ADDRESSES)
    built = PODS
    assert built == Answer(
        rcode=0,
        aa=True,
        an=4,
        ns=0,
        ar=0,
        body=body,
        ttls=array("H", [6, 22, 38, 54]).tobytes(),
        ttl=30,
        rotate_at=0,
        rotate_count=4,
        rotate_size=16,
    )
    assert render(PODS, ask(), 512) == u16(0x1234, 0x8580, 1, 4, 0, 0) + question("web.db.svc") + body


def test_the_asker_sees_his_own_spelling() -> None:
    asked = ask("WEB.db.SVC")
    wire = render(PODS, asked, 512)
    assert wire[12 : 12 + len(asked.question)] == asked.question
    assert read_message_untrusted(wire).answer[0].name == b"\3WEB\2db\3SVC\0"


@pytest.mark.parametrize(
    ("flags", "aa", "rcode", "expected"),
    [
        (0x0000, False, 0, 0x8080),
        (0x0100, False, 3, 0x8183),
        (0x0110, True, 0, 0x8590),
        # AA, TC, RA, Z, AD and an RCODE of the query mean nothing.
        (0x06EF, False, 0, 0x8080),
    ],
)
def test_flags(flags: int, aa: bool, rcode: int, expected: int) -> None:
    assert render(build_answer(WEB, rcode, aa=aa), ask(flags=flags), 512)[2:4] == u16(expected)


def test_every_section_and_what_is_compressed() -> None:
    answer = build_answer(
        from_text("_http._tcp.web.svc"),
        0,
        [
            rrset("_HTTP._tcp.web.svc", SRV, srv_rdata(0, 1, 80, from_text("a.web.svc")), ttl=9),
            rrset("_http._tcp.web.svc", MX, u16(5) + from_text("mail.svc"), ttl=7),
        ],
        [rrset("svc", SOA, soa_rdata(from_text("ns.svc"), from_text("root.svc"), 1, 2, 3, 4, 5), ttl=8)],
        [rrset("a.web.svc", A, ADDRESSES[0], ADDRESSES[1])],
    )
    # The question: _http at 12, _tcp at 18, web at 23, svc at 27.
    srv = record(pointer(12), SRV, u16(0, 1, 80) + from_text("a.web.svc"), 9)
    mail = record(pointer(12), MX, u16(5) + b"\4mail" + pointer(27), 7)
    soa = record(pointer(27), SOA, b"\2ns" + pointer(27) + b"\4root" + pointer(27) + u32(1, 2, 3, 4, 5), 8)
    at = 36 + len(srv + mail + soa)
    first = record(b"\1a" + pointer(23), A, ADDRESSES[0], 30)
    second = record(pointer(at), A, ADDRESSES[1], 30)
    assert answer.body == srv + mail + soa + first + second
    assert (answer.an, answer.ns, answer.ar, answer.ttl, answer.rotate_count) == (2, 1, 2, 7, 0)
    ttls = [answer.body[offset : offset + 4] for offset in array("H", answer.ttls)]
    assert ttls == [u32(ttl) for ttl in (9, 7, 8, 30, 30)]


def test_addresses_behind_a_cname_rotate() -> None:
    answer = build_answer(
        from_text("x.svc"), 0, [rrset("x.svc", CNAME, from_text("web.svc")), rrset("web.svc", A, *ADDRESSES)]
    )
    cname = record(OWNER, CNAME, b"\3web" + pointer(14), 30)
    assert answer.body.startswith(cname)
    assert (answer.rotate_at, answer.rotate_count, answer.rotate_size) == (len(cname), 4, 16)
    turned = read_message_untrusted(render(answer, ask("x.svc"), 512, turn=1)).answer
    assert turned[0].rdatas == (from_text("web.svc"),)
    assert turned[1].rdatas == ADDRESSES[1:] + ADDRESSES[:1]


@pytest.mark.parametrize(
    ("answer", "additional"),
    [
        pytest.param([rrset("web.db.svc", A, ADDRESSES[0])], [], id="one address"),
        pytest.param([rrset("web.db.svc", TXT, b"\1a", b"\1b")], [], id="no addresses"),
        pytest.param([], [rrset("web.db.svc", A, *ADDRESSES)], id="not in the answer section"),
        pytest.param([rrset("y.svc", A, *ADDRESSES)], [], id="the first spells out its owner"),
    ],
)
def test_what_does_not_rotate(answer: list[RRset], additional: list[RRset]) -> None:
    built = build_answer(WEB, 0, answer, (), additional)
    assert built.rotate_count == 0
    assert render(built, ask(), 512, turn=1) == render(built, ask(), 512)


def test_only_the_first_addresses_rotate() -> None:
    built = build_answer(
        WEB, 0, [rrset("web.db.svc", A, *ADDRESSES[:2]), rrset("web.db.svc", 28, bytes(16), b"1" * 16)]
    )
    assert (built.rotate_at, built.rotate_count, built.rotate_size) == (0, 2, 16)


@pytest.mark.parametrize("turn", range(10))
def test_turn(turn: int) -> None:
    found = read_message_untrusted(render(PODS, ask(), 512, turn=turn)).answer[0].rdatas
    assert found == ADDRESSES[turn % 4 :] + ADDRESSES[: turn % 4]


def test_age() -> None:
    answer = build_answer(WEB, 0, [rrset("web.db.svc", A, *ADDRESSES[:2], ttl=30)], [rrset("svc", NS, WEB, ttl=5)])
    for age, first, second in ((0, 30, 5), (1, 29, 4), (5, 25, 0), (6, 24, 0), (31, 0, 0), (1 << 40, 0, 0)):
        found = read_message_untrusted(render(answer, ask(), 512, age))
        assert (found.answer[0].ttl, found.authority[0].ttl) == (first, second)


def test_fixed_ttls_do_not_age() -> None:
    answer = build_answer(WEB, 0, [rrset("web.db.svc", A, *ADDRESSES)], fixed=True)
    assert render(answer, ask(), 512, age=10) == render(answer, ask(), 512)


def test_age_and_turn_do_not_disturb_each_other() -> None:
    found = read_message_untrusted(render(PODS, ask(), 512, age=7, turn=3)).answer[0]
    assert found == RRset(WEB, A, 23, ADDRESSES[3:] + ADDRESSES[:3])


@pytest.mark.parametrize(
    ("asked", "ede", "limit", "back"),
    [
        pytest.param(ask(), None, 512, b"", id="no OPT"),
        pytest.param(ask(), 3, 512, b"", id="no OPT, so no EDE"),
        pytest.param(ask("web.db.svc", A, opt()), None, 1232, opt(), id="OPT"),
        pytest.param(ask("web.db.svc", A, opt(ttl=0x8000)), None, 1232, opt(ttl=0x8000), id="DO"),
        pytest.param(ask("web.db.svc", A, opt()), 3, 1232, opt(u16(15, 2, 3)), id="EDE"),
        pytest.param(ask("web.db.svc", A, opt(ttl=0x8000)), 0, 1232, opt(u16(15, 2, 0), ttl=0x8000), id="EDE 0"),
        pytest.param(ask("web.db.svc", A, opt(u16(10, 0, 3, 0))), None, HUGE, opt(), id="nothing is echoed"),
        pytest.param(ask("web.db.svc", A, opt(u16(11, 0))), None, HUGE, opt(u16(11, 2, 100)), id="keepalive"),
        pytest.param(ask("web.db.svc", A, opt(u16(11, 0))), None, 1232, opt(), id="keepalive over UDP"),
        pytest.param(
            ask("web.db.svc", A, opt(u16(11, 0))), 3, HUGE, opt(u16(15, 2, 3, 11, 2, 100)), id="EDE and keepalive"
        ),
    ],
)
def test_opt(asked: Query, ede: int | None, limit: int, back: bytes) -> None:
    wire = render(build_answer(WEB, 0, [rrset("web.db.svc", A, ADDRESSES[0])], ede=ede), asked, limit)
    assert wire == (
        u16(0x1234, 0x8180, 1, 1, 0, 1 if back else 0) + asked.question + record(OWNER, A, ADDRESSES[0], 30) + back
    )


def test_what_is_too_long_is_truncated() -> None:
    answer = build_answer(WEB, 3, [rrset("web.db.svc", A, *ADDRESSES)], aa=True)
    full = len(render(answer, ask(), HUGE))
    assert len(render(answer, ask(), full)) == full
    assert render(answer, ask(), full - 1) == u16(0x1234, 0x8783, 1, 0, 0, 0) + question("web.db.svc")
    asked = ask("web.db.svc", A, opt(ttl=0x8000), flags=0x0110)
    assert len(render(answer, asked, full + 11)) == full + 11
    assert render(answer, asked, full + 10) == (
        u16(0x1234, 0x8793, 1, 0, 0, 1) + question("web.db.svc") + opt(ttl=0x8000)
    )


def test_an_ede_that_does_not_fit_goes_first() -> None:
    answer = build_answer(WEB, 0, [rrset("web.db.svc", A, *ADDRESSES)], ede=3)
    asked = ask("web.db.svc", A, opt())
    with_ede = render(answer, asked, HUGE)
    assert with_ede.endswith(opt(u16(15, 2, 3)))
    assert render(answer, asked, len(with_ede)) == with_ede
    for less in range(1, 7):
        assert render(answer, asked, len(with_ede) - less) == with_ede[:-17] + opt()
    assert render(answer, asked, len(with_ede) - 7)[2:4] == u16(0x8380)


def test_the_largest_answer() -> None:
    def addresses(count: int) -> RRset:
        return rrset("web.db.svc", A, *(u32(number) for number in range(count)))

    room = 65535 - 12 - len(question("web.db.svc")) - len(opt(u16(15, 2, 0, 11, 2, 100)))
    answer = build_answer(WEB, 0, [addresses(room // 16)], ede=3)
    asked = ask("web.db.svc", A, opt(u16(11, 0)))
    wire = render(answer, asked, HUGE, 3, 1000)
    assert read_message_untrusted(wire).answer[0].ttl == 27
    assert len(read_message_untrusted(wire).answer[0].rdatas) == room // 16
    with pytest.raises(WireError):
        build_answer(WEB, 0, [addresses(room // 16 + 1)])
    exact = bytes(room - len(record(OWNER, TXT, b"")))
    largest = build_answer(WEB, 0, [rrset("web.db.svc", TXT, exact)], ede=3)
    assert len(render(largest, asked, HUGE)) == HUGE
    for more in (1, 65536):
        with pytest.raises(WireError):
            build_answer(WEB, 0, [rrset("web.db.svc", TXT, exact + bytes(more))])


def test_no_records_have_no_ttl() -> None:
    assert build_answer(WEB, 0).ttl == 0


def test_rrsets() -> None:
    answer = (rrset("web.db.svc", CNAME, from_text("b.svc"), ttl=9), rrset("b.svc", A, *ADDRESSES, ttl=5))
    authority = (rrset("svc", SOA, soa_rdata(from_text("ns.svc"), from_text("h.svc"), 1, 2, 3, 4, 5), ttl=8),)
    built = build_answer(WEB, 0, answer, authority, [rrset("x", A, ADDRESSES[0])])
    assert rrsets(built, WEB) == (answer, authority)
    aged, _ = rrsets(built, WEB, 6)
    assert [each.ttl for each in aged] == [3, 0]


def test_rrsets_of_a_fixed_answer_do_not_age() -> None:
    built = build_answer(WEB, 0, [rrset("web.db.svc", A, *ADDRESSES)], fixed=True)
    assert rrsets(built, WEB, 10)[0] == (rrset("web.db.svc", A, *ADDRESSES),)


def test_names_that_others_compress_with_and_we_do_not() -> None:
    """SRV, DNAME and the like are written out (RFC 3597 section 4), and nobody points into them."""
    target = from_text("far.example")
    built = build_answer(WEB, 0, [rrset("web.db.svc", 39, target), rrset("far.example", A, ADDRESSES[0])])
    assert built.body == record(OWNER, 39, target, 30) + record(Name(target), A, ADDRESSES[0], 30)


def test_the_additional_section_is_left_out_before_anything_is_truncated() -> None:
    """RFC 2181 section 9: TC says that something required is missing."""
    name = from_text("s.example")
    answer = [RRset(name, RRType.SRV, 5, tuple(srv_rdata(0, 1, port, from_text("t.example")) for port in range(20)))]
    additional = [RRset(from_text("t.example"), RRType.A, 7, (b"\1\2\3\4",))]
    made = build_answer(name, 0, answer, (), additional)
    asker = Query(1, name + b"\0\x21\0\1", name, RRType.SRV, True, False, False, True, False, 1232)
    whole = render(made, asker, 1232, 3)
    short = render(made, asker, len(whole) - 1, 3)
    assert short == render(without_additional(made), asker, 1232, 3)
    message = read_message_untrusted(short)
    assert (message.flags & TC, message.additional) == (0, ())
    assert [rrset.ttl for rrset in message.answer] == [2]
    assert read_message_untrusted(render(made, asker, len(short) - 1, 3)).flags & TC
