"""Static records: names and addresses that somebody wrote down, as in hosts(5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hsdnsd.engine.special_names import made_up_soa
from hsdnsd.records.addresses import reverse_name
from hsdnsd.records.result import Owner, Result
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset

# Folded name -> its RRsets, of which there is at least one.
StaticRecords = Mapping[Name, tuple[RRset, ...]]

NO_RECORDS: Final[StaticRecords] = {}
# All of them end together: `Engine.static_changed`.
_OWNER: Final[Owner] = b"h"


def static_records(lines: Iterable[tuple[bytes, tuple[Name, ...]]], ttl: int) -> StaticRecords:
    """A and AAAA records at each name, and at each address a PTR record to the first name that it has.

    Args:
        lines: packed address, names as written.
    """
    rdatas: dict[Name, dict[int, dict[bytes, None]]] = {}
    for address, names in lines:
        rtype = RRType.A if len(address) == 4 else RRType.AAAA
        for name in names:
            rdatas.setdefault(Name(name.lower()), {}).setdefault(rtype, {})[address] = None
        for name in names[:1]:
            rdatas.setdefault(reverse_name(address), {}).setdefault(RRType.PTR, {name: None})
    return {
        name: tuple(RRset(name, rtype, ttl, tuple(values)) for rtype, values in types.items())
        for name, types in rdatas.items()
    }


def answer_from(rrsets: tuple[RRset, ...], name: Name, qtype: int) -> Result:
    """The answer to a question for a folded name that has these RRsets: one of them, or NODATA."""
    for rrset in rrsets:
        if qtype in (rrset.rtype, RRType.ANY):
            return Result(answer=(rrset,), owner=_OWNER)
    return Result(authority=(made_up_soa(name, rrsets[0].ttl),), owner=_OWNER)
