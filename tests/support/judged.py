"""A daemon's DNS side in this process, with a liar as its upstream, and clients that find nothing false in a reply."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from time import monotonic

import dns.message
import dns.rdatatype

from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.config import Tcp
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.exchange import ExchangeOptions
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.native import Table as Finished
from hsdnsd.native.contract import MAX_IDLE
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.net.upstream import Exchanges
from hsdnsd.records.model import ServiceFact, Upserted
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.name import ROOT, from_text
from tests.support.lies import FALSE, LOCAL, LOCAL_ADDRESS, NAME, VICTIM, Script
from tests.support.net import UdpClient, at, connected
from tests.support.verdicts import checked, records, remember


class Judged:
    """The cluster's zone with one Service in it, and everything else asked of upstreams.

    Attributes:
        qtype: what the script is about, as dnspython spells it.
    """

    def __init__(
        self,
        script: Script,
        upstreams: list[tuple[str, int]],
        *,
        bounds: Bounds,
        exchange: ExchangeOptions,
        stale: bool,
        threads: int = 0,
    ) -> None:
        """
        Args:
            stale: something has been known of NAME, and its time is over.
            threads: of the packet path, which ask upstreams by themselves.
        """
        known = script.qtype in dns.rdatatype.RdataType.__members__.values()
        self.qtype = dns.rdatatype.to_text(script.qtype) if known else f"TYPE{script.qtype}"
        options = ZoneOptions(zone=from_text("cluster.local"))
        table = Table(options)
        table.apply(Upserted(ServiceFact("db", "postgres", (LOCAL_ADDRESS,))), unix_time=1)
        self.cache = Cache(Limits())
        if stale:
            remember(self.cache, monotonic() - 60)
        self.finished = Finished()
        self.counters = Counters()
        self.engine = Engine(
            Zone(options, table),
            Forwards({ROOT: [Upstream(*where) for where in upstreams]}),
            self.cache,
            self.finished,
            self.counters,
            os.urandom,
            bounds=bounds,
            exchange=exchange,
        )
        self._connect_timeout = exchange.attempt_timeout
        self._threads = threads

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Listeners]:
        """It serves as long as the context lasts, and no packet is too much for it."""
        exchanges = Exchanges(connect_timeout=self._connect_timeout, spend=self.engine.spend)
        async with open_listeners(
            ("127.0.0.1:0",), Tcp(), self.engine, self.finished, self._threads, exchanges, self.engine
        ) as self.listeners:
            yield self.listeners
            assert self.listeners.driver.crashes == 0
            assert self.listeners.driver.pending == 0

    async def ask(
        self, name: str = NAME, qtype: str = "A", *, tcp: bool = False, own: bool = False, patience: float = 10.0
    ) -> dns.message.Message:
        """The reply, which has been found to be one, and without anything false. `own`: it is the cluster's."""
        asked = dns.message.make_query(name, qtype, use_edns=0, payload=1232)
        async with asyncio.timeout(patience):
            if tcp:
                async with connected(at(self.listeners)) as stream:
                    stream.send(asked.to_wire())
                    wire = await stream.receive()
            else:
                with UdpClient() as client:
                    client.send(asked.to_wire(), at(self.listeners))
                    wire, _ = await client.receive()
        return checked(asked, wire, own=own)

    async def settled(self) -> None:
        """Wait until nothing is in flight; then no socket but warm connections and those that the packet path keeps may
        be open, and nobody waits."""
        listeners, flights = self.listeners, self.listeners.driver.flights
        await until(lambda: not (self.engine.in_flight or (flights is not None and flights.in_flight)))
        listeners.driver.catch_up()
        exchanges = listeners.exchanges
        assert len(exchanges) == len(exchanges.pool) + exchanges.elsewhere()
        assert exchanges.by_id == {}
        if flights is not None:
            assert exchanges.elsewhere() <= MAX_IDLE
            assert flights.flights.waiting == 0
            assert not flights.flights.pending

    async def goes_on(self, *, reachable: bool = True) -> None:
        """Nothing false is kept, and everybody else is served: from the cluster and, if it is `reachable`, upstream."""
        for store in self.cache.stores.values():
            for key, entry in store.items():
                assert key.name != from_text(VICTIM)
                assert FALSE not in entry.answer.body
        local = await self.ask(LOCAL, own=True)
        assert records(local) == (f"{LOCAL}. A 10.96.0.7",)
        if reachable:
            victim = await self.ask(VICTIM)
            assert records(victim) == (f"{VICTIM}. A 192.0.2.53",)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop and the threads go on until something has come about; who waits for this sees to an end."""
    for _ in itertools.count():
        if condition():
            return
        await asyncio.sleep(0.01)
