"""Pod names, `10-1-2-3.N.pod.Z`: not in the specification, but served for compatibility (docs/names.md, P1 to P6)."""

from __future__ import annotations

from typing import Final

from hsdnsd.records.addresses import canonical_text, dashed_address
from hsdnsd.records.endpoints import wire_label
from hsdnsd.records.grammar import Place
from hsdnsd.records.options import Pods, ZoneOptions
from hsdnsd.records.rules import ADDRESS_TYPES, Found
from hsdnsd.records.table import Table
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset, srv_rdata

_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"


def find_pod(place: Place, name: Name, qtype: int, table: Table, options: ZoneOptions) -> Found | None:
    """What a pod name has; None: there is no such name."""
    namespace = place.namespace.decode("latin-1")
    if options.pods is Pods.DISABLED or not table.has_namespace(namespace):
        return None
    if place.below and not options.coredns:
        return None
    address = dashed_address(place.label)
    if address is None:
        return None
    pods = 1
    if options.pods is Pods.VERIFIED:
        # As status.podIP spells it: the canonical text.
        if canonical_text(address).replace(".", "-").replace(":", "-").encode("ascii") != place.label:
            return None
        pods = table.pods_at(namespace, address)
        if not pods:
            return None
    elif address.startswith(_IPV4_MAPPED):
        address = address.removeprefix(_IPV4_MAPPED)
    rtype = RRType.A if len(address) == 4 else RRType.AAAA
    if qtype == RRType.SRV and options.coredns:
        # P6: a port that nobody declared.
        target = Name(wire_label(place.label) + wire_label(place.namespace) + b"\x03pod" + options.zone)
        service = RRset(name, qtype, options.ttls.srv, (srv_rdata(0, max(100 // pods, 1), 0, target),))
        return Found(service, (RRset(target, rtype, options.ttls.pod, (address,)),))
    if qtype not in ADDRESS_TYPES or qtype != rtype:
        return Found()
    return Found(RRset(name, qtype, options.ttls.pod, (address,)))
