"""What comes of each lie of an upstream in a world with a clock of its own, with the time-outs that the daemon has."""

from __future__ import annotations

import heapq
import itertools
from typing import Final

import dns.edns
import dns.message
import dns.rcode
import pytest

from hsdnsd.engine.exchange import MAX_MESSAGES, ExchangeOptions, Send
from hsdnsd.records.model import ServiceFact
from hsdnsd.wire.const import HEADER_SIZE
from tests.support.lies import (
    FALSE,
    LOCAL_ADDRESS,
    NAME,
    VICTIM,
    Action,
    Asked,
    Elsewhere,
    End,
    Script,
    Stream,
    Wait,
    framed,
    silent,
)
from tests.support.scripts import SCRIPTS
from tests.support.verdicts import (
    TABLE,
    TRUTH,
    TTLS,
    WAYS,
    Way,
    checked,
    expect,
    records,
    remember,
    sent_by_us,
    stale_said,
)
from tests.support.world import FIRST, SECOND, World, query, reply

# Octets that are read of a datagram.
DATAGRAM: Final = 4096


def play(world: World, script: Script, seconds: float) -> list[Asked]:
    """Let the upstream do as the script says to every message, for so long; the messages."""
    asked: list[Asked] = []
    events: list[tuple[float, int, Send, Action]] = []
    order = itertools.count()
    streams: dict[tuple[int, int], bytearray] = {}
    ended: set[tuple[int, int]] = set()
    end = world.now + seconds
    while True:
        while world.sent:
            send = world.sent.pop(0)
            if not (script.tcp if send.tcp else script.udp):
                world.engine.upstream_failed(send.exchange, send.attempt, world.now)
                world._drain()
                asked.append(Asked(send.wire, send.tcp, len(asked)))
                continue
            asked.append(Asked(send.wire, send.tcp, len(asked)))
            when = world.now
            for action in script.says(asked[-1]):
                if isinstance(action, Wait):
                    when += action.seconds
                else:
                    heapq.heappush(events, (when, next(order), send, action))
        when = events[0][0] if events else end
        deadline = world.engine.next_deadline()
        if deadline is not None and deadline < when:
            when = deadline
        if when >= end:
            break
        world.wait(max(0.0, when - world.now))
        while events and events[0][0] <= world.now:
            _, _, send, action = heapq.heappop(events)
            attempt = send.exchange, send.attempt
            if not send.tcp and isinstance(action, bytes):
                world.upstream(action[:DATAGRAM], send)
            if not send.tcp or attempt in ended or isinstance(action, Elsewhere | Wait):
                continue
            stream = streams.setdefault(attempt, bytearray())
            if isinstance(action, bytes | Stream):
                stream += framed(action) if isinstance(action, bytes) else action.octets
            while len(stream) >= 2 and attempt not in ended:
                size = int.from_bytes(stream[:2])
                if size < HEADER_SIZE:
                    ended.add(attempt)
                if attempt in ended or len(stream) < 2 + size:
                    break
                wire = bytes(stream[2 : 2 + size])
                del stream[: 2 + size]
                if wire[:2] == send.wire[:2]:
                    world.upstream(wire, send)
            if isinstance(action, End) or attempt in ended:
                ended.add(attempt)
                world.engine.upstream_failed(*attempt, world.now)
                world._drain()
    world.wait(max(0.0, end - world.now))
    return asked


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("script", SCRIPTS)
def test_with_the_time_outs_that_the_daemon_has(script: str, way: Way) -> None:
    row, lie = TABLE[script], SCRIPTS[script]
    world = World(
        [ServiceFact("db", "postgres", (LOCAL_ADDRESS,))], exchange=ExchangeOptions(force_tcp=way.upstream_tcp)
    )
    if way.stale:
        remember(world.cache, world.now - 60)
    rtype = {1: "A", 16: "TXT"}.get(lie.qtype, f"TYPE{lie.qtype}")
    asked = dns.message.from_wire(query(NAME, rtype))
    client = world.send(asked.to_wire(), tcp=way.client_tcp)
    messages = play(world, lie, 4.01)
    (wire,) = world.replies[client]
    reply = checked(asked, wire)
    said = stale_said(way.verdict(row), lie.qtype)
    expect(reply, said, way.client_tcp)
    sent_by_us(messages)
    assert len(messages) <= MAX_MESSAGES
    if not way.upstream_tcp:
        assert sum(not message.tcp for message in messages) <= row.udp
        assert sum(message.tcp for message in messages) <= row.tcp
    assert world.engine.in_flight == 0
    assert len(world.closed) == len(set(world.closed))
    world.wait(30)
    assert not world.sent
    assert world.engine.next_deadline() is None
    for store in world.cache.stores.values():
        assert all(FALSE not in entry.answer.body for _, entry in store.items())


