"""What the sockets need of the two sides between which they stand: the engine, and whoever waits for a reply."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Upstream


class EngineLike(Protocol):
    """The engine, as it is driven; `hsdnsd.engine.engine.Engine` says what each part does."""

    @property
    def replies(self) -> list[tuple[Hashable, bytes]]: ...

    @property
    def sends(self) -> list[Send]: ...

    @property
    def closes(self) -> list[int]: ...

    @property
    def deafened(self) -> list[int]: ...

    @property
    def looping(self) -> list[Upstream]: ...

    def query(
        self, wire: bytes, client: Hashable, source: str, tcp: bool, now: float, truncated: bool = False
    ) -> bytes | None: ...

    def upstream_reply(self, exchange: int, attempt: int, wire: bytes, now: float) -> None: ...

    def upstream_failed(self, exchange: int, attempt: int, now: float) -> None: ...

    def upstream_looped(self, exchange: int, attempt: int, now: float) -> None: ...

    def spend(self, exchange: int) -> bool: ...

    def next_deadline(self) -> float | None: ...

    def deadline_passed(self, now: float) -> None: ...

    def refresh(self, now: float) -> None: ...

    def give_up(self, now: float) -> None: ...


class Asked(Protocol):
    """Where a query came in and its reply goes out: a UDP socket or a TCP connection."""

    def reply(self, token: Hashable, octets: bytes) -> None:
        """Take a reply to send with the next `flush`; b"": there is none (over TCP: close the connection).

        Args:
            token: which query, in the words of the one who is asked: a peer over UDP, a serial number over TCP.
        """
        ...

    def flush(self, now: float) -> None:
        """Send what `reply` has taken."""
        ...


# What the engine knows a client by.
Client = tuple[Asked, Hashable]
