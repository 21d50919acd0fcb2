"""A stream of octets -> its lines, however it was cut on the way."""

from __future__ import annotations


class LineTooLongError(ValueError):
    """A line exceeds the limit; nothing more can be told of the stream."""


class LineSplitter:
    """Feed it chunks, take whole lines; holds at most one unfinished line.

    Args:
        limit: octets of one line, its end not counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end in this chunk, without their ends; empty ones are left out.

        Raises:
            LineTooLongError: a line, finished or not, is longer than the limit.
        """
        lines = []
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            self._hold(chunk[start:end])
            if line := self.rest():
                lines.append(line)
            start = end + 1
        self._hold(chunk[start:])
        return lines

    def rest(self) -> bytes:
        """What came since the last line's end, taken out."""
        line = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        return line

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > self._limit:
            raise LineTooLongError(f"a line of more than {self._limit} octets")
        if part:
            self._parts.append(part)
