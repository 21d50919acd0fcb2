"""Exchanges over real sockets on loopback; the upstream is a socket of the test."""

from __future__ import annotations

import itertools
import os
import resource
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from bench.process import free_port
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.framing import framed
from hsdnsd.net.pool import TOO_MANY, Arrival
from hsdnsd.net.upstream import Exchanges
from tests.support.net import PATIENCE, message, tcp_send, udp_send

QUERY = message(b"query")
REPLY = message(b"reply")


@pytest.fixture
def exchanges() -> Iterator[Exchanges]:
    exchanges = Exchanges()
    yield exchanges
    exchanges.close_all()


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """An upstream's UDP socket."""
    with socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.bind((request.param, 0))
        yield sock


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """An upstream's TCP socket."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(PATIENCE)
        yield sock


def arrivals(exchanges: Exchanges, enough: Callable[[list[Arrival]], object] = len) -> list[Arrival]:
    """What arrives, until it is enough."""
    seen: list[Arrival] = []
    while not enough(seen):
        assert select.select([exchanges], [], [], PATIENCE)[0], f"nothing more came after {seen}"
        seen += exchanges.receive()
    return seen


def nobodys_address() -> tuple[str, int]:
    return "127.0.0.1", free_port()


def connected_to(server: socket.socket) -> socket.socket:
    """A socket that somebody else has asked from."""
    sock = socket.socket(server.family, socket.SOCK_DGRAM)
    sock.connect(server.getsockname())
    sock.send(QUERY)
    return sock


def test_what_somebody_else_has_asked_is_gone_on_with(exchanges: Exchanges, server: socket.socket) -> None:
    sock = connected_to(server)
    _, peer = server.recvfrom(4096)
    upstream = Upstream(*server.getsockname()[:2])
    assert exchanges.adopt(1, upstream, 0x1234, sock.detach()) is None
    assert (len(exchanges), list(exchanges.by_id)) == (1, [b"\x12\x34"])
    server.sendto(REPLY, peer)
    assert arrivals(exchanges) == [(1, 0, REPLY, "")]
    exchanges.close(1)
    assert (len(exchanges), exchanges.by_id) == (0, {})


def test_what_cannot_be_gone_on_with_is_closed(exchanges: Exchanges, server: socket.socket) -> None:
    upstream = Upstream(*server.getsockname()[:2])
    watched = connected_to(server)
    select.epoll.fromfd(os.dup(exchanges.fileno())).register(watched, select.EPOLLIN)
    problem = exchanges.adopt(1, upstream, 1, watched.detach())
    assert problem == f"{upstream}: File exists"
    exchanges.max_sockets = 0
    assert exchanges.adopt(2, upstream, 2, connected_to(server).detach()) == TOO_MANY
    assert (len(exchanges), exchanges.by_id, exchanges.failed) == (0, {}, 2)


def test_an_exchange_over_udp(exchanges: Exchanges, server: socket.socket) -> None:
    assert exchanges.open(udp_send(7, 2, server.getsockname()[:2], QUERY)) is None
    wire, client = server.recvfrom(4096)
    assert wire == QUERY
    server.sendto(REPLY, client)
    assert arrivals(exchanges) == [(7, 2, REPLY, "")]
    assert len(exchanges) == 1
    exchanges.close(7)
    assert len(exchanges) == 0
    assert (exchanges.opened, exchanges.failed) == (1, 0)


def test_every_datagram_comes_through_until_the_exchange_is_closed(exchanges: Exchanges, server: socket.socket) -> None:
    exchanges.open(udp_send(1, 0, server.getsockname()[:2]))
    _, client = server.recvfrom(4096)
    for wire in (b"", b"x", REPLY, bytes(1232)):
        server.sendto(wire, client)
    wires = [wire for _, _, wire, _ in arrivals(exchanges, lambda seen: len(seen) == 4)]
    assert wires == [b"", b"x", REPLY, bytes(1232)]


def test_nobody_elses_datagram_comes_through(exchanges: Exchanges, server: socket.socket) -> None:
    """RFC 5452 section 9.1: neither from another address nor from another port of the upstream."""
    exchanges.open(udp_send(1, 0, server.getsockname()[:2]))
    _, client = server.recvfrom(4096)
    forgers = [(server.getsockname()[0], 0)]
    if server.family == socket.AF_INET:
        forgers.append(("127.0.0.2", server.getsockname()[1]))
    for forger in forgers:
        with socket.socket(server.family, socket.SOCK_DGRAM) as sock:
            sock.bind(forger)
            sock.sendto(b"forged" * 3, client)
    server.sendto(REPLY, client)
    assert arrivals(exchanges) == [(1, 0, REPLY, "")]


def test_ports_are_random() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        ports = []
        exchanges = Exchanges()
        for number in range(200):
            assert exchanges.open(udp_send(number, 0, server.getsockname())) is None
            ports.append(server.recvfrom(4096)[1][1])
            exchanges.close(number)
        exchanges.close_all()
    assert len(set(ports)) >= 190
    steps = {later - earlier for earlier, later in itertools.pairwise(ports)}
    assert len(steps) >= 190


def test_each_attempt_has_its_own_port(exchanges: Exchanges, server: socket.socket) -> None:
    for attempt in range(3):
        exchanges.open(udp_send(1, attempt, server.getsockname()[:2], message(b"%d" % attempt)))
    clients = {}
    for _ in range(3):
        wire, client = server.recvfrom(4096)
        clients[wire[12:]] = client
    assert len(set(clients.values())) == 3
    server.sendto(REPLY, clients[b"1"])
    assert arrivals(exchanges) == [(1, 1, REPLY, "")]
    exchanges.close(1)
    assert len(exchanges) == 0


def test_closing_twice_or_what_never_was(exchanges: Exchanges, server: socket.socket) -> None:
    exchanges.open(udp_send(1, 0, server.getsockname()[:2]))
    exchanges.close(1)
    exchanges.close(1)
    exchanges.close(2)


def test_refused_over_udp(exchanges: Exchanges) -> None:
    nobody = nobodys_address()
    assert exchanges.open(udp_send(5, 1, nobody)) is None
    assert arrivals(exchanges) == [(5, 1, None, f"127.0.0.1:{nobody[1]}: Connection refused")]
    assert len(exchanges) == 0
    assert exchanges.failed == 1
    exchanges.close(5)


def test_one_attempt_fails_and_the_other_goes_on(exchanges: Exchanges, server: socket.socket) -> None:
    nobody = nobodys_address()
    exchanges.open(udp_send(5, 0, nobody))
    assert arrivals(exchanges) == [(5, 0, None, f"127.0.0.1:{nobody[1]}: Connection refused")]
    exchanges.open(udp_send(5, 1, server.getsockname()[:2]))
    _, client = server.recvfrom(4096)
    server.sendto(REPLY, client)
    assert arrivals(exchanges) == [(5, 1, REPLY, "")]


@pytest.mark.parametrize("send", [udp_send, tcp_send])
@pytest.mark.parametrize("host", ["255.255.255.255", "fe80::1%nowhere0"])
def test_what_can_not_be_opened_says_why(exchanges: Exchanges, send: Callable[..., object], host: str) -> None:
    problem = exchanges.open(send(1, 0, (host, 53)))  # type: ignore[arg-type]
    assert problem
    assert len(exchanges) == 0
    assert exchanges.failed == 1


def test_sockets_are_bounded(server: socket.socket) -> None:
    exchanges = Exchanges(max_sockets=2)
    sends = [udp_send(number, 0, server.getsockname()[:2]) for number in range(3)]
    assert [exchanges.open(send) for send in sends] == [None, None, TOO_MANY]
    exchanges.close(0)
    assert exchanges.open(sends[2]) is None
    exchanges.close_all()


def test_no_descriptors_left(exchanges: Exchanges, server: socket.socket) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (server.fileno(), hard))
    try:
        problem = exchanges.open(udp_send(1, 0, server.getsockname()[:2]))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert problem is not None
    assert problem.endswith("Too many open files")
    assert exchanges.open(udp_send(1, 1, server.getsockname()[:2])) is None


def test_an_exchange_over_tcp(exchanges: Exchanges, listener: socket.socket) -> None:
    assert exchanges.open(tcp_send(9, 3, listener.getsockname(), QUERY)) is None
    exchanges.flush()
    with listener.accept()[0] as connection:
        assert select.select([exchanges], [], [], PATIENCE)[0]
        assert exchanges.receive() == []
        connection.settimeout(PATIENCE)
        assert connection.recv(4096) == framed(QUERY)
        connection.sendall(framed(REPLY))
        assert arrivals(exchanges) == [(9, 3, REPLY, "")]
        exchanges.close(9)
        assert (len(exchanges), exchanges.opened, exchanges.failed) == (1, 1, 0)


def test_refused_over_tcp(exchanges: Exchanges) -> None:
    nobody = nobodys_address()
    assert exchanges.open(tcp_send(1, 0, nobody)) is None
    assert arrivals(exchanges) == [(1, 0, None, f"127.0.0.1:{nobody[1]}: Connection refused")]
    assert (len(exchanges), exchanges.failed) == (0, 1)


def test_both_transports_at_once(exchanges: Exchanges, listener: socket.socket) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(listener.getsockname())
        exchanges.open(udp_send(1, 0, server.getsockname(), QUERY))
        exchanges.open(tcp_send(1, 1, listener.getsockname(), QUERY))
        exchanges.flush()
        server.sendto(REPLY, server.recvfrom(4096)[1])
        with listener.accept()[0] as connection:
            connection.sendall(framed(REPLY))
            seen = arrivals(exchanges, lambda seen: len(seen) == 2)
            assert sorted(seen) == [(1, 0, REPLY, ""), (1, 1, REPLY, "")]


def test_a_message_knows_the_address_that_it_left_from(exchanges: Exchanges, server: socket.socket) -> None:
    exchanges.open(udp_send(4, 2, server.getsockname()[:2], QUERY))
    wire, client = server.recvfrom(4096)
    attempt = exchanges.by_id[wire[:2]]
    assert (attempt.exchange, attempt.number) == (4, 2)
    assert attempt.sent_from(client[0], client[1])
    assert not attempt.sent_from(client[0], client[1] ^ 1)
    assert not attempt.sent_from("127.0.0.2", client[1])
    exchanges.close(4)
    assert exchanges.by_id == {}


def test_of_two_messages_with_one_id_the_later_is_known(exchanges: Exchanges, server: socket.socket) -> None:
    exchanges.open(udp_send(1, 0, server.getsockname()[:2], QUERY))
    exchanges.open(udp_send(2, 0, server.getsockname()[:2], QUERY))
    exchanges.close(1)
    assert exchanges.by_id[QUERY[:2]].exchange == 2


def test_the_sockets_over_udp_of_an_exchange_can_be_closed_alone(
    exchanges: Exchanges, server: socket.socket, listener: socket.socket
) -> None:
    exchanges.open(udp_send(1, 0, server.getsockname(), QUERY))
    exchanges.open(udp_send(2, 0, server.getsockname(), QUERY))
    exchanges.open(tcp_send(1, 1, listener.getsockname(), QUERY))
    exchanges.flush()
    exchanges.close_datagrams(1)
    assert len(exchanges) == 2
    connection, _ = listener.accept()
    with connection:
        connection.sendall(framed(REPLY))
        assert [arrival[:2] for arrival in arrivals(exchanges)] == [(1, 1)]
    exchanges.close(1)
    exchanges.close_datagrams(1)
    assert len(exchanges._by_exchange) == 1


def test_other_rules_hold_for_what_is_opened_next(exchanges: Exchanges, server: socket.socket) -> None:
    assert exchanges.open(udp_send(1, 0, server.getsockname(), QUERY)) is None
    exchanges.reconfigure(1, 1.0, None)
    assert exchanges.open(udp_send(2, 0, server.getsockname(), QUERY)) == TOO_MANY
    assert len(exchanges) == 1
    exchanges.reconfigure(2, 1.0, None)
    assert exchanges.open(udp_send(2, 0, server.getsockname(), QUERY)) is None
