"""Kubernetes objects as facts in few words, and the own zones' answers to them as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import NamedTuple

import dns.rdata
import dns.rdatatype
import msgspec

from hsdnsd.records.endpoints import wire_label
from hsdnsd.records.model import (
    KIND_OF,
    Change,
    Deleted,
    EndpointSliceFact,
    Fact,
    Kind,
    Listing,
    NamespaceFact,
    PodFact,
    Port,
    Replaced,
    ServiceFact,
    Upserted,
)
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.owners import address_owner, namespace_owner, service_owner
from hsdnsd.records.result import Owner, Result
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import Name, from_text, to_text
from hsdnsd.wire.rrset import RRset

CLUSTER = from_text("cluster.local")
IN_ADDR = from_text("in-addr.arpa")
IP6 = from_text("ip6.arpa")
ALL_KINDS = frozenset(Kind)


def packed(text: str) -> bytes:
    """The octets of an address."""
    return ip_address(text).packed


def reverse_name(text: str) -> str:
    """The name of an address in the reverse tree."""
    return ip_address(text).reverse_pointer


def ports(*texts: str) -> tuple[Port, ...]:
    """Ports from `name:protocol:number`; name and number may be empty."""
    parts = (text.split(":") for text in texts)
    return tuple(Port(name, protocol, int(number) if number else None) for name, protocol, number in parts)


def service(name: str, *ips: str, ports: tuple[Port, ...] = (), namespace: str = "shop") -> ServiceFact:
    """A ClusterIP Service."""
    return ServiceFact(namespace, name, tuple(map(packed, ips)), ports=ports)


def headless(name: str, *, ports: tuple[Port, ...] = (), unready: bool = False, namespace: str = "shop") -> ServiceFact:
    """A headless Service; `unready`: publishNotReadyAddresses."""
    return ServiceFact(namespace, name, headless=True, ports=ports, publish_not_ready=unready)


def external(name: str, target: str, namespace: str = "shop") -> ServiceFact:
    """An ExternalName Service."""
    return ServiceFact(namespace, name, external_name=target)


class Endpoint(NamedTuple):
    """An endpoint; the addresses as a slice would spell them."""

    addresses: tuple[str, ...]
    ready: bool = True
    hostname: str = ""
    pod: str = ""


def endpoint(*ips: str, host: str = "", pod: str = "", ready: bool = True) -> Endpoint:
    """An endpoint; the addresses as a slice would spell them."""
    return Endpoint(ips, ready, host, pod)


def endpoint_slice(
    service_name: str, *endpoints: Endpoint, ports: tuple[Port, ...] = (), name: str = "", namespace: str = "shop"
) -> EndpointSliceFact:
    """A slice of a Service; it is called SERVICE-1 if nothing else is said."""
    rows = [(one, text) for one in sorted(endpoints, key=lambda one: not one.ready) for text in one.addresses]

    def column(texts: list[str]) -> tuple[str, ...]:
        return tuple(texts) if any(texts) else ()

    return EndpointSliceFact(
        namespace,
        name or f"{service_name}-1",
        service_name,
        ports,
        tuple(packed(text) for _, text in rows),
        sum(one.ready for one, _ in rows),
        hostnames=column([one.hostname for one, _ in rows]),
        pods=column(["" if one.hostname else one.pod for one, _ in rows]),
        texts=column([text if ":" in text else "" for _, text in rows]),
    )


def pod(name: str, *ips: str, namespace: str = "shop") -> PodFact:
    """A pod."""
    return PodFact(namespace, name, tuple(map(packed, ips)))


def one_by_one(change: Change) -> Sequence[Change]:
    """What was told at once, each by itself."""
    return [*map(Upserted, change.facts)] if isinstance(change, Listing) else [change]


# A namespace with one headless Service, of two endpoints, one of them not ready.
HTTP = ports("http:tcp:80")
SHOP = NamespaceFact("shop")
WEB = headless("web", ports=HTTP)
WEB_ENDPOINTS = (endpoint("10.1.0.1", host="web-0"), endpoint("10.1.0.2", host="web-1", ready=False))
WEB_SLICE = endpoint_slice("web", *WEB_ENDPOINTS, ports=HTTP)


def options(**changes: object) -> ZoneOptions:
    """Options with a cluster domain, both reverse zones, and every kind expected."""
    plain = ZoneOptions(CLUSTER, reverse_zones=(IN_ADDR, IP6), expect=ALL_KINDS)
    return msgspec.structs.replace(plain, **changes)


def nothing_held() -> Table:
    """What knows of nothing yet, and so has no objection to anything that is told as it comes."""
    return Table(options())


class Told(msgspec.Struct, frozen=True):
    """A result as text: the code, and records as `name ttl type rdata`, sorted; SOA serials are left out."""

    rcode: str
    answer: list[str]
    authority: list[str]
    additional: list[str]
    chase: str | None
    result: Result

    @property
    def data(self) -> str | list[str]:
        """NXDOMAIN, NODATA, SERVFAIL, or the rdata of the answer, sorted."""
        if self.rcode == "NOERROR" and self.answer:
            return sorted(line.split(" ", 3)[3] for line in self.answer)
        return "NODATA" if self.rcode == "NOERROR" else self.rcode

    @property
    def additional_data(self) -> list[str]:
        """`name rdata` of each additional record."""
        return [f"{line.split(' ', 3)[0]} {line.split(' ', 3)[3]}" for line in self.additional]


class Cluster:
    """A table that was told of some facts, and the zones that answer from it."""

    def __init__(self, *facts: Fact, synced: bool = True, **changes: object) -> None:
        self.options = options(**changes)
        self.table = Table(self.options)
        self.zone = Zone(self.options, self.table)
        for kind in Kind if synced else ():
            self.table.apply(Replaced(kind, of_kind(kind, facts)), unix_time=1)

    def tell(self, fact: Fact, now: int = 2) -> frozenset[Owner]:
        """The cluster has this object now."""
        return self.table.apply(Upserted(fact), unix_time=now)

    def untell(self, fact: Fact, now: int = 2) -> frozenset[Owner]:
        """The cluster has this object no longer."""
        return self.table.apply(Deleted(KIND_OF[type(fact)], fact.key), unix_time=now)

    def look_up(self, name: str, rtype: str | int = "A") -> Result:
        """Ask for a name: a complete one with a final dot, or one in the cluster domain without."""
        qtype = dns.rdatatype.from_text(rtype) if isinstance(rtype, str) else rtype
        return self.zone.look_up(absolute(name), int(qtype))

    def ask(self, name: str, rtype: str | int = "A") -> Told:
        """The same, as text."""
        result = self.look_up(name, rtype)
        chase = None if result.chase is None else to_text(result.chase)
        sections = (lines(result.answer), lines(result.authority), lines(result.additional))
        return Told(Rcode(result.rcode).name, *sections, chase, result)

    def addresses(self, name: str) -> set[str]:
        """Of IPv4; none if there is no such name."""
        return {unpacked(rdata) for rrset in self.look_up(name).answer for rdata in rrset.rdatas}


def of_kind(kind: Kind, facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """The facts of one kind."""
    return tuple(fact for fact in facts if KIND_OF[type(fact)] is kind)


def absolute(name: str) -> Name:
    """A folded name; in the cluster domain if it has no final dot."""
    complete = name if name.endswith(".") else f"{name}.cluster.local." if name else "cluster.local."
    return Name(from_text(complete).lower())


def lines(section: Iterable[RRset]) -> list[str]:
    """The records of a section; domain names as they are spelled."""
    found = []
    for rrset in section:
        for rdata in rrset.rdatas:
            text = dns.rdata.from_wire(1, rrset.rtype, rdata, 0, len(rdata)).to_text()
            if rrset.rtype == RRType.SOA:
                primary, mailbox, _, *times = text.split()
                text = " ".join((primary, mailbox, *times))
            found.append(f"{to_text(rrset.name)} {rrset.ttl} {RRType(rrset.rtype).name} {text}")
    return sorted(found)


def unpacked(rdata: bytes) -> str:
    """An address, or a domain name, as text."""
    return str(ip_address(rdata)) if len(rdata) in (4, 16) else to_text(Name(rdata))


def of_service(name: str, namespace: str = "shop") -> Owner:
    return service_owner(wire_label(name.encode()) + wire_label(namespace.encode()))


def of_namespace(name: str = "shop") -> Owner:
    return namespace_owner(name.encode())


def of_address(text: str) -> Owner:
    return address_owner(packed(text))
