"""The files that a configuration names: each read when it is taken, and followed until another is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Generic, NoReturn, Protocol, TypeVar

from hsdnsd.config import Config
from hsdnsd.engine.static import NO_RECORDS, StaticRecords
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.hosts import HostsFile
from hsdnsd.net.resolvconf import ResolvConf

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Followed(Protocol[T_co]):
    """`hsdnsd.net.hosts.HostsFile`, `hsdnsd.net.resolvconf.ResolvConf`."""

    async def poll(self, sink: Callable[[T_co], None]) -> None:
        """Look once; what is new goes to `sink`."""
        ...

    def run(self, sink: Callable[[T_co], None]) -> Coroutine[object, object, NoReturn]:
        """Look for ever."""
        ...


class NamedFile(Generic[T]):
    """One of them, or that there is none.

    Attributes:
        value: what it held when it was read last.
    """

    def __init__(self, key: Hashable, file: Followed[T] | None, nothing: T) -> None:
        """
        Args:
            key: what the configuration says of it; two with the same are one. nothing: what no file says.
        """
        self.key = key
        self.value = nothing
        self._file = file
        self._task: asyncio.Task[NoReturn] | None = None

    async def read(self) -> None:
        """Read it for the first time. What can't be read is told in the log."""
        if self._file is not None:
            await self._file.poll(self._keep)

    def follow(self, running: asyncio.TaskGroup, take: Callable[[T], None]) -> None:
        """From now on `take` is given what it holds whenever that changes, if it is not followed already."""
        if self._file is None or self._task is not None:
            return

        def changed(value: T) -> None:
            self._keep(value)
            take(value)

        self._task = running.create_task(self._file.run(changed))

    def stop(self) -> None:
        """Follow it no more."""
        if self._task is not None:
            self._task.cancel()

    def _keep(self, value: T) -> None:
        self.value = value


async def open_hosts(config: Config, before: NamedFile[StaticRecords] | None) -> NamedFile[StaticRecords]:
    """The hosts file; the one from before, if it is the same."""
    local = config.local
    key = (local.hosts_file, local.hosts_ttl if local.hosts_file else 0)
    if before is not None and before.key == key:
        return before
    opened = NamedFile(key, HostsFile(*key) if local.hosts_file else None, NO_RECORDS)
    await opened.read()
    return opened


async def open_resolv_conf(config: Config, before: NamedFile[list[Upstream]] | None) -> NamedFile[list[Upstream]]:
    """The nameservers, where they are to be asked; those from before, if they are of the same file."""
    forward = config.forward
    key = "" if forward.upstreams else forward.resolv_conf
    if before is not None and before.key == key:
        return before
    nobody: list[Upstream] = []
    opened = NamedFile(key, ResolvConf(key) if key else None, nobody)
    await opened.read()
    return opened
