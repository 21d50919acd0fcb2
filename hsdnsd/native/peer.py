"""Peers: who asked, when, and from which own address the answer has to leave.

Layout, told apart by length:
    IPv4: received (8), port (2), address (4), own address (4)
    IPv6: received (8), port (2), address (16), own address (16), scope (4)

`received` is the kernel's receive timestamp in nanoseconds (CLOCK_REALTIME), `scope` the interface of a link-local
address, both in native byte order; the port is in network order. An own address of zeros: the socket is bound to one.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import NamedTuple

from hsdnsd.native.contract import Peer

_V4 = struct.Struct("=q2s4s4s")
_V6 = struct.Struct("=q2s16s16sI")

# Where the port and the address of the asker begin.
_PORT, _ADDRESS = 8, 10

_MAPPED = bytes(10) + b"\xff\xff"


class PeerParts(NamedTuple):
    received: int
    port: int
    address: bytes
    own: bytes
    scope: int


def pack_peer(parts: PeerParts) -> Peer:
    port = parts.port.to_bytes(2, "big")
    if len(parts.address) == 4:
        return Peer(_V4.pack(parts.received, port, parts.address, parts.own))
    return Peer(_V6.pack(parts.received, port, parts.address, parts.own, parts.scope))


def unpack_peer(peer: Peer) -> PeerParts:
    """The parts of a peer.

    Raises:
        ValueError: its length is that of no peer.
    """
    if len(peer) == _V4.size:
        received, port, address, own = _V4.unpack(peer)
        return PeerParts(received, int.from_bytes(port, "big"), address, own, 0)
    if len(peer) == _V6.size:
        received, port, address, own, scope = _V6.unpack(peer)
        return PeerParts(received, int.from_bytes(port, "big"), address, own, scope)
    raise ValueError(f"a peer of {len(peer)} octets")


def source_of(peer: Peer) -> str:
    """The address of the asker, for limits a client and logs. An IPv4 client of an IPv6 socket is shown as IPv4.

    Every question that the packet path can't answer costs one call: no more is taken apart than is needed.
    """
    if len(peer) == _V4.size:
        return f"{peer[10]}.{peer[11]}.{peer[12]}.{peer[13]}"
    address = peer[_ADDRESS : _ADDRESS + 16]
    if address.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)


def port_of(peer: Peer) -> int:
    """The port of the asker."""
    return int.from_bytes(peer[_PORT:_ADDRESS], "big")


def is_link_local(address: bytes) -> bool:
    """Whether an IPv6 address needs an interface to mean anything (RFC 4291 section 2.5.6)."""
    return len(address) == 16 and ipaddress.IPv6Address(address).is_link_local
