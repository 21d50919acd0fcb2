"""One Service and its slices -> what each name at and below it has, in the order of the DNS specification.

Rules in parentheses are those of docs/names.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Final

import msgspec

from hsdnsd.errors import NameTextError
from hsdnsd.records.addresses import dashed_address
from hsdnsd.records.endpoints import Endpoints
from hsdnsd.records.grammar import Selection, read_selection
from hsdnsd.records.held import HeldService, HeldSlice
from hsdnsd.records.model import Port
from hsdnsd.records.options import ZoneOptions
from hsdnsd.wire.const import MAX_NAME, RRType
from hsdnsd.wire.name import ROOT, Name, from_text
from hsdnsd.wire.rrset import RRset, srv_rdata

ADDRESS_TYPES: Final[dict[int, int]] = {RRType.A: 4, RRType.AAAA: 16}


class Found(msgspec.Struct, frozen=True):
    """A name that exists, and what it has of the type asked for.

    Attributes:
        answer: None: no such data.
        additional: what goes with it.
        alias: instead of everything else: the name that this one stands for, as spelled in the object.
    """

    answer: RRset | None = None
    additional: tuple[RRset, ...] = ()
    alias: Name | None = None


class _Group(msgspec.Struct, frozen=True):
    """Addresses that have the same ports.

    Attributes:
        numbers: of the ports chosen; None: it has none, and so no SRV record.
        endpoints, places: where the addresses come from; without: they are a Service's own.
    """

    numbers: tuple[int | None, ...]
    addresses: Sequence[bytes]
    endpoints: Endpoints | None = None
    places: Sequence[int] = ()

    def label(self, at: int) -> bytes:
        """What the name of an address has left of the Service's; in wire form."""
        return b"" if self.endpoints is None else self.endpoints.label(self.places[at])


def find_service(
    service: HeldService,
    below: tuple[bytes, ...],
    name: Name,
    qtype: int,
    visible: Callable[[HeldSlice], int],
    options: ZoneOptions,
) -> Found | None:
    """What a name at or below a Service's has; None: there is no such name.

    Args:
        below: the labels left of the Service's name, folded; at most two.
        visible: how many endpoints of a slice are published.
    """
    fact = service.fact
    if fact is None:
        return None
    selection = read_selection(below)
    if fact.external_name is not None:
        # Section 2.5. It has neither endpoints nor ports.
        target = alias_target(fact.external_name) if selection == Selection() else None
        return None if target is None else Found(alias=target)
    if fact.headless or selection.endpoint:
        groups = _endpoint_groups(service, selection, visible, options.coredns)
        ttl = options.ttls.endpoint
    else:
        numbers = _numbers(fact.ports, selection)
        groups = [_Group(numbers, fact.cluster_ips)] if numbers else []
        ttl = options.ttls.service
    if not groups:
        return Found() if not options.coredns and _has_ports_below(service, below, visible) else None
    if qtype in ADDRESS_TYPES:
        rdatas = tuple(dict.fromkeys(_of_family(groups, ADDRESS_TYPES[qtype])))
        return Found(RRset(name, qtype, ttl, rdatas) if rdatas else None)
    if qtype == RRType.SRV:
        return _services(groups, service_name(service, options), name, ttl, options.ttls.srv)
    return Found()


def service_name(service: HeldService, options: ZoneOptions) -> Name:
    """S.N.svc.Z, spelled as in the objects."""
    return Name(service.path + b"\x03svc" + options.zone)


def alias_target(text: str) -> Name | None:
    """The name that an externalName means; None if it is none, or an address (E6)."""
    try:
        ip_address(text)
    except ValueError:
        pass
    else:
        return None
    try:
        return from_text(text) if text else ROOT
    except NameTextError:
        return None


def _endpoint_groups(
    service: HeldService, selection: Selection, visible: Callable[[HeldSlice], int], coredns: bool
) -> list[_Group]:
    """Section 2.4: every published endpoint of every slice that has the port and the name chosen."""
    groups = []
    address = dashed_address(selection.endpoint)
    for held in service.slices:
        endpoints = held.endpoints
        numbers = _numbers(endpoints.ports, selection)
        count = visible(held)
        if not numbers or not count:
            continue
        if not selection.endpoint:
            groups.append(_Group(numbers, endpoints.addresses[:count], endpoints, range(count)))
            continue
        places = list(endpoints.named(selection.endpoint, address, count, canonical=not coredns))
        if places:
            groups.append(_Group(numbers, [endpoints.addresses[place] for place in places], endpoints, places))
    return groups


def _numbers(ports: tuple[Port, ...], selection: Selection) -> tuple[int | None, ...]:
    """The numbers of the ports chosen. Who declares no port has one without number, name and protocol (C6, H15)."""
    if not ports:
        return () if selection.port or selection.protocol else (None,)
    if not selection.port and not selection.protocol:
        return tuple(port.number for port in ports)
    name, protocol = selection.port.decode("latin-1"), selection.protocol.decode("latin-1")
    return tuple(
        port.number
        for port in ports
        if (not name or port.name.lower() == name) and (not protocol or port.protocol == protocol)
    )


def _has_ports_below(service: HeldService, below: tuple[bytes, ...], visible: Callable[[HeldSlice], int]) -> bool:
    """Whether the name is the node between a Service and its named ports of one protocol: `_tcp.S` (A13)."""
    fact = service.fact
    if fact is None or len(below) != 1 or not below[0].startswith(b"_"):
        return False
    if fact.headless:
        ports: Iterable[Port] = (port for held in service.slices if visible(held) for port in held.endpoints.ports)
    else:
        ports = fact.ports
    protocol = below[0].removeprefix(b"_").decode("latin-1")
    return any(port.name and port.protocol == protocol for port in ports)


def _of_family(groups: Iterable[_Group], size: int) -> Iterable[bytes]:
    return (address for group in groups for address in group.addresses if len(address) == size)


def _services(groups: Sequence[_Group], suffix: Name, name: Name, ttl: int, srv_ttl: int) -> Found:
    """Sections 2.3.2 and 2.4.2: an SRV record for each target and port, and the targets' addresses."""
    # Duplicates count for the weight, and are left out after that (C4, H12).
    candidates = sum(len(group.numbers) * len(group.addresses) for group in groups)
    weight = max(100 // max(candidates, 1), 1)
    services: dict[bytes, None] = {}
    targets: dict[tuple[Name, int], dict[bytes, None]] = {}
    for group in groups:
        numbers = [number for number in group.numbers if number is not None and 0 <= number <= 0xFFFF]
        if not numbers:
            continue
        for at, address in enumerate(group.addresses):
            target = Name(group.label(at) + suffix)
            if len(target) > MAX_NAME:
                continue
            for number in numbers:
                services[srv_rdata(0, weight, number, target)] = None
            rtype = RRType.A if len(address) == 4 else RRType.AAAA
            targets.setdefault((target, rtype), {})[address] = None
    if not services:
        return Found()
    additional = tuple(RRset(target, rtype, ttl, tuple(held)) for (target, rtype), held in targets.items())
    return Found(RRset(name, RRType.SRV, srv_ttl, tuple(services)), additional)
