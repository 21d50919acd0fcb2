"""The nameservers of resolv.conf(5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from hsdnsd.address import DNS_PORT, parse_address
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.watched_file import WatchedFile

log = logging.getLogger(__name__)

POLL_INTERVAL = 3.0  # seconds


def parse_resolv_conf(text: str) -> list[Upstream]:
    """Every nameserver once, in the order of the file. The limit of three is glibc's own, and not kept.

    What is no address is left out, as glibc leaves it out, with a line in the log.
    """
    upstreams: dict[Upstream, None] = {}
    for line in text.splitlines():
        words = line.split()
        # The keyword begins the line (so nothing need be done about comments), and white space ends it.
        if len(words) < 2 or words[0] != "nameserver" or line[0] != "n":
            continue
        try:
            address = parse_address(words[1])
        except ValueError as error:
            log.warning("resolv.conf: %s", error)
            continue
        upstreams[Upstream(str(address), DNS_PORT)] = None
    return list(upstreams)


class ResolvConf:
    """One file, read at first, and then looked at every few seconds.

    A file that can't be read, or names nobody, changes nothing: whoever writes it anew may be in the middle of it.
    """

    def __init__(self, path: str, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """
        Args:
            pause: what waiting is (tests own it).
        """
        self._file = WatchedFile(path)
        self._pause = pause
        self._trouble = ""  # what the log was last told; "" when all is well

    def read_if_changed(self) -> list[Upstream] | None:
        """The nameservers; None: the file is as it was, can't be read, or names nobody. Blocks."""
        path = self._file.path
        try:
            octets = self._file.read_if_changed()
        except OSError as error:
            self._tell(f"no nameservers from {path}: {error.strerror or error}")
            return None
        if octets is None:
            return None
        upstreams = parse_resolv_conf(octets.decode(errors="replace"))
        self._tell("" if upstreams else f"no nameservers in {path}")
        return upstreams or None

    async def run(self, sink: Callable[[list[Upstream]], None]) -> NoReturn:
        """Look for ever; what a changed file names goes to `sink`."""
        while True:
            await self._pause(POLL_INTERVAL)
            await self.poll(sink)

    async def poll(self, sink: Callable[[list[Upstream]], None]) -> None:
        """Look once; what the file names goes to `sink` if it is not what it named before."""
        upstreams = await asyncio.to_thread(self.read_if_changed)
        if upstreams is not None:
            sink(upstreams)

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.warning("%s", trouble)
        self._trouble = trouble
