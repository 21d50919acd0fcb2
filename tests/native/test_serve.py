"""Hits over a socket: who is answered, what is passed up beside them, and what is counted."""

from __future__ import annotations

import socket

import pytest

from hsdnsd.native import contract
from hsdnsd.native.contract import Outcome
from hsdnsd.wire.answer import Answer, build_answer
from hsdnsd.wire.rrset import RRset
from tests.support.sockets import address_of, udp, waiting
from tests.support.twins import Question, Twin, folded, opt, query

NAME = folded("www.example")
OWN = build_answer(NAME, 0, [RRset(NAME, 1, 5, (b"\1\2\3\4", b"\5\6\7\10"))], aa=True, fixed=True)
CACHED = build_answer(NAME, 0, [RRset(NAME, 28, 300, (bytes(16),))])
NOTHING = Answer(3, True, 0, 0, 0, b"", b"", 0, fixed=True)


def table_of(twin: Twin) -> contract.Table:
    table = twin.Table()
    table.put(Question(NAME), OWN, 0.0, owner=b"owner")
    table.put(Question(NAME, 28, True), CACHED, 0.0, 300.0)
    table.put(Question(folded("nothing.example")), NOTHING, 0.0)
    return table


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_hits_are_answered_and_the_rest_goes_up(twin: Twin, host: str) -> None:
    table = table_of(twin)
    with udp(host) as server, udp(host) as one, udp(host) as two:
        batch = twin.Batch(server, table)
        for number in range(10):
            one.sendto(query(id=number), address_of(server))
            two.sendto(query("other.example", id=number), address_of(server))
        up = batch.receive(1.0)
        assert [wire for wire, _, _ in up] == [query("other.example", id=number) for number in range(10)]
        replies = waiting(one)
        same = table_of(twin)
        assert replies == [same.answer(query(id=number), 1.0) for number in range(10)]
        assert waiting(two) == []
        assert (batch.received, batch.hits, batch.sent) == (20, 10, 10)


@pytest.mark.parametrize(("wildcard", "asked"), [("0.0.0.0", "127.9.8.7"), ("::", "::1"), ("::", "::ffff:127.9.8.7")])
def test_hits_leave_from_the_address_that_was_asked(twin: Twin, wildcard: str, asked: str) -> None:
    with udp(wildcard) as server, udp("::" if ":" in asked else "127.0.0.1") as client:
        batch = twin.Batch(server, table_of(twin))
        client.connect(address_of(server, asked))
        client.send(query())
        assert batch.receive(1.0) == []
        assert client.recv(512)[:2] == b"\x12\x34"


def test_two_sockets_share_one_table(twin: Twin) -> None:
    table = table_of(twin)
    with udp("127.0.0.1") as four, udp("::1") as six, udp("127.0.0.1") as client, udp("::1") as client6:
        batches = [twin.Batch(four, table), twin.Batch(six, table)]
        client.sendto(query(), address_of(four))
        client6.sendto(query(), address_of(six))
        assert [batch.receive(1.0) for batch in batches] == [[], []]
        [first], [second] = waiting(client), waiting(client6)
        # The second is answered by the same entry: its addresses stand the other way round.
        assert first[:-32] == second[:-32]
        assert first[-32:] == second[-16:] + second[-32:-16]
        table.drop(b"owner")
        client.sendto(query(), address_of(four))
        assert len(batches[0].receive(1.0)) == 1


def test_a_cut_datagram_is_no_hit(twin: Twin) -> None:
    """Its first 4,096 octets may be a whole query with an OPT; the datagram is none."""
    padded = query(opt=opt(options=b"\0\x0c" + (4096 - 44).to_bytes(2, "big") + bytes(4096 - 44)))
    assert len(padded) == 4096
    table = table_of(twin)
    assert table.answer(padded, 1.0) is not None
    with udp() as server, udp() as client:
        batch = twin.Batch(server, table)
        client.sendto(padded + b"\0", address_of(server))
        assert [cut for _, _, cut in batch.receive(1.0)] == [True]
        assert batch.hits == 0


def test_a_hit_from_a_refused_source_is_not_answered(twin: Twin) -> None:
    with udp() as server:
        batch = twin.Batch(server, table_of(twin))
        server.sendto(query(), address_of(server))
        assert batch.receive(1.0) == []
        assert waiting(server) == []
        assert (batch.refused_source, batch.hits, batch.sent) == (1, 0, 0)


