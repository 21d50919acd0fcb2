"""Sockets to listen on, and errors that tell a person what to do about them."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import Final

from hsdnsd.address import Endpoint, parse_endpoint
from hsdnsd.errors import StartError
from hsdnsd.net.holder import holder_of
from hsdnsd.net.sockaddr import to_sockaddr

# What the socket module doesn't name: include/uapi/asm-generic/socket.h, linux/in.h, linux/in6.h.
_SO_RCVBUFFORCE: Final = 33
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_PMTUDISC_OMIT: Final = 5

# The default holds 256 small queries: 13 ms of a busy node. This holds half a second of 20,000 queries a second.
RECEIVE_BUFFER: Final = 4 << 20
# What the kernel holds of answers that a TCP client doesn't read, in place of the 4 MiB up to which it would grow.
SEND_BUFFER: Final = 128 << 10
BACKLOG: Final = 1024
# Port 0: how often to look for a number that is free for UDP and for TCP.
_SAME_PORT_TRIES: Final = 16


class PortInUseError(StartError):
    """Somebody else has the port."""


class Bound:
    """One address that is listened on, over UDP and TCP.

    Attributes:
        udp: bound, non-blocking; the kernel spreads clients over them (SO_REUSEPORT).
        tcp: bound, non-blocking, and listens.
        endpoint: address and port as bound, so never port 0.
    """

    __slots__ = ("endpoint", "tcp", "udp")

    def __init__(self, udp: tuple[socket.socket, ...], tcp: socket.socket) -> None:
        self.udp = udp
        self.tcp = tcp
        self.endpoint = Endpoint(*tcp.getsockname()[:2])

    def close(self) -> None:
        """Close all."""
        for sock in (*self.udp, self.tcp):
            sock.close()


def bind_all(addresses: tuple[str, ...], udp_sockets: int = 1) -> list[Bound]:
    """Bind every `ADDR:PORT` or `[V6]:PORT`, over UDP (so many sockets each) and TCP; all of them or none.

    Raises:
        StartError: an address is not one, not ours, in use, or may not be bound.
    """
    # All are probed before one is bound: one daemon may listen on 0.0.0.0 and on 127.0.0.1.
    endpoints = [_probe(_parse(text)) for text in addresses]
    with contextlib.ExitStack() as opened:
        bound = []
        for endpoint in endpoints:
            udp = []
            for _ in range(udp_sockets):
                udp.append(_open(socket.SOCK_DGRAM, endpoint, share=True))
                opened.callback(udp[-1].close)
                _set_buffer(udp[-1])
                _ignore_path_mtu(udp[-1])
            tcp = _open(socket.SOCK_STREAM, endpoint, share=True)
            opened.callback(tcp.close)
            bound.append(Bound(tuple(udp), tcp))
        opened.pop_all()
        return bound


def explain(error: OSError, kind: int, endpoint: Endpoint) -> StartError:
    """The one line for an address that can't be bound, with the holder of a port in use if that can be seen."""
    tcp = kind == socket.SOCK_STREAM
    where = f"can't listen on {endpoint} ({'TCP' if tcp else 'UDP'})"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(tcp, endpoint.host, endpoint.port)
        return PortInUseError(f"{where}: the port is in use" + (f" by {holder}" if holder else ""))
    if error.errno == errno.EADDRNOTAVAIL:
        return StartError(f"{where}: no such address on this machine")
    if error.errno in (errno.EACCES, errno.EPERM):
        return StartError(
            f"{where}: no permission to bind this port: give the process CAP_NET_BIND_SERVICE, "
            "or choose a port from 1024 up"
        )
    if error.errno == errno.EAFNOSUPPORT:
        return StartError(f"{where}: this machine has no {'IPv6' if ':' in endpoint.host else 'IPv4'}")
    return StartError(f"{where}: {error.strerror}")


def _parse(text: str) -> Endpoint:
    try:
        return parse_endpoint(text)
    except ValueError as error:
        raise StartError(f"can't listen on {text!r}: {error}") from None


def _probe(endpoint: Endpoint) -> Endpoint:
    """Fail if anybody has this address, even a hsdnsd of the same user, whom SO_REUSEPORT would let us join unseen.

    Port 0 becomes a port that is free over UDP and TCP.
    """
    for tries_left in reversed(range(_SAME_PORT_TRIES)):
        with _open(socket.SOCK_DGRAM, endpoint, share=False) as udp:
            free = Endpoint(endpoint.host, udp.getsockname()[1])
            try:
                _open(socket.SOCK_STREAM, free, share=False).close()
            except PortInUseError:
                if tries_left and not endpoint.port:
                    continue
                raise
            return free
    raise AssertionError("the last try returns or raises")


def _open(kind: socket.SocketKind, endpoint: Endpoint, *, share: bool) -> socket.socket:
    """A bound, non-blocking socket; over TCP it listens, unless it is only a probe (`share` is False)."""
    try:
        family, address = to_sockaddr(endpoint.host, endpoint.port)
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise explain(error, kind, endpoint) from None
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            # Connections of the last run that linger in TIME_WAIT don't hold the port; one that listens does.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        if kind == socket.SOCK_STREAM and share:
            # Both are inherited by the connections. Answers to pipelined queries leave one by one: no Nagle.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise explain(error, kind, endpoint) from None
    return sock


def _set_buffer(udp: socket.socket) -> None:
    try:
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:  # without CAP_NET_ADMIN: no more than net.core.rmem_max
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _ignore_path_mtu(udp: socket.socket) -> None:
    """Don't let a forged "fragmentation needed" make us send fragments, which can be replaced on their way (RFC 8900
    section 3.7). What leaves here fits into any link of today."""
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_OMIT)
    else:
        udp.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_OMIT)
