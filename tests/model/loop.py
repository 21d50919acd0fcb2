"""An event loop without a clock and without a network: the same seed always plays the same way.

Time is a number that is moved on when nobody has anything left to do, so back-off and time-outs cost nothing.
Connections are pairs of pipes in memory, on which both sides speak the HTTP that they would speak on loopback; octets
arrive one loop turn later, cut into whatever pieces `cut` says.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Callable
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    Attributes:
        now: the time. refusing: connections are refused.
        cut: octets on their way from a server to a client -> the pieces in which they come.
    """

    def __init__(self, cut: Callable[[bytes], list[bytes]] = lambda data: [data]) -> None:
        self.now = 1000.0
        self.refusing = False
        self.cut = cut
        self._listeners: dict[int, Callable[[], Any]] = {}
        self._peers: dict[int, int] = {}  # port that a socket is connected to, by its descriptor
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    async def create_server(  # type: ignore[override]
        self, factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        bound = int(port or 0) or 6443 + len(self._listeners)
        self._listeners[bound] = factory
        return _Server(self._listeners, bound)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        await asyncio.sleep(0)
        if self.refusing or address[1] not in self._listeners:
            raise ConnectionRefusedError(111, "Connection refused")
        self._peers[sock.fileno()] = address[1]

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], Any], *_: Any, sock: socket.socket, **__: Any
    ) -> tuple[asyncio.Transport, Any]:
        port = self._peers.pop(sock.fileno())
        sock.close()
        client, server = factory(), self._listeners[port]()
        here, there = _Pipe(self, client, lambda data: [data]), _Pipe(self, server, self.cut)
        here.peer, there.peer = there, here
        server.connection_made(there)
        client.connection_made(here)
        return here, client

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """At once: threads would make every run another one."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the asker's
            future.set_exception(error)
        return future


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else")
        if timeout > 0:
            self._loop.now += timeout
        return []


class _Server:
    def __init__(self, listeners: dict[int, Callable[[], Any]], port: int) -> None:
        self._listeners = listeners
        self._port = port
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    def close(self) -> None:
        del self._listeners[self._port]


class _Pipe(asyncio.Transport):
    """One end of a connection."""

    peer: _Pipe

    def __init__(self, loop: VirtualLoop, protocol: Any, cut: Callable[[bytes], list[bytes]]) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._cut = cut
        self._closing = False
        self._reading = True
        self._held: list[bytes | None] = []  # what came while nobody was reading; None: the end

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing:
            for piece in self._cut(bytes(data)):
                self._loop.call_soon(self.peer._arrived, piece)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)
            self._loop.call_soon(self.peer._arrived, None)

    def abort(self) -> None:
        """What is on its way is lost, as it may be when a connection is reset."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)
            self._loop.call_soon(self.peer._reset)

    def is_closing(self) -> bool:
        return self._closing

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._flush)

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever held back."""

    def _arrived(self, data: bytes | None) -> None:
        self._held.append(data)
        self._flush()

    def _flush(self) -> None:
        while self._reading and self._held and not self._closing:
            data = self._held.pop(0)
            if data is not None:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()

    def _reset(self) -> None:
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
