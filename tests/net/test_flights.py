"""The packet path and the engine ask the same upstreams, and nobody outside can tell which of them did."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from time import monotonic

import pytest
from msgspec.structs import replace

from bench.process import free_port
from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.cache.store import Key
from hsdnsd.config import Tcp
from hsdnsd.engine.counters import Counters, Outcome
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.exchange import ExchangeOptions
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.route import LocalOptions
from hsdnsd.engine.static import static_records
from hsdnsd.engine.upstreams import Forwards, Policy, Upstream
from hsdnsd.engine.upstreams import Server as UpstreamServer
from hsdnsd.native import Table
from hsdnsd.native.flight_contract import Trouble
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.wire.name import ROOT, Name
from tests.support.lies import TRUE, Asked, alias, reply, truth
from tests.support.net import UdpClient, at, connected, run
from tests.support.packets import A, name, pointer, query, question, record

NAME = "www.example.com"
KEY = Key(Name(name(NAME)), A, False, False, ROOT)


class Server:
    """An upstream that answers as it is told, over UDP.

    Attributes:
        asked: what it was asked.
    """

    def __init__(self, says: Callable[[Asked], Iterable[bytes]], port: int = 0) -> None:
        self.says = says
        self.asked: list[bytes] = []
        self.sock = socket.socket(type=socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.sock.setblocking(False)

    def readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                wire, peer = self.sock.recvfrom(4096)
                self.asked.append(wire)
                for said in self.says(Asked(wire, False, len(self.asked) - 1)):
                    self.sock.sendto(said, peer)


class Both:
    """Listeners whose thread may ask, and the engine behind them."""

    def __init__(
        self,
        listeners: Listeners,
        engine: Engine,
        table: Table,
        cache: Cache,
        counters: Counters,
        upstreams: list[UpstreamServer],
    ) -> None:
        self.listeners = listeners
        self.engine = engine
        self.table = table
        self.cache = cache
        self.counters = counters
        self.upstreams = upstreams
        assert listeners.driver.flights is not None
        self.flights = listeners.driver.flights.flights

    async def ask(self, text: str = NAME, qtype: int = A, id: int = 0x1234) -> bytes:
        with UdpClient() as client:
            client.send(query(question(text, qtype), id=id), at(self.listeners))
            wire, _ = await client.receive()
            return wire

    @property
    def troubles(self) -> dict[str, int]:
        counts = {trouble.name: self.flights.handed_over_count(trouble) for trouble in Trouble}
        return {trouble: count for trouble, count in counts.items() if count}


@contextlib.asynccontextmanager
async def both(
    *servers: Server,
    bounds: Bounds | None = None,
    exchange: ExchangeOptions | None = None,
    local: LocalOptions | None = None,
    policy: Policy = Policy.SEQUENTIAL,
) -> AsyncIterator[Both]:
    loop = asyncio.get_running_loop()
    forwards = Forwards({ROOT: [Upstream(*server.sock.getsockname()) for server in servers]}, policy)
    cache, counters, table = Cache(Limits()), Counters(), Table()
    engine = Engine(None, forwards, cache, table, counters, os.urandom, bounds=bounds, exchange=exchange, local=local)
    for server in servers:
        loop.add_reader(server.sock, server.readable)
    try:
        async with open_listeners(("127.0.0.1:0",), Tcp(), engine, table, 1, sharing=engine) as listeners:
            yield Both(listeners, engine, table, cache, counters, forwards.servers())
    finally:
        for server in servers:
            loop.remove_reader(server.sock)
            server.sock.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop and the thread go on until something has come about; `run` sees to an end."""
    for _ in itertools.count():
        if condition():
            return
        await asyncio.sleep(0)


def honest(port: int = 0) -> Server:
    return Server(lambda asked: [truth(asked)], port)


def test_a_miss_needs_no_engine_and_is_counted_as_if_it_had() -> None:
    async def main() -> None:
        upstream = honest()
        async with both(upstream) as served:
            for number in range(3):
                assert (await served.ask(f"{number}.example"))[-4:] == TRUE
            assert (await served.ask("0.example"))[-4:] == TRUE
            assert (served.flights.landed_count, len(upstream.asked), served.troubles) == (3, 3, {})
            served.listeners.driver.catch_up()
            counters = served.counters
            assert counters.requests[False][False][False][0] == 3
            assert (counters.responses[False][0], counters.cache_misses, counters.coalesced) == (3, 3, 0)
            assert sum(counters.waits[Outcome.FORWARDED].counts) == 3
            [((to, place), histogram)] = counters.upstreams.items()
            assert (to, place, sum(histogram.counts)) == ("127.0.0.1:%d" % upstream.sock.getsockname()[1], 0, 3)  # noqa: UP031
            assert len(served.cache.stores[served.cache.get(replace(KEY, name=Name(name("1.example"))), 0).kind]) == 3  # type: ignore[union-attr]

    run(main())


