"""Warm connections over real sockets on loopback, driven as the event loop drives them; the clock is the test's."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from hsdnsd.net.framing import framed
from hsdnsd.net.pool import IDLE_TIMEOUT, MAX_AGE, MAX_STREAMS, SPREAD, TOO_MANY, Arrival
from hsdnsd.net.upstream import CONNECT_TIMEOUT, Exchanges
from tests.support.net import PATIENCE, message, tcp_send

RESET = struct.pack("ii", 1, 0)  # struct linger: a close sends RST


class Warm:
    """Connections towards one upstream of the test's."""

    def __init__(self, max_sockets: int = 64) -> None:
        self.now = 1000.0
        self.spent: list[int] = []
        self.may_spend = True
        self.exchanges = Exchanges(max_sockets, spend=self._spend, clock=lambda: self.now)
        self.pool = self.exchanges.pool
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.name = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.accepted: list[socket.socket] = []

    def _spend(self, exchange: int) -> bool:
        self.spent.append(exchange)
        return self.may_spend

    def send(self, exchange: int, id: int, attempt: int = 0) -> str | None:
        problem = self.exchanges.open(tcp_send(exchange, attempt, self.listener.getsockname(), message(b"query", id)))
        self.exchanges.flush()
        return problem

    def accept(self) -> socket.socket:
        """The next connection, once what waits for it has left."""
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE)
        self.accepted.append(connection)
        assert select.select([self.exchanges], [], [], PATIENCE)[0]
        assert self.exchanges.receive() == []
        return connection

    def arrivals(self, enough: Callable[[list[Arrival]], object] = len) -> list[Arrival]:
        seen: list[Arrival] = []
        while not enough(seen):
            assert select.select([self.exchanges], [], [], PATIENCE)[0], f"nothing more came after {seen}"
            seen += self.exchanges.receive()
        return seen

    def nothing(self, until: Callable[[], object]) -> None:
        """Let happen what happens, none of which is to be told, until something is so."""
        while not until():
            assert select.select([self.exchanges], [], [], PATIENCE)[0]
            assert self.exchanges.receive() == []


@pytest.fixture
def warm() -> Iterator[Warm]:
    warm = Warm()
    with contextlib.ExitStack() as opened:
        opened.enter_context(warm.listener)
        opened.callback(warm.exchanges.close_all)
        opened.callback(lambda: [connection.close() for connection in warm.accepted])
        yield warm


def read_ids(connection: socket.socket, count: int) -> list[int]:
    """The ids of so many queries."""
    stream = connection.makefile("rb")
    ids = []
    for _ in range(count):
        wire = stream.read(int.from_bytes(stream.read(2)))
        ids.append(int.from_bytes(wire[:2]))
    return ids


def reply(id: int) -> bytes:
    return message(b"reply", id)


def test_many_queries_share_a_connection_and_replies_come_in_any_order(warm: Warm) -> None:
    for number in range(5):
        assert warm.send(number, 100 + number) is None
    connection = warm.accept()
    assert read_ids(connection, 5) == [100, 101, 102, 103, 104]
    connection.sendall(b"".join(framed(reply(each)) for each in (103, 100, 104, 101, 102)))
    seen = warm.arrivals(lambda seen: len(seen) == 5)
    assert seen == [(each - 100, 0, reply(each), "") for each in (103, 100, 104, 101, 102)]
    assert (warm.pool.opened, len(warm.pool)) == (1, 1)


def test_a_connection_is_used_again(warm: Warm) -> None:
    warm.send(1, 1)
    connection = warm.accept()
    for number in range(1, 6):
        assert read_ids(connection, 1) == [number]
        connection.sendall(framed(reply(number)))
        assert warm.arrivals() == [(number, 0, reply(number), "")]
        warm.exchanges.close(number)
        warm.now += IDLE_TIMEOUT - 1
        assert warm.exchanges.expire() == []
        warm.send(number + 1, number + 1)
    assert warm.pool.opened == 1


def test_an_id_that_is_taken_takes_another_connection(warm: Warm) -> None:
    warm.send(1, 7)
    first = warm.accept()
    warm.send(2, 7)
    second = warm.accept()
    second.sendall(framed(reply(7)))
    assert warm.arrivals() == [(2, 0, reply(7), "")]
    first.sendall(framed(reply(7)))
    assert warm.arrivals() == [(1, 0, reply(7), "")]


def test_a_late_reply_is_nobody_elses(warm: Warm) -> None:
    """The id of a question that nobody waits for any more stays taken: its reply may still come."""
    warm.send(1, 7)
    first = warm.accept()
    warm.exchanges.close(1)
    warm.send(2, 7)
    second = warm.accept()
    warm.send(3, 8)
    first.sendall(framed(reply(7)) + framed(reply(8)))
    assert warm.arrivals() == [(3, 0, reply(8), "")]
    second.sendall(framed(reply(7)))
    assert warm.arrivals() == [(2, 0, reply(7), "")]


