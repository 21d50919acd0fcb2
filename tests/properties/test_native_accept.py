"""What the packet path takes of an upstream's reply is octet for octet what the engine would have made of the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsdnsd.cache.policy import TtlLimits
from hsdnsd.native import NameSet
from hsdnsd.wire.name import Name
from tests.support.lies import LOCAL, NAME, Asked, Script
from tests.support.packets import (
    AAAA,
    CNAME,
    MX,
    NS,
    PTR,
    RESPONSE,
    SOA,
    SRV,
    TXT,
    A,
    message,
    name,
    opt,
    pointer,
    question,
    record,
    u16,
    u32,
)
from tests.support.plain import by_engine, by_thread
from tests.support.scripts import SCRIPTS
from tests.support.wire_strategies import damaged

ID = 0x1234
LIMITS = TtlLimits(most_negative=300)
OWN = NameSet(exact=[Name(name("static.example"))], below=[Name(name("cluster.local"))])
HOSTS = ("www.example.com", "WWW.example.com", "a.example.com", "b.www.example.com", "example.com", "c.test", LOCAL, "")
TTLS = (0, 1, 60, 300, 86401, 0x7FFFFFFF, 0x80000000)
QTYPES = (A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, 65, 257)


class Writer:
    """A message that is written as servers write them: names may end in pointers."""

    def __init__(self, asked: bytes) -> None:
        self.octets = bytearray(12) + asked

    def name(self, text: str, compressed: bool) -> None:
        octets = name(text)
        start = 0
        while compressed and octets[start]:
            found = self.octets.find(octets[start:], 12)
            if 0 < found < 0x3FFF:
                self.octets += octets[:start] + pointer(found)
                return
            start += octets[start] + 1
        self.octets += octets


class Drawn(NamedTuple):
    """A record as it was drawn."""

    owner: str
    rtype: int
    rclass: int
    ttl: int
    rdata: bytes
    targets: tuple[str, ...]
    behind: bytes


@st.composite
def drawn_records(draw: st.DrawFn, owner: str, rtype: int) -> Drawn:
    host = st.sampled_from(HOSTS)
    rdata, targets, behind = b"", (), b""
    match rtype:
        case 1:
            rdata = bytes((192, 0, 2, draw(st.integers(0, 5))))
        case 28:
            rdata = bytes(15) + bytes((draw(st.integers(0, 5)),))
        case 2 | 5 | 12:
            targets = (draw(host),)
        case 15:
            rdata, targets = u16(draw(st.integers(0, 3))), (draw(host),)
        case 33:
            rdata, targets = u16(1, 2, draw(st.integers(0, 3))), (draw(host),)
        case 6:
            targets, behind = (draw(host), draw(host)), u32(1, 2, 3, 4, draw(st.sampled_from(TTLS)))
        case _:
            rdata = draw(st.binary(max_size=40))
    rclass = draw(st.sampled_from((1, 1, 1, 1, 1, 1, 1, 1, 1, 3)))
    return Drawn(owner, rtype, rclass, draw(st.sampled_from(TTLS)), rdata, targets, behind)


@st.composite
def replies(draw: st.DrawFn) -> tuple[int, bytes]:
    """(QTYPE, reply to a question for NAME): nearly right, in any of the ways in which servers differ."""
    qtype = draw(st.sampled_from(QTYPES))
    writer = Writer(question(NAME, qtype))
    here, records = NAME, list[Drawn]()
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2, 3, 9, 10)))):
        link = draw(drawn_records(here, CNAME))
        records.append(link)
        here = link.targets[0]
    for _ in range(draw(st.sampled_from((0, 1, 1, 2, 3, 6)))):
        records.append(draw(drawn_records(here, qtype)))
    if draw(st.integers(0, 7)) == 0:
        records = draw(st.permutations(records))
    authority = []
    for rtype in draw(st.sampled_from(((), (SOA,), (SOA,), (NS, SOA), (SOA, SOA), (NS,), (SOA, 46), (47, SOA), (41,)))):
        owner = draw(st.sampled_from(("example.com", "", "com", "example.com", "www.example.com", "le.com", "c.test")))
        authority.append(draw(drawn_records(owner, rtype)))
    additional = [
        draw(drawn_records(draw(st.sampled_from(HOSTS)), rtype))
        for rtype in draw(st.sampled_from(((), (), (A,), (AAAA, TXT), (250,))))
    ]
    for each in (*records, *authority, *additional):
        writer.name(each.owner, draw(st.booleans()))
        writer.octets += u16(each.rtype, each.rclass) + u32(each.ttl)
        at = len(writer.octets)
        writer.octets += b"\0\0" + each.rdata
        for target in each.targets:
            writer.name(target, draw(st.booleans()))
        writer.octets += each.behind
        size = len(writer.octets) - at - 2 + draw(st.sampled_from((0,) * 60 + (1, -1)))
        writer.octets[at : at + 2] = u16(max(size, 0))
    opts = draw(st.sampled_from((b"", opt(), opt(), opt(ttl=1 << 24), opt(owner=name("x")), opt() + opt())))
    writer.octets += opts
    flags = RESPONSE | draw(st.sampled_from((0, 0, 0, 3, 3, 2, 5, 0x0200, 0x0400, 0x0800)))
    more = (len(opts) + 10) // 11 if opts else 0
    writer.octets[:12] = u16(ID, flags, 1, len(records), len(authority), len(additional) + min(more, 2))
    return qtype, bytes(writer.octets)


def said() -> Iterator[bytes]:
    """What every script of the lying upstream says first."""
    for script in SCRIPTS.values():
        assert isinstance(script, Script)
        asked = Asked(u16(ID, 0x0100, 1, 0, 0, 1) + question(NAME, script.qtype) + opt(), False, 0)
        yield from (action for action in script.says(asked) if isinstance(action, bytes) and len(action) <= 4096)


SAID = tuple(said())


def agreed(wire: bytes, qtype: int, limits: TtlLimits = LIMITS) -> bool:
    """Whether the packet path takes a reply; if it does, it has to be with what the engine makes of it."""
    folded = Name(name(NAME))
    taken = by_thread(wire, ID, folded, qtype, OWN, limits)
    if taken is not None:
        assert taken == by_engine(wire, ID, folded, qtype, OWN, limits)
    return taken is not None


@settings(max_examples=300)
@given(replies(), st.sampled_from((LIMITS, TtlLimits(), TtlLimits(5, 100, 7, 9))))
def test_what_is_taken_is_what_the_engine_makes_of_it(reply: tuple[int, bytes], limits: TtlLimits) -> None:
    qtype, wire = reply
    agreed(wire, qtype, limits)


@settings(max_examples=300)
@given(damaged(SAID), st.sampled_from((A, AAAA, MX, SOA)))
def test_nothing_else_is_made_of_damaged_replies(wire: bytes, qtype: int) -> None:
    agreed(wire, qtype)
    if len(wire) > 12:
        # With the right id and question, whatever stands behind it.
        agreed(
            u16(ID) + wire[2:4] + u16(1) + wire[6:12] + question(NAME, qtype) + wire[12 + len(question(NAME)) :], qtype
        )


@pytest.mark.parametrize("wire", SAID, ids=[str(number) for number in range(len(SAID))])
def test_nothing_else_is_made_of_lies(wire: bytes) -> None:
    for qtype in (A, AAAA, CNAME, MX, SRV, TXT):
        agreed(wire, qtype)


def chain(length: int) -> list[bytes]:
    """Links from NAME on, and an address at their end."""
    hosts = [NAME, *(f"h{number}.cdn.example.net" for number in range(length))]
    links = [record(name(here), CNAME, name(there)) for here, there in itertools.pairwise(hosts)]
    return [*links, record(name(hosts[-1]), A, bytes(4))]


ZONE_SOA = record(name("example.com"), SOA, name("ns.example.com") + name("h.example.com") + u32(1, 2, 3, 4, 60))
QNAME = pointer(12)
PLAIN = {
    "one address": (A, [record(QNAME, A, bytes(4))], [], [opt()], 0),
    "without OPT": (A, [record(QNAME, A, bytes(4))], [], [], 0),
    "sixty addresses": (A, [record(QNAME, A, bytes((10, 0, 0, n))) for n in range(60)], [], [], 0),
    "an IPv6 address": (AAAA, [record(QNAME, AAAA, bytes(16))], [], [], 0),
    "eight links": (A, chain(8), [], [], 0),
    "with the zone's servers": (
        A, [record(QNAME, A, bytes(4))], [record(name("example.com"), NS, name("ns.example.com"))],
        [record(name("ns.example.com"), A, bytes(4)), opt()], 0,
    ),
    "no such name": (A, [], [ZONE_SOA], [opt()], 3),
    "no such type": (AAAA, [], [ZONE_SOA], [], 0),
    "a link to nothing": (AAAA, [record(QNAME, CNAME, name("a.example.com"))], [ZONE_SOA], [], 0),
    "mail": (MX, [record(QNAME, MX, u16(n) + name(f"m{n}.example.com")) for n in range(5)], [], [], 0),
    "services": (SRV, [record(QNAME, SRV, u16(1, 1, n) + name("s.example.com")) for n in range(5)], [], [], 0),
    "text": (TXT, [record(QNAME, TXT, b"\5hello")], [], [], 0),
    "a service binding": (65, [record(QNAME, 65, u16(1) + b"\0")], [], [], 0),
}  # fmt: skip


@pytest.mark.parametrize("shape", PLAIN)
def test_common_replies_are_taken(shape: str) -> None:
    qtype, answer, authority, additional, rcode = PLAIN[shape]
    wire = message(question(NAME, qtype), answer, authority, additional, id=ID, flags=RESPONSE | rcode)
    assert agreed(wire, qtype)


@pytest.mark.parametrize("wire", [
    message(question(NAME), [record(QNAME, A, bytes(4))], id=ID + 1),
    message(question("other.example.com"), [record(QNAME, A, bytes(4))], id=ID),
    message(question("WWW.example.com"), [record(QNAME, A, bytes(4))], id=ID),
    message(question(NAME), [record(QNAME, A, bytes(4))], id=ID, flags=RESPONSE | 0x0200),
    message(question(NAME), [record(QNAME, A, bytes(4))], id=ID, flags=RESPONSE | 3),
    message(question(NAME), [record(QNAME, A, bytes(5))], id=ID),
    message(question(NAME), [record(QNAME, A, bytes(4)), record(name("victim.example"), A, bytes(4))], id=ID),
    message(question(NAME), [record(QNAME, CNAME, name(LOCAL)), record(name(LOCAL), A, bytes(4))], id=ID),
    message(question(NAME), [record(QNAME, CNAME, name("static.example"))], [ZONE_SOA], id=ID),
    message(question(NAME), [record(QNAME, CNAME, QNAME)], [ZONE_SOA], id=ID),
    message(question(NAME), chain(9), id=ID),
    message(question(NAME), [], [], id=ID),
    message(question(NAME), [], [ZONE_SOA, ZONE_SOA], id=ID),
    message(question(NAME), [], [record(name("example.net"), SOA, ZONE_SOA[23:])], id=ID),
    message(question(NAME), flags=RESPONSE | 2, id=ID),
], ids=[str(number) for number in range(15)])  # fmt: skip
def test_doubtful_replies_are_the_engines(wire: bytes) -> None:
    assert not agreed(wire, A)