def test_a_failure_is_the_engines_and_stays_so_for_a_while() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [reply(asked, rcode=2)])
        async with both(upstream) as served:
            assert (await served.ask())[3] & 15 == 2
            assert served.troubles == {"REPLY": 1}
            asked = len(upstream.asked)
            # RFC 9520: nobody asks again at once.
            assert (await served.ask(id=9))[3] & 15 == 2
            assert len(upstream.asked) == asked
            assert served.counters.cache_misses == 1
            assert served.counters.upstream_failures

    run(main())


def test_silence_is_the_engines_with_the_same_socket() -> None:
    """A slow server is asked once, and what it says at last is the answer."""

    async def main() -> None:
        upstream = Server(lambda asked: [])
        async with both(upstream, bounds=Bounds(stale_after=0.02)) as served:
            asking = asyncio.create_task(served.ask())
            await until(lambda: bool(served.engine.in_flight))
            assert served.troubles == {"SILENCE": 1}
            [wire] = upstream.asked
            [attempt] = served.listeners.exchanges.by_id.values()
            upstream.sock.sendto(truth(Asked(wire, False, 0)), attempt.sock.getsockname())
            assert (await asking)[-4:] == TRUE
            assert len(upstream.asked) == 1
            # What the engine was told is given by the packet path, and upstreams are left alone.
            assert (await served.ask())[-4:] == TRUE
            assert (len(upstream.asked), sum(one.batch.hits for one in served.listeners.udp)) == (1, 1)

    run(main())


def test_a_stale_answer_is_given_when_its_time_has_come() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [reply(asked, record(pointer(12), A, TRUE, 1))])
        async with both(upstream, bounds=Bounds(stale_after=0.02)) as served:
            await served.ask()
            served.listeners.driver.catch_up()
            served.table.clear()
            entry = served.cache.get(KEY, monotonic())
            assert entry is not None
            entry.expires = monotonic()
            upstream.says = lambda asked: []
            # An answer that ran out is no reason for the engine to be asked first, one that was cleared is.
            answer = await served.ask()
            assert answer[-4:] == TRUE
            assert served.counters.cache_hits["stale"] == 1

    run(main())


def test_a_near_miss_is_counted_and_asked_over_tcp() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [reply(asked, id=asked.id ^ 1), truth(asked)])
        async with both(upstream) as served:
            assert (await served.ask())[-4:] == TRUE
            assert served.counters.near_misses == 1
            assert served.troubles == {"REPLY": 1}

    run(main())


def test_a_dead_server_is_the_engines_and_the_next_one_flies(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        dead, living = honest(free_port()), honest()  # not a port that who asks may be given, once it is free
        async with both(dead, living) as served:
            asyncio.get_running_loop().remove_reader(dead.sock)
            address = dead.sock.getsockname()
            dead.sock.close()
            for number in range(3):
                assert (await served.ask(f"{number}.example"))[-4:] == TRUE
            assert served.troubles == {"REFUSED": 3}
            await served.ask("a.example")
            assert (served.troubles, served.flights.landed_count) == ({"REFUSED": 3}, 1)
            assert served.counters.upstream_failures == {(f"{address[0]}:{address[1]}", "network"): 3}
            assert f"upstream {address[0]}:{address[1]}: Connection refused" in caplog.text
            dead.sock = socket.socket(type=socket.SOCK_DGRAM)

    run(main())


def test_what_nobody_answers_takes_no_server_out_that_answers_the_packet_path() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [truth(asked)] if b"good" in asked.wire else [])
        exchange = ExchangeOptions(attempt_timeout=1.5)
        async with both(upstream, bounds=Bounds(deadline=2.0, stale_after=0.02), exchange=exchange) as served:
            [server] = served.upstreams
            asking = asyncio.create_task(served.ask())
            await until(lambda: bool(served.engine.in_flight))
            for _ in range(server.max_fails - 1):
                server.silent(monotonic())
            assert (await served.ask("good.example"))[-4:] == TRUE
            await until(lambda: server.fails == 1)
            assert (await asking)[3] & 15 == 2
            assert served.flights.landed_count == 1

    run(main())


