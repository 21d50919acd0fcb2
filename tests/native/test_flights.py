"""Questions that a worker's thread asks of an upstream by itself, and those that it leaves to the engine."""

from __future__ import annotations

import errno
import gc
import math
import os
import select
import socket
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest
from hsdnsd.native._names import NameSet

from bench.process import free_port
from hsdnsd.native import _flights, _flights_py, _worker
from hsdnsd.native.contract import TELL_AT, NativeMissingError, Outcome
from hsdnsd.native.flight_contract import Choice, HandedOver, Trouble
from hsdnsd.wire.answer import build_answer
from hsdnsd.wire.const import AD, CD, RD
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset
from tests.support.lies import Asked, reply, soa, truth
from tests.support.packets import A, message, name, opt, pointer, query, question, record
from tests.support.sky import PATIENCE, PLAN, Sky, until
from tests.support.sockets import udp
from tests.support.twins import TWINS, Question

CYTHON, _ = TWINS
NAME = "www.example.com"
FOLDED = Name(name(NAME))


def test_a_miss_is_asked_answered_and_kept(sky: Sky) -> None:
    sky.ask("wWw.Example.com", id=7)
    asked = sky.say()
    assert asked.wire == message(question(NAME), additional=[opt()], id=asked.id, flags=RD)
    answer = sky.client.recv(4096)
    assert answer == message(question("wWw.Example.com"), [record(pointer(12), A, answer[-4:], 300)], id=7)
    sky.ask(id=8)
    assert sky.client.recv(4096)[:2] == b"\0\x08"
    # Counted when the system call has returned, and the answer may be there before.
    until(lambda: sum(sum(sky.worker.latency(outcome)[0]) for outcome in Outcome) == 2)
    assert (sky.worker.hits, sky.worker.received, sky.worker.sent) == (1, 2, 2)
    assert sum(sky.worker.latency(Outcome.ENGINE_OTHER)[0]) == 1
    assert (sky.flights.opened, sky.flights.landed_count, sky.flights.in_flight, sky.flights.waiting) == (1, 1, 0, 0)
    assert sky.is_quiet()


def test_the_engine_is_told_what_landed(sky: Sky) -> None:
    before = monotonic()
    sky.ask(flags=RD | CD)
    sky.say(lambda asked: reply(asked, record(pointer(12), A, bytes(4), 77)))
    sky.client.recv(4096)
    assert sky.flights.pending
    [landed] = sky.flights.landed()
    assert landed.answer == build_answer(FOLDED, 0, [RRset(FOLDED, A, 77, (bytes(4),))])
    assert (landed.name, landed.qtype, landed.cd, landed.keep, landed.server) == (FOLDED, A, True, 77, 0)
    assert (landed.edns, landed.opt) == (True, True)
    assert before <= landed.at <= monotonic()
    assert 0 <= landed.took <= PATIENCE
    assert not sky.flights.pending
    assert sky.flights.landed() == []


def test_what_is_counted_is_told_once(sky: Sky) -> None:
    clients = [sky.client, sky.another(), sky.another()]
    for number, client in enumerate(clients):
        client.send(query(question(NAME, 28), id=number))
    until(lambda: sky.flights.waiting == 3)
    sky.say(lambda asked: reply(asked, authority=[soa("example.com")], rcode=3))
    for number, client in enumerate(clients):
        assert client.recv(4096)[:4] == number.to_bytes(2) + b"\x81\x83"
    tally = sky.flights.tally()
    assert (tally.answers, tally.denials, tally.coalesced, sum(tally.waits)) == (3, 3, 2, 3)
    assert (tally.requests[0][1], sum(tally.requests[0]), sum(tally.requests[1])) == (3, 3, 0)
    assert 0 < tally.waited < PATIENCE
    assert sky.flights.tally().answers == 0
    assert sky.flights.opened == 1


