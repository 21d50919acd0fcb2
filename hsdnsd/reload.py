"""The configuration while the daemon runs: read again when its file has changed, or somebody says so (SIGHUP)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from hsdnsd.config import Config, changed_while_running
from hsdnsd.errors import ConfigError, HsdnsdError
from hsdnsd.net.watched_file import WatchedFile
from hsdnsd.schema_changes import changed_keys

log = logging.getLogger(__name__)

# Seconds between two looks at the file. The kubelet brings a changed ConfigMap to a node within a minute or two, each
# node in its own time, and a new configuration asks nothing of anybody else, so that there is nothing to spread.
POLL_INTERVAL = 5.0
# A file that is written in place may be half there: it is read when it has been the same for so many seconds, or after
# so many looks.
SETTLED_AFTER = 1.0
_MOST_LOOKS = 10


class Reloader:
    """Keeps a running daemon to its configuration. What can't be taken changes nothing at all.

    Attributes:
        applied, failed: how often a configuration was taken, and how often one could not be.
        good: whether the last one could be taken.
        waiting: dotted paths of the keys that were changed, and take effect at the next start.
    """

    def __init__(
        self,
        config: Config,
        path: str | None,
        read: Callable[[], Config],
        apply: Callable[[Config], Awaitable[None]],
        *,
        poll_interval: float = POLL_INTERVAL,
        settled_after: float = SETTLED_AFTER,
    ) -> None:
        """
        Args:
            config: what the daemon has started with.
            path: the file; None: there is none, and `config` is of the command line alone.
            read: what the file and the command line say now; called in a thread. Raises ConfigError.
            apply: goes by a configuration from then on, or raises HsdnsdError and changes nothing.
        """
        self.applied = self.failed = 0
        self.good = True
        self.waiting: tuple[str, ...] = ()
        self._config = config
        self._file = WatchedFile(path) if path is not None else None
        self._read = read
        self._apply = apply
        self._poll_interval = poll_interval
        self._settled_after = settled_after
        self._asked = asyncio.Event()
        self._trouble = ""  # with the file, as the log was last told; "" when all is well

    def ask(self) -> None:
        """Read the configuration again, and take it even if it is the same: files that it names may have changed."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Follow it for ever."""
        while True:
            # What is asked for while it is done is done once more.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_interval):
                    await self._asked.wait()
            if self._asked.is_set():
                self._asked.clear()
                await self.reload(always=True)
            elif await self._has_changed():
                await self.reload(always=False)

    async def reload(self, *, always: bool) -> None:
        """Read it, and go by it if it is another, or `always`."""
        try:
            wanted = await asyncio.to_thread(self._read)
            config = changed_while_running(self._config, wanted)
            changed = list(changed_keys(self._config, config))
            if changed or always:
                await self._apply(config)
        except HsdnsdError as error:
            self._fail(error)
            return
        self._config = config
        self.good = True
        waiting = tuple(changed_keys(config, wanted))
        if changed or always:
            self.applied += 1
            log.info("configuration: taken; changed: %s", ", ".join(changed) or "nothing")
        if waiting != self.waiting:
            self.waiting = waiting
            log.warning("configuration: takes effect at the next start: %s", ", ".join(waiting) or "nothing any more")

    async def _has_changed(self) -> bool:
        """Whether the file is another than at the last look, and whoever writes it has finished."""
        for looks in range(_MOST_LOOKS):
            if not await asyncio.to_thread(self._look):
                return looks > 0
            await asyncio.sleep(self._settled_after)
        return True

    def _look(self) -> bool:
        if self._file is None:
            return False
        try:
            changed = self._file.read_if_changed() is not None
        except OSError as error:
            trouble = error.strerror or str(error)
            if trouble != self._trouble:
                self._fail(ConfigError([(self._file.path, trouble)]))
            self._trouble = trouble
            return False
        # One that is back is good again, were it the same.
        changed, self._trouble = changed or self._trouble != "", ""
        return changed

    def _fail(self, error: HsdnsdError) -> None:
        self.good = False
        self.failed += 1
        faults = [f"{path}: {problem}" for path, problem in error.faults] if isinstance(error, ConfigError) else [error]
        for fault in faults:
            log.error("configuration: %s", fault)
        log.error("configuration: not taken; what was in force before stays")
