"""The heart: queries, upstream replies and the clock go in; replies, exchanges and a deadline come out. No I/O.

The driver (hsdnsd.net) calls `query`, `upstream_reply`, `upstream_failed`, `deadline_passed`, and after each call
drains `replies`, `sends` and `closes`, and arms one timer at `next_deadline`.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec


class Upstream(msgspec.Struct, frozen=True):
    """Address and port of a server that is asked."""

    host: str
    port: int


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send these octets for an exchange: over UDP from a fresh socket connected to the upstream, or over TCP.

    A UDP `Send` of an exchange is always one fresh socket, so that each message has its own random port (RFC 5452).
    """

    exchange: int
    attempt: int
    upstream: Upstream
    tcp: bool
    wire: bytes


class Engine:
    replies: list[tuple[Hashable, bytes]]
    """(client as given to `query`, octets to send); drained by the driver."""
    sends: list[Send]
    closes: list[int]
    """Exchanges that are over: their sockets are to be closed."""

    def query(self, wire: bytes, client: Hashable, source: Hashable, tcp: bool, now: float, truncated: bool = False) -> bytes | None:
        """A datagram or TCP message from a client. The reply if it is known at once, else None: it comes through
        `replies`, or never (silence; over TCP `Engine.CLOSE` in `closes_clients`)."""
        raise NotImplementedError

    def upstream_reply(self, exchange: int, attempt: int, wire: bytes, now: float) -> None:
        """Octets that came back on the socket of an attempt (from the right address: the socket is connected)."""
        raise NotImplementedError

    def upstream_failed(self, exchange: int, attempt: int, problem: str, now: float) -> None:
        """The attempt's socket could not be opened, connected, or was refused."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """Monotonic time at which `deadline_passed` is to be called, or None if there is nothing to wait for."""
        raise NotImplementedError

    def deadline_passed(self, now: float) -> None:
        raise NotImplementedError
