"""The long way: forwarding, caching, and chains over own zones, cache and upstreams."""

from __future__ import annotations

import dns.flags
import pytest

from hsdnsd.cache.cache import Limits
from hsdnsd.cache.policy import TtlLimits
from hsdnsd.engine.resolver import Bounds
from hsdnsd.records.model import NamespaceFact, ServiceFact
from hsdnsd.records.options import ZoneOptions
from hsdnsd.wire.name import from_text
from tests.support.world import FIRST, SECOND, World, ede, rcode, records

SOA = "example.com. 300 SOA ns.example.com. h.example.com. 1 7200 3600 1209600 300"
COREDNS = ZoneOptions(zone=from_text("cluster.local"), coredns=True)


def alias(target: str, name: str = "alias") -> ServiceFact:
    return ServiceFact("db", name, external_name=target)


def test_a_miss_is_asked_upstream_and_its_answer_given_and_kept() -> None:
    world = World()
    client = world.ask("www.example.com")
    assert client not in world.replies
    world.upstream_says("www.example.com. 300 A 192.0.2.53")
    message = world.reply_to(client)
    assert records(message) == ["www.example.com. 300 A 192.0.2.53"]
    assert message.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA
    world.wait(10.5)
    assert records(world.answer("www.example.com")) == ["www.example.com. 290 A 192.0.2.53"]
    assert world.sent == []


def test_a_kept_answer_ends_with_its_ttl() -> None:
    world = World()
    world.ask("www.example.com")
    world.upstream_says("www.example.com. 60 A 192.0.2.53")
    world.wait(60)
    world.ask("www.example.com")
    assert len(world.sent) == 1


def test_ttl_0_is_given_to_those_who_wait_and_not_kept() -> None:
    world = World()
    clients = [world.ask("www.example.com") for _ in range(3)]
    world.upstream_says("www.example.com. 0 A 192.0.2.53")
    assert [records(world.reply_to(client)) for client in clients] == [["www.example.com. 0 A 192.0.2.53"]] * 3
    world.ask("www.example.com")
    assert len(world.sent) == 1


def test_each_waiter_gets_its_own_id_case_and_opt() -> None:
    world = World()
    first = world.ask("www.example.com")
    second = world.ask("WWW.Example.COM", edns=False)
    assert len(world.sent) == 1
    world.upstream_says("www.example.com. 300 A 192.0.2.53")
    assert world.reply_to(first).edns == 0
    message = world.reply_to(second)
    assert message.edns == -1
    assert message.question[0].name.to_text() == "WWW.Example.COM."
    assert world.counters.coalesced == 1


@pytest.mark.parametrize("rcode_", ["NXDOMAIN", "NOERROR"])
def test_denials_are_kept_as_long_as_the_soa_says_up_to_the_limit(rcode_: str) -> None:
    world = World(ttls=TtlLimits(most_negative=20))
    world.ask("gone.example.com")
    world.upstream_says(authority=SOA, rcode=rcode_)
    world.wait(19)
    message = world.answer("gone.example.com")
    assert rcode(message) == rcode_
    assert records(message, "authority")[0].startswith("example.com. 1 SOA")
    world.wait(1)
    world.ask("gone.example.com")
    assert len(world.sent) == 1


def test_do_and_cd_are_asked_apart_and_passed_on() -> None:
    world = World()
    for how in ({}, {"do": True}, {"cd": True}):
        world.ask("www.example.com", **how)
    assert len(world.sent) == 3
    assert b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00" in world.sent[1].wire
    assert world.sent[2].wire[3] & 0x10


def test_a_stub_zone_takes_its_names() -> None:
    world = World(stubs={"corp.test": [SECOND]})
    world.ask("host.corp.test")
    world.ask("www.example.com")
    assert [send.upstream for send in world.sent] == [SECOND, FIRST]


def test_a_stub_zone_inside_the_own_zone_takes_its_names() -> None:
    world = World([NamespaceFact("db")], stubs={"legacy.cluster.local": [SECOND]})
    world.ask("host.legacy.cluster.local")
    assert [send.upstream for send in world.sent] == [SECOND]
    assert rcode(world.answer("host.db.svc.cluster.local")) == "NXDOMAIN"


def test_silence_from_all_upstreams_is_servfail_within_the_deadline() -> None:
    world = World()
    client = world.ask("www.example.com")
    world.wait(3.9)
    message = world.reply_to(client)
    assert (rcode(message), ede(message)) == ("SERVFAIL", 22)
    assert len(world.sent) == 3


