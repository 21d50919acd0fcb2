"""The server of TCP connections: who is let in, who has to go, and whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hsdnsd.config import Tcp
from hsdnsd.net.driver import Driver
from hsdnsd.net.listen import bind_all
from hsdnsd.net.tcp import TURN, TcpServer
from hsdnsd.net.upstream import Exchanges
from tests.support.net import (
    ScriptedEngine,
    TcpClient,
    UdpClient,
    answered,
    at,
    connected,
    message,
    run,
    serving,
    watched,
)


async def ask(client: TcpClient) -> None:
    client.send(message(b"now"))
    assert await client.receive() == answered(message(b"now"))


def test_connections_of_one_source_are_bounded() -> None:
    async def main() -> None:
        async with (
            serving(ScriptedEngine(), limits=Tcp(max_per_source=2)) as listeners,
            connected(at(listeners)) as one,
            connected(at(listeners)) as two,
        ):
            await ask(one)
            await ask(two)
            async with connected(at(listeners)) as three:
                assert await three.closed()
            async with connected(at(listeners), "127.0.0.2") as elsewhere:
                await ask(elsewhere)
            await ask(one)
            assert (listeners.tcp.accepted, listeners.tcp.refused, listeners.tcp.evicted) == (3, 1, 0)

    run(main())


def test_a_place_is_free_again_once_a_connection_is_closed() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine(), limits=Tcp(max_per_source=1, max_connections=1)) as listeners:
            for _ in range(3):
                async with connected(at(listeners)) as client:
                    await ask(client)
                await listeners.tcp.closed()
            assert (listeners.tcp.accepted, listeners.tcp.refused, listeners.tcp.evicted) == (3, 0, 0)

    run(main())


def test_where_it_is_crowded_the_longest_idle_goes() -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as opened:
            listeners = await opened.enter_async_context(
                serving(ScriptedEngine(), limits=Tcp(max_connections=5, max_per_source=100))
            )
            clients = []
            for _ in range(4):
                clients.append(await opened.enter_async_context(connected(at(listeners))))
                await ask(clients[-1])
            await ask(clients[0])  # which leaves clients[1] as the one that has asked nothing for longest
            newcomer = await opened.enter_async_context(connected(at(listeners)))
            await ask(newcomer)
            assert await clients[1].closed()
            for client in (clients[0], clients[2], clients[3]):
                await ask(client)
            assert (listeners.tcp.evicted, len(listeners.tcp)) == (1, 4)

    run(main())


def test_who_is_busy_is_not_evicted_and_a_full_house_refuses() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with contextlib.AsyncExitStack() as opened:
            listeners = await opened.enter_async_context(
                serving(engine, limits=Tcp(max_connections=3, max_per_source=100))
            )
            clients = []
            for count in range(1, 4):
                clients.append(await opened.enter_async_context(connected(at(listeners))))
                clients[-1].send(message(b"later"))
                await engine.until(lambda engine, count=count: len(engine.waiting) == count)  # type: ignore[misc]
            newcomer = await opened.enter_async_context(connected(at(listeners)))
            assert await newcomer.closed()
            assert (listeners.tcp.refused, listeners.tcp.evicted, len(listeners.tcp)) == (1, 0, 3)

    run(main())


def test_a_crowd_of_idle_connections_does_not_keep_a_new_client_out() -> None:
    async def main() -> None:
        limits = Tcp(max_connections=40, max_per_source=1000, message_timeout=60.0)
        async with serving(ScriptedEngine(), limits=limits) as listeners:
            with contextlib.ExitStack() as idle:
                for _ in range(200):
                    idle.enter_context(socket.create_connection(at(listeners)))
                async with connected(at(listeners)) as client:
                    await ask(client)
                assert len(listeners.tcp) <= 40

    run(main())


def test_a_client_that_pipelines_without_end_leaves_everybody_else_a_turn() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners, connected(at(listeners)) as greedy, connected(at(listeners)) as other:
            await ask(other)
            greedy.send(*[message(b"now")] * 3000)
            other.send(message(b"now", 7))
            with UdpClient() as client:
                client.send(message(b"now", 8), at(listeners))
                turns = []
                while len(engine.queries) < 3003:
                    await asyncio.sleep(0)
                    turns.append(len(engine.queries))
            most = max(later - earlier for earlier, later in itertools.pairwise(turns))
            assert most <= TURN + 1
            assert engine.queries.index(message(b"now", 7)) < 500
            assert engine.queries.index(message(b"now", 8)) < 500

    run(main())


class Accepting:
    """accept(2) that fails as often as the test says."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.failed = asyncio.Event()

    def __call__(self, listener: socket.socket) -> tuple[socket.socket, Any]:
        if self.errors:
            number = self.errors.pop(0)
            self.failed.set()
            raise OSError(number, os.strerror(number))
        return listener.accept()


@contextlib.asynccontextmanager
async def accepting(
    accept: Callable[[socket.socket], tuple[socket.socket, Any]],
) -> AsyncIterator[tuple[TcpServer, Driver, tuple[str, int]]]:
    """A server that accepts in a way of the test's."""
    loop = asyncio.get_running_loop()
    exchanges = Exchanges()
    driver = Driver(ScriptedEngine(), exchanges, loop)
    server = TcpServer(driver, Tcp(), loop, accept)
    [bound] = bind_all(("127.0.0.1:0",))
    server.listen(bound.tcp)
    try:
        yield server, driver, (bound.endpoint.host, bound.endpoint.port)
    finally:
        server.close()
        driver.close()
        exchanges.close_all()
        bound.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_accept_runs_out_of_something(number: int, caplog: pytest.LogCaptureFixture) -> None:
    """The longest idle connection gives up its descriptor, and accepting goes on after a while."""

    async def main() -> None:
        accept = Accepting()
        async with accepting(accept) as (server, driver, address), watched(driver.run()), connected(address) as idle:
            await ask(idle)
            accept.errors += [number, number]
            async with connected(address) as client:
                await ask(client)
                assert await idle.closed()
            assert (server.accept_errors, server.evicted) == (2, 1)

    run(main())
    assert caplog.messages == [f"can't accept TCP connections: {os.strerror(number)}"]


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO])
def test_a_connection_dies_before_it_is_accepted(number: int) -> None:
    async def main() -> None:
        async with (
            accepting(Accepting(number)) as (server, driver, address),
            watched(driver.run()),
            connected(address) as client,
        ):
            await ask(client)
            assert server.accept_errors == 0

    run(main())


def test_what_accept_never_says_is_fatal() -> None:
    async def main() -> None:
        async with accepting(Accepting(errno.EINVAL)) as (_, driver, address), connected(address):
            with pytest.raises(OSError, match="Invalid argument"):
                await driver.run()

    run(main())


def test_stopped_while_it_pauses() -> None:
    async def main() -> None:
        accept = Accepting(errno.EMFILE)
        async with accepting(accept) as (server, _, address), connected(address) as client:
            await accept.failed.wait()
            server.stop_accepting()  # which takes in who waits
            await ask(client)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address)

    run(main())


def test_closing_closes_every_connection() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners:
            async with connected(at(listeners)) as client:
                await ask(client)
                listeners.tcp.close()
                assert await client.closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*at(listeners))

    run(main())
