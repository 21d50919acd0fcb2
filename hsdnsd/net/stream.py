"""One connection to an upstream, with many queries in flight (RFC 7766 section 6.2.1.1)."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Final

from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.framing import LENGTH_SIZE, Frames, framed
from hsdnsd.net.sockaddr import SockAddr
from hsdnsd.net.tls import Clear, Tls
from hsdnsd.wire.const import MAX_MESSAGE

# Milliseconds for which the other side may acknowledge nothing before the kernel gives the connection up.
USER_TIMEOUT: Final = 3000

_FLAGS: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_ID_SIZE: Final = 2


class Query:
    """One attempt that waits on a connection.

    Attributes:
        reused: the connection had been made for others, so its loss may say nothing about the upstream.
        resent: that has happened to it once.
        stream: the connection; None: it waits for none any more.
    """

    __slots__ = ("resent", "reused", "send", "stream")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.reused = False
        self.resent = False
        self.stream: Stream | None = None

    @property
    def id(self) -> bytes:
        """The message id, as it is in the message."""
        return self.send.wire[:_ID_SIZE]


class Stream:
    """A connection from its first SYN on. Queries leave once it is made, replies come in any order.

    Attributes:
        outstanding: by message id, the queries that were put on it and have no reply yet; None: one that nobody waits
            for any more. Its id stays taken, so that a late reply is not held for another query's.
        waiting: how many are waited for.
        connected: TCP's handshake is done. answered: at least one reply has come.
        retired: no more queries are put on it.
        opened_at: when it was begun; used_at: when a query was last put on it, or octets came.
        silent_since: since when the oldest query has been waiting with nothing heard; only while `outstanding`.
        unmatched: replies that belong to no query. events: what epoll waits for.
    """

    __slots__ = (
        "_channel", "_frames", "_queries", "_sock", "_unsent", "answered", "connected", "events", "opened_at",
        "outstanding", "retired", "silent_since", "unmatched", "upstream", "used_at", "waiting",
    )  # fmt: skip

    def __init__(
        self, upstream: Upstream, family: socket.AddressFamily, address: SockAddr, channel: Clear | Tls, now: float
    ) -> None:
        """
        Raises:
            OSError: there is no socket for it, or no way to the address.
        """
        self.upstream = upstream
        self.outstanding: dict[bytes, Query | None] = {}
        self.waiting = 0
        self.connected = self.answered = self.retired = False
        self.opened_at = self.used_at = self.silent_since = now
        self.unmatched = 0
        self.events = 0
        self._channel = channel
        self._frames = Frames()
        self._queries = bytearray()  # not yet encoded
        self._unsent = bytearray()  # encoded, not yet taken by the kernel
        self._sock = socket.socket(family, _FLAGS)
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
            self._sock.connect(address)
        except BlockingIOError:
            pass  # it is writable once it is connected, or has failed
        except OSError:
            self._sock.close()
            raise

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    @property
    def session(self) -> ssl.SSLSession | None:
        """See `hsdnsd.net.tls.Tls`."""
        return self._channel.session

    @property
    def established(self) -> bool:
        """Whether queries can leave: all handshakes are done."""
        return self.connected and self._channel.ready

    @property
    def wants_to_write(self) -> bool:
        """Whether `ready` is to be called when the socket can be written."""
        return not self.connected or bool(self._unsent)

    def put(self, query: Query, now: float) -> None:
        """Take a query, whose id is not `outstanding`, to send with the next `flush`."""
        if not self.outstanding:
            self.silent_since = now
        self.outstanding[query.id] = query
        self.waiting += 1
        self.used_at = now
        query.stream = self
        query.reused = self.connected
        self._queries += framed(query.send.wire)

    def abandon(self, query: Query) -> None:
        """Nobody waits for this one any more."""
        self.outstanding[query.id] = None
        self.waiting -= 1
        query.stream = None

    def ready(self, now: float, replies: list[tuple[Query, bytes]]) -> None:
        """The socket can be read or written.

        Args:
            replies: where the replies that came are put.

        Raises:
            OSError, WireError: the connection is of no use any more.
        """
        if not self.connected:
            error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            self.connected = True
        self.flush()
        try:
            data = self._sock.recv(LENGTH_SIZE + MAX_MESSAGE)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("connection closed")
        self.used_at = self.silent_since = now
        try:
            self._frames.feed(self._channel.decode(data))
        finally:
            self.flush()  # the handshake goes on, or TLS tells the server what is wrong
        while (wire := self._frames.take_untrusted()) is not None:
            self._match(wire, replies)

    def flush(self) -> None:
        """Send what waits to be sent, as far as the kernel takes it. What goes wrong comes out of `ready`."""
        if not self.connected:
            return
        self._unsent += self._channel.take_outgoing()
        if self._queries and self._channel.ready:
            self._unsent += self._channel.encode(self._queries)
            self._queries.clear()
        if self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except OSError:
                return
            del self._unsent[:sent]

    def take_waiting(self) -> list[Query]:
        """Those who still wait, for good."""
        queries = [query for query in self.outstanding.values() if query is not None]
        self.outstanding.clear()
        self.waiting = 0
        for query in queries:
            query.stream = None
        return queries

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _match(self, wire: bytes, replies: list[tuple[Query, bytes]]) -> None:
        try:
            query = self.outstanding.pop(wire[:_ID_SIZE])
        except KeyError:
            self.unmatched += 1
            return
        if query is not None:
            self.waiting -= 1
            self.answered = True
            query.stream = None
            replies.append((query, wire))
