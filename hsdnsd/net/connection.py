"""One TCP connection of a client (RFC 7766, RFC 9210)."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Hashable
from time import monotonic
from typing import Final, Protocol

from hsdnsd.config import Tcp
from hsdnsd.errors import WireError
from hsdnsd.net.driver import Driver
from hsdnsd.net.framing import Frames, framed

# Read at once. Together with the largest message it bounds what is held of what a client sent.
_READ: Final = 16 << 10
# Octets that wait to be sent, above which no more queries are taken from the connection.
MAX_UNSENT: Final = 256 << 10
# Seconds for which a client may take nothing of what waits for it.
STALL_TIMEOUT: Final = 5.0
# Seconds that a client gets to close its side after we have closed ours.
LINGER: Final = 1.0
# Then the client has to make a new connection: nobody holds on to one for ever.
MAX_QUERIES: Final = 10_000

_RESET: Final = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Host(Protocol):
    """The server, as its connections see it."""

    limits: Tcp

    def ready(self, connection: Connection) -> None:
        """A whole message waits: call `take` and then `flush` when it is this connection's turn."""
        ...

    def gone(self, connection: Connection) -> None:
        """The connection is closed."""
        ...


class Connection:
    """Takes queries in, in any pieces, and sends each reply when it is there, in any order.

    Attributes:
        source: the client's address.
    """

    __slots__ = (
        "_asked", "_closed", "_driver", "_eof", "_frames", "_host", "_lingering", "_loop", "_moved", "_over",
        "_pending", "_reading", "_since", "_sock", "_unsent", "_writing", "source",
    )  # fmt: skip

    def __init__(
        self, host: Host, driver: Driver, sock: socket.socket, source: str, loop: asyncio.AbstractEventLoop, now: float
    ) -> None:
        self.source = source
        self._host = host
        self._driver = driver
        self._sock = sock
        self._loop = loop
        self._frames = Frames()
        self._pending: set[Hashable] = set()  # serial numbers of the queries that wait for their reply
        self._unsent = bytearray()
        self._asked = 0
        self._since = now  # when the present wait for the client began
        self._moved = now  # when the client last took something of what waited for it, or had nothing to take
        self._over = False  # nothing more is read
        self._eof = False  # because the client has said so
        self._lingering = False  # everything is sent, and our side closed
        self._closed = False
        self._reading = False
        self._writing = False
        self._watch(read=True, write=False)

    @property
    def busy(self) -> bool:
        """Whether the client has something to get from us."""
        return bool(self._pending or self._unsent or self._frames.ready)

    def take(self, most: int, now: float) -> int:
        """Hand whole messages to the engine, at most so many; returns how many there were."""
        taken = 0
        while taken < most and self._may_take():
            try:
                wire = self._frames.take_untrusted()
            except WireError:
                self._end()
                break
            if wire is None:
                break
            taken += 1
            self._asked += 1
            self._since = now
            reply = self._driver.query(wire, (self, self._asked), self.source, True, now)
            if reply is None:
                self._pending.add(self._asked)
            elif reply:
                self._unsent += framed(reply)
            if reply == b"" or self._asked == MAX_QUERIES:
                self._end()
        return taken

    def reply(self, token: Hashable, octets: bytes) -> None:
        """See `hsdnsd.net.contract.Asked`. One reply for one query; none once the connection is closed."""
        if token not in self._pending:
            return
        self._pending.discard(token)
        if octets:
            self._unsent += framed(octets)
        else:
            self._end()

    def flush(self, now: float) -> None:
        """See `hsdnsd.net.contract.Asked`."""
        if self._closed:
            return
        if self._unsent:
            if not self._writing:
                self._moved = now
            try:
                sent = self._sock.send(self._unsent)
            except BlockingIOError:
                sent = 0
            except OSError:  # reset by the client
                self.close()
                return
            if sent:
                self._moved = now
                del self._unsent[:sent]
                if not self.busy and not self._frames:
                    self._since = now
        self._go_on(now)

    def expire(self, now: float) -> bool:
        """Close it if the client has kept us waiting too long; returns whether it has."""
        if self._unsent and now - self._moved >= STALL_TIMEOUT:
            # A plain close would leave it to the kernel to hold what the client doesn't read.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.close()
            return True
        if self._lingering:
            if now - self._since >= LINGER:
                self.close()
            return False
        if not self._reading or now - self._since < self._patience():
            return False
        self._end()
        self._go_on(now)
        return True

    def drain(self, now: float) -> None:
        """Answer what has arrived, then close."""
        if self._reading and not self._lingering:
            self._readable()
        if self._closed or self._lingering:
            return
        self._over = True
        if self.busy:
            self._go_on(now)
        else:
            self.close()

    def close(self) -> None:
        """Close it at once, whatever is owed."""
        if self._closed:
            return
        self._closed = True
        self._pending.clear()
        self._unsent.clear()
        self._frames.clear()
        self._watch(read=False, write=False)
        self._sock.close()
        self._host.gone(self)

    def _may_take(self) -> bool:
        return len(self._pending) < self._host.limits.max_pipelined and len(self._unsent) <= MAX_UNSENT

    def _patience(self) -> float:
        """Seconds that the client has for what it is to do next."""
        if self._frames.ready:
            return float("inf")
        if self._frames or not self._asked:
            return self._host.limits.message_timeout
        return float("inf") if self.busy else self._host.limits.idle_timeout

    def _end(self) -> None:
        """Take nothing more from the client; what it has asked is still answered."""
        self._over = True
        self._frames.clear()

    def _go_on(self, now: float) -> None:
        """Wait for whatever is next: a turn, the client's octets, room to send, or the end."""
        if self._over and not self.busy:
            self._say_goodbye(now)
            return
        ready, room = self._frames.ready, self._may_take()
        if ready and room:
            self._host.ready(self)
        read = not self._over and room and not (ready and len(self._frames) > _READ)
        if read and not self._reading:
            self._since = now  # it was we who didn't read
        self._watch(read=read, write=bool(self._unsent))

    def _say_goodbye(self, now: float) -> None:
        if self._eof:
            self.close()
            return
        # To close with octets unread would reset the connection, and the client might lose our last replies.
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:  # reset by the client
            self.close()
            return
        self._lingering = True
        self._since = now
        self._watch(read=True, write=False)

    def _readable(self) -> None:
        now = monotonic()
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:  # reset by the client
            self.close()
            return
        if self._lingering:
            if not data:
                self.close()
            return
        if not data:
            self._over = self._eof = True
        elif self._asked and not self._frames:
            self._since = now  # a message begins; the first one has its time from the connection's begin
        self._frames.feed(data)
        self._go_on(now)

    def _writable(self) -> None:
        self.flush(monotonic())

    def _watch(self, *, read: bool, write: bool) -> None:
        descriptor = self._sock.fileno()
        if read != self._reading:
            self._reading = read
            if read:
                self._loop.add_reader(descriptor, self._driver.guarded(self._readable))
            else:
                self._loop.remove_reader(descriptor)
        if write != self._writing:
            self._writing = write
            if write:
                self._loop.add_writer(descriptor, self._driver.guarded(self._writable))
            else:
                self._loop.remove_writer(descriptor)
