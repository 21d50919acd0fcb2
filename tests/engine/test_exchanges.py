"""What an upstream may do, and what comes of it: a scripted liar, message by message."""

from __future__ import annotations

import pytest

from hsdnsd.engine.exchange import MAX_MESSAGES, ExchangeOptions
from hsdnsd.engine.exchanges import MAX_UDP_PER_SERVER
from hsdnsd.engine.upstreams import Upstream
from tests.support.world import FIRST, SECOND, World, rcode, records, reply

GOOD = "www.example.com. 300 A 192.0.2.53"
ANSWERED = ["www.example.com. 300 A 192.0.2.53"]


def test_the_query_that_is_sent_is_ours_and_not_the_clients() -> None:
    world = World()
    world.ask("WWW.Example.com", size=4096)
    (send,) = world.sent
    assert send.wire[2:] == bytes.fromhex(
        "0100 0001 0000 0000 0001 03777777076578616d706c6503636f6d00 0001 0001 00 0029 04d0 00 00 0000 0000"
    )
    assert (send.upstream, send.tcp) == (FIRST, False)


def test_every_message_has_an_id_of_its_own_from_the_source_of_entropy() -> None:
    world = World()
    for number in range(600):
        world.ask(f"{number}.example.com", source=str(number))
    assert len({send.wire[:2] for send in world.sent}) >= 590, "drawn with replacement, 2.7 meet on average"


def test_what_matches_but_can_not_be_read_fails_in_three_messages() -> None:
    world = World()
    client = world.ask("www.example.com")
    sent = 0
    while world.sent:
        sent += 1
        send = world.sent.pop()
        world.upstream(reply(send, GOOD)[:-20], send)
    assert sent <= MAX_UDP_PER_SERVER
    assert rcode(world.reply_to(client)) == "SERVFAIL"


def test_truncated_over_udp_is_asked_over_tcp() -> None:
    world = World()
    client = world.ask("www.example.com")
    world.upstream_says("www.example.com. 300 A 203.0.113.66", tc=True)
    assert client not in world.replies, "what stands in a truncated reply is not looked at"
    (send,) = world.sent
    assert (send.tcp, send.upstream) == (True, FIRST)
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED


def test_truncated_over_tcp_is_no_answer() -> None:
    world = World()
    client = world.ask("www.example.com")
    sent = 0
    while world.sent:
        sent += 1
        world.upstream_says(GOOD, tc=True)
    world.wait(4)
    assert rcode(world.reply_to(client)) == "SERVFAIL"
    assert sent + len(world.sent) <= MAX_MESSAGES


def test_formerr_without_opt_is_asked_again_without_and_remembered() -> None:
    world = World()
    client = world.ask("www.example.com")
    world.upstream_says(rcode="FORMERR", edns=False)
    assert world.sent[0].wire[11] == 0, "no OPT"
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED
    world.ask("next.example.com")
    assert world.sent.pop().wire[11] == 0
    world.wait(60)
    world.ask("later.example.com")
    assert world.sent[-1].wire[11] == 1


@pytest.mark.parametrize("tcp", [False, True])
def test_what_says_nothing_to_an_opt_is_asked_again_without_and_that_is_remembered(tcp: bool) -> None:
    world = World(exchange=ExchangeOptions(force_tcp=tcp))
    client = world.ask("www.example.com")
    world.wait(1.2)
    mute, plain = world.sent
    assert (mute.wire[11], plain.wire[11]) == (1, 0)
    world.upstream_says(GOOD, send=plain)
    assert records(world.reply_to(client)) == ANSWERED
    world.ask("next.example.com")
    assert world.sent[-1].wire[11] == 0
    world.wait(60)
    for name, opt in (("trial.example.com", 1), ("other.example.com", 0)):
        world.ask(name)
        assert world.sent[-1].wire[11] == opt, "one question tries it, and the others do not wait for that"


