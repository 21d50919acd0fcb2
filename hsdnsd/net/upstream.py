"""Exchanges with upstream servers: over UDP a fresh connected socket for every message, over TCP warm connections.

All sockets hang on one epoll instance of their own, which the event loop sees as a single descriptor. An exchange over
UDP then costs six system calls and no object of the loop: about half of what `loop.add_reader` for each socket costs,
and a fifth of a datagram endpoint.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Final

from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.pool import TOO_MANY, Arrival, Pool, describe
from hsdnsd.net.sockaddr import SockAddr, to_sockaddr

# What there is room for where nobody has counted (see `hsdnsd.net.descriptors`).
MAX_SOCKETS: Final = 512
# Seconds for a connection to be made.
CONNECT_TIMEOUT: Final = 1.2
# Sockets looked at in one go, so that clients get their turn.
_EVENTS: Final = 64
# We offer 1,232 octets (EDNS_UDP_SIZE). A datagram longer than this is cut, and then is no message any more.
_DATAGRAM: Final = 4096
# Addresses that are kept as the kernel takes them; the endpoints of a Service come and go.
_MAX_ADDRESSES: Final = 256
_ID_SIZE: Final = 2

_FLAGS: Final = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class Attempt:
    """A message over UDP, and its socket.

    Attributes:
        exchange, number, upstream: which attempt of which exchange, and to whom.
        id: the message id, as it is in the message.
    """

    __slots__ = ("exchange", "id", "number", "sock", "upstream")

    def __init__(self, exchange: int, number: int, upstream: Upstream, id: bytes, sock: socket.socket) -> None:
        self.exchange = exchange
        self.number = number
        self.upstream = upstream
        self.id = id
        self.sock = sock

    def sent_from(self, source: str, port: int) -> bool:
        """Whether this is its socket's own address."""
        host, own_port = self.sock.getsockname()[:2]
        return bool(port == own_port and source == host.partition("%")[0])


