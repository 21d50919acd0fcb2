"""What metrics and health are read from. The daemon puts one together; nothing here changes what it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from hsdnsd.cache.cache import Cache
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.upstreams import Server
from hsdnsd.native.contract import Batch, Table
from hsdnsd.native.flight_contract import Trouble


class Durations(Protocol):
    """`hsdnsd.kube.source.Durations`."""

    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def seconds(self) -> float: ...


class Watch(Protocol):
    """State of one watched kind, as `hsdnsd.kube.source.WatchState` says."""

    @property
    def kind(self) -> str: ...
    @property
    def synced(self) -> bool: ...
    @property
    def connected(self) -> bool: ...
    @property
    def events(self) -> int: ...
    @property
    def relists(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def last_alive(self) -> float: ...
    @property
    def lists(self) -> Mapping[str, int]: ...
    @property
    def decode_seconds(self) -> float: ...
    @property
    def programming(self) -> Durations: ...


class Snapshot(Protocol):
    """`hsdnsd.kube.keeper.Keeper`."""

    @property
    def serving(self) -> bool: ...
    @property
    def age(self) -> float | None: ...
    @property
    def writes(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def octets(self) -> int: ...


class Driver(Protocol):
    """`hsdnsd.net.driver.Driver`."""

    @property
    def pending(self) -> int: ...
    @property
    def crashes(self) -> int: ...


class Pool(Protocol):
    """`hsdnsd.net.pool.Pool`."""

    @property
    def resent(self) -> int: ...
    @property
    def unmatched(self) -> int: ...
    def __len__(self) -> int: ...


class UpstreamSockets(Protocol):
    """`hsdnsd.net.upstream.Exchanges`."""

    @property
    def opened(self) -> int: ...
    @property
    def pool(self) -> Pool: ...
    def __len__(self) -> int: ...


class Reloader(Protocol):
    """`hsdnsd.reload.Reloader`."""

    @property
    def applied(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def good(self) -> bool: ...
    @property
    def waiting(self) -> Sequence[str]: ...


class TcpServer(Protocol):
    """`hsdnsd.net.tcp.TcpServer`."""

    @property
    def accepted(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def evicted(self) -> int: ...
    @property
    def timed_out(self) -> int: ...
    @property
    def accept_errors(self) -> int: ...
    def __len__(self) -> int: ...


class Flights(Protocol):
    """`hsdnsd.native.flight_contract.Flights`."""

    @property
    def waiting(self) -> int: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def opened(self) -> int: ...
    @property
    def landed_count(self) -> int: ...
    @property
    def untold(self) -> int: ...
    def handed_over_count(self, trouble: Trouble) -> int: ...


class Sources(msgspec.Struct, frozen=True):
    """Everything that the metrics are made from.

    Attributes:
        version: of hsdnsd. native: which packet path runs, `hsdnsd.native.which()`.
        port: the first port that is listened on, for CoreDNS's label `server`.
        zone: the cluster domain with its final dot; None if there are no own zones.
        counters, cache, table: the engine's, and the table of finished answers.
        batches: (whether it is IPv6, batch) of each UDP socket.
        driver, upstreams, tcp: the sockets'.
        servers: every upstream of every forward zone, `hsdnsd.engine.upstreams.Forwards.servers`.
        in_flight: questions that upstreams are being asked, `Engine.in_flight`.
        counts: objects by kind, and "records", `hsdnsd.records.table.Table.counts`; empty if there are no own zones.
        watches: of the source of Kubernetes objects; none if there is no source.
        snapshot: None: none is kept.
        reloader: who follows the configuration.
        http_rejects: `HttpServer.turned_away`.
        clock: monotonic seconds.
        flights: what threads ask upstreams by themselves; None: nothing.
        catch_up: brings the counters up to date with that.
    """

    version: str
    native: str
    port: int
    zone: str | None
    counters: Counters
    cache: Cache
    table: Table
    batches: Callable[[], Iterable[tuple[bool, Batch]]]
    driver: Driver
    upstreams: UpstreamSockets
    tcp: TcpServer
    servers: Callable[[], Iterable[Server]]
    in_flight: Callable[[], int]
    counts: Callable[[], Mapping[str, int]]
    watches: Callable[[], Iterable[Watch]]
    snapshot: Snapshot | None
    reloader: Reloader
    http_rejects: Callable[[], int]
    clock: Callable[[], float]
    flights: Flights | None = None
    catch_up: Callable[[], None] = lambda: None