def test_one_question_over_udp_and_tcp_is_one_exchange() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [])
        async with both(upstream) as served:
            with UdpClient() as client:
                client.send(query(question(NAME), id=1), at(served.listeners))
                await until(lambda: bool(upstream.asked))
                reader, writer = await asyncio.open_connection(*at(served.listeners))
                wire = query(question(NAME), id=2)
                writer.write(len(wire).to_bytes(2) + wire)
                await until(lambda: served.counters.coalesced == 1)
                assert served.troubles == {"CLAIMED": 1}
                [attempt] = served.listeners.exchanges.by_id.values()
                upstream.sock.sendto(truth(Asked(upstream.asked[0], False, 0)), attempt.sock.getsockname())
                assert (await client.receive())[0][:2] == b"\0\1"
                assert (await reader.readexactly(4))[2:] == b"\0\2"
                writer.close()
                await writer.wait_closed()
            assert (len(upstream.asked), served.counters.coalesced, served.counters.cache_misses) == (1, 1, 2)

    run(main())


def test_where_no_further_question_may_be_asked_one_in_the_air_can_be_joined() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [])
        async with both(upstream, bounds=Bounds(in_flight=1)) as served:
            with UdpClient() as client:
                client.send(query(question(NAME), id=1), at(served.listeners))
                await until(lambda: bool(upstream.asked))
                async with connected(at(served.listeners)) as stream:
                    stream.send(query(question("a.example"), id=2), query(question(NAME), id=3))
                    assert (await stream.receive())[:4] == b"\0\2\x81\x82"
                    await until(lambda: served.counters.coalesced == 1)
                    assert (served.troubles, served.counters.limits["in_flight"]) == ({"CLAIMED": 1}, 1)
                    [attempt] = served.listeners.exchanges.by_id.values()
                    upstream.sock.sendto(truth(Asked(upstream.asked[0], False, 0)), attempt.sock.getsockname())
                    assert (await stream.receive())[:2] == b"\0\3"
                    assert (await client.receive())[0][:2] == b"\0\1"
            # Nothing is kept of what was not asked.
            upstream.says = lambda asked: [truth(asked)]
            assert (await served.ask("a.example"))[-4:] == TRUE
            assert served.flights.landed_count == 1

    run(main())


def test_what_is_said_here_is_not_asked() -> None:
    async def main() -> None:
        upstream = honest()
        local = LocalOptions(
            special_names=True, no_aaaa=True, rewrites={Name(name("in.test")): Name(name("example.com"))}
        )
        async with both(upstream, local=local) as served:
            await served.ask("localhost")
            await served.ask(NAME, 28)
            assert upstream.asked == []
            await served.ask("www.in.test")
            assert upstream.asked[0][12:].startswith(name(NAME))
            assert served.flights.opened == 0
            # And static records count from the moment that they are there.
            await served.ask("a.example")
            served.engine.static_changed(static_records([(bytes((10, 0, 0, 1)), (Name(name("a.example")),))], 60))
            assert (await served.ask("a.example"))[-4:] == bytes((10, 0, 0, 1))
            assert (served.flights.opened, len(upstream.asked)) == (1, 2)

    run(main())


def test_chains_into_what_is_said_here_are_the_engines() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [reply(asked, alias(pointer(12), name("localhost")))])
        async with both(upstream, local=LocalOptions(special_names=True)) as served:
            assert (await served.ask())[-4:] == b"\x7f\0\0\1"
            assert (served.troubles, len(upstream.asked)) == ({"REPLY": 1}, 1)
            await served.ask()
            assert (served.flights.opened, len(upstream.asked)) == (1, 1)

    run(main())


def test_nothing_flies_where_more_than_a_plain_datagram_is_wanted() -> None:
    async def main() -> None:
        for exchange in (ExchangeOptions(mix_case=True), ExchangeOptions(force_tcp=True, attempt_timeout=0.05)):
            upstream = honest()
            async with both(upstream, exchange=exchange, bounds=Bounds(deadline=0.1)) as served:
                await served.ask()
                assert served.flights.opened == 0

    run(main())


def test_a_limit_counts_what_threads_wait_for() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [])
        async with both(upstream, bounds=Bounds(per_client=2, deadline=0.2, stale_after=0.1)) as served:
            answers = await asyncio.gather(*(served.ask(f"{number}.example") for number in range(4)))
            assert {answer[3] & 15 for answer in answers} == {2}
            assert served.counters.limits["per_client"] == 2
            assert len(upstream.asked) == 2

    run(main())


def test_closing_answers_whoever_waits() -> None:
    async def main() -> None:
        upstream = Server(lambda asked: [])
        async with both(upstream) as served:
            asking = asyncio.create_task(served.ask())
            await until(lambda: bool(upstream.asked))
            await served.listeners.drain(monotonic())
            assert (await asking)[3] & 15 == 2
            assert served.troubles == {"CLOSED": 1}

    run(main())
