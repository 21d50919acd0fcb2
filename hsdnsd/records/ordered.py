"""Addresses in order, so that it can be told whether any lies in a range."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Final

# Octets moved by one insertion stay within a few kilobytes, and a million addresses make two thousand chunks.
_CHUNK: Final = 512


class OrderedAddresses:
    """A sorted set of packed addresses of one family, in chunks, so that a change does not move all of them."""

    __slots__ = ("_chunks", "_firsts")

    def __init__(self, addresses: Iterable[bytes]) -> None:
        everything = sorted(addresses)
        self._chunks = [everything[start : start + _CHUNK] for start in range(0, len(everything), _CHUNK)]
        self._firsts = [chunk[0] for chunk in self._chunks]

    def add(self, address: bytes) -> None:
        """Hold an address that is not held."""
        if not self._chunks:
            self._chunks.append([address])
            self._firsts.append(address)
            return
        at = max(bisect_right(self._firsts, address) - 1, 0)
        chunk = self._chunks[at]
        insort(chunk, address)
        self._firsts[at] = chunk[0]
        if len(chunk) > 2 * _CHUNK:
            self._chunks.insert(at + 1, chunk[_CHUNK:])
            self._firsts.insert(at + 1, chunk[_CHUNK])
            del chunk[_CHUNK:]

    def discard(self, address: bytes) -> None:
        """Hold no longer an address that is held."""
        at = bisect_right(self._firsts, address) - 1
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, address)]
        if chunk:
            self._firsts[at] = chunk[0]
        else:
            del self._chunks[at], self._firsts[at]

    def any_within(self, first: bytes, last: bytes) -> bool:
        """Whether an address from `first` to `last`, both included, is held."""
        at = bisect_right(self._firsts, first) - 1
        if at >= 0:
            chunk = self._chunks[at]
            place = bisect_left(chunk, first)
            if place < len(chunk):
                return chunk[place] <= last
        return at + 1 < len(self._firsts) and self._firsts[at + 1] <= last
