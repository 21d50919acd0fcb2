"""The connections to one API server under one set of credentials: replaced with these, not torn from who uses them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

_Stamp = tuple[tuple[int, int, int] | None, ...]


class Session:
    """An API client of kubernetes_asyncio with its connections, and the files that its TLS was set up from.

    A retired session takes no new requests, and is closed when the last of those under way has ended: a certificate
    that was replaced in good time is no reason to cut a watch.
    """

    def __init__(self, api: Any, files: Iterable[str]) -> None:
        """
        Args:
            files: CA, client certificate and key, and where they are named.
        """
        self.api = api
        self._files = tuple(files)
        self._stamp = self._read_stamp()
        self._users = 0
        self._retired = False

    def is_outdated(self) -> bool:
        """Whether one of the files is another one than it was, or was written since. (A kubelet replaces them by
        moving a link, most others by renaming: both show in the inode.)"""
        return self._stamp != self._read_stamp()

    def enter(self) -> None:
        """A request begins."""
        self._users += 1

    async def leave(self) -> None:
        """A request has ended."""
        self._users -= 1
        await self._close_if_done()

    async def retire(self) -> None:
        """No request begins any more."""
        self._retired = True
        await self._close_if_done()

    async def close(self) -> None:
        """Cut whatever is under way."""
        await self.api.close()

    async def _close_if_done(self) -> None:
        if self._retired and not self._users:
            await self.close()

    def _read_stamp(self) -> _Stamp:
        return tuple(map(_stamp_of, self._files))


def _stamp_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return None  # in the midst of being replaced
    return found.st_ino, found.st_mtime_ns, found.st_size
