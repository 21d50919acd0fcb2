"""What a list changes, cut where it is too much to be taken in at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hsdnsd.records.holdings import Holdings
from hsdnsd.records.model import Amended, Key, Kind, Memory, SliceMemory

# Objects and addresses that one portion changes: some milliseconds of the event loop. What commonly differs from what
# was held before a list is one portion.
MOST: Final = 1000


def portions(change: Amended, holdings: Holdings, most: int = MOST) -> Iterator[Amended]:
    """A change in portions of which the last is `last`; whole, if it is not more than `most`. To find out how to cut
    takes time too: of very much, a portion for each `most` objects is empty.

    All slices of a Service are in one portion however many they are, and so are those of Services between which one
    moves: what is told of a Service is what it was before the list, or what it is after. Of an address that goes
    from one Service to another it may be told for a moment that both have it, or none.
    """
    groups = _Groups(holdings, change.kind)
    for number, memory in enumerate(change.told, 1):
        groups.tell(memory)
        if not number % most:
            yield Amended(change.kind, (), (), last=False)
    for number, key in enumerate(change.gone, 1):
        groups.take(key)
        if not number % most:
            yield Amended(change.kind, (), (), last=False)
    told: list[Memory] = []
    gone: list[Key] = []
    weight = 0
    for group in groups.all():
        if weight and weight + group.weight > most:
            yield Amended(change.kind, tuple(told), tuple(gone), last=False)
            told, gone, weight = [], [], 0
        told += group.told
        gone += group.gone
        weight += group.weight
    yield Amended(change.kind, tuple(told), tuple(gone), change.last)


class _Group:
    """What changes together."""

    __slots__ = ("gone", "services", "told", "weight")

    def __init__(self, service: Key) -> None:
        self.services = [service]
        self.told: list[Memory] = []
        self.gone: list[Key] = []
        self.weight = 0

    def join(self, other: _Group) -> None:
        self.services += other.services
        self.told += other.told
        self.gone += other.gone
        self.weight += other.weight


class _Groups:
    """By Service, where slices change; else each object is one."""

    def __init__(self, holdings: Holdings, kind: Kind) -> None:
        self._holdings = holdings
        self._slices = kind is Kind.ENDPOINT_SLICE
        self._groups: dict[Key, _Group] = {}

    def all(self) -> list[_Group]:
        return list({id(group): group for group in self._groups.values()}.values())

    def tell(self, memory: Memory) -> None:
        if not isinstance(memory, SliceMemory):
            group, size = self._group(memory.key), 0
        else:
            held = self._holdings.slice_at(memory.key)
            group, size = self._group(Key(memory.namespace, memory.service)), len(memory.addresses)
            if held is not None:
                size = max(size, len(held.endpoints.addresses))
                if held.service.name != memory.service:
                    group = self._unite(group, Key(memory.namespace, held.service.name))
        group.told.append(memory)
        group.weight += 1 + size

    def take(self, key: Key) -> None:
        held = self._holdings.slice_at(key) if self._slices else None
        group = self._group(key if held is None else Key(key.namespace, held.service.name))
        group.gone.append(key)
        group.weight += 1 + (0 if held is None else len(held.endpoints.addresses))

    def _group(self, key: Key) -> _Group:
        return self._groups.get(key) or self._groups.setdefault(key, _Group(key))

    def _unite(self, group: _Group, key: Key) -> _Group:
        other = self._group(key)
        if other is not group:
            group.join(other)
            self._groups.update(dict.fromkeys(other.services, group))
        return group
