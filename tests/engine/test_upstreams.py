"""Which upstream is asked for a name, and in which order."""

from __future__ import annotations

import itertools

import pytest

from hsdnsd.engine.upstreams import (
    FIRST_PROBE,
    LAST_PROBE,
    LEAST_HEDGE,
    LOOPING_FOR,
    MOST_HEDGE,
    PLAIN_FOR,
    Forwards,
    ForwardZone,
    Policy,
    Server,
    Upstream,
)
from hsdnsd.wire.name import ROOT, from_text, is_within

MAX_FAILS = 3
ONE, TWO, THREE = (Upstream(f"192.0.2.{n}", 53) for n in (1, 2, 3))


def zone(*upstreams: Upstream) -> ForwardZone:
    return ForwardZone(ROOT, upstreams)


def order(forward: ForwardZone, now: float) -> list[Upstream]:
    return [server.upstream for server in forward.order(now)]


def test_an_upstream_is_shown_with_its_port() -> None:
    assert (str(Upstream("192.0.2.1", 53)), str(Upstream("::1", 5353))) == ("192.0.2.1:53", "[::1]:5353")


def test_servers_are_asked_in_the_order_of_the_configuration() -> None:
    assert order(zone(ONE, TWO, THREE), 0.0) == [ONE, TWO, THREE]


def test_a_server_that_is_silent_often_enough_comes_last_until_it_answers() -> None:
    forward = zone(ONE, TWO)
    for _ in range(MAX_FAILS):
        assert order(forward, 0.0) == [ONE, TWO]
        forward.servers[0].silent(0.0)
    assert order(forward, 0.0) == [TWO, ONE]
    forward.servers[0].answered(0.01)
    assert order(forward, 0.0) == [ONE, TWO]


def test_one_query_in_an_interval_tries_a_server_that_is_down_and_the_interval_doubles() -> None:
    forward = zone(ONE, TWO)
    for _ in range(MAX_FAILS):
        forward.servers[0].silent(100.0)
    probes, now = [], 100.0
    for _ in range(4000):
        now += 0.125
        if order(forward, now)[0] == ONE:
            probes.append(now - 100.0)
            assert order(forward, now) == [TWO, ONE], "one probe, not every query"
    gaps = [second - first for first, second in itertools.pairwise(probes)]
    assert probes[0] == FIRST_PROBE
    assert gaps[:6] == [2, 4, 8, 16, LAST_PROBE, LAST_PROBE]


def test_when_all_are_down_all_are_still_asked() -> None:
    forward = zone(ONE, TWO)
    for server in forward.servers:
        for _ in range(MAX_FAILS):
            server.silent(0.0)
    assert sorted(map(str, order(forward, 0.5))) == sorted(map(str, (ONE, TWO)))


def test_a_server_that_took_no_edns_is_asked_without_for_a_while() -> None:
    server = zone(ONE).servers[0]
    assert server.takes_edns(100.0)
    server.refused_edns(100.0)
    assert not server.takes_edns(100.0 + PLAIN_FOR - 0.1)
    assert server.takes_edns(100.0 + PLAIN_FOR)


@pytest.mark.parametrize(
    ("name", "upstream"),
    [
        ("www.example.com", ONE),
        ("corp.test", TWO),
        ("a.corp.test", TWO),
        ("lab.corp.test", THREE),
        ("x.lab.corp.test", THREE),
        ("xcorp.test", ONE),
        (".", ONE),
    ],
)
def test_the_longest_zone_that_a_name_lies_in_takes_it(name: str, upstream: Upstream) -> None:
    forwards = Forwards({ROOT: [ONE], from_text("corp.test"): [TWO], from_text("lab.corp.test"): [THREE]})
    matched = forwards.match(from_text(name))
    assert matched is not None
    assert matched.servers[0].upstream == upstream
    assert is_within(from_text(name), matched.name)


def test_without_a_default_other_names_have_nowhere_to_go() -> None:
    forwards = Forwards({from_text("corp.test"): [TWO]})
    assert forwards.match(from_text("www.example.com")) is None
    assert forwards.match(from_text("corp.test")) is not None
    assert [server.upstream for server in forwards.servers()] == [TWO]


def many(policy: Policy, picks: list[int]) -> ForwardZone:
    return ForwardZone(ROOT, (ONE, TWO, THREE), policy, lambda below: picks.pop(0) % below if picks else 1)


