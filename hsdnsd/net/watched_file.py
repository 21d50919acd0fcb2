"""A small file that somebody may change at any time: read again whenever it looks other than it did."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

# More is not read: far more than a person writes, and a second's work to take in.
MAX_BYTES = 16 << 20

# File times tick with the kernel's clock (1 to 10 ms): a file written again this soon may look the same.
_TICK_NS = 50_000_000


class WatchedFile:
    """One path; links are followed (a ConfigMap is updated by turning one to another directory)."""

    def __init__(self, path: str, clock: Callable[[], int] = time.time_ns) -> None:
        """
        Args:
            clock: nanoseconds since 1970 (tests own it).
        """
        self.path = path
        self._clock = clock
        self._look: tuple[int, ...] = ()
        self._digest = b""

    def read_if_changed(self) -> bytes | None:
        """What is in the file now; None: the same as the last time. Blocks.

        Raises:
            OSError: it is not there, may not be read, is no regular file, or is larger than MAX_BYTES. The next call
                looks at it anew.
        """
        status = os.stat(self.path)  # noqa: PTH116  # as often as the file is watched
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a regular file", self.path)
        look = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if look == self._look:
            return None
        self._look = ()
        with Path(self.path).open("rb") as file:
            octets = file.read(MAX_BYTES + 1)
        if len(octets) > MAX_BYTES:
            raise OSError(0, f"larger than {MAX_BYTES} octets", self.path)
        if abs(self._clock() - status.st_mtime_ns) > _TICK_NS:
            self._look = look
        digest = hashlib.blake2b(octets).digest()
        if digest == self._digest:
            return None
        self._digest = digest
        return octets
