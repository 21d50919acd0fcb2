"""The short way: what is answered at once, and what is handed to the packet path."""

from __future__ import annotations

import dns.flags
import pytest

from hsdnsd.records.model import EndpointSliceFact, Kind, Port, ServiceFact
from hsdnsd.records.options import ZoneOptions
from hsdnsd.wire.const import Rcode
from hsdnsd.wire.name import from_text
from tests.support.facts import endpoint, endpoint_slice
from tests.support.world import World, ede, query, rcode, records

POSTGRES = ServiceFact("db", "postgres", headless=True, ports=(Port("pg", "tcp", 5432),))


def slice_of(*addresses: str, name: str = "postgres-x") -> EndpointSliceFact:
    endpoints = (endpoint(text, host=f"postgres-{number}") for number, text in enumerate(addresses))
    return endpoint_slice("postgres", *endpoints, name=name, namespace="db", ports=(Port("pg", "tcp", 5432),))


def cluster() -> World:
    return World([POSTGRES, slice_of("10.0.0.1", "10.0.0.2", "10.0.0.3")])


def test_an_own_name_is_answered_with_authority() -> None:
    message = cluster().answer("postgres-1.postgres.db.svc.cluster.local")
    assert records(message) == ["postgres-1.postgres.db.svc.cluster.local. 5 A 10.0.0.2"]
    assert message.flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.RA


def test_addresses_take_turns() -> None:
    world = cluster()
    firsts = {records(world.answer("postgres.db.svc.cluster.local"))[0] for _ in range(3)}
    assert len(firsts) == 3


def test_the_question_comes_back_as_it_was_spelled() -> None:
    wire = query("PostGres.DB.svc.Cluster.LOCAL")
    world = cluster()
    (reply,) = world.replies[world.send(wire)]
    assert reply[12:42] == wire[12:42]


def test_own_names_are_answered_without_rd_and_others_refused() -> None:
    world = cluster()
    assert rcode(world.answer("postgres.db.svc.cluster.local", rd=False)) == "NOERROR"
    refused = world.answer("www.example.com", rd=False)
    assert (rcode(refused), ede(refused)) == ("REFUSED", 20)
    assert world.sent == []


def test_any_for_another_name_is_answered_here_and_small() -> None:
    world = cluster()
    assert records(world.answer("www.example.com", "ANY")) == ['www.example.com. 3600 HINFO "RFC8482" ""']
    assert world.sent == []


def test_without_upstreams_other_names_are_refused() -> None:
    message = World(upstreams=()).answer("www.example.com")
    assert (rcode(message), ede(message)) == ("REFUSED", 20)


def test_silence_is_for_those_who_may_not_be_answered() -> None:
    world = cluster()
    assert world.replies[world.send(b"")] == [b""]
    assert world.replies[world.send(query("a.test")[:2] + b"\x81\x80" + query("a.test")[4:])] == [b""]
    assert {why.value: count for why, count in world.counters.refusals.items() if count} == {"short": 1, "response": 1}


def test_what_does_not_fit_is_truncated_over_udp_and_whole_over_tcp() -> None:
    world = World([POSTGRES, slice_of(*(f"10.0.{i // 250}.{i % 250}" for i in range(300)))])
    name = "postgres.db.svc.cluster.local"
    small = world.answer(name, edns=False)
    assert small.flags & dns.flags.TC
    assert small.answer == []
    assert len(records(world.reply_to(world.ask(name, tcp=True)))) == 300


def test_own_answers_go_to_the_packet_path_until_their_owner_changes() -> None:
    world = cluster()
    world.answer("postgres.db.svc.cluster.local")
    world.answer("nothing.db.svc.cluster.local")
    assert {expires for _, expires, _ in world.finished.held.values()} == {float("inf")}
    assert len(world.finished.held) == 2
    world.tell(slice_of("10.0.0.1", "10.0.0.9"))
    world.tell(slice_of("10.0.0.1", "10.0.0.8"))
    assert [name for name, *_ in world.finished.held] == [from_text("nothing.db.svc.cluster.local")]
    assert len(records(world.answer("postgres.db.svc.cluster.local"))) == 2


def test_a_change_that_changes_no_answer_ends_none() -> None:
    world = cluster()
    world.answer("postgres.db.svc.cluster.local")
    world.tell(slice_of("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    assert len(world.finished.held) == 1


def test_an_answer_that_hangs_on_two_services_is_not_given_to_the_packet_path() -> None:
    world = cluster()
    world.tell(ServiceFact("db", "alias", external_name="postgres.db.svc.cluster.local"))
    assert len(records(world.answer("alias.db.svc.cluster.local"))) == 4
    assert world.finished.held == {}


def test_before_the_first_sync_absence_is_servfail_and_not_nxdomain() -> None:
    options = ZoneOptions(zone=from_text("cluster.local"), expect=frozenset({Kind.SERVICE, Kind.NAMESPACE}))
    world = World([POSTGRES, slice_of("10.0.0.1")], options=options)
    assert rcode(world.answer("postgres.db.svc.cluster.local")) == "NOERROR"
    message = world.answer("other.db.svc.cluster.local")
    assert (rcode(message), ede(message)) == ("SERVFAIL", 14)
    world.sync(Kind.NAMESPACE)
    assert rcode(world.answer("other.db.svc.cluster.local")) == "SERVFAIL"
    world.sync(Kind.SERVICE)
    assert rcode(world.answer("other.db.svc.cluster.local")) == "NXDOMAIN"
    assert rcode(world.answer("postgres.db.svc.cluster.local")) == "NXDOMAIN", "the list did not have it"


@pytest.mark.parametrize("edns", [True, False])
def test_an_opt_goes_back_if_and_only_if_one_came(edns: bool) -> None:
    assert (cluster().answer("postgres.db.svc.cluster.local", edns=edns).edns == 0) is edns


def test_requests_and_responses_are_counted() -> None:
    world = cluster()
    world.answer("postgres.db.svc.cluster.local")
    world.answer("nothing.db.svc.cluster.local")
    own = True
    assert world.counters.responses[own][Rcode.NOERROR] == 1
    assert world.counters.responses[own][Rcode.NXDOMAIN] == 1
    assert world.counters.requests[own][0][0][0] == 2
