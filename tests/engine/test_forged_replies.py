"""Somebody guesses ids: TCP is heard first, and what matches over UDP counts only where there is no TCP to hear."""

from __future__ import annotations

import pytest

from hsdnsd.engine.exchange import MAX_MESSAGES
from hsdnsd.engine.exchanges import MAX_NEAR_MISSES
from tests.support.world import FIRST, SECOND, World, rcode, records, reply

GOOD = "www.example.com. 300 A 192.0.2.53"
ANSWERED = ["www.example.com. 300 A 192.0.2.53"]
FORGED = "www.example.com. 300 A 203.0.113.66"


def refuse_tcp(world: World) -> None:
    for send in [send for send in world.sent if send.tcp]:
        world.sent.remove(send)
        world.engine.upstream_failed(send.exchange, send.attempt, world.now)
    world._drain()


def flood(world: World, count: int) -> None:
    """So many guesses arrive on the socket of the first message."""
    (udp,) = [send for send in world.sent if not send.tcp]
    for _ in range(count):
        world.upstream(reply(udp, FORGED, id=7), udp)


@pytest.mark.parametrize(
    "lie",
    [
        {"id": 0x4242},
        {"question": "www.example.net."},
        {"question": "www.example.co."},
    ],
    ids=["id", "question", "shorter question"],
)
def test_a_reply_that_does_not_match_is_dropped_and_the_same_asked_over_tcp_once(lie: dict[str, object]) -> None:
    world = World()
    client = world.ask("www.example.com")
    udp = world.sent.pop()
    for _ in range(2):
        world.upstream(reply(udp, FORGED, **lie), udp)
        assert client not in world.replies
        assert [send.tcp for send in world.sent] == [True]
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED
    assert world.closed == [udp.exchange]
    assert world.counters.near_misses == 2


@pytest.mark.parametrize(
    "junk",
    [b"", b"\x12", b"\x10\x01\x81\x80", b"\x10\x01\x01\x00" + b"\0" * 8],
    ids=["nothing", "one octet", "four octets", "a query"],
)
def test_junk_is_a_near_miss(junk: bytes) -> None:
    world = World()
    world.ask("www.example.com")
    udp = world.sent.pop()
    world.upstream(junk, udp)
    assert world.counters.near_misses == 1
    assert [send.tcp for send in world.sent] == [True]


def test_what_matches_after_a_guess_is_not_believed_before_tcp_has_spoken() -> None:
    world = World()
    client = world.ask("www.example.com")
    udp = world.sent.pop()
    world.upstream(reply(udp, id=7), udp)
    world.upstream(reply(udp, FORGED), udp)
    assert client not in world.replies
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED


def test_a_failure_over_tcp_is_what_tcp_says() -> None:
    world = World()
    client = world.ask("www.example.com")
    udp = world.sent.pop()
    world.upstream(reply(udp, id=7), udp)
    world.upstream(reply(udp, FORGED), udp)
    world.upstream_says(rcode="SERVFAIL")
    assert rcode(world.reply_to(client)) == "SERVFAIL"


@pytest.mark.parametrize("first", ["reply", "refusal"])
def test_one_stray_reply_does_not_cost_the_answer_of_an_upstream_that_refuses_tcp(first: str) -> None:
    world = World()
    client = world.ask("www.example.com")
    udp = world.sent[0]
    world.upstream(reply(udp, id=7), udp)
    if first == "refusal":
        refuse_tcp(world)
    world.upstream(reply(udp, GOOD), udp)
    if first == "reply":
        assert client not in world.replies
        refuse_tcp(world)
    assert records(world.reply_to(client)) == ANSWERED


def test_nor_of_one_that_says_nothing_over_tcp() -> None:
    world = World()
    client = world.ask("www.example.com")
    udp = world.sent[0]
    world.upstream(reply(udp, id=7), udp)
    world.upstream(reply(udp, GOOD), udp)
    world.wait(1.1)
    assert client not in world.replies
    world.wait(0.1)
    assert records(world.reply_to(client)) == ANSWERED


