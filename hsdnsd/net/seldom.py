"""Log lines that a peer, or a fault under load, could otherwise repeat thousands of times a second."""

from __future__ import annotations

from collections.abc import Hashable

# Seconds between two lines of one kind.
INTERVAL = 60.0
# Kinds are made of types, places in the code and error numbers, so there are few; this is the bound if they weren't.
MAX_KINDS = 256


class Seldom:
    """Says whether a line of some kind is due, and counts those that are not."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[Hashable, tuple[float, int]] = {}

    def due(self, kind: Hashable, now: float) -> str | None:
        """What to put behind the line: how many like it were left out since the last. None: leave out this one too."""
        known = self._kinds.get(kind)
        if known is not None and now - known[0] < INTERVAL:
            self._kinds[kind] = (known[0], known[1] + 1)
            return None
        if known is None and len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        return f" ({known[1]} more since the last such line)" if known and known[1] else ""
