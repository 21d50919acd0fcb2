"""How far a chain is followed."""

from __future__ import annotations

from hsdnsd.engine.lookup import MAX_LINKS, Lookup
from hsdnsd.wire.const import MAX_MESSAGE, RRType
from hsdnsd.wire.name import from_text
from hsdnsd.wire.query import Query
from hsdnsd.wire.rrset import RRset


def lookup(tcp: bool = False) -> Lookup:
    name = from_text("a.test")
    query = Query(1, name + b"\0\1\0\1", name, RRType.A, True, False, False, True, False, 1232)
    return Lookup(query, name, "client", "192.0.2.1", tcp, 0.0, 4.0, 6)


def test_the_limit_is_what_the_transport_and_the_client_take() -> None:
    assert lookup().limit == 1232
    assert lookup(tcp=True).limit == MAX_MESSAGE


def test_a_chain_is_followed_a_bounded_number_of_links() -> None:
    one = lookup()
    assert all(one.follow(from_text(f"{link}.test")) for link in range(MAX_LINKS))
    assert one.name == from_text(f"{MAX_LINKS - 1}.test")
    assert not one.follow(from_text("further.test"))


def test_a_chain_does_not_go_back_to_where_it_was() -> None:
    one = lookup()
    one.answer.append(RRset(from_text("A.test"), RRType.CNAME, 5, (from_text("b.test"),)))
    assert not one.follow(from_text("a.test"))
