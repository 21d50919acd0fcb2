"""Everything together: opened, serving, drained, closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from time import monotonic

import pytest

from hsdnsd.config import Tcp
from hsdnsd.errors import StartError
from hsdnsd.native import Table
from hsdnsd.net.framing import framed
from hsdnsd.net.service import open_listeners
from hsdnsd.net.upstream import Exchanges
from tests.support.net import (
    PATIENCE,
    ScriptedEngine,
    UdpClient,
    answered,
    at,
    connected,
    given_up,
    message,
    run,
    serving,
)


def soon() -> float:
    return monotonic() + PATIENCE


def test_closed_once_it_is_left() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine(), ("127.0.0.1:0", "[::1]:0")) as listeners:
            addresses = [at(listeners, 0), at(listeners, 1)]
            assert [host for host, _ in addresses] == ["127.0.0.1", "::1"]
        async with serving(ScriptedEngine(), tuple(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in addresses)):
            pass

    run(main())


def test_what_can_not_be_bound_leaves_nothing_open() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners:
            host, port = at(listeners)
            with pytest.raises(StartError, match="the port is in use"):
                async with open_listeners(("127.0.0.1:0", f"{host}:{port}"), Tcp(), ScriptedEngine(), Table()):
                    pass
            with UdpClient() as client:  # and who was there is not disturbed
                client.send(message(b"now"), (host, port))
                assert (await client.receive())[0] == answered(message(b"now"))

    run(main())


def test_a_fault_comes_out_of_run() -> None:
    async def main() -> None:
        engine = ScriptedEngine()

        def react(engine: ScriptedEngine, event: str) -> None:
            if event == "deadline_passed":
                raise ZeroDivisionError("a bug")

        engine.reaction = react
        engine.deadline = monotonic()
        async with open_listeners(("127.0.0.1:0",), Tcp(), engine, Table()) as listeners:
            listeners.driver.settle(monotonic())
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await listeners.run()

    run(main())


def test_drain_with_nothing_in_hand_is_over_at_once() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners, connected(at(listeners)) as idle:
            idle.send(message(b"now"))
            await idle.receive()
            start = monotonic()
            await listeners.drain(soon())
            assert monotonic() - start < 1
            assert await idle.closed()

    run(main())


def test_drain_answers_what_has_arrived_over_udp() -> None:
    """Several batches of datagrams that nobody has read yet, to the last of them."""

    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners:
            with UdpClient() as client:
                for number in range(200):
                    client.send(message(b"now", number), at(listeners))
                await listeners.drain(soon())
                replies = [(await client.receive())[0] for _ in range(200)]
        assert replies == [answered(message(b"now", number)) for number in range(200)]

    run(main())


def test_drain_waits_for_what_has_arrived_and_is_asked_of_upstreams() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners:

            async def answer() -> None:
                await engine.until(lambda engine: len(engine.waiting) == 2)
                for _ in range(2):
                    await asyncio.sleep(0)
                    engine.answer(0)
                    listeners.driver.settle(monotonic())

            with UdpClient() as client:
                answering = asyncio.ensure_future(answer())
                client.send(message(b"later", 1), at(listeners))
                client.send(message(b"later", 2), at(listeners))
                await listeners.drain(soon())  # nobody has read them yet
                assert (await client.receive())[0] == answered(message(b"later", 1))
                assert (await client.receive())[0] == answered(message(b"later", 2))
                await answering

    run(main())


def test_drain_waits_for_what_upstreams_are_asked() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners, connected(at(listeners)) as tcp:
            with UdpClient() as udp:
                udp.send(message(b"later", 1), at(listeners))
                await engine.until(lambda engine: len(engine.waiting) == 1)
                tcp.send(message(b"later", 2))
                await engine.until(lambda engine: len(engine.waiting) == 2)
                draining = asyncio.ensure_future(listeners.drain(soon()))
                await asyncio.wait([draining], timeout=0.05)
                assert not draining.done()
                udp.send(message(b"now", 3), at(listeners))  # too late to be read at once
                for _ in range(2):
                    engine.answer(0)
                    listeners.driver.settle(monotonic())
                assert (await udp.receive())[0] == answered(message(b"later", 1))
                assert await tcp.receive() == answered(message(b"later", 2))
                assert await tcp.closed()
                tcp.writer.close()
                await draining
                assert (await udp.receive())[0] == answered(message(b"now", 3))

    run(main())


def test_drain_takes_in_who_has_connected() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners:
            with contextlib.ExitStack() as opened:
                clients = []
                for _ in range(40):
                    sock = opened.enter_context(socket.create_connection(at(listeners)))
                    sock.sendall(framed(message(b"now")) + framed(message(b"now", 2)))
                    sock.shutdown(socket.SHUT_WR)
                    clients.append(sock)
                await listeners.drain(soon())
                expected = framed(answered(message(b"now"))) + framed(answered(message(b"now", 2)))
                for sock in clients:
                    sock.settimeout(PATIENCE)
                    with sock.makefile("rb") as stream:
                        assert stream.read() == expected

    run(main())


def test_drain_ends_in_time_and_says_so_to_who_waits() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners, connected(at(listeners)) as tcp:
            with UdpClient() as udp:
                udp.send(message(b"later", 1), at(listeners))
                await engine.until(lambda engine: len(engine.waiting) == 1)
                tcp.send(message(b"later", 2))
                await engine.until(lambda engine: len(engine.waiting) == 2)
                start = monotonic()
                await listeners.drain(start + 0.05)
                assert 0.04 < monotonic() - start < 5
                assert (await udp.receive())[0] == given_up(message(b"later", 1))
                assert await tcp.receive() == given_up(message(b"later", 2))

    run(main())


def test_after_drain_nobody_is_let_in() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners:
            await listeners.drain(soon())
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*at(listeners))

    run(main())


def test_the_sockets_towards_upstreams_can_be_given() -> None:
    async def main() -> None:
        given = Exchanges(3)
        async with open_listeners(("127.0.0.1:0",), Tcp(), ScriptedEngine(), Table(), exchanges=given) as listeners:
            assert listeners.exchanges is given
            assert listeners.driver.exchanges is given

    run(main())
