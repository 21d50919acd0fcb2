"""The name servers of the own zones (docs/names.md, A2 and A6)."""

from __future__ import annotations

from collections.abc import Iterator

from hsdnsd.records.held import HeldSlice
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.rules import Found
from hsdnsd.records.table import Table
from hsdnsd.wire.const import MAX_NAME, RRType
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset


def default_name_server(zone: Name) -> Name:
    """ns.dns.Z"""
    return Name(b"\x02ns\x03dns" + zone)


def find_ns(zone: Name, table: Table, options: ZoneOptions) -> Found:
    """The NS records of a zone, with the servers' addresses."""
    ttl = options.ttls.service
    glue: dict[tuple[Name, int], dict[bytes, None]] = {}
    for server, address in _servers(zone, table, options):
        glue.setdefault((server, _address_type(address)), {})[address] = None
    if not glue:
        return Found()
    servers = tuple(dict.fromkeys(server for server, _ in glue))
    additional = tuple(RRset(server, rtype, ttl, tuple(addresses)) for (server, rtype), addresses in glue.items())
    return Found(RRset(zone, RRType.NS, ttl, servers), additional)


def find_name_server(zone: Name, name: Name, qtype: int, table: Table, options: ZoneOptions) -> Found:
    """What ns.dns.Z has: the addresses of whichever servers the NS records name."""
    addresses = (address for _, address in _servers(zone, table, options) if _address_type(address) == qtype)
    rdatas = tuple(dict.fromkeys(addresses))
    return Found(RRset(name, qtype, options.ttls.service, rdatas) if rdatas else None)


def _servers(zone: Name, table: Table, options: ZoneOptions) -> list[tuple[Name, bytes]]:
    """Names and addresses: of the Services with an endpoint at an address of ours, or else our addresses."""
    slices = table.own_slices()
    # CoreDNS names them below whatever zone it was asked about; only the cluster domain has Services.
    domain = zone if options.coredns else options.zone
    found = [server for held in slices for server in _servers_of(held, domain, table, options)]
    if found or (slices and options.coredns):
        return found
    return [(default_name_server(zone), address) for address in options.own_addresses]


def _servers_of(held: HeldSlice, domain: Name, table: Table, options: ZoneOptions) -> Iterator[tuple[Name, bytes]]:
    service = held.service
    fact = service.fact
    if fact is None or fact.external_name is not None:
        return
    if not options.coredns and table.service(service.namespace.name, service.name) is None:
        return
    suffix = service.path + b"\x03svc" + domain
    if not fact.headless:
        yield from ((Name(suffix), address) for address in fact.cluster_ips)
        return
    for place in range(table.visible(held)):
        server = Name(held.endpoints.label(place) + suffix)
        if len(server) <= MAX_NAME:
            yield server, held.endpoints.addresses[place]


def _address_type(address: bytes) -> RRType:
    return RRType.A if len(address) == 4 else RRType.AAAA