def test_answers_fit_who_asked(sky: Sky) -> None:
    other = sky.another()
    sky.ask()
    other.send(query(question(NAME), [opt()]))
    until(lambda: sky.flights.waiting == 2)
    sky.say(lambda asked: reply(asked, *(record(pointer(12), A, bytes((10, 0, 0, n))) for n in range(40))))
    short, whole = sky.client.recv(4096), other.recv(4096)
    assert (len(short), short[2] & 2) == (12 + len(question(NAME)), 2)
    assert (whole[7], whole[2] & 2, whole[-11:]) == (40, 0, opt())


@pytest.mark.parametrize("asked", [
    query(question(NAME), flags=0), query(question(NAME), [opt(ttl=0x8000)]), query(question(NAME, 13)),
    query(question(NAME, 46)), query(question(NAME, 255)), query(question(NAME), flags=RD | 0x40),
    query(question("Static.example")), query(question("a.Own.example")), query(question("own.example")),
], ids=[str(number) for number in range(9)])  # fmt: skip
def test_what_is_not_plain_goes_up(sky: Sky, asked: bytes) -> None:
    sky.flights.set_names(NameSet([Name(name("static.example"))], [Name(name("own.example"))]))
    sky.client.send(asked)
    assert sky.goes_up() == asked
    assert sky.is_quiet()


def test_a_query_that_is_padded_beyond_all_use_goes_up(sky: Sky) -> None:
    def padded(size: int) -> bytes:
        padding = size - len(query(question(NAME), [opt(bytes(4))]))
        return query(question(NAME), [opt(b"\0\x0c" + padding.to_bytes(2) + bytes(padding))])

    sky.client.send(padded(513))
    assert sky.goes_up() == padded(513)
    sky.client.send(padded(512))
    sky.say()
    assert sky.client.recv(4096)[:2] == padded(512)[:2]


def test_names_beside_those_of_the_engine_fly(sky: Sky) -> None:
    sky.flights.set_names(NameSet([Name(name("static.example"))], [Name(name("own.example"))]))
    for text in ("a.static.example", "example", "nown.example", "static.example.com"):
        assert sky.flights.may_fly(Name(name(text)), A)
        sky.ask(text, flags=RD | AD)
        sky.say()
        sky.client.recv(4096)
    assert not sky.flights.may_fly(Name(name("x.own.example")), A)


def test_nothing_flies_without_a_grant(sky: Sky) -> None:
    for plan in (None, PLAN._replace(until=monotonic()), PLAN._replace(in_flight=0), PLAN._replace(per_client=0)):
        sky.flights.grant(plan)
        sky.ask()
        sky.goes_up()
    sky.flights.grant(PLAN._replace(no_aaaa=True))
    sky.ask(qtype=28)
    sky.goes_up()
    assert sky.is_quiet()


def test_a_plan_has_to_name_servers(sky: Sky) -> None:
    for servers in ((), ((64, True),), ((0, True),) * 17):
        with pytest.raises(ValueError, match="server"):
            sky.flights.grant(PLAN._replace(servers=servers))
    with pytest.raises(ValueError, match="server"):
        sky.flights.set_server(64, (bytes(4), 53, 0))


def test_what_comes_that_is_not_plain_is_handed_over_with_all_that_belongs_to_it(sky: Sky) -> None:
    sky.ask(id=1)
    before = monotonic()
    asked = sky.say(lambda asked: reply(asked, rcode=2))
    assert select.select([sky.flights], [], [], PATIENCE)[0]
    sky.ask(id=2)
    until(lambda: sky.flights.waiting == 2)
    [flight] = sky.flights.handed_over(10, math.inf)
    assert not os.get_blocking(flight.fd)
    with socket.socket(fileno=flight.fd) as sock:
        assert sock.getpeername() == sky.upstream.getsockname()
    assert (flight.name, flight.qtype, flight.cd, flight.server, flight.edns) == (FOLDED, A, False, 0, True)
    assert (flight.id, flight.trouble, flight.problem) == (asked.id, Trouble.REPLY, 0)
    assert flight.reply == reply(asked, rcode=2)
    assert [(number, wire) for number, wire, _, _ in flight.waiters] == [
        (sky.worker.number, query(question(NAME), id=1)),
        (sky.worker.number, query(question(NAME), id=2)),
    ]
    assert all(flight.sent_at <= arrived <= monotonic() for _, _, _, arrived in flight.waiters)
    assert flight.sent_at <= before + PATIENCE
    sky.worker.send([(b"\0\1\x80\0" + bytes(8), flight.waiters[0][2])])
    assert sky.client.recv(4096)[:2] == b"\0\1"
    assert sky.flights.handed_over_count(Trouble.REPLY) == 1
    assert (sky.flights.in_flight, sky.flights.waiting) == (0, 0)


