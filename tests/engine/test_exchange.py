from __future__ import annotations

from hsdnsd.cache.store import Key
from hsdnsd.engine.exchange import MAX_MESSAGES, Attempt, Exchange
from hsdnsd.engine.upstreams import Server, Upstream
from hsdnsd.wire.name import ROOT, from_text

ONE, TWO = (Server(Upstream(f"192.0.2.{number}", 53), 3) for number in (1, 2))


def exchange(*attempts: Attempt) -> Exchange:
    made = Exchange(1, Key(from_text("a.test"), 28, False, False, ROOT), [ONE, TWO], 100.0, 104.0, MAX_MESSAGES)
    made.attempts += attempts
    return made


def attempt(server: Server = ONE, *, tcp: bool = False, edns: bool = True, over: bool = False) -> Attempt:
    made = Attempt(server, 1, b"", tcp, edns, 100.0)
    made.over = made.silent = over
    return made


def test_the_question_is_the_keys() -> None:
    assert exchange().question == b"\1a\4test\0" + bytes.fromhex("001c 0001")


def test_what_it_cost_is_every_message_that_was_sent() -> None:
    asked = exchange(attempt(), attempt())
    asked.resent = 1
    assert asked.sent == 3


def test_it_waits_for_tcp_until_that_is_over() -> None:
    assert not exchange(attempt()).waits_for_tcp
    assert exchange(attempt(over=True), attempt(tcp=True)).waits_for_tcp
    assert not exchange(attempt(), attempt(tcp=True, over=True)).waits_for_tcp


def test_silence_to_an_opt_is_counted_by_server() -> None:
    asked = exchange(
        attempt(over=True), attempt(), attempt(edns=False, over=True), attempt(TWO, over=True), attempt(TWO, over=True)
    )
    assert [asked.silent_with_edns(server) for server in (ONE, TWO)] == [1, 2]