def test_many_guesses_close_the_ear_and_the_answer_comes_over_tcp() -> None:
    world = World()
    client = world.ask("www.example.com")
    udp = world.sent[0]
    flood(world, MAX_NEAR_MISSES)
    assert (world.deafened, world.counters.distrusted) == ([], 0)
    flood(world, 100)
    assert world.counters.distrusted == 1
    assert world.deafened == [udp.exchange]
    assert world.counters.near_misses == MAX_NEAR_MISSES + 1, "nobody looks any more"
    world.upstream(reply(udp, FORGED), udp)
    assert client not in world.replies
    world.upstream_says(GOOD, send=next(send for send in world.sent if send.tcp))
    assert records(world.reply_to(client)) == ANSWERED


@pytest.mark.parametrize("known", [False, True])
def test_under_many_guesses_an_upstream_without_tcp_is_no_upstream(known: bool) -> None:
    world = World()
    if known:
        world.ask("www.example.com")
        world.upstream_says("www.example.com. 1 A 192.0.2.53")
        world.wait(2)
    client = world.ask("www.example.com")
    udp = world.sent[0]
    flood(world, 2)
    world.upstream(reply(udp, FORGED), udp)
    flood(world, MAX_NEAR_MISSES - 1)  # which takes what was set aside with it
    refuse_tcp(world)
    assert world.engine.in_flight == 0
    message = world.reply_to(client)
    assert (rcode(message), records(message)) == (
        ("NOERROR", ["www.example.com. 30 A 192.0.2.53"]) if known else ("SERVFAIL", [])
    )


def test_no_server_is_asked_over_udp_any_more() -> None:
    world = World(upstreams=(FIRST, SECOND))
    client = world.ask("www.example.com")
    flood(world, MAX_NEAR_MISSES + 1)
    refuse_tcp(world)
    assert [(send.upstream, send.tcp) for send in world.sent] == [(FIRST, False), (SECOND, True)]
    world.upstream_says(GOOD, send=world.sent[1])
    assert records(world.reply_to(client)) == ANSWERED


def test_another_server_that_answers_over_udp_is_asked_over_tcp_as_well() -> None:
    world = World(upstreams=(FIRST, SECOND))
    client = world.ask("www.example.com")
    world.wait(0.4)
    first, second = world.sent
    world.upstream(reply(first, id=7), first)
    world.upstream(reply(second, FORGED), second)
    assert [(send.upstream, send.tcp) for send in world.sent[2:]] == [(FIRST, True), (SECOND, True)]
    world.upstream_says(GOOD, send=world.sent[3])
    assert records(world.reply_to(client)) == ANSWERED
    assert len(world.sent) <= MAX_MESSAGES


def test_guesses_say_nothing_of_the_server() -> None:
    world = World()
    world.ask("www.example.com")
    flood(world, 100)
    world.upstream_says(GOOD, send=next(send for send in world.sent if send.tcp))
    assert world.counters.upstream_failures == {}


@pytest.mark.parametrize("tcp", ["answers", "refuses"])
def test_whoever_guesses_every_id_there_is_has_guessed_nothing(tcp: str) -> None:
    world = World()
    client = world.ask("www.example.com")
    udp = world.sent[0]
    body = reply(udp, FORGED)[2:]
    right = int.from_bytes(udp.wire[:2])
    for number in range(1, 1 << 16):
        world.upstream(((right + number) % (1 << 16)).to_bytes(2) + body, udp)
    world.upstream(reply(udp, FORGED), udp)
    if tcp == "answers":
        world.upstream_says(GOOD, send=world.sent[1])
        assert records(world.reply_to(client)) == ANSWERED
    else:
        refuse_tcp(world)
        assert rcode(world.reply_to(client)) == "SERVFAIL"
