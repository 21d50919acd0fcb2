"""UDP sockets on loopback, for tests of the packet path. Loopback delivers before sendto returns: nothing waits."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@contextmanager
def udp(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    """A bound, non-blocking UDP socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, port))
        sock.setblocking(False)
        yield sock


def address_of(sock: socket.socket, host: str | None = None) -> tuple[str, int]:
    """Where to send to reach a socket; `host` if it is bound to a wildcard."""
    own = sock.getsockname()
    return (host or own[0], own[1])


def waiting(sock: socket.socket) -> list[bytes]:
    """Everything that has arrived."""
    datagrams = []
    while True:
        try:
            datagrams.append(sock.recv(65535))
        except BlockingIOError:
            return datagrams
