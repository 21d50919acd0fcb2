"""Static records from a file in the format of hosts(5), followed as it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, NoReturn

from hsdnsd.address import parse_address
from hsdnsd.engine.static import StaticRecords, static_records
from hsdnsd.net.watched_file import WatchedFile
from hsdnsd.wire.name import ROOT, Name, from_text

log = logging.getLogger(__name__)

POLL_INTERVAL = 2.0  # seconds
# Broken lines of one reading that the log tells of, and characters of each.
MAX_TOLD = 20
_TOLD_LENGTH = 200


class Hosts(NamedTuple):
    """What a text says.

    Attributes:
        lines: packed address and names of each line, in order. faults: (line from 1, what is wrong); it is left out.
    """

    lines: list[tuple[bytes, tuple[Name, ...]]]
    faults: list[tuple[int, str]]


def parse_hosts(text: str) -> Hosts:
    """An address, then its names, the first of which is the one that the address stands for; `#` begins a comment."""
    hosts = Hosts([], [])
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            hosts.lines.append(_parse_line(words[0], words[1:]))
        except ValueError as error:
            hosts.faults.append((number, str(error)))
    return hosts


class HostsFile:
    """One file, looked at every two seconds, in a thread: a slow disk delays changes, never answers.

    What was read last stays in force while the file can't be read: the daemon of a node does not stop for it.
    """

    def __init__(self, path: str, ttl: int, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """
        Args:
            ttl: of its records, in seconds. pause: what waiting is (tests own it).
        """
        self._file = WatchedFile(path)
        self._ttl = ttl
        self._pause = pause
        self._trouble = ""  # what the log was last told; "" when all is well

    async def run(self, sink: Callable[[StaticRecords], None]) -> NoReturn:
        """Poll for ever."""
        while True:
            await self._pause(POLL_INTERVAL)
            await self.poll(sink)

    async def poll(self, sink: Callable[[StaticRecords], None]) -> None:
        """Look once; what the file holds goes to `sink` if it is not what it held before."""
        try:
            records = await asyncio.to_thread(self._read)
        except OSError as error:
            trouble = error.strerror or str(error)
            if trouble != self._trouble:
                log.error("hosts: %s: %s; what was read before stays in force", self._file.path, trouble)
            self._trouble = trouble
            return
        self._trouble = ""
        if records is not None:
            log.info("hosts: read %s: %d names", self._file.path, len(records))
            sink(records)

    def _read(self) -> StaticRecords | None:
        octets = self._file.read_if_changed()
        if octets is None:
            return None
        lines, faults = parse_hosts(octets.decode(errors="replace"))
        for number, problem in faults[:MAX_TOLD]:
            log.warning("hosts: %s, line %d is left out: %s", self._file.path, number, problem[:_TOLD_LENGTH])
        if len(faults) > MAX_TOLD:
            log.warning("hosts: %s, %d more lines are left out", self._file.path, len(faults) - MAX_TOLD)
        return static_records(lines, self._ttl)


def _parse_line(address: str, names: list[str]) -> tuple[bytes, tuple[Name, ...]]:
    if "%" in address:
        raise ValueError(f"{address!r}: a record holds no scope")
    packed = parse_address(address).packed
    if not names:
        raise ValueError("an address without a name")
    parsed = tuple(from_text(name) for name in names)
    if ROOT in parsed:
        raise ValueError("the root is no host")
    return packed, parsed
