"""Other rules while questions are being asked and answers are cached: nothing is lost, nothing of the old is told."""

from __future__ import annotations

from typing import Any

import pytest

from hsdnsd.cache.policy import TtlLimits
from hsdnsd.engine.exchange import ExchangeOptions
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.route import LocalOptions
from hsdnsd.engine.static import NO_RECORDS, static_records
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.records.model import NamespaceFact, ServiceFact
from hsdnsd.records.options import TTLs, ZoneOptions
from hsdnsd.records.zone import Zone
from hsdnsd.wire.name import ROOT, from_text
from tests.support.world import FIRST, SECOND, World, rcode, records

GOOD = "www.example.com. 300 A 192.0.2.53"
HOSTS = static_records([(bytes((192, 0, 2, 9)), (from_text("printer.test"),))], 30)


def reconfigure(
    world: World, upstreams: dict[str, list[Upstream]], options: ZoneOptions | None = None, **rules: Any
) -> None:
    forwards = Forwards({from_text(zone): servers for zone, servers in upstreams.items()})
    before = world.engine._forwards
    forwards.inherit(before)
    zone = Zone(options or ZoneOptions(zone=from_text("cluster.local")), world.table)
    given = {
        "static": NO_RECORDS,
        "bounds": Bounds(),
        "exchange": ExchangeOptions(),
        "ttls": TtlLimits(),
        "local": LocalOptions(),
        "coredns": False,
    }
    world.engine.reconfigure(zone, forwards, world.now, **(given | rules))  # type: ignore[arg-type]
    world._drain()


def test_what_is_cached_stays_whatever_zones_come_and_go() -> None:
    world = World(stubs={"a.test": [FIRST], "b.test": [SECOND]})
    for name in ("www.example.com", "x.b.test"):
        world.ask(name)
        world.upstream_says(f"{name}. 300 A 192.0.2.53")
    reconfigure(world, {"b.test": [SECOND], ".": [FIRST]})
    assert records(world.answer("www.example.com")) == [GOOD]
    assert records(world.answer("x.b.test")) == ["x.b.test. 300 A 192.0.2.53"]
    reconfigure(world, {"z.test": [SECOND], ".": [FIRST]})
    world.ask("x.b.test")
    assert [send.upstream for send in world.sent] == [FIRST], "what b.test said is nothing that the default servers did"


def test_no_finished_answer_of_the_old_rules_is_left() -> None:
    world = World()
    world.ask("www.example.com")
    world.upstream_says(GOOD)
    world.answer("www.example.com")
    assert world.finished.held
    reconfigure(world, {".": [FIRST]})
    assert not world.finished.held
    assert records(world.answer("www.example.com")) == [GOOD]
    assert world.finished.held


def test_who_waits_is_answered_by_whoever_was_asked() -> None:
    world = World()
    client = world.ask("www.example.com")
    reconfigure(world, {".": [SECOND]})
    assert world.closed == []
    joined = world.ask("www.example.com")
    other = world.ask("other.example.com")
    assert [send.upstream for send in world.sent] == [FIRST, SECOND]
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == records(world.reply_to(joined)) == [GOOD]
    world.upstream_says("other.example.com. 300 A 192.0.2.53")
    assert rcode(world.reply_to(other)) == "NOERROR"


def test_a_chain_under_way_goes_on_by_the_new_rules() -> None:
    world = World()
    client = world.ask("www.example.com")
    reconfigure(world, {".": [FIRST], "corp.test": [SECOND]}, static=HOSTS)
    world.upstream_says("www.example.com. 300 CNAME db.corp.test.")
    assert [send.upstream for send in world.sent] == [SECOND]
    world.upstream_says("db.corp.test. 300 CNAME printer.test.")
    assert records(world.reply_to(client))[-1] == "printer.test. 30 A 192.0.2.9"


