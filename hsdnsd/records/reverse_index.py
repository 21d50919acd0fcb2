"""Which Services and slices a packed address leads back to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain, repeat

from hsdnsd.records.addresses import AddressRange
from hsdnsd.records.held import HeldService, HeldSlice
from hsdnsd.records.ordered import OrderedAddresses

# A Service holds an address as its cluster IP, a slice as an endpoint's.
Holder = HeldService | HeldSlice


class ReverseIndex:
    """Packed address -> its holders. Nearly always there is one, which is then held without a container."""

    __slots__ = ("_holders", "_ordered")

    def __init__(self) -> None:
        self._holders: dict[bytes, Holder | tuple[Holder, ...]] = {}
        # Built when first asked for, as almost nobody asks for an incomplete reverse name.
        self._ordered: dict[int, OrderedAddresses] = {}

    def holders(self, address: bytes) -> tuple[Holder, ...]:
        """Who holds an address."""
        there = self._holders.get(address, ())
        return there if isinstance(there, tuple) else (there,)

    def link(self, addresses: Collection[bytes], holder: Holder) -> None:
        """`holder` has these addresses now, each of which it had not (some may stand there twice)."""
        holders = self._holders
        if not self._ordered and holders.keys().isdisjoint(addresses):
            for address in addresses:
                holders[address] = holder
            return
        for address in set(addresses):
            there = self._holders.get(address)
            if there is None:
                self._holders[address] = holder
                if len(address) in self._ordered:
                    self._ordered[len(address)].add(address)
            else:
                self._holders[address] = (*there, holder) if isinstance(there, tuple) else (there, holder)

    def link_all(self, links: Collection[tuple[Collection[bytes], Holder]]) -> None:
        """As `link` for each."""
        addresses = list(chain.from_iterable([there for there, _ in links]))
        alone = len(set(addresses)) == len(addresses) and self._holders.keys().isdisjoint(addresses)
        if alone and not self._ordered:
            holders = chain.from_iterable([repeat(holder, len(there)) for there, holder in links])
            self._holders.update(zip(addresses, holders, strict=True))
            return
        for there, holder in links:
            self.link(there, holder)

    def unlink(self, addresses: Iterable[bytes], holder: Holder) -> None:
        """`holder` has these addresses no longer, each of which it had."""
        for address in addresses:
            left = tuple(there for there in self.holders(address) if there is not holder)
            if left:
                self._holders[address] = left if len(left) > 1 else left[0]
                continue
            del self._holders[address]
            if len(address) in self._ordered:
                self._ordered[len(address)].discard(address)

    def any_within(self, addresses: AddressRange) -> bool:
        """Whether anybody holds an address of a range."""
        size = len(addresses.first)
        if size not in self._ordered:
            self._ordered[size] = OrderedAddresses(address for address in self._holders if len(address) == size)
        return self._ordered[size].any_within(addresses.first, addresses.last)