def test_a_reply_to_no_question_is_dropped_and_counted(warm: Warm) -> None:
    warm.send(1, 1)
    connection = warm.accept()
    connection.sendall(framed(reply(2)) + framed(reply(1)) + framed(reply(1)))
    assert warm.arrivals() == [(1, 0, reply(1), "")]
    warm.exchanges.close_all()
    assert warm.pool.unmatched == 2


def test_the_longest_reply_in_pieces(warm: Warm) -> None:
    long = reply(1) + bytes(65535 - len(reply(1)))
    warm.send(1, 1)
    connection = warm.accept()
    stream = framed(long)
    for start, end in ((0, 1), (1, 2), (2, 40_000)):
        connection.sendall(stream[start:end])
        assert select.select([warm.exchanges], [], [], PATIENCE)[0]
        assert warm.exchanges.receive() == []
    connection.sendall(stream[40_000:])
    assert warm.arrivals() == [(1, 0, long, "")]


def test_another_connection_is_made_where_many_wait_on_each(warm: Warm) -> None:
    for number in range(MAX_STREAMS * SPREAD + 10):
        assert warm.send(number, number) is None
    assert warm.pool.opened == MAX_STREAMS


def test_connections_are_bounded(warm: Warm) -> None:
    for number in range(MAX_STREAMS):
        assert warm.send(number, 7) is None
    assert warm.send(99, 7) == f"{warm.name}: {TOO_MANY}"
    assert (warm.pool.opened, warm.exchanges.failed) == (MAX_STREAMS, 1)


def test_descriptors_are_bounded() -> None:
    warm = Warm(max_sockets=1)
    with warm.listener:
        assert warm.send(1, 7) is None
        assert warm.send(2, 7) == f"{warm.name}: {TOO_MANY}"
        assert warm.send(3, 8) is None, "there is a connection that it can share"
        warm.exchanges.close_all()


@pytest.mark.parametrize("before", [b"", b"\0", framed(reply(1))[:-1]])
def test_the_failure_of_a_fresh_connection_is_the_upstreams(warm: Warm, before: bytes) -> None:
    warm.send(1, 1)
    connection = warm.accept()
    read_ids(connection, 1)
    connection.sendall(before)
    connection.close()
    assert warm.arrivals() == [(1, 0, None, f"{warm.name}: connection closed")]
    assert warm.spent == []


def warmed_up(warm: Warm) -> socket.socket:
    """A connection that has answered."""
    warm.send(1, 1)
    connection = warm.accept()
    read_ids(connection, 1)
    connection.sendall(framed(reply(1)))
    warm.arrivals()
    warm.exchanges.close(1)
    return connection


@pytest.mark.parametrize("reset", [False, True])
def test_what_was_on_a_reused_connection_is_sent_once_more(warm: Warm, reset: bool) -> None:
    connection = warmed_up(warm)
    warm.send(2, 2)
    warm.send(3, 3)
    read_ids(connection, 2)
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()
    warm.nothing(lambda: warm.pool.opened == 2)
    again = warm.accept()
    assert read_ids(again, 2) == [2, 3]
    again.sendall(framed(reply(3)) + framed(reply(2)))
    assert warm.arrivals(lambda seen: len(seen) == 2) == [(3, 0, reply(3), ""), (2, 0, reply(2), "")]
    assert (warm.pool.resent, warm.exchanges.failed, warm.spent) == (2, 0, [2, 3])


def test_once_more_and_no_oftener(warm: Warm) -> None:
    connection = warmed_up(warm)
    warm.send(2, 2)
    connection.close()
    warm.nothing(lambda: warm.pool.opened == 2)
    again = warm.accept()
    read_ids(again, 1)
    again.close()
    assert warm.arrivals() == [(2, 0, None, f"{warm.name}: connection closed")]


def test_not_once_more_where_the_question_may_cost_no_more_messages(warm: Warm) -> None:
    connection = warmed_up(warm)
    warm.may_spend = False
    warm.send(2, 2)
    connection.close()
    assert warm.arrivals() == [(2, 0, None, f"{warm.name}: connection lost")]
    assert warm.pool.opened == 1


def test_a_server_that_takes_one_question_for_each_connection(warm: Warm) -> None:
    warm.send(1, 1)
    warm.send(2, 2)
    connection = warm.accept()
    connection.sendall(framed(reply(1)))
    connection.close()
    assert warm.arrivals() == [(1, 0, reply(1), "")]
    warm.nothing(lambda: warm.pool.opened == 2)
    warm.accept().sendall(framed(reply(2)))
    assert warm.arrivals() == [(2, 0, reply(2), "")]