def test_one_lost_message_takes_no_opt_from_a_server_that_has_shown_one() -> None:
    world = World()
    world.ask("first.example.com")
    world.upstream_says("first.example.com. 300 A 192.0.2.53")
    for turn in range(3):
        client = world.ask(f"{turn}.example.com")
        world.wait(2.41)
        assert [send.wire[11] for send in world.sent] == [1, 1, 0]
        world.upstream_says(f"{turn}.example.com. 300 A 192.0.2.53", send=world.sent[-1])
        assert rcode(world.reply_to(client)) == "NOERROR"
        world.sent.clear()
    world.ask("next.example.com")
    assert world.sent[-1].wire[11] == 0, "three in a row are no chance"


def test_a_question_that_wants_proofs_goes_with_an_opt_twice() -> None:
    world = World()
    world.ask("www.example.com", do=True)
    world.wait(2.41)
    assert [send.wire[11] for send in world.sent] == [1, 1, 0]


def test_a_server_that_is_silent_to_everything_is_asked_with_an_opt() -> None:
    world = World()
    world.ask("www.example.com")
    world.wait(5)
    world.ask("next.example.com")
    assert world.sent[-1].wire[11] == 1


def test_a_server_that_refuses_hands_over_to_the_next() -> None:
    world = World(upstreams=(FIRST, SECOND))
    client = world.ask("www.example.com")
    world.upstream_says(rcode="REFUSED")
    assert world.sent[0].upstream == SECOND
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED


def test_a_silent_server_hands_over_to_the_next_and_may_still_answer() -> None:
    world = World(upstreams=(FIRST, SECOND))
    client = world.ask("www.example.com")
    world.wait(0.4)
    assert [send.upstream for send in world.sent] == [FIRST, SECOND]
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED


def test_a_server_that_refuses_connections_is_tried_again_for_a_moment() -> None:
    world = World()
    client = world.ask("www.example.com")
    sent = 0
    for _ in range(10):
        while world.sent:
            sent += 1
            world.upstream_refuses()
        world.wait(0.2)
    assert sent == MAX_UDP_PER_SERVER
    assert rcode(world.reply_to(client)) == "SERVFAIL"
    assert world.engine.in_flight == 0


@pytest.mark.parametrize("upstreams", [(FIRST,), (FIRST, SECOND)])
@pytest.mark.parametrize("script", ["mute", "refuse", "junk", "tc", "formerr", "servfail", "short", "lame"])
def test_whatever_upstreams_do_it_costs_six_messages_and_ends_in_time(
    script: str, upstreams: tuple[object, ...]
) -> None:
    world = World(upstreams=upstreams)  # type: ignore[arg-type]
    client = world.ask("www.example.com")
    sent = 0
    for _ in range(41):
        while world.sent:
            sent += 1
            send = world.sent.pop(0)
            if script == "refuse":
                world.engine.upstream_failed(send.exchange, send.attempt, world.now)
                world._drain()
                continue
            said = {
                "mute": [],
                "junk": [b"\0" * 40] * 50,
                "tc": [reply(send, tc=True)],
                "formerr": [reply(send, rcode="FORMERR", edns=False)],
                "servfail": [reply(send, rcode="SERVFAIL")],
                "short": [reply(send, GOOD)[:-3]],
                "lame": [reply(send, "other.test. 300 A 203.0.113.66")],
            }[script]
            for wire in said:
                world.upstream(wire, send)
        world.wait(0.1)
    assert sent <= MAX_MESSAGES
    assert rcode(world.reply_to(client)) == "SERVFAIL"
    assert world.engine.in_flight == 0
    assert len(set(world.closed)) == len(world.closed) == 1


def test_a_late_reply_to_what_is_over_is_ignored() -> None:
    world = World()
    client = world.ask("www.example.com")
    send = world.sent[0]
    world.upstream_says(GOOD)
    world.upstream(reply(send, "www.example.com. 300 A 203.0.113.66"), send)
    world.engine.upstream_failed(send.exchange, send.attempt, world.now)
    assert records(world.reply_to(client)) == ANSWERED