def test_a_failure_is_remembered_for_a_second() -> None:
    world = World()
    world.ask("www.example.com")
    world.upstream_says(rcode="SERVFAIL")
    assert rcode(world.answer("www.example.com")) == "SERVFAIL"
    assert world.sent == []
    world.wait(1)
    world.ask("www.example.com")
    assert len(world.sent) == 1


@pytest.mark.parametrize(
    ("bounds", "limit"),
    [(Bounds(in_flight=2), "in_flight"), (Bounds(per_client=2), "per_client")],
)
def test_what_is_over_a_limit_is_refused_at_once_and_counted(bounds: Bounds, limit: str) -> None:
    world = World(bounds=bounds)
    waiting = [world.ask(f"{number}.example.com") for number in range(2)]
    assert rcode(world.answer("over.example.com")) == "SERVFAIL"
    assert world.counters.limits[limit] == 1
    for _ in waiting:
        world.upstream_says(rcode="NXDOMAIN", authority=SOA)
    world.ask("again.example.com")
    assert len(world.sent) == 1, "what is over no longer counts"


def test_waiters_on_one_question_are_bounded() -> None:
    world = World(bounds=Bounds(waiters=3))
    waiting = [world.ask("www.example.com", source=f"192.0.2.{n}") for n in range(3)]
    assert rcode(world.answer("www.example.com")) == "SERVFAIL"
    world.upstream_says("www.example.com. 300 A 192.0.2.53")
    assert [rcode(world.reply_to(client)) for client in waiting] == ["NOERROR"] * 3
    assert world.counters.limits["waiters"] == 1


def test_an_external_name_is_completed_by_the_upstream() -> None:
    world = World([alias("www.example.com")])
    client = world.ask("alias.db.svc.cluster.local")
    world.upstream_says("www.example.com. 300 A 192.0.2.53")
    message = world.reply_to(client)
    assert records(message) == [
        "alias.db.svc.cluster.local. 5 CNAME www.example.com.",
        "www.example.com. 300 A 192.0.2.53",
    ]
    assert message.flags & dns.flags.AA
    world.wait(100)
    assert records(world.answer("alias.db.svc.cluster.local"))[1] == "www.example.com. 200 A 192.0.2.53"


def test_the_rcode_of_a_chain_is_that_of_its_end() -> None:
    world = World([alias("gone.example.com")])
    client = world.ask("alias.db.svc.cluster.local")
    world.upstream_says(rcode="NXDOMAIN", authority=SOA)
    message = world.reply_to(client)
    assert rcode(message) == "NXDOMAIN"
    assert records(message) == ["alias.db.svc.cluster.local. 5 CNAME gone.example.com."]
    assert records(message, "authority")[0].startswith("example.com. 30 SOA")


def test_coredns_tells_the_cname_alone_whatever_became_of_its_target() -> None:
    for said in ({"rcode": "NXDOMAIN", "authority": SOA}, {"authority": SOA}, {"rcode": "SERVFAIL"}):
        world = World([NamespaceFact("db"), alias("gone.example.com")], options=COREDNS)
        client = world.ask("alias.db.svc.cluster.local")
        world.upstream_says(**said)
        message = world.reply_to(client)
        assert rcode(message) == "NOERROR"
        assert records(message) == ["alias.db.svc.cluster.local. 5 CNAME gone.example.com."]
        assert records(message, "authority") == []


def test_coredns_tells_nothing_when_nobody_answered() -> None:
    world = World([NamespaceFact("db"), alias("www.example.com")], options=COREDNS)
    client = world.ask("alias.db.svc.cluster.local")
    world.wait(4)
    message = world.reply_to(client)
    assert (rcode(message), records(message)) == ("NOERROR", [])
    assert records(message, "authority")[0].startswith("cluster.local. 5 SOA")


def test_coredns_hands_a_truncated_upstream_on_as_truncated() -> None:
    world = World([NamespaceFact("db"), alias("www.example.com")], options=COREDNS)
    udp, tcp = world.ask("alias.db.svc.cluster.local"), world.ask("alias.db.svc.cluster.local", tcp=True)
    world.upstream_says(tc=True)
    world.upstream_says("www.example.com. 300 A 192.0.2.53")
    assert world.reply_to(udp).flags & dns.flags.TC
    assert len(records(world.reply_to(tcp))) == 2


