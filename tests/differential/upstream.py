"""The scripted upstream as a process.

    python -m tests.differential.upstream UDP TCP [UDP TCP ...]

UDP and TCP are descriptors of sockets that are bound (and listen) already. It answers until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import uvloop

from tests.differential.world import read_asked, say, written


def reply(wire: bytes, tcp: bool) -> bytes:
    asked = read_asked(wire, tcp)
    return written(asked, say(asked))


def readable(sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        for _ in range(64):
            wire, peer = sock.recvfrom(4096)
            with contextlib.suppress(ConnectionRefusedError):
                sock.sendto(reply(wire, tcp=False), peer)


async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while True:
            wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            said = reply(wire, tcp=True)
            writer.write(len(said).to_bytes(2) + said)
    writer.close()


async def serve(descriptors: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for udp, tcp in zip(descriptors[::2], descriptors[1::2], strict=True):
        datagrams = socket.socket(fileno=udp)
        datagrams.setblocking(False)
        loop.add_reader(datagrams, readable, datagrams)
        await asyncio.start_server(connected, sock=socket.socket(fileno=tcp), backlog=512)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve([int(argument) for argument in sys.argv[1:]]))
