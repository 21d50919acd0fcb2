"""The reader of upstream messages: any octets, and dnspython as the second opinion on what it takes."""

from __future__ import annotations

from collections.abc import Iterator

import dns.exception
import dns.message
import dns.rdataclass
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.errors import WireError
from hsdnsd.wire.message import Message, matches, read_message_untrusted
from hsdnsd.wire.rrset import RRset
from tests.support.packets import (
    AAAA,
    CNAME,
    NS,
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
from tests.support.wire_strategies import RDATAS, damaged, names, sections

ASKED = question("www.Example.com")
OWNER, ZONE = pointer(12), pointer(16)
SEEDS = (
    message(ASKED, [record(OWNER, A, bytes([192, 0, 2, last])) for last in range(1, 5)]),
    message(ASKED, [record(OWNER, CNAME, b"\3web" + ZONE), record(b"\3web" + ZONE, AAAA, bytes(16))], [], [opt()]),
    message(ASKED, [], [record(ZONE, SOA, b"\2ns" + ZONE + b"\4root" + ZONE + u32(1, 2, 3, 4, 5))], [opt()]),
    message(ASKED, [record(OWNER, SRV, u16(0, 1, 80) + b"\3web" + ZONE)], [record(ZONE, NS, OWNER)], [opt(ttl=0x8000)]),
    message(ASKED, [record(name("x.y"), 65280, b"\1x", 0xFFFFFFFF), record(OWNER, 65280, b"\xc0\x0c")]),
)


def seen_by_dnspython(wire: bytes) -> tuple[list[list[tuple[bytes, int, int, set[bytes]]]], int, bool]:
    """Sections as (folded owner, type, TTL, rdatas), the extended RCODE, whether there is an OPT."""
    read = dns.message.from_wire(wire, ignore_trailing=True, one_rr_per_rrset=True)
    found = []
    for section in (read.answer, read.authority, read.additional):
        kept: dict[tuple[bytes, int], tuple[int, set[bytes]]] = {}
        for rrset in section:
            if rrset.rdclass != dns.rdataclass.IN:
                continue
            key = (rrset.name.canonicalize().to_wire(), int(rrset.rdtype))
            ttl, rdatas = kept.get(key, (rrset.ttl, set()))
            kept[key] = (min(ttl, rrset.ttl), rdatas | {rdata.to_wire() or b"" for rdata in rrset})
        found.append([(owner, rtype, ttl, rdatas) for (owner, rtype), (ttl, rdatas) in kept.items()])
    return found, int(read.rcode()), read.opt is not None


def seen_by_us(read: Message) -> tuple[list[list[tuple[bytes, int, int, set[bytes]]]], int, bool]:
    found = [
        [(rrset.name.lower(), rrset.rtype, rrset.ttl, set(rrset.rdatas)) for rrset in section]
        for section in (read.answer, read.authority, read.additional)
    ]
    return found, read.rcode, read.has_opt


def check_what_is_read(wire: bytes) -> Message | None:
    """Whatever the octets are: a message whose parts have their lawful sizes, or a WireError and nothing else."""
    try:
        read = read_message_untrusted(wire)
    except WireError:
        return None
    assert matches(wire, read.id, read.question)
    for rrset in (*read.answer, *read.authority, *read.additional):
        assert 0 < len(rrset.name) <= 255
        assert 0 <= rrset.ttl <= 0x7FFFFFFF
        assert len(set(rrset.rdatas)) == len(rrset.rdatas) > 0
        assert rrset.rtype != 41
        if rrset.rtype in (A, AAAA):
            assert {len(rdata) for rdata in rrset.rdatas} == {4 if rrset.rtype == A else 16}
    return read


@given(st.binary(max_size=600))
def test_any_octets(wire: bytes) -> None:
    check_what_is_read(wire)


@given(st.binary(max_size=300))
def test_any_octets_behind_a_good_question(octets: bytes) -> None:
    check_what_is_read(u16(1, 0x8180, 1, 2, 1, 1) + ASKED + octets)


def compare(wire: bytes) -> bool:
    """Whether both readers see the same in these octets; False if that cannot be told."""
    read = check_what_is_read(wire)
    if read is None:
        return False
    types = {rrset.rtype for rrset in (*read.answer, *read.authority, *read.additional)}
    # dnspython knows, and wants right, what is nothing but octets to us: other types, other classes, options.
    if read.foreign or not types <= set(RDATAS) - {TXT}:
        return False
    try:
        expected = seen_by_dnspython(wire)
    except dns.exception.DNSException:
        assert read.has_opt
        return False
    assert seen_by_us(read) == expected
    return True


@given(damaged(SEEDS))
def test_damaged_messages_agree_with_a_second_reader(wire: bytes) -> None:
    compare(wire)


def flipped(seed: bytes) -> Iterator[tuple[int, bytes]]:
    """The seed with each single bit behind its header turned over, and the offset of that bit's octet."""
    for bit in range(8 * 12, 8 * len(seed)):
        wire = bytearray(seed)
        wire[bit // 8] ^= 1 << bit % 8
        yield bit // 8, bytes(wire)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_flipped_bits_agree_with_a_second_reader(seed: bytes) -> None:
    assert sum(compare(wire) for _, wire in flipped(seed)) > len(seed)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_what_is_refused_is_refused_by_a_second_reader_too(seed: bytes) -> None:
    for at, wire in flipped(seed):
        # dnspython follows pointers into the header, and types that died in 1987 are octets to it.
        if (wire[at - 1] == 0xC0 and wire[at] < 12) or (wire[at - 1] == 0 and wire[at] in (3, 4, 7, 8, 9, 14)):
            continue
        if check_what_is_read(wire) is None:
            with pytest.raises(dns.exception.DNSException):
                seen_by_dnspython(wire)


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_seeds_agree_with_a_second_reader(seed: bytes) -> None:
    read = check_what_is_read(seed)
    assert read is not None
    assert seen_by_us(read) == seen_by_dnspython(seed)


@given(names(), sections(), sections(), sections())
def test_what_another_writer_compresses_is_expanded(
    qname: bytes, answer: list[RRset], authority: list[RRset], additional: list[RRset]
) -> None:
    made = dns.message.make_query(dns.name.from_wire(qname, 0)[0], 1)
    response = dns.message.make_response(made)
    for section, rrsets in (
        (response.answer, answer),
        (response.authority, authority),
        (response.additional, additional),
    ):
        for rrset in rrsets:
            owner = dns.name.from_wire(rrset.name, 0)[0]
            rdatas = [dns.rdata.from_wire(1, rrset.rtype, rdata, 0, len(rdata)) for rdata in rrset.rdatas]
            section.append(dns.rrset.from_rdata_list(owner, rrset.ttl, rdatas))
    read = read_message_untrusted(response.to_wire(max_size=65535))
    expected = [
        [(rrset.name.lower(), rrset.rtype, rrset.ttl, {rdata.lower() for rdata in rrset.rdatas}) for rrset in section]
        for section in (answer, authority, additional)
    ]
    found = [
        [(rrset.name.lower(), rrset.rtype, rrset.ttl, {rdata.lower() for rdata in rrset.rdatas}) for rrset in section]
        for section in (read.answer, read.authority, read.additional)
    ]
    assert found == expected
    assert read.question == qname + u16(1, 1)
