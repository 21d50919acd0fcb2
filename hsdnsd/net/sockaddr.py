"""Literal addresses as bind(2) and connect(2) take them."""

from __future__ import annotations

import socket
from typing import Any

# (host, port), or for IPv6 (host, port, flow label, scope).
SockAddr = tuple[Any, ...]


def to_sockaddr(host: str, port: int) -> tuple[socket.AddressFamily, SockAddr]:
    """Family and socket address of a literal host. Asks nobody, so it doesn't block.

    Raises:
        OSError: the host is no literal address, or its scope names no interface of this machine.
    """
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)[0]
    return family, address
