"""An upstream server that lies by a script, over UDP and TCP on one port of loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterable

from tests.support.lies import Action, Asked, Elsewhere, End, Says, Script, Stream, Wait, framed, honest


class Liar:
    """The server.

    Attributes:
        says: its script, which may be changed at any time.
        asked: every message that came.
        connections: made to it over TCP, so far.
    """

    def __init__(self, says: Says) -> None:
        self.says = says
        self.asked: list[Asked] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def over_udp(self, wire: bytes, peer: tuple[str, int], transport: asyncio.DatagramTransport) -> None:
        for action in self._take(wire, False):
            if isinstance(action, bytes):
                transport.sendto(action, peer)
            elif isinstance(action, Wait):
                await asyncio.sleep(action.seconds)
            elif isinstance(action, Elsewhere):
                with socket.socket(type=socket.SOCK_DGRAM) as other:
                    other.sendto(action.wire, peer)

    async def over_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                for action in self._take(wire, True):
                    if isinstance(action, bytes):
                        writer.write(framed(action))
                    elif isinstance(action, Stream):
                        writer.write(action.octets)
                        await writer.drain()
                    elif isinstance(action, Wait):
                        await asyncio.sleep(action.seconds)
                    elif isinstance(action, End):
                        if action.reset:
                            linger = struct.pack("ii", 1, 0)
                            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        return

    def begin(self, task: asyncio.Task[None]) -> None:
        """Keep a task until it is done, or the server is closed."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def repent(self) -> None:
        """Say nothing more of what was begun, and nothing but the truth from now on."""
        self.says = honest
        for task in self._tasks:
            task.cancel()

    async def end(self) -> None:
        """Say nothing more."""
        self.repent()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, wire: bytes, tcp: bool) -> Iterable[Action]:
        asked = Asked(wire, tcp, len(self.asked))
        self.asked.append(asked)
        return self.says(asked)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, liar: Liar) -> None:
        self._liar = liar
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._liar.begin(loop.create_task(self._liar.over_udp(data, addr, self._transport)))


def _bound() -> tuple[socket.socket, socket.socket]:
    """Sockets for UDP and TCP on one port, which is free for both."""
    while True:
        datagrams, held = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        held.bind(("127.0.0.1", 0))
        with contextlib.suppress(OSError):
            datagrams.bind(held.getsockname())
            return datagrams, held
        datagrams.close()
        held.close()


@contextlib.asynccontextmanager
async def lying(script: Script) -> AsyncIterator[tuple[Liar, tuple[str, int]]]:
    """A server that does as the script says, and its address."""
    liar = Liar(script.says)
    loop = asyncio.get_running_loop()
    tcp = transport = None

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(liar.over_tcp(reader, writer))
        # Not at the end of the task's own code: one that is cancelled before it has begun never gets there.
        task.add_done_callback(lambda _: writer.close())
        liar.begin(task)

    datagrams, held = _bound()
    # Where nobody listens over TCP, the port stays taken all the same, and refuses.
    with datagrams, held:
        if script.tcp:
            held.listen()
            tcp = await asyncio.start_server(connected, sock=held)
        if script.udp:
            transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(liar), sock=datagrams)
        else:
            # To whoever it is not connected to, its port is unreachable.
            datagrams.connect(held.getsockname())
        try:
            yield liar, held.getsockname()
        finally:
            await liar.end()
            if transport is not None:
                transport.close()
            if tcp is not None:
                tcp.close()
                await tcp.wait_closed()
