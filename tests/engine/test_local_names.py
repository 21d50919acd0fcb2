"""Names that are answered here or under another name, from a client's query to its reply."""

from __future__ import annotations

import dns.flags
import dns.message
import pytest

from hsdnsd.engine.route import LocalOptions
from hsdnsd.engine.static import static_records
from hsdnsd.records.model import EndpointSliceFact, Port, ServiceFact
from hsdnsd.records.options import ZoneOptions
from hsdnsd.wire.answer import render
from hsdnsd.wire.name import from_text
from hsdnsd.wire.query import read_query_untrusted
from tests.support.facts import endpoint, endpoint_slice, packed
from tests.support.world import FIRST, World, ede, query, rcode, records

WEB = ServiceFact("shop", "web", cluster_ips=(packed("10.96.0.7"),), ports=(Port("http", "tcp", 80),))
NEGATIVE = "nobody.invalid. 1 3600 1200 604800"


def world(*facts: ServiceFact | EndpointSliceFact, **local: object) -> World:
    arpa = (from_text("in-addr.arpa"), from_text("ip6.arpa"))
    options = ZoneOptions(zone=from_text("cluster.local"), reverse_zones=arpa, fallthrough=arpa)
    chosen = {"special_names": True, "private_reverse": True} | local
    return World(facts or (WEB,), options=options, local=LocalOptions(**chosen))  # type: ignore[arg-type]


def hosts(given: World, *lines: tuple[str, str]) -> None:
    pairs = [(packed(address), tuple(map(from_text, names.split()))) for address, names in lines]
    given.engine.static_changed(static_records(pairs, 30))


def rewriting(**suffixes: str) -> dict[str, object]:
    names = {key.replace("_", "."): value for key, value in suffixes.items()}
    return {"rewrites": {from_text(key): from_text(value) for key, value in names.items()}}


# Special names


def test_localhost_is_answered_with_authority_and_kept_by_the_packet_path() -> None:
    given = world()
    message = given.answer("LocalHost")
    assert records(message) == ["LocalHost. 10800 A 127.0.0.1"]
    assert message.flags & dns.flags.AA
    assert records(given.answer("db.localhost", "AAAA")) == ["db.localhost. 10800 AAAA ::1"]
    assert records(given.answer("localhost", "MX"), "authority") == [
        f"localhost. 10800 SOA localhost. {NEGATIVE} 10800"
    ]
    assert given.sent == []
    assert len(given.finished.held) == 3


def test_names_that_exist_nowhere_are_nxdomain_even_to_who_wants_no_recursion() -> None:
    given = world()
    for name in ("printer.invalid", "facebookcorewwwi.onion"):
        message = given.answer(name, rd=False)
        assert rcode(message) == "NXDOMAIN"
        assert records(message, "authority") != []
    assert given.sent == []


def test_test_is_asked_of_upstreams() -> None:
    given = world()
    given.ask("www.test")
    assert len(given.sent) == 1


def test_a_chain_from_upstream_into_a_special_name_goes_on_here() -> None:
    """Whoever answers for www.example.com does not say where localhost is."""
    given = world()
    client = given.ask("www.example.com")
    given.upstream_says(
        """www.example.com. 300 CNAME x.localhost.
        x.localhost. 300 A 192.0.2.66"""
    )
    assert records(given.reply_to(client)) == [
        "www.example.com. 300 CNAME x.localhost.",
        "x.localhost. 10800 A 127.0.0.1",
    ]


def test_a_private_address_is_denied_here_and_told_once_the_cluster_has_it() -> None:
    given = world()
    name = "9.0.96.10.in-addr.arpa"
    message = given.answer(name, "PTR")
    assert rcode(message) == "NXDOMAIN"
    assert [line.split()[0] for line in records(message, "authority")] == ["in-addr.arpa."]
    assert len(given.finished.held) == 1
    given.tell(ServiceFact("shop", "db", cluster_ips=(packed("10.96.0.9"),)))
    [(answer, *_)] = given.finished.held.values()
    assert (answer.rcode, answer.an) == (0, 1)
    assert records(given.answer(name, "PTR")) == [f"{name}. 5 PTR db.shop.svc.cluster.local."]
    assert given.sent == []


