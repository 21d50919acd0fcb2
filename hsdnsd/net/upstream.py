"""Exchanges with upstream servers: a fresh connected socket for every message.

All sockets hang on one epoll instance of their own, which the event loop sees as a single descriptor. An exchange then
costs six system calls and no object of the loop: about half of what `loop.add_reader` for each socket costs, and a
fifth of a datagram endpoint.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterable
from typing import Final

from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.errors import WireError
from hsdnsd.net.framing import LENGTH_SIZE, Frames, framed
from hsdnsd.net.sockaddr import SockAddr, to_sockaddr
from hsdnsd.wire.const import MAX_MESSAGE

# Descriptors are shared with the clients' connections and the watches (1,024 is a common limit for a process).
MAX_SOCKETS: Final = 512
# Sockets looked at in one go, so that clients get their turn.
_EVENTS: Final = 64
# We offer 1,232 octets (EDNS_UDP_SIZE). A datagram longer than this is cut, and then is no message any more.
_DATAGRAM: Final = 4096

TOO_MANY: Final = "sockets: too many are open"

_FLAGS: Final = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC

# Exchange, attempt, and the octets that came; or None, and from whom and why nothing will come any more.
Arrival = tuple[int, int, bytes | None, str]


class _Attempt:
    """The socket of one attempt. `frames`: of a TCP connection; `unsent`: not empty while it is being made."""

    __slots__ = ("exchange", "frames", "number", "sock", "unsent", "upstream")

    def __init__(self, send: Send, sock: socket.socket) -> None:
        self.exchange = send.exchange
        self.number = send.attempt
        self.upstream = send.upstream
        self.sock = sock
        self.frames = Frames() if send.tcp else None
        self.unsent = framed(send.wire) if send.tcp else b""


class Exchanges:
    """The sockets of all exchanges in flight.

    The kernel picks each socket's port at random (RFC 5452 section 9.2), and gives a connected socket only what comes
    from the upstream's address and port (section 9.1).

    Attributes:
        opened: sockets opened since the beginning.
        failed: attempts that could not be made, or were refused, cut off or reset.
    """

    def __init__(self, max_sockets: int = MAX_SOCKETS) -> None:
        self.opened = 0
        self.failed = 0
        self._max_sockets = max_sockets
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, _Attempt] = {}
        self._by_exchange: dict[int, list[_Attempt]] = {}
        self._addresses: dict[Upstream, tuple[socket.AddressFamily, SockAddr]] = {}  # of what is configured: few

    def __len__(self) -> int:
        """Sockets open now."""
        return len(self._by_descriptor)

    def fileno(self) -> int:
        """Readable when `receive` has something to do."""
        return self._epoll.fileno()

    def open(self, send: Send) -> str | None:
        """Send a message. Returns to whom and why it could not be sent, or None."""
        if len(self._by_descriptor) >= self._max_sockets:
            self.failed += 1
            return TOO_MANY
        try:
            family, address = self._address(send.upstream)
            sock = socket.socket(family, _FLAGS | (socket.SOCK_STREAM if send.tcp else socket.SOCK_DGRAM))
        except OSError as error:
            self.failed += 1
            return _describe(send.upstream, error)
        attempt = _Attempt(send, sock)
        self._by_descriptor[sock.fileno()] = attempt
        self._by_exchange.setdefault(send.exchange, []).append(attempt)
        self.opened += 1
        try:
            if send.tcp:
                with contextlib.suppress(BlockingIOError):  # it is writable once it is connected, or has failed
                    sock.connect(address)
                self._epoll.register(sock, select.EPOLLOUT)
            else:
                sock.connect(address)
                sock.send(send.wire)
                self._epoll.register(sock, select.EPOLLIN)
        except OSError as error:
            self._drop(attempt)
            return _describe(send.upstream, error)
        return None

    def close(self, exchange: int) -> None:
        """Close the sockets of all attempts of an exchange; those that failed are closed already."""
        for attempt in self._by_exchange.pop(exchange, ()):
            del self._by_descriptor[attempt.sock.fileno()]
            attempt.sock.close()  # which takes it off the epoll instance too

    def close_all(self) -> None:
        """Close every socket, for good."""
        for exchange in list(self._by_exchange):
            self.close(exchange)
        self._epoll.close()

    def receive(self) -> list[Arrival]:
        """What has arrived: of each socket, at most one datagram, or one read of a stream."""
        arrivals: list[Arrival] = []
        for descriptor, _ in self._epoll.poll(0, _EVENTS):
            attempt = self._by_descriptor.get(descriptor)
            if attempt is None:
                continue  # closed here, but a child that is being started still has it until it calls exec
            try:
                arrivals.extend((attempt.exchange, attempt.number, wire, "") for wire in self._read(attempt))
            except BlockingIOError:
                continue  # a datagram with a wrong checksum woke us
            except (OSError, WireError) as error:
                self._drop(attempt)
                arrivals.append((attempt.exchange, attempt.number, None, _describe(attempt.upstream, error)))
        return arrivals

    def _read(self, attempt: _Attempt) -> Iterable[bytes]:
        if attempt.frames is None:
            return (attempt.sock.recv(_DATAGRAM),)
        if attempt.unsent:
            self._connected(attempt)
            return ()
        data = attempt.sock.recv(MAX_MESSAGE + LENGTH_SIZE)
        if not data:
            raise ConnectionError("connection closed")
        attempt.frames.feed(data)
        return iter(attempt.frames.take_untrusted, None)

    def _connected(self, attempt: _Attempt) -> None:
        error = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        if attempt.sock.send(attempt.unsent) < len(attempt.unsent):
            raise ConnectionError("send buffer full")  # a query is small, and is all that is ever sent
        attempt.unsent = b""
        self._epoll.modify(attempt.sock, select.EPOLLIN)

    def _drop(self, attempt: _Attempt) -> None:
        self.failed += 1
        del self._by_descriptor[attempt.sock.fileno()]
        siblings = self._by_exchange[attempt.exchange]
        siblings.remove(attempt)
        if not siblings:
            del self._by_exchange[attempt.exchange]
        attempt.sock.close()

    def _address(self, upstream: Upstream) -> tuple[socket.AddressFamily, SockAddr]:
        address = self._addresses.get(upstream)
        if address is None:
            address = self._addresses[upstream] = to_sockaddr(upstream.host, upstream.port)
        return address


def _describe(upstream: Upstream, error: OSError | WireError) -> str:
    problem = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"{upstream}: {problem}"
