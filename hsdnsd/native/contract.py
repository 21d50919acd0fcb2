"""The contract of the packet path, met by Cython (`_batch`, `_table`) and by pure Python (`_batch_py`, `_table_py`).

A batch is one UDP socket. Datagrams whose answer stands finished in the table are answered inside `receive`;
everything else comes up. The table is shared by all sockets; it is disposable: whatever it does not hold, or no
longer holds, is asked of the engine again.

What is answered below Python is only the plain good case: one question of class IN and opcode 0, its name without
pointers, no flag set but RD, AD and CD, no records but one OPT of version 0 whose options may all be ignored, no octet
too many. Whatever differs from that in one bit comes up as it is, and `hsdnsd.wire.query` judges it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from socket import socket
from typing import Final, NewType, Protocol

from hsdnsd.errors import HsdnsdError
from hsdnsd.native.flight_contract import Flights
from hsdnsd.wire.answer import Answer
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Question

# Who asked, when the kernel took the datagram in, and from which own address the answer has to leave (see
# `hsdnsd.native.peer`); opaque and hashable, but not an identity of the client: that is `source_of`.
Peer = NewType("Peer", bytes)

# One datagram that comes up: octets, peer, whether the datagram was longer than MAX_UDP_QUERY and is cut off.
Datagram = tuple[bytes, Peer, bool]

# Datagrams in one recvmmsg. More gain nothing measurable (the price of the call is spread thin by then), and what waits
# in a batch waits for the whole of it.
BATCH: Final = 64

# What the table may weigh, its index included. An A answer weighs about 190 octets.
POSITIVE_BYTES: Final = 32 << 20
NEGATIVE_BYTES: Final = 4 << 20
# An entry's fixed part, and what the index holds for each octet of the budget: an entry of 16 octets for every
# INDEX_STRIDE octets, of which at most three quarters are used, so that a look-up ends after a few steps.
ENTRY_BYTES: Final = 88
KEY_BYTES: Final = 3  # QTYPE, DO and CD, behind the name
INDEX_BYTES: Final = 16
INDEX_STRIDE: Final = 112
# One eviction gives at most this many entries a second chance: about 50 us where everything is in demand, and one in
# so many of what is in demand then lost.
SECOND_CHANCES: Final = 512
# Owners are hashed into this many counters; two that meet are dropped together: a rebuild more, never a wrong answer.
OWNER_SLOTS: Final = 65536
# Keys that wait to be fetched anew. If the driver does not take them, further ones wait for their next asker.
MAX_DUE: Final = 64

# Datagrams that wait for Python behind a worker thread, and what they may weigh; above that they are dropped. The
# engine works through so many in about a tenth of a second.
MAX_WAITING: Final = 4096
MAX_WAITING_BYTES: Final = 4 << 20

# Questions that the threads have asked of upstreams and that the engine has not been told of; above that the oldest key
# that is held gives its slot away.
MAX_HELD: Final = 4096
# Sockets towards upstreams that a thread keeps open between questions.
MAX_IDLE: Final = 128
# Clients that wait for such questions, 100 to 500 octets each.
MAX_FLIGHT_WAITERS: Final = 16384
# Answers that the engine's cache has not been told of yet, about 300 octets each; above that it is not told. They are
# handed out together, at the latest when there are TELL_AT of them.
MAX_UNTOLD: Final = 4096
TELL_AT: Final = 256
# An answer that is asked for in the last tenth of its life is fetched again before it ends, if it lives long enough for
# that to be worth a message.
REFRESH_IN_LAST: Final = 0.1
REFRESH_FROM: Final = 10.0
# Upstream servers that are known by a number at one time, and how many of them one plan may choose from.
MAX_SERVERS: Final = 64
MAX_CHOICE: Final = 16

# QTYPEs that get a counter of their own; the last place counts all others. Never a label from a packet.
COUNTED_TYPES: Final = (1, 28, 33, 12, 5, 2, 6, 15, 16, 65, 64, 43, 48, 47, 46)
# Upper bounds of the size counters, in octets; the last place counts what is larger.
SIZE_BOUNDS: Final = (100, 200, 300, 400, 511, 1023, 2047, 4095)
# Latency is counted in buckets below 1, 2, 4, ... 2^22 microseconds; the last place counts what took longer.
LATENCY_BUCKETS: Final = 24


class NativeMissingError(HsdnsdError, ImportError):
    """The compiled part can't be loaded, or is needed and not in use. The slow twin is never taken silently."""


class Outcome(enum.IntEnum):
    """By whom a query was answered, and whether from own zones (AA) or with what an upstream said."""

    HIT_OWN = 0
    HIT_CACHED = 1
    ENGINE_OWN = 2
    ENGINE_OTHER = 3