def test_a_loopback_address_that_the_cluster_has_is_the_clusters() -> None:
    given = world()
    name = "1.0.0.127.in-addr.arpa"
    assert records(given.answer(name, "PTR")) == [f"{name}. 10800 PTR localhost."]
    given.tell(ServiceFact("shop", "db", cluster_ips=(packed("127.0.0.1"),)))
    assert records(given.answer(name, "PTR")) == [f"{name}. 5 PTR db.shop.svc.cluster.local."]


def test_a_public_address_is_asked_of_upstreams() -> None:
    given = world()
    client = given.ask("8.8.8.8.in-addr.arpa", "PTR")
    given.upstream_says("8.8.8.8.in-addr.arpa. 60 PTR dns.example.")
    assert records(given.reply_to(client)) == ["8.8.8.8.in-addr.arpa. 60 PTR dns.example."]


# Static records


def test_a_static_record_is_answered_under_every_spelling() -> None:
    given = world()
    hosts(
        given, ("192.0.2.7", "db.example www.example.com"), ("192.0.2.8", "db.example"), ("2001:db8::7", "db.example")
    )
    message = given.answer("DB.Example")
    assert sorted(records(message)) == ["DB.Example. 30 A 192.0.2.7", "DB.Example. 30 A 192.0.2.8"]
    assert message.flags & dns.flags.AA
    assert records(given.answer("db.example", "AAAA")) == ["db.example. 30 AAAA 2001:db8::7"]
    assert records(given.answer("7.2.0.192.in-addr.arpa", "PTR")) == ["7.2.0.192.in-addr.arpa. 30 PTR db.example."]
    nothing = given.answer("www.example.com", "AAAA")
    assert (rcode(nothing), nothing.answer) == ("NOERROR", [])
    assert records(nothing, "authority") == [f"www.example.com. 30 SOA www.example.com. {NEGATIVE} 30"]
    assert given.sent == []


def test_a_changed_hosts_file_ends_the_answers_from_before() -> None:
    given = world()
    hosts(given, ("192.0.2.7", "db.example"))
    given.answer("db.example")
    assert len(given.finished.held) == 1
    hosts(given, ("192.0.2.9", "db.example"))
    assert given.finished.held == {}
    assert records(given.answer("db.example")) == ["db.example. 30 A 192.0.2.9"]
    hosts(given)
    assert given.finished.held == {}
    given.ask("db.example")
    assert len(given.sent) == 1


def test_a_name_that_is_new_in_the_hosts_file_ends_what_an_upstream_said_of_it() -> None:
    given = world()
    given.ask("www.example.com")
    given.upstream_says("www.example.com. 300 A 192.0.2.66")
    given.answer("www.example.com")
    assert len(given.finished.held) == 1
    hosts(given, ("192.0.2.7", "www.example.com"))
    assert given.finished.held == {}
    assert records(given.answer("www.example.com")) == ["www.example.com. 30 A 192.0.2.7"]


def test_an_external_name_leads_to_a_static_record() -> None:
    given = world(ServiceFact("shop", "db", external_name="db.example"))
    hosts(given, ("192.0.2.7", "db.example"))
    assert records(given.answer("db.shop.svc.cluster.local")) == [
        "db.shop.svc.cluster.local. 5 CNAME db.example.",
        "db.example. 30 A 192.0.2.7",
    ]


# Rewrites


