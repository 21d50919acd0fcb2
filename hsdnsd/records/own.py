"""The daemon's own addresses, and the slices that publish them: the zones' name servers."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from hsdnsd.records.held import HeldService, HeldSlice


class OwnAddresses:
    """Packed address -> the slices that publish it. There are as many as the daemon listens on: one or two."""

    __slots__ = ("_slices",)

    def __init__(self, addresses: Iterable[bytes]) -> None:
        self._slices: dict[bytes, list[HeldSlice]] = {address: [] for address in addresses}

    def __bool__(self) -> bool:
        return bool(self._slices)

    def publish(self, held: HeldSlice, addresses: AbstractSet[bytes]) -> None:
        """A slice publishes just these addresses now."""
        for address, holders in self._slices.items():
            if address in addresses and held not in holders:
                holders.append(held)
            elif address not in addresses and held in holders:
                holders.remove(held)

    def at(self, service: HeldService) -> bool:
        """Whether a slice of a Service publishes one of them."""
        return any(held.service is service for holders in self._slices.values() for held in holders)

    def slices(self) -> list[HeldSlice]:
        """Those that publish one of them."""
        return list(dict.fromkeys(held for holders in self._slices.values() for held in holders))
