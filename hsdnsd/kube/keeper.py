"""Keeps the snapshot on disk: recalls it at start, lets it grow too old, writes it when something has changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from hsdnsd.kube.oneline import one_line
from hsdnsd.kube.snapshot import Header, SnapshotError, decode, encode
from hsdnsd.kube.source import Watched
from hsdnsd.records.model import Kind, Memory
from hsdnsd.records.result import Owner
from hsdnsd.records.table import Table

log = logging.getLogger(__name__)

TICK = 5.0  # seconds between two looks at whether there is something to do
# Seconds after a write until the next, if something has changed: some megabytes each time in the largest clusters.
WRITE_EVERY = 30.0
# And if nothing has: what the file says is believed by its age.
CONFIRM_EVERY = 120.0
_LOG_EVERY = 600.0  # seconds between two complaints of the same thing
_MOST_OCTETS = 1 << 30


class Keeper:
    """The snapshot of one `Table`.

    Attributes:
        writes, failures: how often it was written, and could not be.
        octets: of the last that was written or read.
    """

    def __init__(
        self,
        path: str,
        records: Table,
        watches: Callable[[], Sequence[Watched]],
        limits: Mapping[Kind, float],
        zone: str,
        origin: str,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Args:
            limits: of each kind that is expected, the seconds for which what was recalled is told.
            zone, origin: see `Header`.
            wall, clock, pause: Unix time, monotonic time and waiting (tests own them).
        """
        self.writes = 0
        self.failures = 0
        self.octets = 0
        self._path = Path(path)
        self._records = records
        self._watches = watches
        self._limits = limits
        self._zone = zone
        self._origin = origin
        self._wall = wall
        self._clock = clock
        self._pause = pause
        self._changed = False
        self._written = float("-inf")  # monotonic
        self._complained = float("-inf")
        self._known: float | None = None  # Unix time at which the file was true
        self._ends: dict[Kind, float] = {}  # of what was recalled; monotonic
        self._writing = asyncio.Lock()

    @property
    def serving(self) -> bool:
        """Whether answers come from what was recalled."""
        return self._records.stale

    @property
    def age(self) -> float | None:
        """Seconds since what the file says was true; None: there is no file."""
        return None if self._known is None else self._wall() - self._known

    def changed(self) -> None:
        """The table is not what it was."""
        self._changed = True

    def recall(self) -> bool:
        """Hold what the file says, as far as it is young enough. To be called before anything else is told.

        Returns:
            Whether every kind that is expected is held now.
        """
        found = self._read()
        if found is None:
            return False
        header, memories = found
        now, wall = self._clock(), self._wall()
        self._known = min(header.known.values(), default=header.written)
        for kind, limit in self._limits.items():
            known = header.known.get(kind.value)
            # A clock that was put back tells as little of the age as one that was put forward.
            age = float("inf") if known is None else abs(wall - known)
            if age <= limit:
                self._records.recall(kind, memories[kind], int(header.written))
                self._ends[kind] = now + limit - age
            else:
                log.warning("snapshot %s: %s is too old: left out", self._path, kind.value)
        if self._ends:
            counts = ", ".join(f"{count} {what}" for what, count in self._records.counts().items())
            log.warning("serving the snapshot of %.0f s ago: %s", wall - self._known, counts)
        return self._ends.keys() == self._limits.keys()

    async def run(self, ended: Callable[[Iterable[Owner]], None]) -> NoReturn:
        """Forget in time, write in time.

        Args:
            ended: told whose answers have ended.
        """
        while True:
            await self._pause(TICK)
            self.forget(ended)
            idle = self._clock() - self._written
            if idle >= (WRITE_EVERY if self._changed else CONFIRM_EVERY):
                await self.write()

    def forget(self, ended: Callable[[Iterable[Owner]], None]) -> None:
        """Hold no longer what was recalled and has grown too old."""
        now = self._clock()
        for kind, end in list(self._ends.items()):
            if now >= end:
                del self._ends[kind]
                if owners := self._records.forget(kind):
                    log.warning("snapshot: %s has grown too old: forgotten", kind.value)
                    ended(owners)

    async def write(self) -> None:
        """Write what is held, if that is what the API server said. Cannot fail; the loop is not held."""
        async with self._writing:
            if not self._records.synced:
                return
            self._changed = False
            self._written, wall = self._clock(), self._wall()
            heard = {watch.kind: watch.last_alive for watch in self._watches()}
            known = {kind.value: wall - (self._written - heard[kind.value]) for kind in self._limits}
            memories = {kind: self._records.memories(kind) for kind in self._limits}
            header = Header(wall, self._zone, self._origin, known)
            try:
                self.octets = await asyncio.to_thread(_write, self._path, header, memories)
            except OSError as error:
                self.failures += 1
                self._complain(f"can't be written: {error}")
            else:
                self.writes += 1
                self._known = min(known.values())

    def _read(self) -> tuple[Header, dict[Kind, list[Memory]]] | None:
        try:
            with self._path.open("rb") as file:
                octets = file.read(_MOST_OCTETS)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._complain(f"can't be read: {error}")
            return None
        try:
            found = decode(octets, self._zone, self._origin)
        except SnapshotError as error:
            log.warning("snapshot %s: %s: not used, and put aside as .bad", self._path, error)
            with contextlib.suppress(OSError):  # read-only: then it stays where it is
                self._path.replace(self._path.with_name(f"{self._path.name}.bad"))
            return None
        self.octets = len(octets)
        return found

    def _complain(self, problem: str) -> None:
        now = self._clock()
        if now - self._complained >= _LOG_EVERY:
            self._complained = now
            log.warning("snapshot %s: %s", self._path, one_line(problem))


def _write(path: Path, header: Header, memories: Mapping[Kind, Iterable[Memory]]) -> int:
    """Replace the file by a whole one, or not at all; its size.

    Raises:
        OSError
    """
    parts = encode(header, memories)
    fresh = path.with_name(f"{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with fresh.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return sum(map(len, parts))