def test_a_rewritten_name_of_the_own_zone_is_answered_as_it_was_asked() -> None:
    given = world(**rewriting(old_example="svc.cluster.local"))
    message = given.answer("Web.Shop.old.example")
    assert records(message) == ["Web.Shop.old.example. 5 A 10.96.0.7"]
    assert message.flags & dns.flags.AA
    assert records(given.answer("_http._tcp.web.shop.old.example", "SRV")) == [
        "_http._tcp.web.shop.old.example. 5 SRV 0 100 80 web.shop.svc.cluster.local."
    ]
    assert rcode(given.answer("nothing.shop.old.example")) == "NXDOMAIN"
    assert rcode(given.answer("old.example")) == "NOERROR"
    assert given.sent == []


def test_the_packet_path_keeps_it_under_the_asked_name_until_the_service_changes() -> None:
    given = world(**rewriting(old_example="svc.cluster.local"))
    given.answer("web.shop.old.example")
    assert [name for name, *_ in given.finished.held] == [from_text("web.shop.old.example")]
    given.tell(ServiceFact("shop", "web", cluster_ips=(packed("10.96.0.8"),)))
    [(answer, *_)] = given.finished.held.values()
    assert answer.body.endswith(bytes((10, 96, 0, 8)))
    assert records(given.answer("web.shop.old.example")) == ["web.shop.old.example. 5 A 10.96.0.8"]


def test_a_rewritten_name_elsewhere_is_asked_and_cached_under_the_other_name() -> None:
    given = world(**rewriting(old_example="new.example"))
    client = given.ask("www.old.example")
    given.upstream_says(
        """www.new.example. 300 CNAME cdn.example.net.
        cdn.example.net. 60 A 192.0.2.7"""
    )
    expected = ["www.old.example. 300 CNAME cdn.example.net.", "cdn.example.net. 60 A 192.0.2.7"]
    assert records(given.reply_to(client)) == expected
    assert records(given.answer("www.old.example")) == expected
    assert records(given.answer("www.new.example"))[0] == "www.new.example. 300 CNAME cdn.example.net."
    assert given.sent == []
    given.wait(61)
    given.ask("www.old.example")
    (send,) = given.sent
    assert send.wire[12:29] == from_text("www.new.example")


def test_the_packet_path_keeps_what_is_cached_of_the_other_name_under_the_asked_one() -> None:
    given = world(**rewriting(old_example="new.example"))
    given.ask("www.old.example")
    given.upstream_says("www.new.example. 300 CNAME cdn.example.net.\ncdn.example.net. 60 A 192.0.2.7")
    given.wait(10)
    message = given.answer("www.old.example")
    assert records(message) == ["www.old.example. 290 CNAME cdn.example.net.", "cdn.example.net. 50 A 192.0.2.7"]
    assert not message.flags & dns.flags.AA
    (((name, *_), (answer, expires, owner)),) = given.finished.held.items()
    assert (name, expires, owner) == (from_text("www.old.example"), 1060.0, None)
    again = render(answer, read_query_untrusted(query("www.old.example")), 1232, 10)
    assert records(dns.message.from_wire(again)) == records(message)


def test_a_denial_of_the_other_name_is_kept_too() -> None:
    given = world(**rewriting(old_example="new.example"))
    given.ask("gone.old.example")
    given.upstream_says(rcode="NXDOMAIN", authority="new.example. 20 SOA a. b. 1 1 1 1 20")
    assert rcode(given.answer("gone.old.example")) == "NXDOMAIN"
    (((name, *_), (_, expires, _)),) = given.finished.held.items()
    assert (name, expires) == (from_text("gone.old.example"), 1020.0)


def test_what_is_in_demand_under_a_rewritten_name_is_fetched_again_under_the_other() -> None:
    given = world(**rewriting(old_example="new.example"))
    asked = from_text("www.old.example")
    given.finished.wanted.append((asked, 1, False, False, 0))
    given.engine.refresh(given.now)
    given._drain()
    (send,) = given.sent
    assert send.wire[12:29] == from_text("www.new.example")


