"""Questions that the packet path asks upstreams by itself: what it may ask, and how the engine goes on where it ends.

A thread of the packet path asks only the plain case, and takes only a plain reply (docs/forwarding.md). A question that
comes to anything else is adopted: the engine goes on with it as if it had sent the message. One question has one owner
at any time; the engine claims what it asks, and says when it has done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from hsdnsd.cache.policy import TtlLimits
from hsdnsd.cache.store import Key
from hsdnsd.engine.upstreams import MOST_HEDGE, ForwardZone, Policy, Server
from hsdnsd.wire.name import ROOT, Name


class Bounded(Protocol):
    """`hsdnsd.engine.resolver.Bounds`."""

    @property
    def in_flight(self) -> int: ...
    @property
    def waiters(self) -> int: ...
    @property
    def per_client(self) -> int: ...
    @property
    def stale_after(self) -> float: ...


class Flown(msgspec.Struct, frozen=True, gc=False):
    """A message that somebody else has sent for a question.

    Attributes:
        edns: it had an OPT. sent_at: monotonic seconds.
    """

    key: Key
    server: Server
    id: int
    edns: bool
    sent_at: float


class Grant(msgspec.Struct, frozen=True):
    """What may be asked of the default upstreams without the engine's say.

    Attributes:
        until: monotonic seconds; then the engine has something to find out. patience: seconds until a question is the
            engine's, if nothing came.
        policy: whom of `servers` to ask, in the order of preference; each with whether to send it an OPT.
        no_aaaa: nothing of AAAA.
    """

    until: float
    patience: float
    policy: Policy
    servers: tuple[tuple[Server, bool], ...]
    no_aaaa: bool
    in_flight: int
    waiters: int
    per_client: int
    ttls: TtlLimits


class Threads(Protocol):
    """Those who ask by themselves. A key of another zone than the default, or with DO, is never theirs."""

    @property
    def in_flight(self) -> int:
        """Questions that they wait for."""
        ...

    def waiting_of(self, source: str) -> int:
        """Queries of a client, or of a few of them together, that wait for them."""
        ...

    def claim(self, key: Key, now: float) -> None:
        """The engine asks this from now on. What they ask already, the engine has adopted when this returns."""
        ...

    def release(self, key: Key, until: float) -> None:
        """The engine has done; they may ask it from `until` on."""
        ...

    def may_ask(self, key: Key) -> bool:
        """Whether they may ask this, as far as name and type are concerned."""
        ...

    def reserve(self, exact: Iterable[Name], below: Iterable[Name]) -> None:
        """They ask nothing of these names from now on; of `below` nothing that lies below them either."""
        ...


class Nobody:
    """Nobody asks but the engine."""

    in_flight = 0

    def waiting_of(self, source: str) -> int:  # noqa: ARG002
        return 0

    def claim(self, key: Key, now: float) -> None:
        pass

    def release(self, key: Key, until: float) -> None:
        pass

    def may_ask(self, key: Key) -> bool:  # noqa: ARG002
        return False

    def reserve(self, exact: Iterable[Name], below: Iterable[Name]) -> None:
        pass


def is_shared(key: Key) -> bool:
    """Whether a question may be asked by others than the engine at all."""
    return key.zone == ROOT and not key.do


def grant(
    zone: ForwardZone | None, bounds: Bounded, ttls: TtlLimits, no_aaaa: bool, attempt_timeout: float, now: float
) -> Grant | None:
    """What may be asked of the default zone's servers now; None: every question is the engine's.

    That is so whenever the next question is to find something out: whether a server that is down is up again, or
    whether one takes an OPT after all.
    """
    until = float("inf")
    servers: list[tuple[Server, bool]] = []
    for server in zone.servers if zone is not None else ():
        if now < server.looping_until:
            until = min(until, server.looping_until)
            continue
        edns, steady_until = server.steady(now)
        until = min(until, steady_until)
        if not server.down:
            servers.append((server, edns))
    if zone is None or not servers or until <= now:
        return None
    patience = min(MOST_HEDGE, bounds.stale_after, attempt_timeout)
    if len(servers) > 1:
        patience = min(patience, *(server.hedge_after for server, _ in servers))
    if zone.policy is Policy.SEQUENTIAL:
        servers = servers[:1]
    elif zone.policy is Policy.FASTEST:
        servers.sort(key=lambda each: each[0].rtt)
    if any(server.upstream.tls_name is not None for server, _ in servers):
        return None
    return Grant(
        until=until,
        # In steps, so that the grant does not change with every reply.
        patience=max(0.001, round(patience, 2)),
        policy=zone.policy,
        servers=tuple(servers),
        no_aaaa=no_aaaa,
        in_flight=bounds.in_flight,
        waiters=bounds.waiters,
        per_client=bounds.per_client,
        ttls=ttls,
    )
