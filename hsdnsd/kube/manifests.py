"""Kubernetes objects from manifests on disk: read at start, and again whenever a file changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn

from hsdnsd.errors import ManifestError, StartError
from hsdnsd.kube.files import Look, look
from hsdnsd.kube.reading import Reading
from hsdnsd.kube.selector import parse_selector
from hsdnsd.kube.source import OTHER_KINDS, Sink, WatchState
from hsdnsd.records.model import Fact, Kind, Replaced

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.5  # seconds


class Manifests:
    """A `Source` of files and directories of manifests.

    Files are looked at and read in a thread: a slow disk delays changes, never answers. A change of anything reads
    everything again, and only a whole reading counts: while a file is broken, all of the last good state stays.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        labels: str = "",
        namespace_labels: str = "",
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            labels: selects Services, EndpointSlices and Pods. namespace_labels: selects Namespaces.
            pause, clock: what waiting and monotonic time are (tests own them).

        Raises:
            ValueError: a selector is none.
        """
        self._paths = tuple(paths)
        self._labels = parse_selector(labels)
        self._namespace_labels = parse_selector(namespace_labels)
        self._pause = pause
        self._clock = clock
        self._states = {kind: WatchState(kind.value) for kind in Kind}
        self._other = WatchState(OTHER_KINDS)
        self._signature: object = None  # of what was last read, wrong or right; None: read at the next poll
        self._reported: object = None  # the signature of what the log was last told of
        self._delivered: dict[Kind, tuple[Fact, ...]] = {}
        self._trouble = ""  # what the log was last told; "" when all is well

    def watches(self) -> tuple[WatchState, ...]:
        return (*self._states.values(), self._other)

    async def load(self) -> None:
        """There is nothing to load: the parser of YAML is imported with the first file."""

    async def run(self, sink: Sink) -> NoReturn:
        await self.start(sink)
        while True:
            await self._pause(POLL_INTERVAL)
            await self.poll(sink)

    async def start(self, sink: Sink) -> None:
        """Read for the first time and deliver all four kinds.

        Raises:
            StartError: a path is not there or can't be read. ManifestError: a manifest is broken.
        """
        try:
            seen = await asyncio.to_thread(look, self._paths)
            self._signature = seen.signature if seen.settled else None
            reading = await asyncio.to_thread(self._read, seen)
        except OSError as error:
            raise StartError(f"manifests: {_told(error)}") from error
        self._take(seen, reading, sink)

    async def poll(self, sink: Sink) -> None:
        """Look once; on a change read again and deliver the kinds in which something differs. What can't be read is
        logged, once, and changes nothing."""
        try:
            seen = await asyncio.to_thread(look, self._paths)
            if seen.signature == self._signature:
                if not self._trouble:
                    self._alive()
                return
            self._signature = seen.signature if seen.settled else None
            reading = await asyncio.to_thread(self._read, seen)
        except ManifestError as error:
            self._failed(str(error))
        except OSError as error:
            self._signature = None
            self._failed(_told(error))
        else:
            self._take(seen, reading, sink)

    def _read(self, seen: Look) -> Reading:
        reading = Reading(self._labels, self._namespace_labels)
        for file in seen.files:
            reading.read(str(file), file.read_bytes())
        return reading

    def _take(self, seen: Look, reading: Reading, sink: Sink) -> None:
        for kind, state in self._states.items():
            facts = reading.facts(kind)
            if self._delivered.get(kind) == facts:
                continue
            self._delivered[kind] = facts
            state.events += 1
            if state.synced:
                state.relists += 1
            sink(Replaced(kind, facts))
        for state in self.watches():
            state.synced = state.connected = True
        self._alive()
        if seen.signature != self._reported or self._trouble:
            self._reported, self._trouble = seen.signature, ""
            self._other.skipped += reading.skipped.total()
            self._report(seen, reading)

    def _alive(self) -> None:
        for state in self.watches():
            state.last_alive = self._clock()

    def _failed(self, trouble: str) -> None:
        for state in self.watches():
            state.connected = False
        if trouble == self._trouble:
            return
        self._trouble = trouble
        for state in self.watches():
            state.failures += 1
        log.error("manifests: %s; what was read before stays in force", trouble)

    def _report(self, seen: Look, reading: Reading) -> None:
        for warning in reading.warnings:
            log.warning("manifests: %s", warning)
        held = ", ".join(f"{len(facts)} {kind.value}" for kind, facts in self._delivered.items())
        others = ", ".join(f"{count} {name}" for name, count in sorted(reading.skipped.items()))
        log.info("manifests: read %d files: %s; skipped: %s", len(seen.files), held, others or "none")


def _told(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