class Exchanges:
    """The sockets of all exchanges in flight.

    The kernel picks each socket's port at random (RFC 5452 section 9.2), and gives a connected socket only what comes
    from the upstream's address and port (section 9.1).

    Attributes:
        by_id: attempts over UDP by their message id; of two with the same, the later.
        opened: sockets opened since the beginning.
        failed: attempts that could not be made, or were refused, cut off or reset.
        pool: the connections over TCP and TLS, for its counters.
        elsewhere: sockets of others, which count here too. max_sockets: most sockets at one time.
    """

    def __init__(
        self,
        max_sockets: int = MAX_SOCKETS,
        *,
        connect_timeout: float = CONNECT_TIMEOUT,
        context: ssl.SSLContext | None = None,
        spend: Callable[[int], bool] = lambda _: True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """
        Args:
            connect_timeout: seconds for a connection to be made, TLS included.
            context: how upstreams over TLS are verified; None: there are none.
            spend: whether one more message may be sent for an exchange whose connection was lost.
        """
        self.by_id: dict[bytes, Attempt] = {}
        self.elsewhere: Callable[[], int] = lambda: 0
        self._opened = 0
        self._failed = 0
        self.max_sockets = max_sockets
        self._clock = clock
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, Attempt] = {}
        self._by_exchange: dict[int, list[Attempt]] = {}
        self._addresses: dict[Upstream, tuple[socket.AddressFamily, SockAddr]] = {}
        self.pool = Pool(
            self._epoll,
            patience=connect_timeout,
            context=context,
            may_open=lambda: len(self) < self.max_sockets,
            spend=spend,
        )

    def reconfigure(self, max_sockets: int, connect_timeout: float, context: ssl.SSLContext | None) -> None:
        """Open by these rules from now on; what is open stays. Arguments as of the constructor."""
        self.max_sockets = max_sockets
        self.pool.reconfigure(connect_timeout, context)

    def __len__(self) -> int:
        """Sockets open now."""
        return len(self._by_descriptor) + len(self.pool) + self.elsewhere()

    @property
    def opened(self) -> int:
        return self._opened + self.pool.opened

    @property
    def failed(self) -> int:
        return self._failed + self.pool.failed

    def fileno(self) -> int:
        """Readable when `receive` has something to do."""
        return self._epoll.fileno()

    def open(self, send: Send) -> str | None:
        """Send a message, over TCP with the next `flush`. Returns to whom and why it could not be sent, or None."""
        if send.tcp:
            return self.pool.open(send, self._clock())
        if len(self) >= self.max_sockets:
            self._failed += 1
            return TOO_MANY
        try:
            family, address = self._address(send.upstream)
            sock = socket.socket(family, _FLAGS)
        except OSError as error:
            self._failed += 1
            return describe(send.upstream, error)
        attempt = Attempt(send.exchange, send.attempt, send.upstream, send.wire[:_ID_SIZE], sock)
        self._keep(attempt)
        self._opened += 1
        try:
            sock.connect(address)
            sock.send(send.wire)
            self._epoll.register(sock, select.EPOLLIN)
        except OSError as error:
            self._drop(attempt)
            return describe(send.upstream, error)
        return None

    def adopt(self, exchange: int, upstream: Upstream, id: int, fd: int) -> str | None:
        """Take over the socket that the first message of an exchange was sent on. Returns as `open`."""
        family, _ = self._address(upstream)
        sock = socket.socket(family, _FLAGS, fileno=fd)
        if len(self) >= self.max_sockets:
            self._failed += 1
            sock.close()
            return TOO_MANY
        attempt = Attempt(exchange, 0, upstream, id.to_bytes(_ID_SIZE, "big"), sock)
        self._keep(attempt)
        try:
            self._epoll.register(sock, select.EPOLLIN)
        except OSError as error:
            self._drop(attempt)
            return describe(upstream, error)
        return None

    def flush(self) -> None:
        """Let what was opened over TCP leave."""
        self.pool.flush()

    def close(self, exchange: int) -> None:
        """Close the sockets of all attempts of an exchange; those that failed are closed already."""
        self.close_datagrams(exchange)
        self.pool.close(exchange)

    def close_datagrams(self, exchange: int) -> None:
        """Close those over UDP, and let those over TCP be."""
        for attempt in self._by_exchange.pop(exchange, ()):
            self._close(attempt)

    def close_all(self) -> None:
        """Close every socket, for good."""
        for exchange in list(self._by_exchange):
            self.close(exchange)
        self.pool.close_all()
        self._epoll.close()

    def receive(self) -> list[Arrival]:
        """What has arrived: of each socket, at most one datagram, or one read of a stream."""
        arrivals: list[Arrival] = []
        streams: list[int] = []
        for descriptor, _ in self._epoll.poll(0, _EVENTS):
            attempt = self._by_descriptor.get(descriptor)
            if attempt is None:
                # Or closed here, but a child that is being started still has it until it calls exec.
                streams.append(descriptor)
                continue
            try:
                arrivals.append((attempt.exchange, attempt.number, attempt.sock.recv(_DATAGRAM), ""))
            except BlockingIOError:
                continue  # a datagram with a wrong checksum woke us
            except OSError as error:
                self._drop(attempt)
                arrivals.append((attempt.exchange, attempt.number, None, describe(attempt.upstream, error)))
        if streams:
            now = self._clock()
            for descriptor in streams:
                self.pool.ready(descriptor, now)
            arrivals += self.pool.take_arrivals(now)
        return arrivals

    def expire(self) -> list[Arrival]:
        """Give up and close connections whose time is over. To be called a few times a second while there are any."""
        now = self._clock()
        self.pool.expire(now)
        return self.pool.take_arrivals(now)

    def _keep(self, attempt: Attempt) -> None:
        self._by_descriptor[attempt.sock.fileno()] = attempt
        self._by_exchange.setdefault(attempt.exchange, []).append(attempt)
        self.by_id[attempt.id] = attempt

    def _drop(self, attempt: Attempt) -> None:
        self._failed += 1
        siblings = self._by_exchange[attempt.exchange]
        siblings.remove(attempt)
        if not siblings:
            del self._by_exchange[attempt.exchange]
        self._close(attempt)

    def _close(self, attempt: Attempt) -> None:
        del self._by_descriptor[attempt.sock.fileno()]
        if self.by_id.get(attempt.id) is attempt:
            del self.by_id[attempt.id]
        attempt.sock.close()  # which takes it off the epoll instance too

    def _address(self, upstream: Upstream) -> tuple[socket.AddressFamily, SockAddr]:
        address = self._addresses.get(upstream)
        if address is None:
            if len(self._addresses) >= _MAX_ADDRESSES:
                self._addresses.clear()
            address = self._addresses[upstream] = to_sockaddr(upstream.host, upstream.port)
        return address
