"""DNS over TCP: accepting, the bounds on connections, and whose turn it is.

Connections are driven on their descriptors, as UDP is, and not through asyncio's streams or transports: those give no
say in what happens when accept fails, no word of how far a client has read, and cost a task for each connection.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from hsdnsd.config import Tcp
from hsdnsd.net.connection import Connection
from hsdnsd.net.driver import Driver
from hsdnsd.net.listen import BACKLOG
from hsdnsd.net.seldom import Seldom

log = logging.getLogger(__name__)

# Messages handed to the engine before UDP and timers get their turn, and of these, the share of one connection.
TURN: Final = 64
SHARE: Final = 16
# Connections accepted before everybody else gets a turn.
_ACCEPTS: Final = 16
# Of max_connections, above which a new one costs the one that has been idle longest its place.
_CROWDED: Final = 0.8
# Seconds between two looks for connections that are overdue; less where a limit is shorter.
_SWEEP: Final = 0.25
# Seconds until accepting is tried again where descriptors or memory have run out.
_PAUSE: Final = 0.1

# What accept(2) says when the machine has run out of something. It passes.
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# What it says of a connection that has died while it waited to be accepted. The next one may live.
_DIED: Final = frozenset(
    {
        errno.ECONNABORTED, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EPERM, errno.ENETDOWN,
        errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENONET,
    }
)  # fmt: skip

Accept = Callable[[socket.socket], tuple[socket.socket, Any]]


class TcpServer:
    """All TCP connections, of all addresses that are listened on.

    Attributes:
        limits: the bounds.
        accepted: connections taken in.
        refused: closed at once: too many of one source, or no place and nobody idle.
        evicted: closed while idle, to make room.
        timed_out: closed because the client kept us waiting.
        accept_errors: times that accepting had to pause.
    """

    def __init__(
        self,
        driver: Driver,
        limits: Tcp,
        loop: asyncio.AbstractEventLoop,
        accept: Accept = socket.socket.accept,
    ) -> None:
        """
        Args:
            accept: how to accept; raises what accept(2) says.
        """
        self.limits = limits
        self.accepted = self.refused = self.evicted = self.timed_out = self.accept_errors = 0
        self._driver = driver
        self._loop = loop
        self._accept = accept
        self._seldom = Seldom()
        self._listeners: dict[socket.socket, asyncio.TimerHandle | None] = {}  # and the end of their pause
        self._connections: OrderedDict[Connection, None] = OrderedDict()  # the longest without a query first
        self._of_source: Counter[str] = Counter()
        self._ready: dict[Connection, None] = {}
        self._turn_comes = False
        self._sweep_every = min(_SWEEP, limits.message_timeout / 4, limits.idle_timeout / 4)
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Connections open now."""
        return len(self._connections)

    def listen(self, listener: socket.socket) -> None:
        """Accept from this socket from now on. It is ours to close."""
        self._listeners[listener] = None
        self._loop.add_reader(listener.fileno(), self._driver.guarded(self._acceptable), listener)

    def stop_accepting(self) -> None:
        """Take in who is waiting to be accepted, then close the listening sockets."""
        for listener in list(self._listeners):
            for _ in range(BACKLOG):
                if not self._accept_one(listener):
                    break
            self._close_listener(listener)

    def drain(self) -> None:
        """Answer what has arrived, and close each connection that has all its answers."""
        now = monotonic()
        for connection in list(self._connections):
            connection.drain(now)

    async def closed(self) -> None:
        """Wait until the last connection is closed."""
        if self._connections:
            self._closed = self._loop.create_future()
            await self._closed

    def close(self) -> None:
        """Close everything at once."""
        for listener in list(self._listeners):
            self._close_listener(listener)
        for connection in list(self._connections):
            connection.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def ready(self, connection: Connection) -> None:
        """See `hsdnsd.net.connection.Host`."""
        self._ready[connection] = None
        self._have_turn()

    def gone(self, connection: Connection) -> None:
        """See `hsdnsd.net.connection.Host`."""
        del self._connections[connection]
        self._ready.pop(connection, None)
        self._of_source[connection.source] -= 1
        if not self._of_source[connection.source]:
            del self._of_source[connection.source]
        if not self._connections and self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _acceptable(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS):
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: socket.socket) -> bool:
        """Take in one connection; False if there is none, or it has to wait."""
        try:
            sock, address = self._accept(listener)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _DIED:
                return True
            if error.errno not in _EXHAUSTED:
                raise
            self._pause(listener, error)
            return False
        self._admit(sock, address[0])
        return True

    def _admit(self, sock: socket.socket, source: str) -> None:
        most = self.limits.max_connections
        if self._of_source[source] >= self.limits.max_per_source:
            self._refuse(sock)
            return
        if len(self._connections) >= most * _CROWDED:
            self._evict()
        if len(self._connections) >= most:
            self._refuse(sock)
            return
        sock.setblocking(False)
        now = monotonic()
        self._connections[Connection(self, self._driver, sock, source, self._loop, now)] = None
        self._of_source[source] += 1
        self.accepted += 1
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._sweep_every, self._driver.guarded(self._sweep))

    def _refuse(self, sock: socket.socket) -> None:
        self.refused += 1
        sock.close()

    def _evict(self) -> bool:
        """Close the connection that has asked nothing for longest and has nothing to get; whether there was one."""
        idle = next((connection for connection in self._connections if not connection.busy), None)
        if idle is None:
            return False
        self.evicted += 1
        idle.close()
        return True

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        self.accept_errors += 1
        self._evict()
        repeated = self._seldom.due(error.errno, monotonic())
        if repeated is not None:
            log.warning("can't accept TCP connections: %s%s", error.strerror, repeated)
        if self._listeners[listener] is None:
            self._loop.remove_reader(listener.fileno())
            self._listeners[listener] = self._loop.call_later(_PAUSE, self._driver.guarded(self.listen), listener)

    def _close_listener(self, listener: socket.socket) -> None:
        pause = self._listeners.pop(listener)
        if pause is None:
            self._loop.remove_reader(listener.fileno())
        else:
            pause.cancel()
        listener.close()

    def _have_turn(self) -> None:
        if self._ready and not self._turn_comes:
            self._turn_comes = True
            self._loop.call_soon(self._driver.guarded(self._turn))

    def _turn(self) -> None:
        """Let the connections that have messages hand over some, one after the other."""
        self._turn_comes = False
        now = monotonic()
        left = TURN
        served = []
        while self._ready and left > 0:
            connection = next(iter(self._ready))
            del self._ready[connection]
            left -= connection.take(min(left, SHARE), now)
            self._connections.move_to_end(connection)
            served.append(connection)
        for connection in served:
            connection.flush(now)
        self._driver.settle(now)
        self._have_turn()

    def _sweep(self) -> None:
        now = monotonic()
        for connection in list(self._connections):
            self.timed_out += connection.expire(now)
        self._sweeper = None
        if self._connections:
            self._sweeper = self._loop.call_later(self._sweep_every, self._driver.guarded(self._sweep))