def test_a_failed_target_is_servfail_and_not_a_name_without_addresses() -> None:
    world = World([alias("www.example.com")])
    client = world.ask("alias.db.svc.cluster.local")
    world.wait(4)
    assert rcode(world.reply_to(client)) == "SERVFAIL"


def test_without_upstreams_a_chain_out_of_the_zone_is_told_as_far_as_it_is_known() -> None:
    message = World([alias("www.example.com")], upstreams=()).answer("alias.db.svc.cluster.local")
    assert rcode(message) == "NOERROR"
    assert records(message) == ["alias.db.svc.cluster.local. 5 CNAME www.example.com."]


def test_no_upstream_has_a_say_on_own_names() -> None:
    world = World([ServiceFact("default", "kubernetes", cluster_ips=(b"\x0a\x60\x00\x01",))])
    own = "kubernetes.default.svc.cluster.local."
    client = world.ask("www.evil.test")
    world.upstream_says(f"www.evil.test. 300 CNAME {own}\n{own} 300 A 203.0.113.66")
    expected = [f"www.evil.test. 300 CNAME {own}", f"{own} 5 A 10.96.0.1"]
    assert records(world.reply_to(client)) == expected
    assert records(world.answer("www.evil.test")) == expected
    assert not world.reply_to(client).flags & dns.flags.AA


def test_a_chain_may_go_out_come_back_and_go_out_again() -> None:
    world = World([alias("a.example.com", "one"), alias("b.example.com", "two")])
    client = world.ask("one.db.svc.cluster.local")
    world.upstream_says("a.example.com. 300 CNAME two.db.svc.cluster.local.")
    world.upstream_says("b.example.com. 300 A 192.0.2.53")
    assert [line.split()[0] for line in records(world.reply_to(client))] == [
        "one.db.svc.cluster.local.",
        "a.example.com.",
        "two.db.svc.cluster.local.",
        "b.example.com.",
    ]


def test_a_loop_over_own_zone_and_upstream_ends_in_servfail() -> None:
    world = World([alias("a.example.com")])
    client = world.ask("alias.db.svc.cluster.local")
    world.upstream_says("a.example.com. 300 CNAME alias.db.svc.cluster.local.")
    assert rcode(world.reply_to(client)) == "SERVFAIL"
    assert world.sent == []


def test_one_client_query_costs_six_messages_at_most_along_any_chain() -> None:
    world = World()
    client = world.ask("0.example.com")
    messages = 0
    while world.sent:
        messages += 1
        world.upstream_says(f"{messages - 1}.example.com. 300 CNAME {messages}.example.com.")
    assert messages == 6
    assert rcode(world.reply_to(client)) == "SERVFAIL"


def test_without_cache_every_query_is_asked() -> None:
    world = World(limits=Limits(0, 0, 0))
    for _ in range(2):
        world.ask("www.example.com")
        world.upstream_says("www.example.com. 300 A 192.0.2.53")


def test_names_of_the_reverse_zone_fall_through_only_where_configured() -> None:
    options = ZoneOptions(
        zone=from_text("cluster.local"),
        reverse_zones=(from_text("in-addr.arpa"),),
        fallthrough=(from_text("in-addr.arpa"),),
    )
    world = World([ServiceFact("default", "kubernetes", cluster_ips=(b"\x0a\x60\x00\x01",))], options=options)
    assert records(world.answer("1.0.96.10.in-addr.arpa", "PTR")) == [
        "1.0.96.10.in-addr.arpa. 5 PTR kubernetes.default.svc.cluster.local."
    ]
    client = world.ask("8.8.8.8.in-addr.arpa", "PTR")
    world.upstream_says("8.8.8.8.in-addr.arpa. 300 PTR dns.google.")
    assert records(world.reply_to(client)) == ["8.8.8.8.in-addr.arpa. 300 PTR dns.google."]
    assert not world.reply_to(client).flags & dns.flags.AA, "said by an upstream, not by us"
    assert rcode(world.answer("gone.default.svc.cluster.local")) == "NXDOMAIN"


def test_what_falls_through_is_told_as_the_upstream_tells_it_in_coredns_mode_too() -> None:
    options = ZoneOptions(zone=from_text("cluster.local"), coredns=True, fallthrough=(from_text("cluster.local"),))
    world = World([NamespaceFact("db")], options=options)
    client = world.ask("gone.db.svc.cluster.local")
    world.upstream_says(rcode="NXDOMAIN", authority=SOA.replace("example.com. 300", "cluster.local. 300"))
    assert rcode(world.reply_to(client)) == "NXDOMAIN"
