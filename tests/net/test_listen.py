"""Binding, and what a person is told when it fails."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from hsdnsd.address import Endpoint
from hsdnsd.errors import StartError
from hsdnsd.net.listen import RECEIVE_BUFFER, SEND_BUFFER, Bound, PortInUseError, bind_all, explain

IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, OMIT = 10, 23, 5


@pytest.fixture
def opened() -> Iterator[list[Bound]]:
    """What is put here is closed."""
    everything: list[Bound] = []
    yield everything
    for bound in everything:
        bound.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"])
def test_udp_and_tcp_on_one_port(host: str, opened: list[Bound]) -> None:
    opened += bind_all((str(Endpoint(host, 0)),))
    [bound] = opened
    assert bound.endpoint.host == host
    assert bound.endpoint.port != 0
    for sock in (*bound.udp, bound.tcp):
        assert sock.getsockname()[:2] == (host, bound.endpoint.port)
        assert sock.getblocking() is False
        assert sock.get_inheritable() is False
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


def test_options_of_the_sockets(opened: list[Bound]) -> None:
    opened += bind_all(("127.0.0.1:0", "[::1]:0"))
    v4, v6 = opened
    assert v4.udp[0].getsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER) == OMIT
    assert v6.udp[0].getsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) == OMIT
    assert v6.udp[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert v6.tcp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    with socket.socket(type=socket.SOCK_DGRAM) as plain:
        # The kernel doubles what it is asked for; without privileges, what it may be asked for is bounded.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        most = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert v4.udp[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) in (most, 2 * RECEIVE_BUFFER)


def test_connections_inherit_what_they_need(opened: list[Bound]) -> None:
    opened += bind_all(("127.0.0.1:0",))
    listener = opened[0].tcp
    listener.setblocking(True)
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER


def test_one_daemon_may_have_the_wildcard_and_an_address(opened: list[Bound]) -> None:
    [free] = bind_all(("127.0.0.1:0",))
    free.close()
    port = free.endpoint.port
    opened += bind_all((f"0.0.0.0:{port}", f"127.0.0.1:{port}", f"[::]:{port}"))
    assert len(opened) == 3


@pytest.mark.parametrize(
    ("kind", "name"), [(socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")], ids=["udp", "tcp"]
)
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "with SO_REUSEPORT"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use(kind: socket.SocketKind, name: str, shared: bool, host: str) -> None:
    with socket.socket(type=kind) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        holder.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortInUseError) as caught:
            bind_all((f"127.0.0.1:{port}",))
    line = f"can't listen on 127.0.0.1:{port} ({name}): the port is in use by "
    assert str(caught.value).startswith(line)
    assert str(caught.value).endswith(f"(pid {os.getpid()})")


def test_a_second_daemon_is_told_so(opened: list[Bound]) -> None:
    opened += bind_all(("[::1]:0",))
    with pytest.raises(PortInUseError, match=rf"can't listen on \[::1\]:{opened[0].endpoint.port} \(UDP\)"):
        bind_all((str(opened[0].endpoint),))


def test_connections_of_the_last_run_do_not_hold_the_port(opened: list[Bound]) -> None:
    [last] = bind_all(("127.0.0.1:0",))
    last.tcp.setblocking(True)
    with socket.create_connection(last.tcp.getsockname()) as client:
        last.tcp.accept()[0].close()  # this side closes first, so it is this side that waits in TIME_WAIT
        assert client.recv(1) == b""
    last.close()
    opened += bind_all((str(last.endpoint),))
    assert opened[0].endpoint == last.endpoint


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_all_or_none(opened: list[Bound]) -> None:
    [first] = bind_all(("127.0.0.1:0",))
    first.close()
    with pytest.raises(StartError):
        bind_all((str(first.endpoint), "192.0.2.1:5353"))
    opened += bind_all((str(first.endpoint),))


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_no_such_address(kind: socket.SocketKind) -> None:
    with pytest.raises(StartError) as caught:
        bind_all(("192.0.2.1:5353",))
    assert str(caught.value) == "can't listen on 192.0.2.1:5353 (UDP): no such address on this machine"
    assert "no such address" in str(explain(OSError(errno.EADDRNOTAVAIL, ""), kind, Endpoint("192.0.2.1", 53)))


@pytest.mark.parametrize("text", ["127.0.0.1", "localhost:53", "127.0.0.1:70000", "::1:53", ""])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(StartError, match="can't listen on "):
        bind_all((text,))


def test_no_such_interface() -> None:
    with pytest.raises(StartError, match=r"can't listen on \[fe80::1%nowhere0\]:5353 \(UDP\): "):
        bind_all(("[fe80::1%nowhere0]:5353",))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_no_permission(number: int) -> None:
    line = str(explain(OSError(number, os.strerror(number)), socket.SOCK_STREAM, Endpoint("127.0.0.1", 53)))
    assert line == (
        "can't listen on 127.0.0.1:53 (TCP): no permission to bind this port: "
        "give the process CAP_NET_BIND_SERVICE, or choose a port from 1024 up"
    )


def test_no_such_family() -> None:
    line = str(explain(OSError(errno.EAFNOSUPPORT, ""), socket.SOCK_DGRAM, Endpoint("::1", 53)))
    assert line == "can't listen on [::1]:53 (UDP): this machine has no IPv6"


def test_anything_else_is_told_in_the_kernels_words() -> None:
    line = str(explain(OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)), socket.SOCK_DGRAM, Endpoint("::1", 53)))
    assert line == f"can't listen on [::1]:53 (UDP): {os.strerror(errno.ENOBUFS)}"