def test_hits_are_counted_by_type_rcode_and_size(twin: Twin) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, table_of(twin))
        asked = [query(), query(), query("nothing.example"), query(qtype=28, opt=opt(do=True)), query("other.example")]
        for wire in asked:
            client.sendto(wire, address_of(server))
        batch.receive(1.0)
        replies = waiting(client)
        assert len(replies) == 4
        a, aaaa = contract.COUNTED_TYPES.index(1), contract.COUNTED_TYPES.index(28)
        assert {place: count for place, count in enumerate(batch.hit_types(True)) if count} == {a: 3}
        assert {place: count for place, count in enumerate(batch.hit_types(False)) if count} == {aaaa: 1}
        assert len(batch.hit_types(True)) == len(contract.COUNTED_TYPES) + 1
        assert batch.hit_rcodes(True) == (2, 0, 0, 1, *[0] * 12)
        assert batch.hit_rcodes(False) == (1, *[0] * 15)
        assert batch.hits_do == 1
        assert batch.hit_query_sizes(True) == ((3, *[0] * 8), sum(map(len, asked[:3])))
        assert batch.hit_reply_sizes(False) == ((1, *[0] * 8), len(replies[3]))


@pytest.mark.parametrize("qtype", [3, 34, 255 - 7, 256, 257, 65535])
def test_other_types_share_the_last_counter(twin: Twin, qtype: int) -> None:
    table = twin.Table()
    table.put(Question(NAME, qtype), NOTHING, 0.0, 10.0)
    with udp() as server, udp() as client:
        batch = twin.Batch(server, table)
        client.sendto(query(qtype=qtype), address_of(server))
        batch.receive(1.0)
        assert batch.hit_types(True)[-1] == 1


@pytest.mark.parametrize(("size", "place"), [(100, 0), (101, 1), (200, 1), (511, 4), (512, 5), (1023, 5), (1024, 6)])
def test_sizes_are_counted_up_to_their_bound(twin: Twin, size: int, place: int) -> None:
    table = twin.Table()
    wire = query(opt=opt())
    filler = bytes(size - len(wire))
    table.put(Question(NAME), Answer(0, False, 1, 0, 0, filler, b"", 0), 0.0, 10.0)
    with udp() as server, udp() as client:
        batch = twin.Batch(server, table)
        client.sendto(wire, address_of(server))
        batch.receive(1.0)
        assert [len(reply) for reply in waiting(client)] == [size]
        assert batch.hit_reply_sizes(False)[0][place] == 1


def test_every_answer_is_timed_from_the_kernels_stamp(twin: Twin) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, table_of(twin))
        for wire in (query(), query(), query(qtype=28, opt=opt(do=True)), b"own", b"other", b"other", b"silence"):
            client.sendto(wire, address_of(server))
        up = batch.receive(1.0)
        replies = {b"own": b"\0\0\x84\0", b"other": b"\0\0\x80\0"}
        batch.send([(replies[wire], peer) for wire, peer, _ in up if wire in replies])
        counts = {outcome: sum(batch.latency(outcome)[0]) for outcome in Outcome}
        assert counts == {
            Outcome.HIT_OWN: 2,
            Outcome.HIT_CACHED: 1,
            Outcome.ENGINE_OWN: 1,
            Outcome.ENGINE_OTHER: 2,
        }
        for outcome in Outcome:
            places, nanoseconds = batch.latency(outcome)
            assert len(places) == contract.LATENCY_BUCKETS
            least = sum(count * 1000 * 2**place // 2 for place, count in enumerate(places) if place)
            most = sum(count * 1000 * 2**place for place, count in enumerate(places))
            assert least <= nanoseconds <= most
            assert 0 < nanoseconds < 10**10


def test_an_answer_that_was_not_sent_is_not_timed(twin: Twin) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, twin.Table())
        client.sendto(b"query", address_of(server))
        [(_, peer, _)] = batch.receive(1.0)
        batch.send([(bytes(65535), peer)])
        assert [sum(batch.latency(outcome)[0]) for outcome in Outcome] == [0, 0, 0, 0]


def test_many_hits_are_all_answered_in_one_call_or_the_next(twin: Twin) -> None:
    with udp() as server, udp() as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        batch = twin.Batch(server, table_of(twin), 8)
        for number in range(100):
            client.sendto(query(id=number), address_of(server))
        for _ in range(100):
            assert batch.receive(1.0) == []
            if batch.hits == 100:
                break
        assert [int.from_bytes(reply[:2], "big") for reply in waiting(client)] == list(range(100))
