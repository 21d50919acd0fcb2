"""Upstreams that lead back here: found by probes, or by a message of ours that comes in; then asked nothing."""

from __future__ import annotations

import dns.message
import dns.rdatatype
import pytest

from hsdnsd.engine.exchange import ExchangeOptions, Send
from hsdnsd.engine.loops import PROBE_EVERY, PROBE_LEAD, PROBE_LIFE, UNANSWERED_AGAIN, LoopProbes
from hsdnsd.engine.upstreams import CLUSTER, LOOPING_FOR, Forwards, Upstream
from hsdnsd.wire.name import ROOT
from tests.support.world import FIRST, SECOND, World, ede, query, rcode, reply


def probes(world: World) -> list[Send]:
    """The probes that were sent, taken out of what waits for an answer."""
    found = [send for send in world.sent if send.exchange < 0]
    world.sent = [send for send in world.sent if send.exchange > 0]
    return found


def watching(**how: object) -> tuple[World, list[Send]]:
    """A world that watches for loops, and the probes that it began with."""
    world = World(**how)  # type: ignore[arg-type]
    world.engine.watch_for_loops(world.now)
    world._drain()
    return world, probes(world)


def come_back(world: World, probe: Send) -> None:
    """Somebody asks us what the probe asked: with another id, and letters in another case."""
    asked = dns.message.from_wire(probe.wire)
    name = asked.question[0].name.to_text().swapcase()
    client = world.send(query(name, "HINFO"))
    assert world.replies.pop(client) == [b""], "nobody is answered"


def test_every_upstream_of_every_zone_is_probed_at_the_beginning() -> None:
    world, sent = watching(upstreams=(FIRST, SECOND), stubs={"corp.example": [SECOND]})
    names = [dns.message.from_wire(send.wire).question[0].name.to_text() for send in sent]
    assert [(send.upstream, send.tcp) for send in sent] == [(FIRST, False), (SECOND, False), (SECOND, False)]
    assert [name.partition(".")[2] for name in names] == [
        "hsdnsd-loop-probe.",
        "hsdnsd-loop-probe.",
        "hsdnsd-loop-probe.corp.example.",
    ]
    tokens = {name.partition(".")[0] for name in names}
    assert len(tokens) == 3
    assert all(len(bytes.fromhex(token)) == 16 for token in tokens)
    assert dns.message.from_wire(sent[0].wire).question[0].rdtype == dns.rdatatype.HINFO
    assert len({send.exchange for send in sent}) == 3
    assert world.engine.in_flight == 0


def test_nothing_is_probed_before_the_daemon_says_so() -> None:
    world = World()
    world.wait(PROBE_EVERY * 2)
    assert world.sent == []
    assert world.engine.next_deadline() is None


@pytest.mark.parametrize(
    ("upstream", "options"),
    [(FIRST, ExchangeOptions(force_tcp=True)), (Upstream("192.0.2.1", 853, "dns.example"), ExchangeOptions())],
)
def test_a_probe_goes_the_way_that_questions_go(upstream: Upstream, options: ExchangeOptions) -> None:
    _, [probe] = watching(upstreams=(upstream,), exchange=options)
    assert probe.tcp
    assert (len(probe.wire) % 128 == 0) is (upstream.tls_name is not None)


def test_a_probe_that_comes_back_takes_its_upstream_out() -> None:
    world, [first, _] = watching(upstreams=(FIRST, SECOND))
    come_back(world, first)
    assert world.engine.looping == [FIRST]
    assert world.counters.upstream_loops == {str(FIRST): 1}
    assert world.closed == [first.exchange]
    world.ask("a.example")
    assert [send.upstream for send in world.sent] == [SECOND]


def test_with_nobody_left_to_ask_it_is_servfail() -> None:
    world, [probe] = watching()
    come_back(world, probe)
    answer = world.answer("a.example")
    assert (rcode(answer), ede(answer)) == ("SERVFAIL", 22)


def test_a_probe_comes_back_once() -> None:
    world, [probe] = watching()
    come_back(world, probe)
    world.ask(dns.message.from_wire(probe.wire).question[0].name.to_text(), "HINFO")
    assert world.counters.upstream_loops == {str(FIRST): 1}


@pytest.mark.parametrize("name", ["0" * 32 + ".hsdnsd-loop-probe", "0" * 32 + ".example", "hsdnsd-loop-probe", "."])
def test_other_peoples_probes_are_questions_like_any_other(name: str) -> None:
    world, _ = watching()
    world.ask(name, "HINFO")
    assert len(world.sent) == 1
    assert world.engine.looping == []


def test_a_token_of_another_type_of_question_or_below_another_name_is_nothing() -> None:
    world, [probe] = watching()
    name = dns.message.from_wire(probe.wire).question[0].name.to_text()
    world.ask(name, "A")
    world.ask(name.replace("probe", "prove"), "HINFO")
    assert world.engine.looping == []


