"""What others may ask of upstreams, and what of the engine's they have to know."""

from __future__ import annotations

import math

from msgspec.structs import replace

from hsdnsd.cache.policy import TtlLimits
from hsdnsd.cache.store import Key
from hsdnsd.engine.aloft import Grant, Nobody, grant, is_shared
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.upstreams import LEAST_HEDGE, PLAIN_FOR, ForwardZone, Policy, Upstream
from hsdnsd.wire.name import ROOT, Name

FIRST, SECOND = Upstream("192.0.2.1", 53), Upstream("192.0.2.2", 53)
KEY = Key(Name(b"\1a\0"), 1, False, False, ROOT)


def granted(zone: ForwardZone | None, now: float = 100.0) -> Grant | None:
    return grant(zone, Bounds(), TtlLimits(), False, 1.2, now)


def zone_of(*upstreams: Upstream, policy: Policy = Policy.SEQUENTIAL) -> ForwardZone:
    return ForwardZone(ROOT, upstreams, policy, max_fails=2)


def test_one_server_is_asked_until_patience_ends() -> None:
    zone = zone_of(FIRST)
    found = granted(zone)
    assert found is not None
    assert found.servers == ((zone.servers[0], True),)
    assert (found.until, found.patience) == (math.inf, 0.4)
    assert (found.in_flight, found.waiters, found.per_client) == (4096, 1024, 256)


def test_patience_is_less_where_another_can_be_asked() -> None:
    zone = zone_of(FIRST, SECOND)
    for _ in range(50):
        zone.servers[0].answered(0.001)
    found = granted(zone)
    assert found is not None
    assert found.patience == LEAST_HEDGE
    assert found.servers == ((zone.servers[0], True),)


def test_nothing_is_granted_where_there_is_nobody_to_ask() -> None:
    assert granted(None) is None
    assert granted(zone_of()) is None
    assert granted(zone_of(Upstream("192.0.2.1", 853, "dns.example"))) is None


def test_a_server_that_is_down_is_left_to_the_engine_when_it_is_to_be_tried() -> None:
    zone = zone_of(FIRST, SECOND)
    zone.servers[0].silent(100.0)
    zone.servers[0].silent(100.0)
    found = granted(zone)
    assert found is not None
    assert (found.servers, found.until) == (((zone.servers[1], True),), 101.0)
    assert granted(zone, 101.0) is None
    assert zone.order(101.0)[0] is zone.servers[0]
    found = granted(zone, 101.0)
    assert found is not None
    assert found.until == 103.0


def test_a_server_that_leads_back_is_not_asked() -> None:
    zone = zone_of(FIRST)
    zone.servers[0].looped(100.0)
    assert granted(zone) is None
    assert granted(zone, 160.0) is not None


def test_edns_is_sent_as_the_engine_would() -> None:
    zone = zone_of(FIRST)
    zone.servers[0].refused_edns(100.0)
    found = granted(zone)
    assert found is not None
    assert (found.servers[0][1], found.until) == (False, 100.0 + PLAIN_FOR)
    # Whether it takes it after all, one question of the engine's finds out.
    zone.servers[0].silent_to_edns(100.0)
    assert granted(zone, 100.0 + PLAIN_FOR) is None


def test_the_fastest_comes_first() -> None:
    zone = zone_of(FIRST, SECOND, policy=Policy.FASTEST)
    zone.servers[0].answered(0.2)
    zone.servers[1].answered(0.1)
    found = granted(zone)
    assert found is not None
    assert [server.upstream for server, _ in found.servers] == [SECOND, FIRST]
    for policy in (Policy.RANDOM, Policy.ROUND_ROBIN):
        both = granted(zone_of(FIRST, SECOND, policy=policy))
        assert both is not None
        assert len(both.servers) == 2


def test_what_can_be_shared() -> None:
    assert is_shared(KEY)
    assert not is_shared(replace(KEY, do=True))
    assert not is_shared(replace(KEY, zone=Name(b"\1a\0")))


def test_nobody_asks_anything() -> None:
    nobody = Nobody()
    nobody.claim(KEY, 1.0)
    nobody.release(KEY, 1.0)
    nobody.reserve((), ())
    assert (nobody.in_flight, nobody.waiting_of("192.0.2.1"), nobody.may_ask(KEY)) == (0, 0, False)
