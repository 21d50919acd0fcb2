"""One TCP connection: RFC 7766 and RFC 9210, and clients that mean no good."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from time import monotonic

import pytest

from hsdnsd.config import Tcp
from hsdnsd.net import connection
from hsdnsd.net.driver import Driver
from hsdnsd.net.framing import framed
from hsdnsd.net.service import Listeners
from hsdnsd.net.upstream import Exchanges
from tests.support.net import ScriptedEngine, answered, at, connected, message, readable, run, serving

NOW = [message(b"now", number) for number in range(40)]
PATIENT = Tcp(message_timeout=60.0, idle_timeout=60.0)


async def gone(listeners: Listeners) -> None:
    await listeners.tcp.closed()
    assert len(listeners.tcp) == 0


async def read_to_the_end(sock: socket.socket) -> bytes:
    stream = b""
    while True:
        await readable(sock)
        data = sock.recv(65535)
        if not data:
            return stream
        stream += data


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_query_and_its_reply(host: str) -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, (f"[{host}]:0" if ":" in host else f"{host}:0",)) as listeners:
            async with connected(at(listeners)) as client:
                client.send(message(b"now"))
                assert await client.receive() == answered(message(b"now"))
            await gone(listeners)
        assert (engine.sources, engine.transports) == ([host], [True])

    run(main())


@pytest.mark.parametrize("cut", range(1, len(framed(message(b"now")))))
def test_a_message_cut_anywhere(cut: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        stream = framed(message(b"now", 1)) + framed(message(b"now", 2))
        async with serving(engine) as listeners, connected(at(listeners)) as client:
            client.writer.write(stream[:cut])
            await client.writer.drain()
            for _ in range(5):
                await asyncio.sleep(0)
            client.writer.write(stream[cut:])
            assert [await client.receive(), await client.receive()] == [
                answered(message(b"now", 1)),
                answered(message(b"now", 2)),
            ]

    run(main())


def test_octet_by_octet() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners, connected(at(listeners)) as client:
            for octet in framed(message(b"now")):
                client.writer.write(bytes([octet]))
                await asyncio.sleep(0)
            assert await client.receive() == answered(message(b"now"))

    run(main())


def test_length_and_message_leave_in_one_segment() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners:
            with socket.socket() as sock:
                sock.connect(at(listeners))
                sock.setblocking(False)
                sock.send(framed(message(b"now")))
                await readable(sock)
                assert sock.recv(65535) == framed(answered(message(b"now")))

    run(main())


def test_pipelined_queries_are_answered_as_they_are_ready() -> None:
    """RFC 7766 section 6.2.1.1: a slow answer holds nobody up."""

    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners, connected(at(listeners)) as client:
            client.send(message(b"later", 1000), message(b"later", 1001), *NOW)
            assert [await client.receive() for _ in NOW] == [answered(wire) for wire in NOW]
            for index, number in ((1, 1001), (0, 1000)):
                engine.answer(index)
                listeners.driver.settle(monotonic())
                assert await client.receive() == answered(message(b"later", number))

    run(main())


def test_a_65535_octet_query_and_a_long_reply() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners, connected(at(listeners)) as client:
            query = message(b"big").ljust(5535, b"\0")
            client.send(query, message(b"later").ljust(65535, b"\0"))
            assert await client.receive() == answered(query) + bytes(60_000)
            await engine.until(lambda engine: bool(engine.waiting))
            assert len(engine.queries[-1]) == 65535

    run(main())


def test_queries_in_flight_are_bounded_and_then_go_on() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, limits=Tcp(max_pipelined=4)) as listeners, connected(at(listeners)) as client:
            client.send(*(message(b"later", number) for number in range(10)))
            await engine.until(lambda engine: len(engine.waiting) == 4)
            for _ in range(5):
                await asyncio.sleep(0)
            for number in range(10):
                await engine.until(lambda engine: len(engine.waiting) == 4 or len(engine.queries) == 10)
                assert len(engine.queries) == min(4 + number, 10)
                engine.answer(0)
                listeners.driver.settle(monotonic())
                assert await client.receive() == answered(message(b"later", number))

    run(main())


@pytest.mark.parametrize("stream", [b"\0\0", b"\0\x0b" + bytes(11)], ids=["0", "11"])
def test_a_length_that_no_message_has_ends_the_connection(stream: bytes) -> None:
    async def main() -> None:
        async with serving(ScriptedEngine(), limits=PATIENT) as listeners, connected(at(listeners)) as client:
            client.writer.write(stream)
            assert await client.closed()

    run(main())


def test_what_was_asked_before_garbage_is_answered() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, limits=PATIENT) as listeners, connected(at(listeners)) as client:
            client.writer.write(framed(message(b"later")) + b"\0\1" + bytes(50_000))
            await engine.until(lambda engine: bool(engine.waiting))
            engine.answer(0)
            listeners.driver.settle(monotonic())
            assert await client.receive() == answered(message(b"later"))
            assert await client.closed()
        assert len(engine.queries) == 1

    run(main())


def test_silence_ends_the_connection() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, limits=PATIENT) as listeners:
            async with connected(at(listeners)) as client:
                client.send(message(b"now"), message(b"silent"), message(b"now"))
                assert await client.receive() == answered(message(b"now"))
                assert await client.closed()
            assert len(engine.queries) == 2
            async with connected(at(listeners)) as client:
                client.send(message(b"later"))
                await engine.until(lambda engine: bool(engine.waiting))
                engine.answer(0, b"")
                listeners.driver.settle(monotonic())
                assert await client.closed()
            await gone(listeners)

    run(main())


def test_a_bug_costs_one_servfail() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners, connected(at(listeners)) as client:
            client.send(message(b"bug"), message(b"now"))
            assert await client.receive() == bytes.fromhex("1234 8102 0000 0000 0000 0000")
            assert await client.receive() == answered(message(b"now"))

    run(main())


def test_one_reply_for_one_query() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners, connected(at(listeners)) as client:
            client.send(message(b"later"))
            await engine.until(lambda engine: bool(engine.waiting))
            client_token, _ = engine.waiting[0]
            engine.answer(0)
            engine.replies.append((client_token, b"a second one"))
            listeners.driver.settle(monotonic())
            client.send(message(b"now"))
            assert [await client.receive(), await client.receive()] == [
                answered(message(b"later")),
                answered(message(b"now")),
            ]

    run(main())


def test_half_closed_by_the_client() -> None:
    """What it has asked is still answered, then the connection ends."""

    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, limits=PATIENT) as listeners, connected(at(listeners)) as client:
            client.send(message(b"later", 1), message(b"now", 2))
            client.writer.write(b"\0\x20partial")
            client.writer.write_eof()
            assert await client.receive() == answered(message(b"now", 2))
            engine.answer(0)
            listeners.driver.settle(monotonic())
            assert await client.receive() == answered(message(b"later", 1))
            assert await client.closed()
            await gone(listeners)

    run(main())


def test_gone_before_its_reply() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, limits=PATIENT) as listeners:
            with socket.socket() as sock:
                sock.connect(at(listeners))
                sock.send(framed(message(b"later", 1)) + framed(message(b"later", 2)))
                await engine.until(lambda engine: len(engine.waiting) == 2)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await gone(listeners)
            assert listeners.driver.pending == 2
            engine.answer(0)
            engine.answer(0)
            listeners.driver.settle(monotonic())
            assert listeners.driver.pending == 0

    run(main())


@pytest.mark.parametrize("sent", [b"", b"\0", framed(message(b"now"))[:-1]])
def test_a_first_message_that_does_not_come(sent: bytes) -> None:
    async def main() -> None:
        limits = Tcp(message_timeout=0.08, idle_timeout=60.0)
        async with serving(ScriptedEngine(), limits=limits) as listeners, connected(at(listeners)) as client:
            start = monotonic()
            client.writer.write(sent)
            assert await client.closed()
            assert 0.07 < monotonic() - start < 5
            assert listeners.tcp.timed_out == 1

    run(main())


def test_an_octet_now_and_then_does_not_buy_time() -> None:
    """The slow loris: the time for a message runs from its first octet."""

    async def main() -> None:
        limits = Tcp(message_timeout=0.2, idle_timeout=60.0)
        async with serving(ScriptedEngine(), limits=limits) as listeners, connected(at(listeners)) as client:
            client.send(message(b"now"))
            await client.receive()
            start = monotonic()
            closed = asyncio.ensure_future(client.closed())
            for octet in framed(bytes(60_000)):
                client.writer.write(bytes([octet]))
                await asyncio.wait([closed], timeout=0.01)
                if closed.done():
                    break
            assert closed.result()
            assert 0.15 < monotonic() - start < 5

    run(main())


def test_idle() -> None:
    async def main() -> None:
        limits = Tcp(message_timeout=60.0, idle_timeout=0.08)
        async with serving(ScriptedEngine(), limits=limits) as listeners, connected(at(listeners)) as client:
            client.send(message(b"now"))
            await client.receive()
            start = monotonic()
            assert await client.closed()
            assert 0.05 < monotonic() - start < 5

    run(main())


def test_who_waits_for_us_is_not_idle() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        limits = Tcp(message_timeout=0.05, idle_timeout=0.05)
        async with serving(engine, limits=limits) as listeners, connected(at(listeners)) as client:
            client.send(message(b"later"))
            await engine.until(lambda engine: bool(engine.waiting))
            for _ in range(3):  # each is there for longer than either limit
                async with connected(at(listeners)) as other:
                    assert await other.closed()
            engine.answer(0)
            listeners.driver.settle(monotonic())
            assert await client.receive() == answered(message(b"later"))
            assert await client.closed()

    run(main())


class Server:
    """What a connection knows of its server; lets nobody have a turn by itself."""

    def __init__(self, limits: Tcp) -> None:
        self.limits = limits
        self.turn = asyncio.Event()

    def ready(self, connection: connection.Connection) -> None:
        self.turn.set()

    def gone(self, connection: connection.Connection) -> None:
        pass


@contextlib.asynccontextmanager
async def alone(limits: Tcp) -> AsyncIterator[tuple[Server, Driver, connection.Connection, socket.socket]]:
    """A connection without a server, its driver, and the client's side of it; it was made at the time 0."""
    loop = asyncio.get_running_loop()
    exchanges = Exchanges()
    driver = Driver(ScriptedEngine(), exchanges, loop)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 << 10)
    theirs.setblocking(False)
    server = Server(limits)
    one = connection.Connection(server, driver, ours, "192.0.2.1", loop, 0.0)
    try:
        yield server, driver, one, theirs
    finally:
        one.close()
        theirs.close()
        driver.close()
        exchanges.close_all()


