"""An engine that does as the test says, and clients, for tests of real sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import uvloop

from hsdnsd.config import Tcp
from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.native import Table
from hsdnsd.net.service import Listeners, open_listeners

T = TypeVar("T")

# Nothing here takes a second; this is when a test that waits in vain gives up.
PATIENCE = 20.0


def run(main: Coroutine[Any, Any, T], patience: float = PATIENCE) -> T:
    """Run a coroutine on the daemon's event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main, patience))


def message(text: bytes, id: int = 0x1234) -> bytes:
    """Something as long as a query with a header like one, and a word to the `ScriptedEngine` behind it."""
    return id.to_bytes(2) + b"\x01\x00\x00\x01" + bytes(6) + text


def answered(wire: bytes) -> bytes:
    """What the `ScriptedEngine` replies to a `message`."""
    return wire[:2] + b"\x81\x80" + wire[4:]


def given_up(wire: bytes) -> bytes:
    """What the `ScriptedEngine` replies when it gives up."""
    return wire[:2] + b"\x81\x82" + wire[4:]


@dataclass
class ScriptedEngine:
    """Shaped like the engine. The word behind a query's header says what becomes of it.

    `now...`: answered at once. `later...`: waits until the test calls `answer`. `silent...`: silence. `bug...`: an
    exception. `big...`: answered at once with 60,000 octets.
    """

    replies: list[tuple[Hashable, bytes]] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    closes: list[int] = field(default_factory=list)
    deafened: list[int] = field(default_factory=list)
    looping: list[Upstream] = field(default_factory=list)
    loops: list[tuple[int, int]] = field(default_factory=list)
    queries: list[bytes] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    transports: list[bool] = field(default_factory=list)
    truncated: list[bool] = field(default_factory=list)
    waiting: list[tuple[Hashable, bytes]] = field(default_factory=list)
    upstream_replies: list[tuple[int, int, bytes]] = field(default_factory=list)
    failures: list[tuple[int, int]] = field(default_factory=list)
    deadline: float | None = None
    passed: list[float] = field(default_factory=list)
    reaction: Callable[[ScriptedEngine, str], None] = lambda engine, event: None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def query(
        self, wire: bytes, client: Hashable, source: str, tcp: bool, now: float, truncated: bool = False
    ) -> bytes | None:
        self.queries.append(wire)
        self.sources.append(source)
        self.transports.append(tcp)
        self.truncated.append(truncated)
        self._happened("query")
        word = wire[12:]
        if word.startswith(b"later"):
            self.waiting.append((client, wire))
            return None
        if word.startswith(b"silent"):
            return b""
        if word.startswith(b"bug"):
            raise KeyError(word)
        return answered(wire) + (bytes(60_000) if word.startswith(b"big") else b"")

    def upstream_reply(self, exchange: int, attempt: int, wire: bytes, now: float) -> None:
        self.upstream_replies.append((exchange, attempt, wire))
        self._happened("upstream_reply")

    def upstream_failed(self, exchange: int, attempt: int, now: float) -> None:
        self.failures.append((exchange, attempt))
        self._happened("upstream_failed")

    def upstream_looped(self, exchange: int, attempt: int, now: float) -> None:
        self.loops.append((exchange, attempt))
        self._happened("upstream_looped")

    def spend(self, exchange: int) -> bool:
        return True

    def next_deadline(self) -> float | None:
        return self.deadline

    def deadline_passed(self, now: float) -> None:
        self.passed.append(now)
        self.deadline = None
        self._happened("deadline_passed")

    def refresh(self, now: float) -> None:
        self._happened("refresh")

    def give_up(self, now: float) -> None:
        for _ in range(len(self.waiting)):
            self.answer(0, given_up(self.waiting[0][1]))

    def answer(self, index: int, octets: bytes | None = None) -> None:
        """Let one of those that wait have its reply; the driver takes it when it next settles."""
        client, wire = self.waiting.pop(index)
        self.replies.append((client, answered(wire) if octets is None else octets))

    async def until(self, condition: Callable[[ScriptedEngine], bool]) -> None:
        """Wait until a call has made something true."""
        while not condition(self):
            self.changed.clear()
            await self.changed.wait()

    def _happened(self, event: str) -> None:
        self.changed.set()
        self.reaction(self, event)


def udp_send(exchange: int, attempt: int, address: tuple[str, int], wire: bytes = b"query" * 3) -> Send:
    return Send(exchange, attempt, Upstream(address[0], address[1]), False, wire)


def tcp_send(exchange: int, attempt: int, address: tuple[str, int], wire: bytes = b"query" * 3) -> Send:
    return Send(exchange, attempt, Upstream(address[0], address[1]), True, wire)


@contextlib.asynccontextmanager
async def serving(
    engine: Any, listen: tuple[str, ...] = ("127.0.0.1:0",), limits: Tcp | None = None
) -> AsyncIterator[Listeners]:
    """Listeners on an engine; a fault that they report fails the test."""
    async with open_listeners(listen, limits or Tcp(), engine, Table()) as listeners, watched(listeners.run()):
        yield listeners


@contextlib.asynccontextmanager
async def watched(running: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What is to run as long as the body; its end before that fails the test."""
    watch = asyncio.ensure_future(running)
    try:
        yield
    finally:
        ended = watch.done()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
    assert not ended


class UdpClient:
    """A UDP socket of a client."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((address, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, wire: bytes, to: tuple[str, int]) -> None:
        self.sock.sendto(wire, to)

    async def receive(self) -> tuple[bytes, tuple[str, int]]:
        """The next datagram, and from where it came."""
        await readable(self.sock)
        wire, address = self.sock.recvfrom(65535)
        return wire, address[:2]


async def readable(sock: socket.socket) -> None:
    """Wait until a socket can be read."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        loop.remove_reader(sock.fileno())
        future.set_result(None)

    loop.add_reader(sock.fileno(), wake)
    try:
        await future
    finally:
        loop.remove_reader(sock.fileno())


class TcpClient:
    """A TCP connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *messages: bytes) -> None:
        """Send messages, each behind its length, in one piece."""
        self.writer.write(b"".join(len(wire).to_bytes(2) + wire for wire in messages))

    async def receive(self) -> bytes:
        """The next message."""
        length = int.from_bytes(await self.reader.readexactly(2))
        return await self.reader.readexactly(length)

    async def closed(self) -> bool:
        """Wait for the end of the stream; whether nothing came before it."""
        return await self.reader.read() == b""


@contextlib.asynccontextmanager
async def connected(address: tuple[str, int], source: str | None = None) -> AsyncIterator[TcpClient]:
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0) if source else None)
    try:
        yield TcpClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def at(listeners: Listeners, place: int = 0) -> tuple[str, int]:
    """Where it listens, for a client."""
    endpoint = listeners.endpoints[place]
    return endpoint.host, endpoint.port