def test_what_becomes_a_name_of_ours_is_not_believed_of_whoever_was_asked_before() -> None:
    world = World()
    client = world.ask("www.example.com")
    reconfigure(world, {".": [FIRST]}, static=HOSTS)
    world.upstream_says("www.example.com. 300 CNAME printer.test.\nprinter.test. 300 A 203.0.113.66")
    assert records(world.reply_to(client))[-1] == "printer.test. 30 A 192.0.2.9"
    assert len(records(world.reply_to(client))) == 2


@pytest.mark.parametrize("waits", ["in flight", "forgotten"])
def test_a_zone_that_nobody_is_asked_for_any_more(waits: str) -> None:
    world = World(stubs={"corp.test": [SECOND]})
    client = world.ask("db.corp.test")
    reconfigure(world, {})
    if waits == "in flight":
        world.upstream_says("db.corp.test. 300 A 192.0.2.53")
        assert rcode(world.reply_to(client)) == "NOERROR"
    else:
        world.wait(5)
        assert rcode(world.reply_to(client)) == "SERVFAIL"
    assert rcode(world.answer("db.corp.test")) == "REFUSED"


def test_everything_that_can_be_said_is_said_anew() -> None:
    world = World([NamespaceFact("db"), ServiceFact("db", "postgres", (bytes((10, 96, 0, 7)),))])
    options = ZoneOptions(zone=from_text("cluster.local"), ttls=TTLs(service=77))
    reconfigure(
        world,
        {".": [FIRST]},
        options,
        bounds=Bounds(deadline=2.0, per_client=2),
        exchange=ExchangeOptions(attempt_timeout=1.0, force_tcp=True),
        ttls=TtlLimits(most=60),
        local=LocalOptions(special_names=True, rewrites={from_text("old.test"): from_text("new.test")}, no_aaaa=True),
    )
    assert records(world.answer("postgres.db.svc.cluster.local")) == ["postgres.db.svc.cluster.local. 77 A 10.96.0.7"]
    assert records(world.answer("localhost")) == ["localhost. 10800 A 127.0.0.1"]
    assert rcode(world.answer("www.example.com", "AAAA")) == "NOERROR"
    client = world.ask("x.old.test")
    assert [(send.tcp, b"\3new" in send.wire) for send in world.sent] == [(True, True)]
    world.upstream_says("x.new.test. 300 A 192.0.2.53")
    assert records(world.reply_to(client)) == ["x.old.test. 60 A 192.0.2.53"]
    silent, _ = world.ask("silent.example.com"), world.ask("two.example.com")
    assert rcode(world.answer("three.example.com")) == "SERVFAIL"
    world.wait(2)
    assert rcode(world.reply_to(silent)) == "SERVFAIL"


def test_what_is_known_of_servers_that_stay_is_kept() -> None:
    world = World(upstreams=(FIRST, SECOND))
    world.ask("www.example.com")
    world.wait(0.025)
    world.upstream_says(GOOD)
    reconfigure(world, {".": [SECOND, FIRST]})
    ((_, first),) = [zone.servers for zone in world.engine._forwards.zones if zone.name == ROOT]
    assert first.rtt == pytest.approx(0.025)


def test_probes_for_loops_go_to_new_servers_at_once_and_to_others_in_their_time() -> None:
    world = World()
    world.engine.watch_for_loops(world.now)
    world._drain()
    world.sent.clear()
    world.wait(60)
    reconfigure(world, {".": [FIRST], "corp.test": [SECOND]})
    assert [send.upstream for send in world.sent] == [SECOND]


@pytest.mark.parametrize("change", range(5))
def test_deadlines_and_timers_stay_right(change: int) -> None:
    world = World(upstreams=(FIRST, SECOND))
    clients = []
    for number in range(5):
        clients.append(world.ask(f"{number}.example.com"))
        if number == change:
            reconfigure(world, {".": [SECOND]}, exchange=ExchangeOptions(attempt_timeout=0.5))
        world.wait(0.3)
    world.wait(5)
    assert {rcode(world.reply_to(client)) for client in clients} == {"SERVFAIL"}
    assert world.engine.in_flight == 0
    assert world.engine.next_deadline() is None
    assert sorted(world.closed) == sorted({send.exchange for send in world.sent})
