"""The twin of `_names.pyx`."""

from __future__ import annotations

from collections.abc import Iterable

from hsdnsd.wire.name import Name, is_within


class NameSet:
    """See `hsdnsd.native.flight_contract.NameSet`."""

    def __init__(self, exact: Iterable[Name] = (), below: Iterable[Name] = ()) -> None:
        self._exact = frozenset(exact)
        self._below = tuple(below)
        for name in (*self._exact, *self._below):
            if not 1 <= len(name) <= 255:
                raise ValueError("not a name")

    def __contains__(self, name: Name) -> bool:
        return name in self._exact or any(is_within(name, tail) for tail in self._below)