def test_what_was_handed_over_is_the_engines_until_it_says_otherwise(sky: Sky) -> None:
    sky.ask()
    sky.say(lambda asked: asked.wire)
    sky.handed_over()
    sky.ask()
    sky.goes_up()
    sky.flights.release(FOLDED, A, True, 0.0)  # another key
    sky.ask()
    sky.goes_up()
    sky.flights.release(FOLDED, A, False, math.inf)
    sky.ask()
    sky.goes_up()
    assert sky.flights.claim(FOLDED, A, False, math.inf) is None
    sky.flights.release(FOLDED, A, False, 0.0)
    sky.ask()
    sky.say()
    sky.client.recv(4096)


def test_a_claim_ends_by_itself(sky: Sky) -> None:
    assert sky.flights.claim(FOLDED, A, False, monotonic()) is None
    sky.ask()
    sky.say()
    sky.client.recv(4096)


def test_the_engine_can_take_over_what_is_asked(sky: Sky) -> None:
    sky.ask()
    asked, _ = sky.asked()
    flight = sky.flights.claim(FOLDED, A, False, math.inf)
    assert flight is not None
    os.close(flight.fd)
    assert (flight.trouble, flight.id, len(flight.waiters)) == (Trouble.CLAIMED, asked.id, 1)
    assert sky.flights.handed_over(10, math.inf) == []


def test_silence_is_handed_over_when_patience_ends(sky: Sky) -> None:
    sky.flights.grant(PLAN._replace(patience=0.02))
    sky.ask()
    sky.ask("other.example")
    begin = monotonic()
    flights: list[HandedOver] = []
    while len(flights) < 2:
        assert select.select([sky.flights], [], [], PATIENCE)[0]
        flights += sky.flights.handed_over(1, math.inf)
    assert [flight.name for flight in flights] == [FOLDED, Name(name("other.example"))]
    assert {flight.trouble for flight in flights} == {Trouble.SILENCE}
    assert monotonic() - begin >= 0.01
    for flight in flights:
        os.close(flight.fd)


def test_shorter_patience_does_not_wait_for_longer(sky: Sky) -> None:
    sky.ask("slow.example")
    sky.asked()
    sky.flights.grant(PLAN._replace(patience=0.01))
    sky.ask()
    assert sky.handed_over().name == FOLDED
    assert sky.flights.in_flight == 1


def test_a_refused_connection_is_handed_over(sky: Sky) -> None:
    sky.flights.set_server(0, (bytes((127, 0, 0, 1)), free_port(), 0))
    sky.ask()
    flight = sky.handed_over()
    assert (flight.trouble, flight.problem, flight.reply) == (Trouble.REFUSED, errno.ECONNREFUSED, None)


def test_what_comes_back_is_handed_over_as_a_loop(sky: Sky) -> None:
    sky.ask()
    asked, peer = sky.asked()
    # The flight's own socket, as a server that sends on with the source as it was would use it.
    for number in Path("/proc/self/fd").iterdir():
        try:
            if not str(number.readlink()).startswith("socket:"):
                continue
        except FileNotFoundError:  # the folder that is being listed
            continue
        with socket.socket(fileno=os.dup(int(number.name))) as sock:
            if sock.type == socket.SOCK_DGRAM and sock.getsockname() == peer:
                sock.sendto(asked.wire, sky.server.getsockname())
    flight = sky.handed_over()
    assert (flight.trouble, len(flight.waiters)) == (Trouble.LOOPED, 1)


