"""A TCP relay in front of the API server, so that a test can cut the daemon off while everybody else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 1 << 16


class Proxy:
    """A context manager; it relays from (host, port) to (host, to_port) until it is cut, and again once mended."""

    def __init__(self, host: str, port: int, to_port: int) -> None:
        self._host = host
        self._port = port
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._relayed: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def mend(self) -> None:
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    async def _listen(self) -> None:
        assert self._server is None, "mended without a cut"
        self._server = await asyncio.start_server(self._relay, self._host, self._port)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._relayed:
            writer.transport.abort()
        while self._relays:
            await asyncio.wait(self._relays)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        self._relayed.add(writer)
        try:
            with contextlib.suppress(OSError):  # either side is gone: the other one learns it by the reset below
                there, back = await asyncio.open_connection(self._host, self._to_port)
                self._relayed.add(back)
                try:
                    await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
                finally:
                    self._relayed.discard(back)
                    back.transport.abort()
        finally:
            self._relayed.discard(writer)
            writer.transport.abort()
            self._relays.discard(task)

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError
