"""Every look-up ends at its own deadline, whatever it waits for."""

from __future__ import annotations

import pytest

from hsdnsd.engine.exchange import MAX_MESSAGES
from hsdnsd.engine.resolver import Bounds
from tests.support.world import FIRST, SECOND, World, ede, rcode, records

LINK = "a.example.com. 60 CNAME b.example.com."
KNOWN = "b.example.com. 1 A 192.0.2.53"


def joined(world: World, after: float = 3.0) -> object:
    """A client whose chain leads, so many seconds after it has asked, to a question of somebody who asked just then."""
    client = world.ask("a.example.com")
    asked = world.sent.pop()
    world.wait(after)
    world.sent.clear()
    world.ask("b.example.com", source="192.0.2.101")
    world.upstream_says(LINK, send=asked)
    return client


@pytest.mark.parametrize("deadline", [0.1, 1.0, 4.0])
def test_an_answer_is_there_by_the_deadline_and_not_much_sooner(deadline: float) -> None:
    world = World(upstreams=(FIRST, SECOND), bounds=Bounds(deadline=deadline))
    client = world.ask("a.example.com")
    world.wait(deadline * 0.85)
    assert client not in world.replies
    world.wait(deadline * 0.15 - 0.005)
    assert rcode(world.reply_to(client)) == "SERVFAIL"


def test_who_joins_a_question_begun_later_does_not_wait_longer_for_it() -> None:
    world = World()
    client = joined(world)
    world.wait(0.97)
    assert client not in world.replies
    world.wait(0.03)
    message = world.reply_to(client)
    assert (rcode(message), ede(message)) == ("SERVFAIL", 22)
    assert world.engine.in_flight == 1, "whoever asked later still waits"


def test_the_question_goes_on_for_those_who_can_wait() -> None:
    world = World()
    joined(world)
    later = world.ask("b.example.com", source="192.0.2.102")
    world.wait(1.01)
    world.upstream_says("b.example.com. 60 A 192.0.2.53")
    assert records(world.reply_to(later)) == ["b.example.com. 60 A 192.0.2.53"]
    assert records(world.answer("a.example.com"))[1:] == ["b.example.com. 60 A 192.0.2.53"]


def test_who_leaves_is_given_what_was_known_before() -> None:
    world = World(bounds=Bounds(stale_after=2.0))
    world.ask("b.example.com")
    world.upstream_says(KNOWN)
    world.wait(2)
    client = joined(world)
    world.wait(0.97)
    assert client not in world.replies
    world.wait(0.03)
    message = world.reply_to(client)
    assert records(message)[1:] == ["b.example.com. 30 A 192.0.2.53"]
    others = len(world.replies)
    world.wait(0.98)
    assert len(world.replies) == others
    world.wait(0.03)
    assert len(world.replies) == others + 1, "whoever asked later is given it in time too"


def test_who_comes_too_late_to_wait_at_all_is_told_at_once() -> None:
    world = World()
    client = world.ask("a.example.com")
    asked = world.sent.pop()
    world.wait(3.7)
    world.now += 0.4  # the timer is late
    world.ask("b.example.com", source="192.0.2.101")
    world.upstream_says(LINK, send=asked)
    assert rcode(world.reply_to(client)) == "SERVFAIL"


@pytest.mark.parametrize("waiters", [1, 200])
def test_the_deadlines_of_many_cost_one_wake_up_each_at_most(waiters: int) -> None:
    world = World(bounds=Bounds(per_client=1000))
    clients = []
    for number in range(waiters):
        clients.append(world.ask(f"{number}.example.com"))
        world.wait(0.001)
    asked, world.sent = world.sent, []
    world.wait(0.5)
    late = world.ask("b.example.com", source="192.0.2.101")
    world.sent.clear()
    for number, send in enumerate(asked):
        world.upstream_says(f"{number}.example.com. 60 CNAME b.example.com.", send=send)
    assert world.engine.in_flight == 1
    wakes = 0
    while (deadline := world.engine.next_deadline()) is not None:
        wakes += 1
        world.now = max(world.now, deadline)
        world.engine.deadline_passed(world.now)
        world._drain()
        assert {rcode(world.reply_to(client)) for client in clients if client in world.replies} <= {"SERVFAIL"}
    assert set(clients) | {late} <= set(world.replies)
    assert wakes <= waiters + 4


def test_who_is_given_something_older_and_goes_on_has_no_more_than_six_messages_in_all() -> None:
    world = World(upstreams=(FIRST, SECOND))
    world.ask("a.example.com")
    world.upstream_says("a.example.com. 1 CNAME b.example.com.")
    world.wait(30)
    world.sent.clear()
    client = world.ask("a.example.com")
    world.wait(4.1)
    assert rcode(world.reply_to(client)) == "SERVFAIL"
    assert 4 <= len(world.sent) <= MAX_MESSAGES
