"""Answers past their time (RFC 8767): given when nobody answers, never before, and never hidden by a failure."""

from __future__ import annotations

import pytest

from hsdnsd.cache.cache import Limits
from hsdnsd.engine.resolver import Bounds
from hsdnsd.records.model import ServiceFact
from hsdnsd.wire.name import from_text
from tests.support.world import World, ede, rcode, records

SOA = "example.com. 300 SOA ns.example.com. h.example.com. 1 7200 3600 1209600 300"
GOOD = "www.example.com. 60 A 192.0.2.53"
STALE = ["www.example.com. 30 A 192.0.2.53"]


def known(**how: object) -> World:
    """The answer is known, and its time is over."""
    world = World(**how)  # type: ignore[arg-type]
    world.ask("www.example.com")
    world.upstream_says(GOOD)
    world.wait(61)
    return world


def test_what_was_known_is_given_when_the_upstream_takes_long_and_the_question_goes_on() -> None:
    world = known()
    client = world.ask("www.example.com")
    world.wait(0.39)
    assert client not in world.replies
    world.wait(0.02)
    message = world.reply_to(client)
    assert (records(message), ede(message)) == (STALE, 3)
    world.upstream_says("www.example.com. 60 A 192.0.2.54")
    assert records(world.answer("www.example.com")) == ["www.example.com. 60 A 192.0.2.54"]
    assert len(world.replies[client]) == 1


def test_an_upstream_that_answers_in_time_is_waited_for() -> None:
    world = known()
    client = world.ask("www.example.com")
    world.wait(0.3)
    world.upstream_says("www.example.com. 60 A 192.0.2.54")
    assert records(world.reply_to(client)) == ["www.example.com. 60 A 192.0.2.54"]


def test_who_asks_while_the_upstream_is_late_already_does_not_wait_again() -> None:
    world = known()
    world.ask("www.example.com")
    world.wait(1)
    sent = len(world.sent)
    assert records(world.answer("www.example.com")) == STALE
    assert len(world.sent) == sent


@pytest.mark.parametrize("rcode_", ["SERVFAIL", "REFUSED"])
def test_a_failure_never_hides_what_was_known(rcode_: str) -> None:
    world = known()
    client = world.ask("www.example.com")
    world.upstream_says(rcode=rcode_)
    assert records(world.reply_to(client)) == STALE
    assert world.sent == []
    message = world.answer("www.example.com")
    assert (records(message), ede(message)) == (STALE, 3)
    assert world.sent == [], "while asking again is not due, nobody is asked"
    world.wait(1)
    world.ask("www.example.com")
    assert len(world.sent) == 1


def test_a_denial_may_be_stale_too_and_says_so() -> None:
    world = World()
    world.ask("gone.example.com")
    world.upstream_says(rcode="NXDOMAIN", authority=SOA)
    world.wait(31)
    client = world.ask("gone.example.com")
    world.wait(0.5)
    message = world.reply_to(client)
    assert (rcode(message), ede(message)) == ("NXDOMAIN", 19)


def test_a_fresh_denial_takes_the_place_of_data_for_good() -> None:
    world = known()
    client = world.ask("www.example.com")
    world.upstream_says(rcode="NXDOMAIN", authority=SOA)
    assert rcode(world.reply_to(client)) == "NXDOMAIN"
    world.wait(31)
    client = world.ask("www.example.com")
    world.wait(4)
    assert rcode(world.reply_to(client)) == "NXDOMAIN"


def test_what_is_too_old_is_not_given() -> None:
    world = known(limits=Limits(max_stale=100))
    world.wait(100)
    client = world.ask("www.example.com")
    world.wait(4)
    assert rcode(world.reply_to(client)) == "SERVFAIL"


def test_stale_can_be_turned_off() -> None:
    world = known(limits=Limits(max_stale=0))
    client = world.ask("www.example.com")
    world.wait(3.9)
    assert rcode(world.reply_to(client)) == "SERVFAIL"


def test_a_limit_gives_what_was_known_before_it_refuses() -> None:
    world = known(bounds=Bounds(in_flight=1))
    world.ask("other.example.com")
    assert records(world.answer("www.example.com")) == STALE
    assert rcode(world.answer("third.example.com")) == "SERVFAIL"


def test_a_chain_over_something_stale_says_so() -> None:
    world = World([ServiceFact("db", "alias", external_name="www.example.com")])
    world.ask("alias.db.svc.cluster.local")
    world.upstream_says(GOOD)
    world.wait(61)
    client = world.ask("alias.db.svc.cluster.local")
    world.wait(0.5)
    message = world.reply_to(client)
    assert ede(message) == 3
    assert records(message) == ["alias.db.svc.cluster.local. 5 CNAME www.example.com.", *STALE]


def test_stale_answers_are_counted() -> None:
    world = known()
    world.ask("www.example.com")
    world.wait(0.5)
    assert world.counters.cache_hits["stale"] == 1


def test_what_is_in_demand_is_fetched_again_before_it_runs_out() -> None:
    world = World()
    world.ask("www.example.com")
    world.upstream_says(GOOD)
    world.answer("www.example.com")
    ((key, (_, expires, _)),) = world.finished.held.items()
    assert expires == world.now + 60
    world.finished.wanted.append((*key, 7))
    world.wait(55)
    world.engine.refresh(world.now)
    world._drain()
    world.upstream_says("www.example.com. 60 A 192.0.2.54")
    world.wait(10)
    assert records(world.answer("www.example.com")) == ["www.example.com. 50 A 192.0.2.54"]
    assert world.sent == []


def test_own_names_and_questions_in_flight_are_not_fetched() -> None:
    world = World()
    world.ask("www.example.com")
    for name in ("www.example.com", "postgres.db.svc.cluster.local"):
        world.finished.wanted.append((from_text(name), 1, True, False, 1))
        world.finished.wanted.append((from_text(name), 1, False, False, 1))
    world.engine.refresh(world.now)
    world._drain()
    assert [send.exchange for send in world.sent] == [1, 2], "the one with DO was not in flight"
