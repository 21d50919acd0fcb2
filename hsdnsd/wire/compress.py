"""Compressing the names of a message that we write (RFC 1035 section 4.1.4)."""

from __future__ import annotations

from typing import Final

from hsdnsd.wire.const import HEADER_SIZE, MAX_POINTER_TARGET
from hsdnsd.wire.name import Name

# Go's resolver gives up behind ten pointers in a row.
_MAX_POINTERS: Final = 8
_POINTER: Final = 0xC000


class Compressor:
    """Where each ending of a name already stands in the message; endings are the same if their folded octets are."""

    __slots__ = ("_places",)

    def __init__(self, question: Name) -> None:
        # Folded ending -> its offset in the message, and how many pointers lie between it and the root.
        self._places: dict[bytes, tuple[int, int]] = {}
        self.write(question, HEADER_SIZE)

    def write(self, name: Name, at: int) -> bytes:
        """The octets for `name` if it is put at this offset of the message; it is remembered to be there."""
        places = self._places
        folded = name.lower()
        fresh: list[tuple[bytes, int]] = []
        start = depth = 0
        octets: bytes = name
        spelled_out = False
        while length := folded[start]:
            ending = folded[start:]
            place = None if spelled_out else places.get(ending)
            if place is not None:
                offset, depth = place
                if start == 0 or depth + 1 < _MAX_POINTERS:
                    depth += 1
                    octets = name[:start] + (_POINTER | offset).to_bytes(2, "big")
                    break
                # One pointer more, and what points here would be too deep: begin anew.
                spelled_out = True
                depth = 0
            fresh.append((ending, at + start))
            start += length + 1
        for ending, offset in fresh:
            if offset <= MAX_POINTER_TARGET:
                places[ending] = (offset, depth)
        return octets
