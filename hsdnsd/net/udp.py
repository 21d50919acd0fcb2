"""DNS over UDP: one socket, served a batch at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Hashable
from time import monotonic
from typing import Final, cast

from hsdnsd.native import Worker
from hsdnsd.native.contract import Batch, Peer
from hsdnsd.native.peer import port_of, source_of
from hsdnsd.net.driver import Driver

# More small datagrams than a receive buffer holds: what is read after these has arrived after the first was read.
MAX_WAITING: Final = 16 << 10


class UdpListener:
    """Serves one UDP socket from the moment it is made.

    One batch each time that the loop finds the socket readable, so that TCP, upstreams and timers get their turn
    however fast queries arrive; what is left makes the socket readable again.

    Attributes:
        batch: the packet path, for its counters.
        is_v6: the family.
    """

    def __init__(self, driver: Driver, sock: socket.socket, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        self.batch = batch
        self.is_v6 = sock.family == socket.AF_INET6
        self._driver = driver
        self._loop = loop
        self._replies: list[tuple[bytes, Peer]] = []
        loop.add_reader(batch.fileno(), driver.guarded(self._readable))

    def reply(self, token: Hashable, octets: bytes) -> None:
        """See `hsdnsd.net.contract.Asked`."""
        if octets:
            self._replies.append((octets, cast("Peer", token)))

    def flush(self, now: float) -> None:  # noqa: ARG002 - UDP keeps no time
        """See `hsdnsd.net.contract.Asked`."""
        if self._replies:
            self.batch.send(self._replies)
            self._replies.clear()

    def read_all(self) -> None:
        """Answer everything that has arrived."""
        first = self.batch.received
        while self.batch.received - first < MAX_WAITING:
            before = self.batch.received
            if not self._readable() and self.batch.received == before:
                return

    def stop(self) -> None:
        """Read no more of what arrives, but by `read_all`; replies can still be sent."""
        self._loop.remove_reader(self.batch.fileno())
        if isinstance(self.batch, Worker):
            self.batch.close()

    def _readable(self) -> bool:
        """Serve one batch; whether anything of it came up."""
        now = monotonic()
        query = self._driver.query
        asked = self._driver.exchanges.by_id
        datagrams = self.batch.receive(now)
        for wire, peer, truncated in datagrams:
            source = source_of(peer)
            if wire[:2] in asked and self._driver.came_back(wire, source, port_of(peer), now):
                continue
            reply = query(wire, (self, peer), source, False, now, truncated)
            if reply:
                self._replies.append((reply, peer))
        self.flush(now)
        self._driver.refresh(now)
        self._driver.settle(now)
        return bool(datagrams)