def test_giving_up_answers_everybody() -> None:
    world = World()
    clients = [world.ask(f"{number}.example.com") for number in range(3)]
    world.engine.give_up(world.now)
    world._drain()
    assert [rcode(world.reply_to(client)) for client in clients] == ["SERVFAIL"] * 3
    assert world.engine.next_deadline() is None


def test_a_second_server_is_asked_sooner_once_the_first_is_known_to_be_quick() -> None:
    world = World(upstreams=(FIRST, SECOND))
    for number in range(20):
        world.ask(f"{number}.example.com")
        world.wait(0.005)
        world.upstream_says(f"{number}.example.com. 300 A 192.0.2.53")
    client = world.ask("www.example.com")
    world.wait(0.05)
    assert [send.upstream for send in world.sent] == [FIRST, SECOND]
    world.sent.pop(0)
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED


def test_one_slow_server_does_not_slow_names_that_have_another_way() -> None:
    world = World(upstreams=(FIRST, SECOND))
    waits = []
    for number in range(30):
        client = world.ask(f"{number}.example.com")
        began = world.now
        while client not in world.replies:
            for send in [send for send in world.sent if send.upstream == SECOND]:
                world.sent.remove(send)
                world.upstream_says(f"{number}.example.com. 300 A 192.0.2.53", send=send)
            world.wait(0.01)
        waits.append(world.now - began)
    assert max(waits) < 0.45
    assert sum(wait > 0.1 for wait in waits) <= 8, "it is asked first no more, but for a probe"


def test_force_tcp_asks_over_tcp_alone() -> None:
    world = World(exchange=ExchangeOptions(force_tcp=True))
    client = world.ask("www.example.com")
    assert [send.tcp for send in world.sent] == [True]
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED


def test_a_name_in_mixed_case_is_believed_only_if_it_comes_back_the_same() -> None:
    world = World(exchange=ExchangeOptions(mix_case=True))
    client = world.ask("www.example.com")
    udp = world.sent.pop()
    name = udp.wire[12:29]
    assert name.lower() == b"\x03www\x07example\x03com\0"
    assert name not in (name.lower(), name.upper())
    folded = bytearray(reply(udp, "www.example.com. 300 A 203.0.113.66"))
    folded[12:29] = name.lower()
    world.upstream(bytes(folded), udp)
    assert client not in world.replies
    world.upstream_says(GOOD)
    message = world.reply_to(client)
    assert message.question[0].name.to_text() == "www.example.com."
    assert len(message.answer) == 1


def test_a_server_behind_tls_is_asked_over_its_stream_alone() -> None:
    world = World(upstreams=(Upstream("192.0.2.1", 853, "dns.example"),))
    client = world.ask("www.example.com")
    assert [(send.tcp, send.upstream.tls_name) for send in world.sent] == [(True, "dns.example")]
    world.upstream_refuses()
    world.wait(0.2)
    assert [send.tcp for send in world.sent] == [True]
    world.upstream_says(GOOD)
    assert records(world.reply_to(client)) == ANSWERED


def test_a_server_that_answered_truncated_was_not_silent_over_udp() -> None:
    world = World()
    world.ask("www.example.com")
    world.upstream_says(tc=True)
    world.wait(1.3)
    assert world.counters.upstream_failures == {("192.0.2.1:53", "timeout"): 1}, "over TCP it was"


def test_a_message_that_was_lost_with_its_connection_counts_among_the_six() -> None:
    world = World()
    world.ask("www.example.com")
    number = world.sent[0].exchange
    assert [world.engine.spend(number) for _ in range(6)] == [True] * 5 + [False]
    world.wait(4.1)
    assert len(world.sent) == 1, "nothing was left for the time-outs"
    assert not world.engine.spend(number)
    assert not world.engine.spend(-1)


def test_queries_over_tls_are_as_long_as_others() -> None:
    world = World(upstreams=(Upstream("192.0.2.1", 853, "dns.example"),))
    for name in ("a.example", "a-name-of-some-length.example"):
        world.ask(name)
    assert [len(send.wire) for send in world.sent] == [128, 128]