def test_the_same_id_from_elsewhere_only_waits(sky: Sky) -> None:
    sky.ask()
    asked, peer = sky.asked()
    sky.ask(id=asked.id)
    until(lambda: sky.flights.waiting == 2)
    sky.upstream.sendto(truth(asked), peer)  # type: ignore[arg-type]
    for _ in range(2):
        sky.client.recv(4096)


def test_limits_send_the_rest_up(sky: Sky) -> None:
    for plan, second in (
        (PLAN._replace(in_flight=1), "b.example"),
        (PLAN._replace(waiters=1), "a.example"),
        (PLAN._replace(per_client=1), "b.example"),
    ):
        sky.flights.grant(plan)
        sky.ask("a.example")
        asked, peer = sky.asked()
        assert sky.flights.waiting_of(b"\x7f\0\0\1") == 1
        sky.ask(second)
        sky.goes_up()
        sky.upstream.sendto(reply(asked, record(pointer(12), A, bytes(4), 0)), peer)  # type: ignore[arg-type]
        sky.client.recv(4096)
    assert sky.flights.waiting_of(b"\x7f\0\0\1") == 0
    # The engine's own questions count too.
    sky.flights.grant(PLAN._replace(in_flight=1))
    sky.flights.claim(FOLDED, A, False, math.inf)
    sky.ask("c.example")
    sky.goes_up()


def test_no_more_fly_than_there_are_places() -> None:
    with ExitStack() as opened:
        sky = Sky(opened, most=2)
        sky.flights.grant(PLAN)
        for number in range(3):
            sky.ask(f"{number}.example")
        assert sky.goes_up() == query(question("2.example"))
        assert sky.flights.in_flight == 2


def test_an_answer_for_no_time_is_given_and_not_kept(sky: Sky) -> None:
    for _ in range(2):
        sky.ask()
        sky.say(lambda asked: reply(asked, record(pointer(12), A, bytes(4), 0)))
        sky.client.recv(4096)
    assert [landed.keep for landed in sky.flights.landed()] == [0, 0]
    assert sky.table.entries == (0, 0)


def test_what_was_cleared_is_asked_of_the_engine_first(sky: Sky) -> None:
    """Its cache may know it still, and then no upstream is to be asked."""
    sky.ask()
    sky.say()
    sky.client.recv(4096)
    sky.table.clear()
    sky.ask()
    sky.goes_up()
    assert sky.is_quiet()


def test_what_may_no_longer_be_asked_when_the_answer_comes_is_the_engines(sky: Sky) -> None:
    sky.ask()
    asked, peer = sky.asked()
    sky.flights.set_names(NameSet([FOLDED]))
    sky.upstream.sendto(truth(asked), peer)  # type: ignore[arg-type]
    assert sky.handed_over().reply == truth(asked)
    assert sky.table.entries == (0, 0)


def test_what_comes_when_nothing_is_granted_any_more_is_the_engines(sky: Sky) -> None:
    sky.ask()
    asked, peer = sky.asked()
    sky.flights.grant(None)
    sky.upstream.sendto(truth(asked), peer)  # type: ignore[arg-type]
    assert sky.handed_over().reply == truth(asked)


def test_servers_are_chosen_as_the_plan_says(sky: Sky) -> None:
    host = socket.inet_aton("127.0.0.1")
    other = sky.opened.enter_context(udp())
    sky.flights.set_server(63, (host, other.getsockname()[1], 0))
    both = ((0, True), (63, False))

    def share(choice: Choice, one_in: int = 4) -> int:
        """How many of 64 questions went to the second."""
        sky.flights.grant(PLAN._replace(choice=choice, servers=both, one_in=one_in))
        seconds = 0
        for number in range(64):
            sky.ask(f"{number}.{choice}.example")
            sock = select.select([sky.upstream, other], [], [], PATIENCE)[0][0]
            wire, peer = sock.recvfrom(4096)
            assert wire[11] == (sock is sky.upstream)
            seconds += sock is other
            sock.sendto(truth(Asked(wire, False, 0)), peer)
            sky.client.recv(4096)
        return seconds

    assert share(Choice.FIRST) == 0
    assert share(Choice.IN_TURN) == 32
    # Ten standard deviations.
    assert 0 < share(Choice.AT_RANDOM) < 64
    assert 0 < share(Choice.EXPLORING) < 50