def test_the_first_message_has_its_time_from_the_connections_begin() -> None:
    async def main() -> None:
        async with alone(Tcp()) as (_, _, one, client):
            assert one.expire(2.9) is False
            client.send(b"\0")
            for _ in range(5):
                await asyncio.sleep(0)
            assert one.expire(2.9) is False
            assert one.expire(3.1) is True

    run(main())


def test_while_a_message_waits_for_its_turn_no_time_runs() -> None:
    async def main() -> None:
        async with alone(Tcp()) as (server, _, one, client):
            client.send(framed(message(b"now")) + b"\0")
            await server.turn.wait()
            assert one.expire(monotonic() + 100) is False
            now = monotonic()
            assert one.take(16, now) == 1
            one.flush(now)
            assert one.expire(now + 2.9) is False
            assert one.expire(now + 3.1) is True

    run(main())


def test_while_we_do_not_read_no_time_runs() -> None:
    async def main() -> None:
        async with alone(Tcp(max_pipelined=1)) as (server, _, one, client):
            client.send(framed(message(b"later")) + b"\0")
            await server.turn.wait()
            now = monotonic()
            one.take(16, now)
            one.flush(now)
            assert one.expire(now + 100) is False
            one.reply(1, b"reply to the first")
            one.flush(now + 100)
            assert one.expire(now + 102.9) is False
            assert one.expire(now + 103.1) is True

    run(main())


