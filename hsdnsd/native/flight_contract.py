"""The contract of flights: questions that the packet path's threads ask of upstreams by themselves (`_flights`)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from hsdnsd.wire.answer import Answer
from hsdnsd.wire.name import Name

if TYPE_CHECKING:
    from hsdnsd.native.contract import Peer, Table


class Choice(enum.IntEnum):
    """Whom a flight asks of the servers that its plan names."""

    FIRST = 0
    AT_RANDOM = 1
    IN_TURN = 2
    EXPLORING = 3  # the first, and once in so many times another


class Trouble(enum.IntEnum):
    """Why a flight is handed over to the engine."""

    SILENCE = 0  # nothing came in time
    REPLY = 1  # what came is not plain
    REFUSED = 2  # the socket reported an error
    LOOPED = 3  # the message came back as a query
    CLAIMED = 4  # the engine wants to ask the same
    CLOSED = 5  # a thread that it needs has ended


class Plan(NamedTuple):
    """What the threads may ask of upstreams by themselves.

    Attributes:
        until: monotonic time at which the grant ends.
        patience: seconds after which a flight that nothing came of is handed over.
        servers: (number, whether to send an OPT), in the order of preference.
        one_in: EXPLORING: how often another than the first is asked.
        no_aaaa: questions for AAAA are the engine's.
        in_flight: most questions at one time, those of the engine included. waiters: of one question. per_client: of
            one address; some share a counter.
        ttls: least, most, least negative, most negative, as `hsdnsd.cache.policy.TtlLimits`.
    """

    until: float
    patience: float
    choice: Choice
    servers: tuple[tuple[int, bool], ...]
    one_in: int
    no_aaaa: bool
    in_flight: int
    waiters: int
    per_client: int
    ttls: tuple[int, int, int, int]


class HandedOver(NamedTuple):
    """A flight that is the engine's from now on, as if the engine had sent its message.

    Attributes:
        name: folded. server: its number. edns: whether the message had an OPT.
        sent_at: monotonic seconds.
        fd: the connected socket, non-blocking, which is now the caller's to close.
        reply: what came and was not plain. problem: errno, if REFUSED.
        waiters: (number of the worker, octets, peer, monotonic time of arrival) in that order.
    """

    name: Name
    qtype: int
    cd: bool
    server: int
    edns: bool
    id: int
    sent_at: float
    fd: int
    trouble: Trouble
    reply: bytes | None
    problem: int
    waiters: list[tuple[int, bytes, Peer, float]]


class Landed(msgspec.Struct, frozen=True, gc=False):
    """An answer that was given to all who waited.

    Attributes:
        keep: seconds for which it may be kept. at: monotonic time. took: seconds since its message was sent.
        opt: the reply had an OPT.
    """

    name: Name
    qtype: int
    cd: bool
    answer: Answer
    keep: int
    at: float
    took: float
    server: int
    edns: bool
    opt: bool


class Tally(NamedTuple):
    """What was counted of answers to flights, to be added to the engine's counters.

    Attributes:
        requests: by [IPv6], places as in COUNTED_TYPES and one for all others.
        answers: in all; denials: NXDOMAIN among them; coalesced: those who joined a flight of another's.
        waits: by bucket, LATENCY_BUCKETS places; waited: seconds in all.
    """

    requests: tuple[tuple[int, ...], tuple[int, ...]]
    answers: int
    denials: int
    coalesced: int
    waits: tuple[int, ...]
    waited: float


class Flights(Protocol):
    """Questions that worker threads ask of upstreams by themselves. Cython only.

    What is asked is only the plain case, as the plan grants it; anything else, and whatever comes to no plain end, is
    the engine's. At first nothing is granted.
    """

    def __init__(self, table: Table, most: int) -> None:
        """
        Args:
            most: flights at one time.
        """
        ...

    def fileno(self) -> int:
        """What the event loop is to watch: while it is readable, `handed_over` and `landed` are to be called."""
        ...

    @property
    def pending(self) -> bool:
        """Whether `handed_over` or `landed` has something."""
        ...

    @property
    def in_flight(self) -> int:
        """Questions that wait for an upstream, or to be handed over."""
        ...

    @property
    def sockets(self) -> int:
        """Sockets towards upstreams that are open: one for each question, up to MAX_IDLE of a thread at rest."""
        ...

    @property
    def waiting(self) -> int:
        """Clients that wait for them."""
        ...

    @property
    def opened(self) -> int:
        """Flights, since the beginning."""
        ...

    @property
    def landed_count(self) -> int:
        """Those that ended with a plain reply."""
        ...

    @property
    def untold(self) -> int:
        """Answers that the engine's cache was not told of, for want of room."""
        ...

    def handed_over_count(self, trouble: Trouble) -> int:
        """Those that were handed over."""
        ...

    def set_names(self, names: NameSet) -> None:
        """The names that are the engine's, those that chains lead to included, once this returns."""
        ...

    def set_server(self, number: int, address: tuple[bytes, int, int]) -> None:
        """Which server a number stands for: packed address, port, scope."""
        ...

    def grant(self, plan: Plan | None) -> None:
        """Put a plan in place of the one before; None: nothing is granted, and what is aloft does not end here.

        Raises:
            ValueError: a plan that names no server, or too many.
        """
        ...

    def may_fly(self, name: Name, qtype: int) -> bool:
        """Whether threads may ask this (without DO), as far as name and type are concerned."""
        ...

    def waiting_of(self, address: bytes) -> int:
        """Questions of a packed address that wait; those of others may be among them."""
        ...

    def claim(self, name: Name, qtype: int, cd: bool, until: float) -> HandedOver | None:
        """The engine asks this itself from now on, until `release`, or until `until` has come.

        Returns:
            The flight that asks it already: the engine is to go on with that.
        """
        ...

    def release(self, name: Name, qtype: int, cd: bool, until: float) -> None:
        """The engine has done with a question; threads may ask it again from `until` on."""
        ...

    def handed_over(self, most: int, until: float) -> list[HandedOver]:
        """The oldest flights that are the engine's now; their questions are claimed thereby, until `until`."""
        ...

    def landed(self) -> list[Landed]:
        """Answers given since the last call, in the order in which they came."""
        ...

    def tally(self) -> Tally:
        """What was counted since the last call."""
        ...


class NameSet(Protocol):
    """A set of folded names."""

    def __init__(self, exact: Iterable[Name] = (), below: Iterable[Name] = ()) -> None:
        """
        Args:
            exact: names alone. below: names with whatever lies below them.
        """
        ...

    def __contains__(self, name: Name) -> bool: ...