@pytest.mark.parametrize("said", ["", "www.old.example. 300 A 192.0.2.66"])
def test_a_chain_back_to_the_asked_name_fails(said: str) -> None:
    given = world(**rewriting(old_example="new.example"))
    client = given.ask("www.old.example")
    given.upstream_says(
        f"www.new.example. 300 CNAME www.old.example.\n{said}", authority="example. 5 SOA a. b. 1 1 1 1 5"
    )
    assert rcode(given.reply_to(client)) == "SERVFAIL"
    assert rcode(given.answer("www.old.example")) == "SERVFAIL"


def test_a_rewrite_leads_past_nothing() -> None:
    """Not past a special name, a static record or the own zones' authority (CVE-2026-26017)."""
    given = world(
        **rewriting(a_example="invalid", b_example="localhost", c_example="cluster.local", d_example="cluster")
    )
    hosts(given, ("192.0.2.7", "www.cluster"))
    assert rcode(given.answer("x.a.example")) == "NXDOMAIN"
    assert records(given.answer("x.b.example")) == ["x.b.example. 10800 A 127.0.0.1"]
    assert rcode(given.answer("x.c.example")) == "NXDOMAIN"
    assert records(given.answer("www.d.example")) == ["www.d.example. 30 A 192.0.2.7"]
    assert given.sent == []


def test_a_name_that_is_rewritten_away_is_not_looked_up_under_its_own() -> None:
    given = world(**rewriting(svc_cluster_local="old.example"))
    given.ask("web.shop.svc.cluster.local")
    (send,) = given.sent
    assert send.wire[12:].startswith(from_text("web.shop.old.example"))


def test_what_is_rewritten_to_a_name_that_is_too_long_is_told_so() -> None:
    given = world(**rewriting(a=".".join(["x" * 60] * 3)))
    message = given.answer(".".join(["y" * 60, "y" * 30, "a"]))
    assert (rcode(message), message.edns) == ("YXDOMAIN", 0)
    assert rcode(given.answer("y.a", rd=False)) == "REFUSED"


# No AAAA


def test_names_of_others_have_no_aaaa() -> None:
    given = world(no_aaaa=True)
    message = given.answer("www.example.com", "AAAA")
    assert (rcode(message), message.answer) == ("NOERROR", [])
    assert records(message, "authority") == [f"www.example.com. 30 SOA www.example.com. {NEGATIVE} 30"]
    assert not message.flags & dns.flags.AA
    assert len(given.finished.held) == 1
    assert given.sent == []
    assert records(given.answer("localhost", "AAAA")) == ["localhost. 10800 AAAA ::1"]
    given.ask("www.example.com", "A")
    given.ask("8.b.d.0.2.0.0.2.ip6.arpa", "PTR")
    assert len(given.sent) == 2


def test_a_chain_out_of_the_own_zones_ends_without_aaaa() -> None:
    given = world(ServiceFact("shop", "db", external_name="db.example"), no_aaaa=True)
    message = given.answer("db.shop.svc.cluster.local", "AAAA")
    assert records(message) == ["db.shop.svc.cluster.local. 5 CNAME db.example."]
    assert rcode(message) == "NOERROR"
    assert given.sent == []


def test_own_names_keep_their_aaaa() -> None:
    endpoints = endpoint_slice("six", endpoint("fd00::7"))
    given = world(ServiceFact("shop", "six", headless=True), endpoints, no_aaaa=True)  # type: ignore[arg-type]
    assert records(given.answer("six.shop.svc.cluster.local", "AAAA")) == ["six.shop.svc.cluster.local. 5 AAAA fd00::7"]


def test_without_upstreams_nobody_is_told_that_there_is_no_aaaa() -> None:
    given = World(upstreams=(), local=LocalOptions(no_aaaa=True))
    message = given.answer("www.example.com", "AAAA")
    assert (rcode(message), ede(message)) == ("REFUSED", 20)


def test_a_stub_zone_for_a_special_name_is_asked() -> None:
    given = World([WEB], stubs={"onion": [FIRST]}, local=LocalOptions(special_names=True))
    given.send(query("a.onion"))
    assert len(given.sent) == 1
