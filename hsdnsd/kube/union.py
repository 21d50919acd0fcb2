"""One kind of object that is watched in parts: which part tells of which object, and how the parts fare together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from hsdnsd.kube.source import Durations, WatchState
from hsdnsd.records.model import Key, Memory


class Ledger:
    """Which of several watches told of each object last, and at which version.

    The parts' selectors exclude each other, but an object whose labels change goes from one to the other, and the two
    watches tell of that in any order: where they contradict each other, the newer version holds.

    Attributes:
        waiting: what lists that have ended said, and is not in force yet.
    """

    def __init__(self, parts: int) -> None:
        self.waiting: dict[Key, Memory] = {}
        self._parts = parts
        self._listed: set[int] = set()
        self._held: dict[Key, int] = {}  # version * parts + part: a tuple for each would take twice the memory

    @property
    def complete(self) -> bool:
        """Whether every part has been listed at least once."""
        return len(self._listed) == self._parts

    def upserted(self, part: int, key: Key, version: str) -> bool:
        """A part tells of an object; False if another has told something newer of it."""
        held, number = self._held.get(key), _number(version)
        if held is not None and held % self._parts != part and held // self._parts > number:
            return False
        self._held[key] = number * self._parts + part
        return True

    def deleted(self, part: int, key: Key, version: str) -> bool:
        """An object left a part; False if it is in another one."""
        held = self._held.get(key)
        if held is not None and held % self._parts != part and held // self._parts >= _number(version):
            return False
        self._held.pop(key, None)
        return True

    def listed(self, part: int, told: Collection[Key], news: Mapping[Key, Memory]) -> Collection[Key]:
        """The list of a part has ended: of its objects only these are left.

        Args:
            news: of the objects how they differ from what is held; what nobody else has told of since waits now.

        Returns:
            The objects that there are; changes with them.
        """
        self._listed.add(part)
        for key in [key for key, held in self._held.items() if held % self._parts == part and key not in told]:
            del self._held[key]
        self.waiting = {key: memory for key, memory in self.waiting.items() if key in self._held}
        for key, memory in news.items():
            held = self._held.get(key)
            if held is not None and held % self._parts == part:
                self.waiting[key] = memory
        return self._held.keys()


class Alone:
    """As a `Ledger`, for a kind that is watched in one part, and so needs no books."""

    def __init__(self) -> None:
        self.waiting: dict[Key, Memory] = {}
        self.complete = False

    def upserted(self, _part: int, _key: Key, _version: str) -> bool:
        return True

    def deleted(self, _part: int, _key: Key, _version: str) -> bool:
        return True

    def listed(self, _part: int, told: Collection[Key], news: Mapping[Key, Memory]) -> Collection[Key]:
        self.complete = True
        self.waiting = dict(news)
        return told


class Together:
    """The states of a kind's watches as one."""

    def __init__(self, parts: Sequence[WatchState]) -> None:
        self._parts = parts

    @property
    def kind(self) -> str:
        return self._parts[0].kind

    @property
    def synced(self) -> bool:
        return all(part.synced for part in self._parts)

    @property
    def connected(self) -> bool:
        return all(part.connected for part in self._parts)

    @property
    def events(self) -> int:
        return sum(part.events for part in self._parts)

    @property
    def relists(self) -> int:
        return sum(part.relists for part in self._parts)

    @property
    def failures(self) -> int:
        return sum(part.failures for part in self._parts)

    @property
    def skipped(self) -> int:
        return sum(part.skipped for part in self._parts)

    @property
    def last_alive(self) -> float:
        """Of the part that has been silent for longest."""
        return min(part.last_alive for part in self._parts)

    @property
    def lists(self) -> Counter[str]:
        return sum((part.lists for part in self._parts), Counter())

    @property
    def decode_seconds(self) -> float:
        return sum(part.decode_seconds for part in self._parts)

    @property
    def programming(self) -> Durations:
        total = Durations()
        for part in self._parts:
            total.counts = [one + other for one, other in zip(total.counts, part.programming.counts, strict=True)]
            total.seconds += part.programming.seconds
        return total


def _number(version: str) -> int:
    """Of a resourceVersion; 0 if it is none, so that whoever speaks last is right."""
    return int(version) if version.isascii() and version.isdigit() and len(version) < 40 else 0
