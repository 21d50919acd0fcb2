"""Static records: what comes of the lines of a hosts file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.engine.static import answer_from, static_records
from hsdnsd.records.addresses import reverse_name
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import Name, from_text
from hsdnsd.wire.rrset import RRset
from tests.support.facts import packed


def line(address: str, *names: str) -> tuple[bytes, tuple[Name, ...]]:
    return packed(address), tuple(map(from_text, names))


def test_each_name_has_the_address_and_the_address_the_first_name() -> None:
    db, alias = from_text("DB.example"), from_text("alias.example")
    reverse = from_text("7.0.0.10.in-addr.arpa")
    assert static_records([(packed("10.0.0.7"), (db, alias))], 30) == {
        db.lower(): (RRset(Name(db.lower()), RRType.A, 30, (packed("10.0.0.7"),)),),
        alias: (RRset(alias, RRType.A, 30, (packed("10.0.0.7"),)),),
        reverse: (RRset(reverse, RRType.PTR, 30, (db,)),),
    }


def test_lines_of_one_name_are_put_together_and_duplicates_left_out() -> None:
    records = static_records(
        [
            line("10.0.0.1", "db.example"),
            line("fd00::1", "DB.example", "db.example"),
            line("10.0.0.2", "Db.Example"),
            line("10.0.0.1", "other.example", "db.example"),
        ],
        5,
    )
    name = from_text("db.example")
    assert records[name] == (
        RRset(name, RRType.A, 5, (packed("10.0.0.1"), packed("10.0.0.2"))),
        RRset(name, RRType.AAAA, 5, (packed("fd00::1"),)),
    )
    (pointer,) = records[reverse_name(packed("10.0.0.1"))]
    assert pointer.rdatas == (name,), "the first line that names the address counts"


@given(st.ip_addresses(), st.integers(0, 86400))
def test_whatever_the_address_it_is_found_under_its_name_and_the_name_under_it(address: object, ttl: int) -> None:
    octets: bytes = address.packed  # type: ignore[attr-defined]
    name = from_text("a.example")
    records = static_records([(octets, (name,))], ttl)
    rtype = RRType.A if len(octets) == 4 else RRType.AAAA
    assert answer_from(records[name], name, rtype).answer == (RRset(name, rtype, ttl, (octets,)),)
    reverse = reverse_name(octets)
    assert answer_from(records[reverse], reverse, RRType.PTR).answer == (RRset(reverse, RRType.PTR, ttl, (name,)),)


def test_a_name_has_nothing_but_what_is_written() -> None:
    name = from_text("db.example")
    rrsets = static_records([line("10.0.0.1", "db.example")], 30)[name]
    for qtype in (RRType.AAAA, RRType.MX, RRType.HTTPS, RRType.SOA):
        result = answer_from(rrsets, name, qtype)
        assert (result.rcode, result.answer) == (Rcode.NOERROR, ())
        assert [(soa.name, soa.rtype, soa.ttl) for soa in result.authority] == [(name, RRType.SOA, 30)]
        assert result.owner is not None
    assert answer_from(rrsets, name, RRType.ANY).answer == rrsets
