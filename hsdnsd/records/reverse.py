"""Reverse names: an address -> the Service whose cluster IP it is, or else its endpoints (docs/names.md, R1 to R7)."""

from __future__ import annotations

from collections.abc import Iterator

from hsdnsd.records.addresses import AddressRange
from hsdnsd.records.held import HeldService, HeldSlice
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.rules import Found, service_name
from hsdnsd.records.table import Table
from hsdnsd.wire.const import MAX_NAME, RRType
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset


def find_reverse(addresses: AddressRange, name: Name, qtype: int, table: Table, options: ZoneOptions) -> Found | None:
    """What a reverse name has; None: there is no such name.

    Args:
        addresses: those whose names lie at or below it.
    """
    if addresses.first != addresses.last:
        # An empty non-terminal where an address has its name below; CoreDNS knows none (R1).
        return Found() if not options.coredns and table.any_within(addresses) else None
    targets = tuple(dict.fromkeys(_targets(addresses.first, table, options)))
    if not targets:
        return None
    if qtype == RRType.PTR:
        return Found(RRset(name, qtype, options.ttls.ptr, targets))
    # CoreDNS denies the name for every other type (R5).
    return None if options.coredns else Found()


def _targets(address: bytes, table: Table, options: ZoneOptions) -> Iterator[Name]:
    holders = table.holders(address)
    services = [holder for holder in holders if isinstance(holder, HeldService)]
    if services:
        # One name for a cluster IP (C8); the API server gives none out twice.
        yield service_name(min(services, key=lambda service: service.path), options)
        return
    for held in holders:
        if isinstance(held, HeldSlice):
            suffix = service_name(held.service, options)
            for place in held.endpoints.pointed_at(address, table.visible(held), canonical=options.coredns):
                target = Name(held.endpoints.label(place) + suffix)
                if len(target) <= MAX_NAME:
                    yield target