def test_an_ipv6_upstream_and_client() -> None:
    with ExitStack() as opened:
        sky = Sky(opened, socket.AF_INET6)
        sky.flights.grant(PLAN)
        sky.ask()
        sky.say()
        assert sky.client.recv(4096)[:2] == b"\x12\x34"
        assert sum(sky.flights.tally().requests[1]) == 1


def test_threads_share_flights(sky: Sky) -> None:
    """One question, one exchange, and everybody is answered from where it was asked."""
    with udp() as second:
        worker = _worker.Worker(second, sky.table, flights=sky.flights)
        other = sky.another(second)
        sky.ask(id=1)
        asked, peer = sky.asked()
        other.send(query(question(NAME), id=2))
        until(lambda: sky.flights.waiting == 2)
        sky.upstream.sendto(truth(asked), peer)  # type: ignore[arg-type]
        assert sky.client.recv(4096)[:2] == b"\0\1"
        assert other.recv(4096)[:2] == b"\0\2"
        until(lambda: worker.sent == 1)
        assert worker.number == sky.worker.number + 1
        # Who has gone away is answered by the engine.
        other.send(query(question("b.example"), id=3))
        sky.asked()
        sky.ask("b.example", id=4)
        until(lambda: sky.flights.waiting == 2)
        worker.close()
        flight = sky.handed_over()
        assert flight.trouble is Trouble.CLOSED
        assert [number for number, _, _, _ in flight.waiters] == [worker.number, sky.worker.number]


def test_closing_hands_over_what_is_aloft(sky: Sky) -> None:
    sky.ask()
    sky.asked()
    sky.worker.close()
    assert sky.handed_over().trouble is Trouble.CLOSED


def leave_all_of_it() -> None:
    """Flights that nobody takes over, and answers that nobody is told of."""
    with ExitStack() as opened:
        sky = Sky(opened)
        sky.flights.grant(PLAN)
        for number in range(5):
            sky.ask(f"{number}.example")
            sky.asked()
        sky.ask("x.example")
        sky.say(lambda asked: reply(asked, rcode=5))
        sky.ask("y.example")
        sky.say()
        until(lambda: sky.flights.landed_count == 1)


def test_nothing_is_left_behind() -> None:
    before = {path.name for path in Path("/proc/self/fd").iterdir()}
    leave_all_of_it()
    gc.collect()
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= before


def test_the_engine_is_woken_when_much_has_landed(sky: Sky) -> None:
    for number in range(TELL_AT):
        assert not select.select([sky.flights], [], [], 0)[0]
        sky.ask(f"{number}.example")
        sky.say()
        sky.client.recv(4096)
    assert select.select([sky.flights], [], [], PATIENCE)[0]
    assert len(sky.flights.landed()) == TELL_AT
    assert not select.select([sky.flights], [], [], 0)[0]


def test_a_hit_that_is_due_wakes_the_engine(sky: Sky) -> None:
    answer = build_answer(FOLDED, 0, [RRset(FOLDED, A, 60, (bytes(4),))])
    sky.table.put(Question(FOLDED, A), answer, monotonic(), refresh_at=0.0)
    sky.ask()
    sky.client.recv(4096)
    assert select.select([sky.flights], [], [], PATIENCE)[0]
    assert len(sky.table.due()) == 1


def test_flights_belong_to_one_table() -> None:
    with udp() as server, pytest.raises(ValueError, match="table"):
        _worker.Worker(server, CYTHON.Table(), flights=_flights.Flights(CYTHON.Table(), 1))
    for most in (0, 1 << 21):
        with pytest.raises(ValueError, match="flights"):
            _flights.Flights(CYTHON.Table(), most)


def test_python_alone_has_no_flights() -> None:
    with pytest.raises(NativeMissingError, match="compiled"):
        _flights_py.Flights(CYTHON.Table(), 1)
