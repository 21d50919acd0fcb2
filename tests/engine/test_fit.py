"""Answers larger than a message are cut, and never an error."""

from __future__ import annotations

from ipaddress import IPv4Address

import dns.flags
import dns.message
import pytest

from hsdnsd.engine.fit import build_own
from hsdnsd.records.model import Port, ServiceFact
from hsdnsd.records.result import Result
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import from_text
from hsdnsd.wire.rrset import RRset
from tests.support.facts import endpoint, endpoint_slice
from tests.support.world import World, records

NAME = "big.db.svc.cluster.local"


def headless(endpoints: int) -> World:
    these = [endpoint(str(IPv4Address(number))) for number in range(0x0A000000, 0x0A000000 + endpoints)]
    port = (Port("pg", "tcp", 5432),)
    slices = [
        endpoint_slice("big", *these[at : at + 1000], name=f"big-{at}", namespace="db", ports=port)
        for at in range(0, len(these), 1000)
    ]
    return World([ServiceFact("db", "big", headless=True, ports=port), *slices])


def whole(world: World, rtype: str) -> dns.message.Message:
    return world.reply_to(world.ask(NAME, rtype, tcp=True))


def test_what_fits_is_whole() -> None:
    assert len(records(whole(headless(4000), "A"))) == 4000


@pytest.mark.parametrize("rtype", ["A", "SRV"])
def test_what_does_not_fit_holds_as_many_records_as_there_is_room_for(rtype: str) -> None:
    message = whole(headless(6000), rtype)
    size = len(message.to_wire(max_size=65535))
    assert size <= 65535
    assert len(records(message)) > 900
    assert records(message, "additional") == []


def test_the_additional_section_goes_first() -> None:
    message = whole(headless(1000), "SRV")
    assert len(records(message)) == 1000
    assert records(message, "additional") == []
    assert len(records(whole(headless(100), "SRV"), "additional")) == 100


def test_over_udp_too_and_then_nothing_is_truncated() -> None:
    world = headless(15)
    message = world.answer(NAME, "SRV")
    assert (len(records(message)), records(message, "additional")) == (15, [])
    assert not message.flags & dns.flags.TC
    ((held, _, _),) = world.finished.held.values()
    assert (held.an, held.ar, held.extra) == (15, 0, 0)
    assert len(records(whole(world, "SRV"), "additional")) == 15


def test_what_is_required_and_does_not_fit_is_truncated() -> None:
    message = headless(40).answer(NAME, "SRV")
    assert message.flags & dns.flags.TC
    assert (records(message), records(message, "additional")) == ([], [])


def test_every_endpoint_gets_its_share() -> None:
    name = from_text(NAME)
    rdatas = tuple(number.to_bytes(4, "big") for number in range(5000))
    result = Result(answer=(RRset(name, RRType.A, 5, rdatas),))
    firsts = {build_own(name, result, turn).body[-4:] for turn in range(0, 5000, 500)}
    assert len(firsts) == 10