def test_what_nobody_waits_for_is_not_sent_again(warm: Warm) -> None:
    connection = warmed_up(warm)
    warm.send(2, 2)
    warm.exchanges.close(2)
    connection.close()
    warm.nothing(lambda: not len(warm.pool))
    assert warm.pool.opened == 1


def test_a_length_that_no_message_has_ends_the_connection(warm: Warm) -> None:
    warm.send(1, 1)
    warm.send(2, 2)
    warm.accept().sendall(framed(reply(1)) + b"\0\3abc")
    assert warm.arrivals() == [(1, 0, reply(1), "")]
    warm.nothing(lambda: warm.pool.opened == 2)
    warm.accept().sendall(b"\0\3abc")
    [(exchange, _, wire, problem)] = warm.arrivals()
    assert (exchange, wire) == (2, None)
    assert "shorter than its header" in problem


def test_idle_connections_are_closed(warm: Warm) -> None:
    connection = warmed_up(warm)
    warm.now += IDLE_TIMEOUT - 0.1
    assert (warm.exchanges.expire(), len(warm.pool)) == ([], 1)
    warm.now += 0.2
    assert (warm.exchanges.expire(), len(warm.pool)) == ([], 0)
    assert connection.recv(1) == b""


def test_an_old_connection_takes_no_more_and_is_closed_when_its_work_is_done(warm: Warm) -> None:
    warm.send(1, 1)
    old = warm.accept()
    warm.now += MAX_AGE - 0.5
    old.sendall(framed(reply(1)))
    warm.arrivals()
    warm.send(2, 2)
    warm.now += 0.6
    assert warm.exchanges.expire() == []
    warm.send(3, 3)
    assert len(warm.pool) == 2
    old.sendall(framed(reply(2)))
    assert warm.arrivals() == [(2, 0, reply(2), "")]
    warm.exchanges.expire()
    assert len(warm.pool) == 1


def test_a_connection_that_is_silent_is_not_trusted_with_more(warm: Warm) -> None:
    """The other side may have gone without a word; TCP itself needs seconds to find out."""
    warmed_up(warm)
    warm.send(2, 2)
    warm.now += CONNECT_TIMEOUT
    warm.send(2, 3, attempt=1)
    connection = warm.accept()
    connection.sendall(framed(reply(3)))
    assert warm.arrivals() == [(2, 1, reply(3), "")]


def test_where_all_are_silent_one_makes_room(warm: Warm) -> None:
    for number in range(MAX_STREAMS):
        warm.send(number, 7)
        warm.accept()
    warm.now += CONNECT_TIMEOUT
    assert warm.send(99, 7) is None
    assert warm.exchanges.expire() == [(0, 0, None, f"{warm.name}: connection is silent")]


def test_a_connection_that_is_not_made_in_time() -> None:
    warm = Warm()
    with warm.listener, contextlib.ExitStack() as opened:
        # A listening socket whose queue is full answers no SYN.
        warm.listener.listen(0)
        for _ in range(2):
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(warm.listener.getsockname())
        warm.send(1, 1)
        assert warm.exchanges.receive() == []
        warm.now += CONNECT_TIMEOUT - 0.01
        assert warm.exchanges.expire() == []
        warm.now += 0.02
        assert warm.exchanges.expire() == [(1, 0, None, f"{warm.name}: no connection in time")]
        assert len(warm.pool) == 0
        warm.exchanges.close_all()


def test_no_connection_is_held_up_by_anothers_full_buffer(warm: Warm) -> None:
    """Queries that the kernel does not take at once leave when it does."""
    connection = warmed_up(warm)
    count = 900
    for number in range(count):
        warm.exchanges.open(tcp_send(number, 0, warm.listener.getsockname(), message(bytes(20_000), number)))
    warm.exchanges.flush()
    assert warm.pool.opened == MAX_STREAMS
    assert any(stream.wants_to_write and stream.connected for stream in warm.pool.streams)
    assert select.select([warm.exchanges], [], [], PATIENCE)[0]
    warm.exchanges.receive()
    others = [warm.listener.accept()[0] for _ in range(MAX_STREAMS - 1)]
    warm.accepted += others
    received = dict.fromkeys([connection, *others], 0)
    while sum(received.values()) < count * len(framed(message(bytes(20_000)))):
        readable, _, _ = select.select([*received, warm.exchanges], [], [], PATIENCE)
        assert readable
        for sock in readable:
            if sock is warm.exchanges:
                assert warm.exchanges.receive() == []
            else:
                received[sock] += len(sock.recv(1 << 16))
