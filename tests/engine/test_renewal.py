"""Answers that are made again with what they were made from."""

from __future__ import annotations

import copy

from hsdnsd.engine import engine
from hsdnsd.engine.renewal import MAX_OWNERS, MAX_QUESTIONS, Renewal
from hsdnsd.records.model import EndpointSliceFact, Kind, Port, Replaced, ServiceFact
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import Name, from_text
from hsdnsd.wire.query import Query
from tests.support.facts import endpoint, endpoint_slice
from tests.support.world import World, query, rcode

OWNER = b"owner"
ZONE = "svc.cluster.local"


def service(name: str) -> ServiceFact:
    return ServiceFact("shop", name, headless=True, ports=(Port("http", "tcp", 80),))


WEB = service("web")


def asked(text: str, qtype: int = RRType.A, *, do: bool = False, cd: bool = False) -> Query:
    return Query(1, b"", Name(from_text(text).lower()), qtype, True, cd, False, do, do, 1232)


def web(*addresses: str, name: str = "web") -> EndpointSliceFact:
    endpoints = (endpoint(text, host=f"{name}-{number}") for number, text in enumerate(addresses))
    return endpoint_slice(name, *endpoints, ports=(Port("http", "tcp", 80),))


def given(world: World, name: str) -> bytes:
    """The body of what the packet path gives."""
    return world.finished.held[from_text(name), RRType.A, False, False][0].body


class TestRenewal:
    def test_questions_are_known_by_their_owner(self) -> None:
        renewal = Renewal()
        one, other = asked("one.example"), asked("other.example")
        renewal.note(OWNER, one, True)
        renewal.note(b"another", other, False)
        assert list(renewal.take(OWNER)) == [(one, True)]
        assert list(renewal.take(OWNER)) == []
        assert list(renewal.take(b"another")) == [(other, False)]

    def test_a_question_is_known_once_and_as_it_was_told_last(self) -> None:
        renewal = Renewal()
        queries = [
            asked("one.example"),
            asked("one.example", do=True),
            asked("one.example", cd=True),
            asked("one.example", RRType.AAAA),
            asked("two.example"),
        ]
        for each in (*queries, asked("ONE.example"), *queries):
            renewal.note(OWNER, each, True)
        renewal.note(OWNER, queries[1], False)
        assert list(renewal.take(OWNER)) == [(each, each is not queries[1]) for each in queries]

    def test_of_an_owner_the_last_questions_are_kept(self) -> None:
        renewal = Renewal()
        queries = [asked(f"{number}.example") for number in range(MAX_QUESTIONS + 3)]
        for each in queries:
            renewal.note(OWNER, each, True)
        assert [each for each, _ in renewal.take(OWNER)] == queries[3:]

    def test_the_last_owners_are_kept(self) -> None:
        renewal = Renewal()
        query = asked("one.example")
        for number in range(MAX_OWNERS + 1):
            renewal.note(b"%d" % number, query, True)
        assert not renewal.take(b"0")
        assert all(renewal.take(b"%d" % number) for number in range(1, MAX_OWNERS + 1))

    def test_everything_can_be_forgotten(self) -> None:
        renewal = Renewal()
        renewal.note(OWNER, asked("one.example"), True)
        renewal.clear()
        assert not renewal.take(OWNER)


def test_what_was_asked_for_is_made_again_with_a_change() -> None:
    world = World([WEB, web("10.0.0.1")])
    names = (f"web.shop.{ZONE}", f"web-0.web.shop.{ZONE}")
    for name in names:
        world.answer(name)
    requests = copy.deepcopy(world.counters.requests)
    world.tell(web("10.0.0.2"))
    for name in names:
        assert given(world, name).endswith(bytes((10, 0, 0, 2)))
    assert world.counters.requests == requests, "nobody has asked"


