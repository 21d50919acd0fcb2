"""What is built, rendered and read again is what was put in."""

from __future__ import annotations

from array import array

import dns.message
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.wire.answer import Answer, build_answer, render, rrsets
from hsdnsd.wire.message import read_message_untrusted
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query, read_query_untrusted
from hsdnsd.wire.rrset import RRset
from tests.support.packets import A, opt, query, u16
from tests.support.wire_strategies import names, sections

OPTIONS = st.sampled_from([None, opt(), opt(ttl=0x8000), opt(u16(11, 0)), opt(size=700)])


def ask(name: bytes, edns: bytes | None, flags: int = 0x0100) -> Query:
    found = read_query_untrusted(query(name + u16(A, 1), [] if edns is None else [edns], flags=flags))
    assert isinstance(found, Query)
    return found


@st.composite
def answers(draw: st.DrawFn) -> tuple[Name, list[list[RRset]], Answer]:
    """A question's name, three sections, and the answer that is made of them."""
    name = draw(names())
    parts = [draw(sections()) for _ in range(3)]
    built = build_answer(
        name,
        draw(st.integers(0, 15)),
        *parts,
        aa=draw(st.booleans()),
        fixed=draw(st.booleans()),
        ede=draw(st.one_of(st.none(), st.integers(0, 65535))),
    )
    return name, parts, built


def folded(section: object, age: int = 0) -> list[tuple[bytes, int, int, list[bytes]]]:
    """RRsets but for the case of letters, which compression may change in names: names of rdata included."""
    return [
        (rrset.name.lower(), rrset.rtype, max(rrset.ttl - age, 0), [rdata.lower() for rdata in rrset.rdatas])
        for rrset in section  # type: ignore[attr-defined]
    ]


@given(answers(), OPTIONS)
def test_reading_undoes_building(made: tuple[Name, list[list[RRset]], Answer], edns: bytes | None) -> None:
    name, parts, built = made
    read = read_message_untrusted(render(built, ask(name, edns), 65535))
    assert [folded(section) for section in (read.answer, read.authority, read.additional)] == [
        folded(part) for part in parts
    ]
    assert read.flags & 0xF == built.rcode
    assert bool(read.flags & 0x0400) is built.aa
    assert read.has_opt is (edns is not None)


@given(answers())
def test_a_second_reader_sees_the_same_counts(made: tuple[Name, list[list[RRset]], Answer]) -> None:
    name, _, built = made
    wire = render(built, ask(name, opt()), 65535)
    read = dns.message.from_wire(wire, one_rr_per_rrset=True)
    assert (len(read.answer), len(read.authority), len(read.additional)) == (built.an, built.ns, built.ar)
    assert read.edns == 0
    assert read.payload == 1232


@given(answers(), OPTIONS, st.integers(512, 1400), st.integers(0, 100), st.integers(0, 100))
def test_no_reply_is_over_its_limit(
    made: tuple[Name, list[list[RRset]], Answer], edns: bytes | None, limit: int, age: int, turn: int
) -> None:
    name, _, built = made
    asked = ask(name, edns)
    wire = render(built, asked, limit, age, turn)
    assert len(wire) <= limit
    assert wire[12 : 12 + len(asked.question)] == asked.question
    read = read_message_untrusted(wire)
    assert read.has_opt is (edns is not None)
    if read.flags & 0x0200:
        assert not read.answer + read.authority + read.additional
        assert len(render(built, ask(name, None), 65535)) + (0 if edns is None else 11) > limit
    else:
        assert wire[6:10] == u16(built.an, built.ns)


@given(answers(), st.integers(0, 1 << 33))
def test_age(made: tuple[Name, list[list[RRset]], Answer], age: int) -> None:
    name, parts, built = made
    asked = ask(name, None)
    read = read_message_untrusted(render(built, asked, 65535, age))
    assert [folded(section) for section in (read.answer, read.authority, read.additional)] == [
        folded(part, 0 if built.fixed else age) for part in parts
    ]
    assert built.ttl == min((rrset.ttl for part in parts for rrset in part), default=0)
    assert len(array("H", built.ttls)) == built.an + built.ns + built.ar
    answer, authority = rrsets(built, name, age)
    assert (answer, authority) == (read.answer, read.authority)


@given(answers(), st.integers(0, 1000))
def test_turning_keeps_what_is_there(made: tuple[Name, list[list[RRset]], Answer], turn: int) -> None:
    name, _, built = made
    asked = ask(name, None)
    plain = read_message_untrusted(render(built, asked, 65535))
    turned = read_message_untrusted(render(built, asked, 65535, 0, turn))
    assert (turned.authority, turned.additional) == (plain.authority, plain.additional)
    for one, other in zip(plain.answer, turned.answer, strict=True):
        assert (one.name.lower(), one.rtype, one.ttl) == (other.name.lower(), other.rtype, other.ttl)
        assert sorted(one.rdatas) == sorted(other.rdatas)


@given(names(), st.lists(st.binary(min_size=4, max_size=4), min_size=2, max_size=40, unique=True))
def test_every_record_comes_first_once_a_round(name: Name, addresses: list[bytes]) -> None:
    built = build_answer(name, 0, [RRset(name, A, 5, tuple(addresses))])
    asked = ask(name, None)
    rounds = [
        read_message_untrusted(render(built, asked, 65535, 0, turn)).answer[0].rdatas for turn in range(len(addresses))
    ]
    assert [each[0] for each in rounds] == addresses


@given(answers(), st.integers(0, 0xFFFF))
def test_case_of_the_question_is_the_askers(made: tuple[Name, list[list[RRset]], Answer], mask: int) -> None:
    """One answer serves every spelling: owners that are the question show it as it was asked."""
    name, _, built = made
    letters = bytes(octet ^ 0x20 if chr(octet).isalpha() and octet < 128 and mask >> at % 16 & 1 else octet
                    for at, octet in enumerate(name))  # fmt: skip
    # Length octets stay: none of them is a letter.
    asked = ask(letters, None)
    read = read_message_untrusted(render(built, asked, 65535))
    for rrset in read.answer:
        if rrset.name.lower() == name.lower() and len(name) > 1:
            assert rrset.name == letters