class Table(Protocol):
    """Finished answers of class IN, for askers over UDP.

    Bounded in octets: what was not asked for since the last round goes first (SIEVE), so names that are asked once
    don't push out those that are asked often. Answers without records in the answer section have their own bound:
    a flood of names that don't exist pushes out only its like.
    """

    def __init__(self, positive_bytes: int = POSITIVE_BYTES, negative_bytes: int = NEGATIVE_BYTES) -> None: ...

    @property
    def entries(self) -> tuple[int, int]:
        """Entries held, positive and negative, those that nobody will be given any more included."""
        ...

    @property
    def bytes_held(self) -> tuple[int, int]:
        """What they weigh, without the index."""
        ...

    @property
    def evictions(self) -> tuple[int, int]:
        """Entries pushed out for want of room, positive and negative, since the beginning."""
        ...

    def put(
        self,
        question: Question,
        answer: Answer,
        made: float,
        expires: float = ...,
        *,
        owner: bytes | None = ...,
        refresh_at: float = ...,
    ) -> None:
        """Keep an answer in place of an older one, until `expires` or until its owner changes; by default for ever.

        An answer for a QTYPE that the gate always sends up (OPT, NXNAME, 249 to 255), or heavier than the
        whole bound, is not kept. Answers that are not `fixed` are given to askers with RD only.

        Args:
            made: monotonic seconds; TTLs age from here.
            owner: whose `drop` ends the answer; None: nobody's.
            refresh_at: the first asker at or after this time is answered, and the question is handed out by `due`.

        Raises:
            ValueError: the parts of the answer contradict each other.
        """
        ...

    def drop(self, owner: bytes) -> None:
        """Nobody who asks after this has returned is given an answer of this owner. O(1)."""
        ...

    def given(self, question: Question) -> int:
        """How often the answer that was last put for a question has been given, whether or not it still is; 0 if
        nothing is held."""
        ...

    def clear(self) -> None:
        """Forget everything. O(1): room is reclaimed as it is needed."""
        ...

    def due(self) -> list[tuple[Name, int, bool, bool, int]]:
        """(name, qtype, do, cd, hits) of entries asked for at or after `refresh_at`, each once a put; takes them."""
        ...

    def answer(self, wire: bytes, now: float) -> bytes | None:
        """What a batch would send back for this datagram (and count as its hit), or None: it goes up."""
        ...


class Batch(Protocol):
    """One UDP socket, owned by the caller, bound, non-blocking. Turns on what it needs of the socket's options.

    Used by one thread of Python's; only the counters may be read by any.
    """

    def __init__(self, sock: socket, table: Table, size: int = BATCH) -> None: ...

    def fileno(self) -> int:
        """What the event loop is to watch: while it is readable, `receive` is to be called."""
        ...

    @property
    def received(self) -> int:
        """Datagrams read."""
        ...

    @property
    def sent(self) -> int:
        """Datagrams that the kernel took."""
        ...

    @property
    def hits(self) -> int:
        """Datagrams whose answer stood in the table."""
        ...

    @property
    def hits_do(self) -> int:
        """Those of them that had the DO bit."""
        ...

    @property
    def refused_source(self) -> int:
        """Dropped: source port 0, or the source is the socket's own address and port."""
        ...

    @property
    def send_errors(self) -> int:
        """Replies that the kernel would not take (EINVAL, EPERM, ENETUNREACH, ...)."""
        ...

    @property
    def send_full(self) -> int:
        """Replies dropped because the socket's buffer was full."""
        ...

    @property
    def up_full(self) -> int:
        """Datagrams dropped because too many waited for Python; never, where Python reads the socket itself."""
        ...

    @property
    def kernel_drops(self) -> int:
        """SO_RXQ_OVFL: datagrams that the kernel dropped because we did not read fast enough."""
        ...

    def hit_types(self, own: bool) -> tuple[int, ...]:
        """Hits by QTYPE, places as in COUNTED_TYPES and one for all others; `own`: of own zones, else of upstreams."""
        ...

    def hit_rcodes(self, own: bool) -> tuple[int, ...]:
        """Hits by RCODE, 16 places."""
        ...

    def hit_query_sizes(self, own: bool) -> tuple[tuple[int, ...], int]:
        """Sizes of the queries that were hits: counts by SIZE_BOUNDS, and octets in all."""
        ...

    def hit_reply_sizes(self, own: bool) -> tuple[tuple[int, ...], int]:
        """Sizes of their replies, likewise."""
        ...

    def latency(self, outcome: Outcome) -> tuple[tuple[int, ...], int]:
        """From the kernel's receive timestamp until the reply was sent: counts by bucket, and nanoseconds in all."""
        ...

    def receive(self, now: float) -> list[Datagram]:
        """Read what is there, answer what can be answered, return the rest in the order of arrival.

        Source port 0, and the socket's own address and port, are dropped here and counted (W2 of docs/gate.md,
        CVE-2024-2169). Reads at least one batch and stops soon: the event loop is to call again if the socket is
        still readable. Never raises for what the network does.

        Args:
            now: monotonic seconds.

        Raises:
            OSError: the socket can't be read (closed, or not a socket).
        """
        ...

    def send(self, replies: Sequence[tuple[bytes, Peer]]) -> None:
        """Send each reply to its peer, from the address that was asked. One bad destination loses nobody else's.

        Raises:
            ValueError: a peer of another socket's family.
        """
        ...


class Worker(Batch, Protocol):
    """A batch that is read by a native thread of its own: hits are answered while Python is busy. Cython only.

    The thread runs from the beginning until `close`, and keeps a duplicate of the socket open for so long.
    """

    def __init__(
        self, sock: socket, table: Table, size: int = BATCH, flights: Flights | None = None, spare: bool = False
    ) -> None:
        """
        Args:
            flights: what the thread may ask of upstreams; None: nothing.
            spare: another worker has been made for the same socket; this one serves what comes while that one is at
                work, or kept from it, one batch a millisecond. What the kernel drops is counted by the other.
        """
        ...

    @property
    def number(self) -> int:
        """By which `HandedOver.waiters` calls it; -1: it has no flights."""
        ...

    def close(self) -> None:
        """End the thread, after it has served what waits in the socket; `receive` and `send` still work afterwards."""
        ...
