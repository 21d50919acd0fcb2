"""The twin of `_batch.pyx`: one UDP socket, by recvmsg and sendmsg."""

from __future__ import annotations

import bisect
import errno
import socket
import struct
import sys
import time
from collections.abc import Sequence

from hsdnsd.native import contract
from hsdnsd.native._gate_py import read_question
from hsdnsd.native._table_py import Table
from hsdnsd.native.contract import Datagram, Outcome, Peer
from hsdnsd.native.peer import PeerParts, is_link_local, pack_peer, unpack_peer
from hsdnsd.wire.const import AA, MAX_UDP_QUERY
from hsdnsd.wire.query import Query

# Linux's numbers (asm-generic); `socket` does not name them in every Python.
SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
SO_RXQ_OVFL = getattr(socket, "SO_RXQ_OVFL", 40)
IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
IPV6_PKTINFO = socket.IPV6_PKTINFO

_IN_PKTINFO = struct.Struct("=I4s4s")
_IN6_PKTINFO = struct.Struct("=16sI")
_TIMESPEC = struct.Struct("@ll")
_CONTROL_SPACE = 128
_FULL = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS)


class Batch:
    """See `hsdnsd.native.contract.Batch`."""

    def __init__(self, sock: socket.socket, table: Table, size: int = contract.BATCH) -> None:
        if not 1 <= size <= 1024:
            raise ValueError("a batch holds 1 to 1024 datagrams")
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_DGRAM:
            raise ValueError("not a UDP socket")
        self._sock = sock
        self._table = table
        self._size = size
        self._v6 = sock.family == socket.AF_INET6
        host, self._port = sock.getsockname()[:2]
        self._own = socket.inet_pton(sock.family, host)
        self._wildcard = not any(self._own)
        if self._wildcard and self._v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif self._wildcard:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        self.received = self.sent = self.hits = self.hits_do = 0
        self.refused_source = self.send_errors = self.send_full = self.kernel_drops = 0
        self._types = ([0] * (len(contract.COUNTED_TYPES) + 1), [0] * (len(contract.COUNTED_TYPES) + 1))
        self._rcodes = ([0] * 16, [0] * 16)
        self._query_sizes = (Sizes(), Sizes())
        self._reply_sizes = (Sizes(), Sizes())
        self._latency = tuple(Latency() for _ in Outcome)

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def up_full(self) -> int:
        return 0

    def hit_types(self, own: bool) -> tuple[int, ...]:
        return tuple(self._types[own])

    def hit_rcodes(self, own: bool) -> tuple[int, ...]:
        return tuple(self._rcodes[own])

    def hit_query_sizes(self, own: bool) -> tuple[tuple[int, ...], int]:
        return self._query_sizes[own].snapshot()

    def hit_reply_sizes(self, own: bool) -> tuple[tuple[int, ...], int]:
        return self._reply_sizes[own].snapshot()

    def latency(self, outcome: Outcome) -> tuple[tuple[int, ...], int]:
        return self._latency[outcome].snapshot()

    def receive(self, now: float) -> list[Datagram]:
        up: list[Datagram] = []
        hits: list[tuple[bytes, Peer]] = []
        for _ in range(self._size):
            try:
                wire, control, flags, source = self._sock.recvmsg(MAX_UDP_QUERY, _CONTROL_SPACE)
            except BlockingIOError:
                break
            self.received += 1
            peer = self._peer(control, source)
            if peer is None:
                self.refused_source += 1
                continue
            truncated = bool(flags & socket.MSG_TRUNC)
            reply = None if truncated else self._hit(wire, now)
            if reply is None:
                up.append((wire, peer, truncated))
            else:
                hits.append((reply, peer))
        self._send(hits, Outcome.HIT_OWN)
        return up

    def send(self, replies: Sequence[tuple[bytes, Peer]]) -> None:
        self._send(replies, Outcome.ENGINE_OWN)

    def _hit(self, wire: bytes, now: float) -> bytes | None:
        query = read_question(wire)
        entry = None if query is None else self._table.find(query, now)
        if query is None or entry is None:
            return None
        reply = self._table.render(entry, query, now)
        self._count_hit(query, entry.answer.aa, entry.answer.rcode, len(wire), len(reply))
        return reply

    def _count_hit(self, query: Query, own: bool, rcode: int, query_size: int, reply_size: int) -> None:
        self.hits += 1
        self.hits_do += query.do
        types = contract.COUNTED_TYPES
        self._types[own][types.index(query.qtype) if query.qtype in types else len(types)] += 1
        self._rcodes[own][rcode] += 1
        self._query_sizes[own].add(query_size)
        self._reply_sizes[own].add(reply_size)

    def _peer(
        self, control: list[tuple[int, int, bytes]], source: tuple[str, int] | tuple[str, int, int, int]
    ) -> Peer | None:
        """Who asked; None for a source that nobody may answer."""
        address = socket.inet_pton(self._sock.family, source[0])
        own = bytes(len(address))
        received, interface = 0, 0
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack_from(data)
                received = seconds * 1_000_000_000 + nanoseconds
            elif level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
                self.kernel_drops += (int.from_bytes(data[:4], sys.byteorder) - self.kernel_drops) & 0xFFFFFFFF
            elif level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                own = _IN_PKTINFO.unpack_from(data)[1]
            elif level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO:
                own, interface = _IN6_PKTINFO.unpack_from(data)
        if source[1] == 0 or (source[1] == self._port and address == (own if self._wildcard else self._own)):
            return None
        scope = source[3] if len(source) == 4 else 0
        if scope == 0 and is_link_local(own):
            scope = interface
        return pack_peer(PeerParts(received, source[1], address, own, scope))

    def _send(self, replies: Sequence[tuple[bytes, Peer]], outcome: Outcome) -> None:
        for reply, peer in replies:
            parts = unpack_peer(peer)
            if (len(parts.address) == 16) != self._v6:
                raise ValueError("a peer of another family than the socket's")
            try:
                self._sock.sendmsg([reply], self._control(parts), 0, _sockaddr(parts))
            except OSError as error:
                if error.errno in _FULL:
                    self.send_full += 1
                else:
                    self.send_errors += 1
                continue
            self.sent += 1
            if parts.received:
                other = not (len(reply) > 3 and reply[2] & AA >> 8)
                self._latency[outcome + other].add(time.clock_gettime_ns(time.CLOCK_REALTIME) - parts.received)

    def _control(self, parts: PeerParts) -> list[tuple[int, int, bytes]]:
        """The own address that a reply leaves from; the interface only where the address means nothing without it."""
        if not any(parts.own):
            return []
        if len(parts.own) == 4:
            return [(socket.IPPROTO_IP, IP_PKTINFO, _IN_PKTINFO.pack(0, parts.own, bytes(4)))]
        interface = parts.scope if is_link_local(parts.own) else 0
        return [(socket.IPPROTO_IPV6, IPV6_PKTINFO, _IN6_PKTINFO.pack(parts.own, interface))]


