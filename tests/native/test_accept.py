"""Replies of upstreams as the packet path reads them; what it takes is compared with the engine in
tests/properties/test_native_accept.py."""

from __future__ import annotations

import itertools

import pytest

from hsdnsd.cache.policy import TtlLimits
from hsdnsd.native import NameSet
from hsdnsd.wire.name import ROOT, Name
from tests.support.packets import CNAME, RESPONSE, SOA, A, message, name, pointer, question, record, u16, u32
from tests.support.plain import by_engine, by_thread

NAME = "www.example.com"
FOLDED = Name(name(NAME))
QNAME = pointer(12)


def taken(
    wire: bytes, qtype: int = A, limits: TtlLimits | None = None, folded: Name = FOLDED
) -> tuple[object, int] | None:
    limits = limits or TtlLimits()
    found = by_thread(wire, 0x1234, folded, qtype, NameSet(), limits)
    assert found is None or found == by_engine(wire, 0x1234, folded, qtype, NameSet(), limits)
    return found


@pytest.mark.parametrize(("ttl", "kept"), [(0, 10), (9, 10), (50, 50), (101, 100), (0x80000000, 10), (0x7FFFFFFF, 100)])
def test_ttls_are_kept_between_their_bounds(ttl: int, kept: int) -> None:
    found = taken(message(question(NAME), [record(QNAME, A, bytes(4), ttl)]), limits=TtlLimits(10, 100, 0, 30))
    assert found is not None
    assert found[1] == kept


@pytest.mark.parametrize(
    ("ttl", "minimum", "kept"),
    [(60, 20, 20), (20, 60, 20), (600, 600, 30), (2, 2, 5), (0xFFFFFFFF, 60, 5), (60, 1 << 31, 5)],
)
def test_a_denial_is_kept_for_the_lesser_of_two(ttl: int, minimum: int, kept: int) -> None:
    soa = record(name("example.com"), SOA, b"\0\0" + u32(1, 2, 3, 4, minimum), ttl)
    found = taken(message(question(NAME), [], [soa], flags=RESPONSE | 3), limits=TtlLimits(0, 100, 5, 30))
    assert found is not None
    assert found[1] == kept


def test_every_octet_of_a_reply_is_looked_at_before_it_is_read() -> None:
    """Cut anywhere, a reply is not plain; the sanitizers see what is read behind its end."""
    links = [record(QNAME, CNAME, name("a.example.com")), record(name("a.example.com"), A, bytes(4))]
    whole = message(question(NAME), links, [record(name("com"), SOA, b"\0\0" + bytes(20))])
    assert taken(whole) is not None
    for size in range(len(whole)):
        assert taken(whole[:size]) is None
    assert taken(whole + b"more") is not None


def test_names_are_compressed_as_the_engine_does() -> None:
    """Chains of pointers end after eight, and a name is spelled out."""
    hosts = [NAME, *(f"{'x.' * number}www.example.com" for number in range(1, 9))]
    links = [record(name(here), CNAME, name(there)) for here, there in itertools.pairwise(hosts)]
    assert taken(message(question(NAME), [*links, record(name(hosts[-1]), A, bytes(4))])) is not None


def test_a_question_for_the_root() -> None:
    wire = message(b"\0" + u16(A, 1), [record(b"\0", A, bytes((n,) * 4)) for n in range(3)])
    assert taken(wire, folded=ROOT) is not None


@pytest.mark.parametrize("target", [12 + 4, 0, 11, 0x3FFF])
def test_pointers_lead_backwards_into_the_message(target: int) -> None:
    """To the second label of the question, into the header, and out of the message."""
    wire = message(question(NAME), [record(QNAME, CNAME, pointer(target)), record(pointer(target), A, bytes(4))])
    assert (taken(wire) is not None) == (target == 16)


def test_a_pointer_to_itself_or_ahead_is_not_followed() -> None:
    at = 12 + len(question(NAME))
    for target in (at, at + 12, at + 13):
        assert (
            taken(message(question(NAME), [record(QNAME, CNAME, pointer(target)), record(QNAME, A, bytes(4))])) is None
        )


def test_names_that_grow_too_long_are_not_taken() -> None:
    label = b"\x3f" + b"x" * 63
    long = record(QNAME, CNAME, label * 3 + b"\x2f" + b"y" * 47 + QNAME)
    assert taken(message(question(NAME), [long], [record(b"\0", SOA, b"\0\0" + bytes(20))])) is None