@pytest.mark.parametrize("rc", ["NXDOMAIN", "SERVFAIL", "NOERROR"])
def test_what_an_upstream_says_to_a_probe_means_nothing(rc: str) -> None:
    world, [probe] = watching()
    world.upstream(reply(probe, rcode=rc), probe)
    assert world.closed == [probe.exchange]
    assert world.counters.upstreams == {}
    come_back(world, probe)
    assert world.engine.looping == [FIRST], "it may have answered while another copy was on its way"


def test_silence_and_refusal_mean_nothing() -> None:
    world, [first, second] = watching(upstreams=(FIRST, SECOND))
    world.engine.upstream_failed(second.exchange, 0, world.now)
    world.wait(PROBE_LIFE)
    assert sorted(world.closed) == [second.exchange, first.exchange]
    assert world.counters.upstream_failures == {}
    world.ask("a.example")
    assert len(world.sent) == 1


def test_probes_are_repeated_with_other_names() -> None:
    world, [first] = watching()
    world.upstream(reply(first, rcode="NXDOMAIN"), first)
    world.wait(PROBE_EVERY - 1)
    assert probes(world) == []
    world.wait(1)
    [second] = probes(world)
    assert second.wire[12:45] != first.wire[12:45]
    assert world.engine.looping == []


def test_one_that_was_not_answered_is_repeated_sooner() -> None:
    world, _ = watching()
    world.wait(PROBE_LIFE + UNANSWERED_AGAIN - 1)
    assert probes(world) == []
    world.wait(1)
    assert len(probes(world)) == 1


def test_an_upstream_that_goes_on_leading_back_is_never_asked_again() -> None:
    world, [probe] = watching()
    for _ in range(5):
        come_back(world, probe)
        world.wait(LOOPING_FOR - PROBE_LEAD)
        [probe] = probes(world)
        assert rcode(world.answer("a.example")) == "SERVFAIL"


def test_an_upstream_that_no_longer_leads_back_is_asked_again() -> None:
    world, [probe] = watching()
    come_back(world, probe)
    world.wait(LOOPING_FOR - PROBE_LEAD)
    [probe] = probes(world)
    world.upstream(reply(probe, rcode="NXDOMAIN"), probe)
    world.wait(PROBE_LEAD)
    world.ask("b.example")
    assert [send.upstream for send in world.sent] == [FIRST]


def test_a_message_that_comes_back_ends_what_it_was_sent_for() -> None:
    world = World(upstreams=(FIRST, SECOND))
    client = world.ask("a.example")
    [send] = world.sent
    world.engine.upstream_looped(send.exchange, send.attempt, world.now)
    world._drain()
    assert world.engine.looping == [FIRST]
    assert world.counters.upstream_failures == {(str(FIRST), "loop"): 1}
    assert [send.upstream for send in world.sent] == [FIRST, SECOND]
    world.upstream_says("a.example. 60 A 192.0.2.7", send=world.sent[1])
    assert rcode(world.reply_to(client)) == "NOERROR"


def test_a_message_that_comes_back_with_nobody_else_to_ask() -> None:
    world = World()
    client = world.ask("a.example")
    [send] = world.sent
    world.engine.upstream_looped(send.exchange, send.attempt, world.now)
    world.engine.upstream_looped(send.exchange, send.attempt, world.now)
    world._drain()
    answer = world.reply_to(client)
    assert (rcode(answer), ede(answer)) == ("SERVFAIL", 22)
    assert world.counters.upstream_loops == {str(FIRST): 1}


def test_a_probe_that_comes_straight_back() -> None:
    world, [probe] = watching()
    world.engine.upstream_looped(probe.exchange, probe.attempt, world.now)
    assert world.engine.looping == [FIRST]


def test_upstreams_that_come_are_probed_and_those_that_go_are_forgotten() -> None:
    world, [first] = watching()
    world.engine.replace_upstreams(ROOT, [FIRST, SECOND], world.now)
    world._drain()
    [second] = probes(world)
    assert second.upstream == SECOND
    world.engine.replace_upstreams(ROOT, [SECOND], world.now)
    world.upstream(reply(second), second)
    come_back(world, first)
    world.wait(PROBE_EVERY)
    assert {probe.upstream for probe in probes(world)} == {SECOND}
    world.ask("a.example")
    assert [send.upstream for send in world.sent] == [SECOND]


def test_the_clusters_own_dns_may_ask_us() -> None:
    """It answers what it is asked by itself, and forwards other names to the node's resolver, which may be us."""
    forwards = Forwards({ROOT: [FIRST], CLUSTER: [SECOND]})
    sent: list[Send] = []
    LoopProbes(forwards, bytes, False, sent, []).begin(0.0)
    assert [send.upstream for send in sent] == [FIRST]


def test_a_zone_with_a_name_too_long_for_probes_has_none() -> None:
    label = "a" * 63
    world, [probe] = watching(stubs={f"{label}.{label}.{label}.{label[:30]}": [SECOND]})
    assert probe.upstream == FIRST
    world.wait(PROBE_EVERY)
    assert {send.upstream for send in probes(world)} == {FIRST}
