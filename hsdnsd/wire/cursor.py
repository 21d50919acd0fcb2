"""Expanding compressed names of a stranger's message, in time linear in its length (RFC 1035 section 4.1.4)."""

from __future__ import annotations

from hsdnsd.errors import WireError
from hsdnsd.wire.const import HEADER_SIZE, MAX_LABEL, MAX_NAME, MAX_POINTERS
from hsdnsd.wire.name import ROOT, Name


class NameReader:
    """Reads the names of one message.

    A message of 64 KiB has room for thousands of pointers to a name of 127 labels each. So what stands at the begin
    of each label is remembered once it is expanded, and no octet behind a pointer is walked twice.
    """

    __slots__ = ("_known", "_wire")

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        # Offset of a label -> the name from there on, how many pointers that took, and where the first one led
        # (0: there was none).
        self._known: dict[int, tuple[Name, int, int]] = {}

    def read_untrusted(self, start: int, end: int) -> tuple[Name, int]:
        """The name that stands at `start`, and the offset behind it, which is not over `end`.

        Raises:
            WireError: there is no name, or it is longer than 255 octets once assembled, or a pointer does not lead
                strictly backwards, or there are too many of them.
        """
        wire = self._wire
        if start + 2 <= end and wire[start] >= 0xC0:
            # Nearly every owner is a pointer to a name that has been read.
            target = (wire[start] & 0x3F) << 8 | wire[start + 1]
            found = self._known.get(target)
            if found is not None and target < start and found[1] < MAX_POINTERS:
                return found[0], start + 2
        name, after, _ = self._walk(start, end, 0)
        return name, after

    def _walk(self, start: int, end: int, behind: int) -> tuple[Name, int, int]:
        """Name at `start`, offset behind it and number of its pointers; `behind` pointers led here, 0: none."""
        wire = self._wire
        known = self._known
        labels: list[int] = []
        offset = after = start
        tail = ROOT
        pointers = target = 0
        while offset < end:
            if behind and offset in known:
                tail, pointers, target = known[offset]
                if target >= start:
                    raise WireError("pointer does not lead strictly backwards", offset)
                after = offset
                break
            length = wire[offset]
            if length == 0:
                after = offset + 1
                break
            if length > MAX_LABEL:
                if length < 0xC0:
                    raise WireError("unknown kind of label", offset)
                if offset + 2 > end:
                    raise WireError("pointer is cut off", offset)
                target = (length & 0x3F) << 8 | wire[offset + 1]
                tail, pointers = self._pointed(target, start, behind + 1)
                pointers += 1
                after = offset + 2
                break
            labels.append(offset)
            offset += length + 1
            if offset - start >= MAX_NAME:
                raise WireError("name is longer than 255 octets", start)
        else:
            raise WireError("name is cut off", start)
        if behind + pointers > MAX_POINTERS:
            raise WireError("too many compression pointers", start)
        if not labels:
            known[start] = (tail, pointers, target)
            return tail, after, pointers
        name = Name(wire[start:offset] + tail)
        if len(name) > MAX_NAME:
            raise WireError("name is longer than 255 octets", start)
        for label in labels:
            known[label] = (Name(name[label - start :]), pointers, target)
        return name, after, pointers

    def _pointed(self, target: int, below: int, pointers: int) -> tuple[Name, int]:
        """The name that a pointer leads to, and how many more pointers that takes."""
        if not HEADER_SIZE <= target < below:
            raise WireError("pointer does not lead strictly backwards", below)
        if pointers > MAX_POINTERS:
            raise WireError("too many compression pointers", below)
        name, _, more = self._walk(target, len(self._wire), pointers)
        return name, more
