"""What the cache holds, for people: to be read, and to be forgotten by name."""

from __future__ import annotations

from collections.abc import Iterator

from hsdnsd.cache.cache import Cache
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import Name, is_within, to_text

_TYPE_NAMES = {int(rtype): rtype.name for rtype in RRType}


def dump(cache: Cache, now: float) -> Iterator[str]:
    """A line for each entry: name, type, flags of the question, kind, rcode, records, seconds left (below 0: stale)."""
    for kind, store in cache.stores.items():
        for key, entry in store.items():
            flags = f"{'+do' if key.do else ''}{'+cd' if key.cd else ''}" or "-"
            rtype = _TYPE_NAMES.get(key.qtype, f"TYPE{key.qtype}")
            rcode = Rcode(entry.answer.rcode).name
            left = int(entry.expires - now)
            yield f"{to_text(key.name)} {rtype} {flags} {kind.value} {rcode} {entry.answer.an} {left}"


def flush(cache: Cache, name: Name) -> int:
    """Forget a folded name and everything below it; how many entries that were."""
    forgotten = 0
    for store in cache.stores.values():
        for key in store.keys():  # noqa: SIM118 - it shrinks on the way
            if is_within(key.name, name):
                store.remove(key)
                forgotten += 1
    return forgotten
