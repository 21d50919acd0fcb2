"""From one tree of settings to another: which keys differ, and what of that takes effect before the next start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from hsdnsd.schema import fields, join

T = TypeVar("T", bound=msgspec.Struct)


def changed_keys(old: msgspec.Struct, new: msgspec.Struct, path: str = "") -> Iterator[str]:
    """The dotted paths of the keys that differ between two trees of one type, in the order of their declaration."""
    for field in fields(type(old)):
        here = join(path, field.name)
        before, after = getattr(old, field.name), getattr(new, field.name)
        if field.key is None:
            yield from changed_keys(before, after, here)
        elif before != after:
            yield here


def without_start(running: T, wanted: T) -> T:
    """What is wanted, but for the keys that take effect at a start alone: those stay what they are."""
    values = {}
    for field in fields(type(running)):
        before, after = getattr(running, field.name), getattr(wanted, field.name)
        if field.key is None:
            values[field.name] = without_start(before, after)
        else:
            values[field.name] = before if field.key.at_start else after
    return type(running)(**values)
