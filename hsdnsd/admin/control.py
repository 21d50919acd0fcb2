"""Commands to a running daemon, over a Unix socket in the abstract namespace: one line in, lines out.

The name needs no file and no right to make one, is seen only in the daemon's own network namespace (its pod), and the
kernel says who has connected: only root and the daemon's own user are listened to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from hsdnsd.errors import HsdnsdError, StartError

PREFIX = "\0hsdnsd/"
# One command, and what it says at once before others get their turn.
MAX_LINE = 512
_LINES_AT_ONCE = 500
# Nobody has more than a few of these open; a connection lives as long as its answer takes to be read.
_MAX_CONNECTIONS = 8
_TIMEOUT = 10.0
_UCRED = struct.Struct("iII")  # pid, uid, gid: struct ucred of SO_PEERCRED (unix(7))

# Does a command with its arguments; the lines to say. Raises CommandError for what can't be done.
Command = Callable[[Sequence[str]], Iterable[str]]


class CommandError(HsdnsdError):
    """A command that was not understood, or can't be done; the text is for whoever typed it."""


class ControlServer:
    """Takes commands from whoever may give them.

    Attributes:
        refused: connections that were closed because of who made them, or how many there were.
    """

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self.refused = 0
        self._commands = commands
        self._open = 0

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One command of one connection."""
        self._open += 1
        try:
            if self._open > _MAX_CONNECTIONS or not _may_command(writer.get_extra_info("socket")):
                self.refused += 1
                return
            async with asyncio.timeout(_TIMEOUT):
                line = await reader.readline()
                await self._answer(line, writer)
        except (TimeoutError, OSError, ValueError):
            # Gone, too slow, or a line without end: there is nobody to tell.
            return
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            said = self._do(line.decode(errors="replace").split())
            writer.write(b"ok\n")
            for number, text in enumerate(said, 1):
                writer.write(f"{text}\n".encode())
                if number % _LINES_AT_ONCE == 0:
                    await writer.drain()
                    await asyncio.sleep(0)
        except CommandError as error:
            writer.write(f"error: {error}\n".encode())
        await writer.drain()

    def _do(self, words: Sequence[str]) -> Iterable[str]:
        command = self._commands.get(words[0]) if words else None
        if command is None:
            raise CommandError(f"unknown command; there are: {', '.join(self._commands)}")
        return command(words[1:])


@contextlib.asynccontextmanager
async def open_control(name: str, commands: Mapping[str, Command]) -> AsyncIterator[ControlServer]:
    """Take commands under this name until the context is left.

    Raises:
        StartError: another daemon has the name.
    """
    server = ControlServer(commands)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(PREFIX + name)
    except OSError as error:
        sock.close()
        raise StartError(f"can't take commands as {name}: {os.strerror(error.errno or 0)}") from None
    listener = await asyncio.start_unix_server(server.serve_connection, sock=sock, limit=MAX_LINE)
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def _may_command(sock: socket.socket) -> bool:
    _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return uid in (0, os.getuid())
