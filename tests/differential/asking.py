"""Asks servers many questions, some at a time, over UDP and TCP, and again where nothing comes, as clients do."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from tests.differential.questions import Question

# Questions that wait at a time: few enough for a socket's buffer to hold the longest replies to all of them.
UDP_WINDOW, TCP_WINDOW = 48, 16
# unbound loses a question now and then. How long each is waited for, in seconds, and how often it is asked.
PATIENCE, TRIES = 2.0, 6

Server = tuple[str, int]
Told = list[bytes | None]


def ask(servers: Sequence[Server], questions: Sequence[Question]) -> list[Told]:
    """The replies of each server to all questions, in their order; None: there was none."""
    replies: list[Told] = [[None] * len(questions) for _ in servers]
    ways: tuple[tuple[bool, Callable[[Server, Sequence[Question], Iterator[int], Told], None]], ...]
    ways = (False, _over_udp), (True, _over_tcp)
    with ThreadPoolExecutor(len(ways) * len(servers)) as pool:
        work = [
            pool.submit(way, server, questions, iter([at for at, one in enumerate(questions) if one.tcp is tcp]), told)
            for server, told in zip(servers, replies, strict=True)
            for tcp, way in ways
        ]
        for future in work:
            future.result()
    return replies


class _Waiting:
    """Questions that were asked and not answered, the one asked longest ago first."""

    def __init__(self, questions: Sequence[Question], left: Iterator[int], window: int) -> None:
        self._questions = questions
        self._left = left
        self._window = window
        self._asked: dict[int, tuple[int, float, int]] = {}  # by id: which, when last, how often

    def __len__(self) -> int:
        return len(self._asked)

    def next(self) -> Iterator[bytes]:
        """What is to be asked now: new ones while there is room, and those that have waited long."""
        for at in itertools.islice(self._left, self._window - len(self._asked)):
            self._asked[at % 65536] = at, time.monotonic(), 1
            yield self._questions[at].wire(at % 65536)
        yield from self.again(time.monotonic() - PATIENCE)

    def again(self, before: float) -> Iterator[bytes]:
        """Those that were asked last before a time, unless they were asked too often."""
        for number, (at, asked, tries) in list(self._asked.items()):
            if asked > before:
                return
            del self._asked[number]
            if tries < TRIES:
                self._asked[number] = at, time.monotonic(), tries + 1
                yield self._questions[at].wire(number)

    def take(self, wire: bytes, told: Told) -> None:
        at, _, _ = self._asked.pop(int.from_bytes(wire[:2]), (None, 0, 0))
        if at is not None:
            told[at] = wire


def _over_udp(server: Server, questions: Sequence[Question], left: Iterator[int], told: Told) -> None:
    waiting = _Waiting(questions, left, UDP_WINDOW)
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        while True:
            for wire in waiting.next():
                sock.send(wire)
            if not waiting:
                return
            if select.select([sock], [], [], PATIENCE)[0]:
                waiting.take(sock.recv(65535), told)


def _over_tcp(server: Server, questions: Sequence[Question], left: Iterator[int], told: Told) -> None:
    waiting = _Waiting(questions, left, TCP_WINDOW)
    for _ in range(TRIES):
        with (
            # Nothing came in time, or it was closed: what waits is asked again over another connection.
            contextlib.suppress(TimeoutError, ConnectionError, EOFError),
            socket.create_connection(server, PATIENCE) as sock,
            sock.makefile("rb") as stream,
        ):
            again = waiting.again(time.monotonic())
            while True:
                for wire in itertools.chain(again, waiting.next()):
                    sock.sendall(len(wire).to_bytes(2) + wire)
                if not waiting:
                    return
                waiting.take(_message(stream), told)


def _message(stream: BinaryIO) -> bytes:
    wire = stream.read(int.from_bytes(stream.read(2)))
    if not wire:
        raise EOFError
    return wire
