"""Everything that is listened on, opened and closed together."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

from hsdnsd import native
from hsdnsd.address import Endpoint
from hsdnsd.config import Tcp
from hsdnsd.engine.engine import Engine
from hsdnsd.native import Batch, Table, Worker
from hsdnsd.net.contract import EngineLike
from hsdnsd.net.driver import Driver
from hsdnsd.net.flights import Flights
from hsdnsd.net.listen import bind_all
from hsdnsd.net.tcp import TcpServer
from hsdnsd.net.udp import UdpListener
from hsdnsd.net.upstream import Exchanges

# Questions that threads ask by themselves at one time, about 400 octets each: 10,000 a second with answers after 0.4 s.
MAX_FLIGHTS = 4096


class Listeners:
    """The DNS side of the daemon, serving.

    Attributes:
        endpoints: addresses and ports as they are bound.
        driver, exchanges, udp, tcp: the parts, for their counters.
    """

    def __init__(
        self,
        endpoints: tuple[Endpoint, ...],
        driver: Driver,
        exchanges: Exchanges,
        udp: tuple[UdpListener, ...],
        tcp: TcpServer,
    ) -> None:
        self.endpoints = endpoints
        self.driver = driver
        self.exchanges = exchanges
        self.udp = udp
        self.tcp = tcp

    async def run(self) -> None:
        """Wait for a fault that nobody has foreseen; serving goes on without it.

        Raises:
            Exception: the fault.
        """
        await self.driver.run()

    def stop_accepting(self) -> None:
        """Take in who has connected over TCP, and nobody after that."""
        self.tcp.stop_accepting()

    async def drain(self, deadline: float) -> None:
        """Answer what has arrived, and nothing that arrives later, at most until `deadline` (monotonic).

        Who still waits then is answered SERVFAIL. To be followed by the end of the context.
        """
        self.stop_accepting()
        for listener in self.udp:
            listener.stop()
            listener.read_all()
        self.driver.catch_up()
        self.tcp.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self.driver.answered()
                await self.tcp.closed()
        # What came while we waited, and can be answered at once, need not be lost either.
        for listener in self.udp:
            listener.read_all()
        self.driver.give_up()


@contextlib.asynccontextmanager
async def open_listeners(
    listen: tuple[str, ...],
    limits: Tcp,
    engine: EngineLike,
    table: Table,
    threads: int = 0,
    exchanges: Exchanges | None = None,
    sharing: Engine | None = None,
) -> AsyncIterator[Listeners]:
    """Bind every address of `listen` and serve there, from the engine and the table of its finished answers.

    Args:
        threads: native threads for each address, each with a socket of its own and a spare one that helps out; 0: the
            event loop reads the only one.
        exchanges: the sockets towards upstreams; they are closed at the end.
        sharing: the engine once more, if threads may ask upstreams by themselves what it grants.

    Raises:
        StartError: an address can't be bound.
    """
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as opened:
        bound = bind_all(listen, max(threads, 1))
        for each in bound:
            opened.callback(each.close)
        if exchanges is None:
            exchanges = Exchanges(spend=engine.spend)
        opened.callback(exchanges.close_all)
        driver = Driver(engine, exchanges, loop)
        opened.callback(driver.close)
        flights = None
        if threads and sharing is not None:
            # Each of them may become the engine's, and needs a second socket then.
            flights = native.Flights(table, max(1, min(exchanges.max_sockets // 2, MAX_FLIGHTS)))
            driver.share(Flights(flights, sharing, exchanges, driver.give))
        tcp = TcpServer(driver, limits, loop)
        opened.callback(tcp.close)
        udp = []
        for each in bound:
            for sock, spare in itertools.product(each.udp, (False, True) if threads else (False,)):
                path = Worker(sock, table, flights=flights, spare=spare) if threads else Batch(sock, table)
                udp.append(UdpListener(driver, sock, path, loop))
                opened.callback(udp[-1].stop)
                if isinstance(path, Worker) and driver.flights is not None:
                    driver.flights.listeners[path.number] = udp[-1]
            tcp.listen(each.tcp)
        yield Listeners(tuple(each.endpoint for each in bound), driver, exchanges, tuple(udp), tcp)