@pytest.mark.parametrize(("script", "ttl"), TTLS.items())
def test_how_long_an_answer_is_said_to_be_good(script: str, ttl: int) -> None:
    world = World()
    client = world.ask(NAME)
    play(world, SCRIPTS[script], 1)
    assert {rrset.ttl for rrset in world.reply_to(client).answer} == {ttl}


def test_the_wait_ends_while_tcp_is_being_tried() -> None:
    world = World()
    client = world.ask(NAME)
    play(world, SCRIPTS["TC, TCP silent"], 3)
    assert dns.rcode.to_text(world.reply_to(client).rcode()) == "SERVFAIL"


def test_a_silent_upstream_is_waited_for_for_four_seconds_at_most_and_something_stale_comes_after_400_ms() -> None:
    world = World()
    remember(world.cache, world.now - 60)
    stale, cold = world.ask(NAME), world.ask(VICTIM)
    play(world, Script(silent), 0.41)
    assert list(world.replies) == [stale]
    play(world, Script(silent), 3.59)
    assert cold in world.replies


def test_four_seconds_hold_along_a_chain_that_joins_who_asked_later() -> None:
    world = World()
    first = world.ask("a.example.com")
    (asked,) = world.sent
    world.wait(3.4)
    world.ask("b.example.com")
    world.wait(0.1)
    world.upstream_says("a.example.com. 60 CNAME b.example.com.", send=asked)
    world.wait(0.5)
    assert first in world.replies


def test_whatever_options_clients_send_it_is_one_question_and_none_is_passed_on() -> None:
    """A subnet that were passed on would make a question of its own of each (CVE-2025-5994, CVE-2025-30192)."""
    world = World()
    clients = []
    for number in range(100):
        asked = dns.message.make_query(NAME, "A", use_edns=0, payload=1232)
        subnet = dns.edns.ECSOption(f"192.0.{number}.0", 24)
        asked.use_edns(0, options=[subnet, dns.edns.GenericOption(10, bytes(8)), dns.edns.GenericOption(65001, b"x")])
        clients.append(world.send(asked.to_wire(), source=f"192.0.2.{number}"))
    messages = play(world, SCRIPTS["honest"], 0.1)
    assert len(messages) == 1
    sent_by_us(messages)
    for client in clients:
        reply_ = world.reply_to(client)
        assert records(reply_) == TRUTH.records
        assert list(reply_.options) == []


@pytest.mark.parametrize("how", [{"do": True}, {"cd": True}, {"rtype": "AAAA"}])
def test_no_answer_is_given_to_another_question(how: dict[str, object]) -> None:
    """CVE-2024-0874."""
    world = World()
    world.ask(NAME)
    play(world, SCRIPTS["honest"], 0.1)
    client = world.ask(NAME, **how)  # type: ignore[arg-type]
    assert client not in world.replies
    assert len(world.sent) == 1


@pytest.mark.parametrize("script", ["SERVFAIL", "REFUSED", "silent", "RDLENGTH 3 for A"])
def test_a_failure_is_not_asked_for_again_within_a_second(script: str) -> None:
    world = World()
    client = world.ask(NAME)
    while client not in world.replies:
        play(world, SCRIPTS[script], 0.1)
    world.wait(0.8)
    again = world.ask(NAME)
    assert dns.rcode.to_text(world.reply_to(again).rcode()) == "SERVFAIL"
    assert world.sent == []
    world.wait(0.2)
    world.ask(NAME)
    assert len(world.sent) == 1


def test_what_is_guessed_changes_nothing_of_how_a_server_is_asked() -> None:
    world = World(upstreams=(FIRST, SECOND))
    for number in range(5):
        world.ask(f"{number}.example.com")
        play(world, SCRIPTS["FORMERR guessed"], 0.1)
    world.ask("next.example.com")
    (asked,) = world.sent
    assert (asked.upstream, asked.wire[11]) == (FIRST, 1)
    assert world.counters.upstream_failures == {}


def test_once_somebody_guesses_tcp_has_the_say() -> None:
    world = World()
    client = world.ask(NAME)
    udp = world.sent.pop()
    world.upstream(reply(udp, id=0x4242), udp)
    (tcp,) = world.sent
    world.upstream(reply(udp, f"{NAME}. 300 A 203.0.113.66"), udp)
    world.upstream_says(f"{NAME}. 300 A 192.0.2.53", send=tcp)
    assert records(world.reply_to(client)) == TRUTH.records