def test_round_robin_begins_with_each_in_turn() -> None:
    forward = many(Policy.ROUND_ROBIN, [])
    assert [order(forward, 0.0)[0] for _ in range(6)] == [TWO, THREE, ONE, TWO, THREE, ONE]


def test_random_draws_every_order() -> None:
    assert order(many(Policy.RANDOM, [2, 0, 0]), 0.0) == [THREE, ONE, TWO]
    assert order(many(Policy.RANDOM, [1, 1, 0]), 0.0) == [TWO, THREE, ONE]


def test_the_fastest_is_asked_first_and_now_and_then_another() -> None:
    forward = many(Policy.FASTEST, [])
    for server, seconds in zip(forward.servers, (0.03, 0.01, 0.02), strict=True):
        server.answered(seconds)
    assert order(forward, 0.0) == [TWO, THREE, ONE]
    exploring = many(Policy.FASTEST, [0, 1])
    for server, seconds in zip(exploring.servers, (0.03, 0.01, 0.02), strict=True):
        server.answered(seconds)
    assert order(exploring, 0.0) == [ONE, TWO, THREE]


def test_a_silent_server_is_no_longer_the_fastest() -> None:
    forward = many(Policy.FASTEST, [])
    for server in forward.servers:
        server.answered(0.01)
    forward.servers[0].silent(0.0)
    assert order(forward, 0.0)[-1] == ONE


def test_the_delay_until_a_second_server_is_asked_is_learned() -> None:
    server = zone(ONE).servers[0]
    assert server.hedge_after == MOST_HEDGE, "nothing is known yet"
    for _ in range(50):
        server.answered(0.002)
    assert server.hedge_after == LEAST_HEDGE
    for _ in range(50):
        server.answered(0.1)
    assert 0.1 < server.hedge_after < 0.12
    for _ in range(50):
        server.answered(2.0)
    assert server.hedge_after == MOST_HEDGE


def test_a_server_that_leads_back_to_us_is_asked_nothing_for_a_while() -> None:
    forward = zone(ONE, TWO)
    forward.servers[0].looped(100.0)
    assert order(forward, 100.0) == [TWO]
    assert order(forward, 100.0 + LOOPING_FOR) == [ONE, TWO]


def test_max_fails_0_takes_nobody_out() -> None:
    forward = ForwardZone(ROOT, (ONE, TWO), max_fails=0)
    for _ in range(100):
        forward.servers[0].silent(0.0)
    assert order(forward, 0.0) == [ONE, TWO]


def test_what_is_known_of_a_server_outlives_a_change_of_the_others() -> None:
    forward = zone(ONE, TWO)
    forward.servers[1].answered(0.5)
    forward.replace((TWO, THREE))
    assert [(server.upstream, server.rtt) for server in forward.servers] == [(TWO, 0.5), (THREE, 0.0)]


def test_zones_go_on_with_what_their_servers_were_known_for() -> None:
    before = Forwards({ROOT: [ONE, TWO], from_text("corp.test"): [ONE]}, max_fails=2)
    after = Forwards({from_text("lab.test"): [ONE], ROOT: [TWO, THREE]}, max_fails=5)
    before.zones[0].servers[1].answered(0.5)
    for _ in range(2):
        before.zones[0].servers[1].silent(100.0)
    after.inherit(before)
    lab, root = after.zones
    assert lab.servers[0] is not before.zones[0].servers[0]
    assert root.servers[0] is before.zones[0].servers[1]
    assert root.servers[1].upstream == THREE
    assert not root.servers[0].down, "five are needed now"


def test_an_opt_that_a_server_had_nothing_to_say_to_is_tried_again_by_one_question_in_a_minute() -> None:
    server = Server(ONE, 3)
    assert server.takes_edns(100.0)
    server.silent_to_edns(100.0)
    assert [server.takes_edns(now) for now in (100.0, 159.9, 160.0, 160.0, 163.9, 164.0)] == [
        False, False, True, False, False, True,
    ]  # fmt: skip
    server.took_edns(False)
    assert server.takes_edns(164.0)


def test_a_server_that_has_shown_an_opt_has_to_be_silent_to_one_three_times_in_a_row() -> None:
    server = Server(ONE, 3)
    server.took_edns(True)
    for turn in range(4):
        server.silent_to_edns(100.0)
        server.silent_to_edns(100.0)
        assert server.takes_edns(100.0), turn
        server.took_edns(True)
    for _ in range(3):
        server.silent_to_edns(100.0)
    assert not server.takes_edns(100.0)
    assert not server.knows_edns
