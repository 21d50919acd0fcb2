"""The contract of the packet path, met by `_batch` (Cython) and `_batch_py` (pure Python).

A batch is one UDP socket. Datagrams whose answer stands finished in the table are answered inside `receive`;
everything else comes up. The table is shared by all sockets; it is disposable: whatever it does not hold, or no
longer holds, is asked of the engine again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NewType, Protocol

from hsdnsd.wire.answer import Answer
from hsdnsd.wire.name import Name

# Who asked and from which own address the answer has to leave (sockaddr, IP_PKTINFO); opaque, hashable.
Peer = NewType("Peer", bytes)


class Datagram(Protocol):
    """What comes up: (wire, peer, truncated) as a plain tuple."""


class Batch(Protocol):
    """One non-blocking UDP socket, owned by the caller."""

    received: int  # datagrams read
    sent: int  # datagrams written
    hits: int  # answered from the table, included in both
    refused_source: int  # dropped: source port 0, or the source is the socket's own address and port
    send_errors: int  # datagrams that the kernel would not take (EINVAL, EACCES, ENETUNREACH, ...)
    send_full: int  # datagrams dropped because the socket's buffer was full
    kernel_drops: int  # SO_RXQ_OVFL: datagrams that the kernel dropped because we did not read fast enough

    def receive(self, now: float) -> list[tuple[bytes, Peer, bool]]:
        """Read what is there (one batch), answer what can be answered, return the rest as (wire, peer, truncated).

        Source port 0, the socket's own address and port, are dropped here (W2 of docs/gate.md, CVE-2024-2169).
        A socket error that belongs to an earlier send (ECONNREFUSED) is swallowed and counted.
        """
        ...

    def send(self, replies: Sequence[tuple[bytes, Peer]]) -> None:
        """Send each reply to its peer, from the address that was asked. One bad destination loses nobody else's."""
        ...


class Table(Protocol):
    """Finished answers."""

    def put(
        self,
        name: Name,
        qtype: int,
        do: bool,
        cd: bool,
        answer: Answer,
        now: float,
        expires: float,
        owner: bytes | None,
    ) -> None:
        """Keep an answer until `expires` (monotonic seconds; inf: until its owner changes)."""
        ...

    def drop(self, owner: bytes) -> None:
        """Nobody is given an answer of this owner any more, from the moment this returns. O(1)."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


def source_of(peer: Peer) -> str:
    """The address part of a peer, for per-client limits and logs: see the twins' own `source_of`."""
    raise NotImplementedError