def test_it_is_made_again_as_long_as_the_packet_path_gives_it() -> None:
    world = World([WEB, web("10.0.0.1")])
    name = f"web.shop.{ZONE}"
    world.answer(name)
    for number in range(2, 5):
        world.tell(web(f"10.0.0.{number}"))
        assert given(world, name).endswith(bytes((10, 0, 0, number)))
        world.finished.gave.update(world.finished.held)
    world.tell(web("10.0.0.5"))
    world.tell(web("10.0.0.6"))
    assert world.finished.held == {}, "nobody was given the one before"
    world.answer(name)
    world.tell(web("10.0.0.7"))
    assert given(world, name).endswith(bytes((10, 0, 0, 7)))


def test_an_answer_that_came_too_early_is_followed_by_the_right_one() -> None:
    """A peer of a StatefulSet's that asks before the pod is there: what is asked over and over is NXDOMAIN."""
    world = World([WEB, web("10.0.0.1")])
    name = f"web-1.web.shop.{ZONE}"
    assert rcode(world.answer(name)) == "NXDOMAIN"
    world.tell(web("10.0.0.1", "10.0.0.2"))
    assert given(world, name).endswith(bytes((10, 0, 0, 2)))
    world.finished.gave.update(world.finished.held)
    world.tell(web("10.0.0.1"))
    assert world.finished.held[from_text(name), RRType.A, False, False][0].rcode == Rcode.NXDOMAIN


def test_an_answer_too_large_for_udp_waits_to_be_asked_for() -> None:
    """To make one of a thousand addresses takes milliseconds, and all that the packet path gives of it is TC."""
    world = World([WEB, web(*(f"10.0.1.{number}" for number in range(100)))])
    world.answer(f"web.shop.{ZONE}")
    world.answer(f"web-7.web.shop.{ZONE}")
    world.tell(web(*(f"10.0.2.{number}" for number in range(100))))
    assert [key[0] for key in world.finished.held] == [from_text(f"web-7.web.shop.{ZONE}")]


def test_a_change_makes_no_more_than_so_many_again() -> None:
    """A list may end thousands of answers at once; the event loop is not held for all of them."""
    names = [f"web{number}" for number in range(2 * engine._RENEWED_AT_ONCE)]
    slices = tuple(web("10.0.0.1", name=name) for name in names)
    world = World([*map(service, names), *slices])
    world.engine.records_changed(world.table.apply(Replaced(Kind.ENDPOINT_SLICE, slices), 1), world.now)
    for name in names:
        world.answer(f"{name}.shop.{ZONE}")
    world.engine.records_changed(world.table.apply(Replaced(Kind.ENDPOINT_SLICE, ()), 1), world.now)
    assert len(world.finished.held) == engine._RENEWED_AT_ONCE


def test_where_everything_ends_nothing_is_made_again() -> None:
    world = World([WEB, web("10.0.0.1")])
    world.answer(f"web.shop.{ZONE}")
    world.engine.records_changed([b"*"], world.now)
    world.tell(web("10.0.0.2"))
    assert world.finished.held == {}


def test_what_an_upstream_is_to_be_asked_for_is_not_asked_again_by_itself() -> None:
    """A Service that has become an ExternalName: its answer now ends in a name of somebody else's."""
    world = World([WEB, web("10.0.0.1")])
    world.answer(f"web.shop.{ZONE}")
    world.tell(ServiceFact("shop", "web", external_name="elsewhere.example"))
    assert world.finished.held == {}
    assert world.sent == []


def test_who_waited_while_the_answer_was_made_for_another_is_given_it() -> None:
    world = World([WEB, web("10.0.0.1")])
    wire = query(f"web.shop.{ZONE}")
    world.send(wire)
    before = copy.deepcopy(world.counters.responses)
    world.finished.ready[wire] = ready = error_of(wire, Rcode.NXDOMAIN)
    assert world.replies[world.send(wire)] == [ready]
    own = True
    assert world.counters.responses[own][Rcode.NXDOMAIN] == before[own][Rcode.NXDOMAIN] + 1
    assert world.replies[world.send(wire, tcp=True)] != [ready], "what is finished is as UDP has it"


def error_of(wire: bytes, code: Rcode) -> bytes:
    """Any reply, to be known again."""
    return wire[:2] + bytes((0x85, 0x80 | code)) + wire[4:]