def test_a_client_that_reads_slowly_is_not_one_that_does_not_read() -> None:
    async def main() -> None:
        async with alone(Tcp()) as (server, _, one, client):
            client.send(framed(message(b"big")) * 20)
            await server.turn.wait()
            now = monotonic()
            one.take(20, now)
            one.flush(now)
            for _ in range(3):
                assert one.expire(now + 4.9) is False
                now += 4.9
                assert client.recv(65535)
                one.flush(now)
            assert one.expire(now + 4.9) is False
            assert one.expire(now + 5.1) is True

    run(main())


def test_a_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can't make us hold more than some answers, and not for long."""
    monkeypatch.setattr(connection, "STALL_TIMEOUT", 0.1)

    async def main() -> None:
        engine = ScriptedEngine()
        limits = Tcp(message_timeout=0.4, idle_timeout=60.0)
        async with serving(engine, limits=limits) as listeners:
            with socket.socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.connect(at(listeners))
                sock.sendall(framed(message(b"big")) * 1000)
                await engine.until(lambda engine: len(engine.queries) >= 5)
                await gone(listeners)
                # 60,000 octets each: what the kernel's buffers take, and what we hold at most.
                assert 5 <= len(engine.queries) <= 20
                assert listeners.tcp.timed_out == 1
                sock.setblocking(False)
                with pytest.raises(ConnectionResetError):
                    await read_to_the_end(sock)
            async with connected(at(listeners)) as client:
                client.send(message(b"now"))
                assert await client.receive() == answered(message(b"now"))

    run(main())


def test_a_slow_reader_gets_everything() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, limits=PATIENT) as listeners, connected(at(listeners)) as client:
            client.send(*(message(b"big", number) for number in range(50)))
            for number in range(50):
                assert await client.receive() == answered(message(b"big", number)) + bytes(60_000)

    run(main())


def test_queries_of_a_connection_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that were taken are answered, though more lie unread when the connection ends."""
    monkeypatch.setattr(connection, "MAX_QUERIES", 100)

    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, limits=PATIENT) as listeners:
            with socket.socket() as sock:
                sock.connect(at(listeners))
                sock.setblocking(False)
                sock.send(b"".join(framed(message(b"now", number)) for number in range(5000)))
                stream = await read_to_the_end(sock)
                for _ in range(3):  # what comes too late is no reason for a reset, which might overtake our replies
                    sock.send(framed(message(b"now")))
                    await asyncio.sleep(0)
        assert stream == b"".join(framed(answered(message(b"now", number))) for number in range(100))

    run(main())


def test_who_does_not_close_its_side_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER", 0.05)

    async def main() -> None:
        limits = Tcp(message_timeout=0.05, idle_timeout=60.0)
        async with serving(ScriptedEngine(), limits=limits) as listeners:
            with socket.socket() as sock:
                sock.connect(at(listeners))
                sock.setblocking(False)
                await readable(sock)
                assert sock.recv(1) == b""
                await gone(listeners)

    run(main())
