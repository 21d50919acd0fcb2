"""One connection to an upstream, over real sockets on loopback."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.framing import framed
from hsdnsd.net.stream import USER_TIMEOUT, Query, Stream
from hsdnsd.net.tls import Clear
from tests.support.net import PATIENCE, message, tcp_send


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(PATIENCE)
        yield sock


@pytest.fixture
def stream(listener: socket.socket) -> Iterator[Stream]:
    address = listener.getsockname()
    stream = Stream(Upstream(*address), socket.AF_INET, address, Clear(), 100.0)
    yield stream
    stream.close()


def query(number: int) -> Query:
    return Query(tcp_send(number, 0, ("127.0.0.1", 53), message(b"query", number)))


def connect(stream: Stream, listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    assert select.select([], [stream], [], PATIENCE)[1]
    stream.ready(100.0, [])
    assert stream.connected
    return connection


def test_what_was_put_on_it_before_it_was_made_leaves_once_it_is(stream: Stream, listener: socket.socket) -> None:
    stream.put(query(1), 100.0)
    stream.put(query(2), 100.0)
    stream.flush()
    assert stream.wants_to_write
    assert not stream.established
    with connect(stream, listener) as connection:
        assert connection.recv(4096) == framed(message(b"query", 1)) + framed(message(b"query", 2))
    assert stream.established
    assert not stream.wants_to_write


def test_the_kernel_gives_it_up_after_three_seconds_and_waits_for_nothing(stream: Stream) -> None:
    with socket.socket(fileno=stream.fileno()) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT == 3000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.detach()


def test_who_waits_is_known_by_the_id(stream: Stream, listener: socket.socket) -> None:
    first, second, third = query(1), query(2), query(3)
    with connect(stream, listener) as connection:
        for each in (first, second, third):
            stream.put(each, 101.0)
        assert third.reused
        stream.abandon(second)
        assert (stream.waiting, len(stream.outstanding)) == (2, 3)
        connection.sendall(b"".join(framed(message(b"reply", each)) for each in (3, 2, 9)))
        replies: list[tuple[Query, bytes]] = []
        assert select.select([stream], [], [], PATIENCE)[0]
        stream.ready(102.0, replies)
    assert replies == [(third, message(b"reply", 3))]
    assert (stream.waiting, stream.unmatched, stream.used_at) == (1, 1, 102.0)
    assert stream.take_waiting() == [first]
    assert (stream.waiting, first.stream) == (0, None)


def test_since_when_it_is_silent(stream: Stream, listener: socket.socket) -> None:
    with connect(stream, listener) as connection:
        stream.put(query(1), 101.0)
        stream.put(query(2), 103.0)
        assert stream.silent_since == 101.0
        connection.sendall(framed(message(b"reply", 1)))
        assert select.select([stream], [], [], PATIENCE)[0]
        stream.ready(104.0, [])
        assert stream.silent_since == 104.0


def test_a_connection_that_is_refused() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        nobody = sock.getsockname()
    stream = Stream(Upstream(*nobody), socket.AF_INET, nobody, Clear(), 100.0)
    assert select.select([], [stream], [], PATIENCE)[1]
    with pytest.raises(ConnectionRefusedError):
        stream.ready(100.0, [])
    stream.close()


def test_the_end_comes_out_behind_the_last_reply(stream: Stream, listener: socket.socket) -> None:
    connection = connect(stream, listener)
    stream.put(query(1), 100.0)
    connection.sendall(framed(message(b"reply", 1)))
    connection.close()
    replies: list[tuple[Query, bytes]] = []
    assert select.select([stream], [], [], PATIENCE)[0]
    stream.ready(100.0, replies)
    assert len(replies) == 1
    assert select.select([stream], [], [], PATIENCE)[0]
    with pytest.raises(ConnectionError, match="connection closed"):
        stream.ready(100.0, replies)