class Sizes:
    """Counts by `SIZE_BOUNDS`, and octets in all."""

    def __init__(self) -> None:
        self._counts = [0] * (len(contract.SIZE_BOUNDS) + 1)
        self._total = 0

    def add(self, size: int) -> None:
        self._counts[bisect.bisect_left(contract.SIZE_BOUNDS, size)] += 1
        self._total += size

    def snapshot(self) -> tuple[tuple[int, ...], int]:
        return tuple(self._counts), self._total


class Latency:
    """Counts by powers of two of microseconds, and nanoseconds in all."""

    def __init__(self) -> None:
        self._counts = [0] * contract.LATENCY_BUCKETS
        self._total = 0

    def add(self, nanoseconds: int) -> None:
        # The wall clock may be set back between the two readings.
        nanoseconds = max(0, nanoseconds)
        self._counts[min((nanoseconds // 1000).bit_length(), contract.LATENCY_BUCKETS - 1)] += 1
        self._total += nanoseconds

    def snapshot(self) -> tuple[tuple[int, ...], int]:
        return tuple(self._counts), self._total


def _sockaddr(parts: PeerParts) -> tuple[str, int] | tuple[str, int, int, int]:
    if len(parts.address) == 4:
        return socket.inet_ntop(socket.AF_INET, parts.address), parts.port
    return socket.inet_ntop(socket.AF_INET6, parts.address), parts.port, 0, parts.scope
