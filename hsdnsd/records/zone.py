"""A name and a type -> the own zones' answer, in the order of the DNS specification."""

from __future__ import annotations

from typing import Final

import msgspec

from hsdnsd.records.grammar import At, Place, read_forward, read_reverse
from hsdnsd.records.held import HeldService
from hsdnsd.records.model import Kind
from hsdnsd.records.name_servers import default_name_server, find_name_server, find_ns
from hsdnsd.records.options import Pods, ZoneOptions
from hsdnsd.records.pods import find_pod
from hsdnsd.records.result import Result
from hsdnsd.records.reverse import find_reverse
from hsdnsd.records.rules import Found, find_service
from hsdnsd.records.table import Table
from hsdnsd.wire.const import EDE, Rcode, RRType
from hsdnsd.wire.name import Name, is_within, labels, to_text
from hsdnsd.wire.rrset import RRset, soa_rdata, txt_rdata

# The version of the DNS specification that is kept to (its section 2.2), and the TTL that CoreDNS gives it.
_SCHEMA_VERSION: Final = txt_rdata(b"1.1.0")
_SCHEMA_VERSION_TTL: Final = 28800
# An SOA is not told for longer than this, whatever the TTL of denials: its serial changes.
_MAX_SOA_TTL: Final = 300
_SOA_REFRESH: Final = 7200
_SOA_RETRY: Final = 1800
_SOA_EXPIRE: Final = 86400
# RFC 8482 section 4.1: ANY is answered with one RRset of the name; the first of these that it has.
_ONE_OF_ANY: Final = (RRType.A, RRType.AAAA, RRType.PTR, RRType.SRV, RRType.TXT, RRType.SOA)
# Links of a CNAME chain that are followed here; CoreDNS follows some more.
_MAX_LINKS: Final = 8
_COREDNS_MAX_LINKS: Final = 11
# Seconds that an answer out of the snapshot may be kept: it ends when the API server has been heard.
_MAX_STALE_TTL: Final = 5


class _Node(msgspec.Struct, frozen=True):
    """A folded name, the zone that it lies in, and where."""

    name: Name
    zone: Name
    place: Place


class Zone:
    """The zones that are served here: the cluster domain and its reverse zones.

    Attributes:
        zones: their folded names, the longest first.
    """

    def __init__(self, options: ZoneOptions, table: Table) -> None:
        self._options = options
        self._table = table
        # The longest suffix wins (M1).
        self.zones = sorted((options.zone, *options.reverse_zones), key=len, reverse=True)

    def covers(self, name: Name) -> bool:
        """Whether a folded name lies in one of the zones served here (longest suffix). Cannot fail."""
        for zone in self.zones:  # noqa: SIM110 - on the way of every question; `any` would take twice the time
            if is_within(name, zone):
                return True
        return False

    def soa(self, name: Name) -> RRset:
        """The SOA of the zone that a covered folded name lies in, as it stands in denials. Cannot fail."""
        zone = self._zone_of(name)
        ttl = self._options.ttls.negative
        rdata = soa_rdata(
            default_name_server(zone),
            Name(b"\x0ahostmaster" + zone),
            self._table.serial & 0xFFFFFFFF,
            _SOA_REFRESH,
            _SOA_RETRY,
            _SOA_EXPIRE,
            ttl,
        )
        return RRset(zone, RRType.SOA, min(ttl, _MAX_SOA_TTL), (rdata,))

    def look_up(self, name: Name, qtype: int) -> Result:
        """The answer to a question for a folded name that `covers`. Cannot fail.

        CNAME chains in the zones are followed, at most 8 links (as CoreDNS: 11). A chain that is longer or runs in a
        circle is SERVFAIL; CoreDNS says that there is no data.

        While something is only recalled, the answer says so (RFC 8914, code 3).
        """
        result = self._look_up(name, qtype)
        if not self._table.stale:
            # The table says of no change what it ends before everything is told.
            return result if self._table.synced else msgspec.structs.replace(result, owner=None)
        if result.rcode != Rcode.NOERROR:
            return result
        return msgspec.structs.replace(
            result,
            answer=_short_lived(result.answer),
            additional=_short_lived(result.additional),
            ede=EDE.STALE_ANSWER,
        )

    def _look_up(self, name: Name, qtype: int) -> Result:
        node = self._node(name)
        found = self._find(node, name, qtype)
        if found is None or found.alias is None:
            return self._conclude(node, found)
        if qtype == RRType.CNAME or (qtype == RRType.ANY and not self._options.coredns):
            return Result(answer=(self._cname(name, found.alias),), owner=node.place.owner)
        if not self._options.coredns:
            return self._follow(node, found.alias, qtype)
        if qtype in (RRType.A, RRType.AAAA):
            return self._follow_as_coredns(node, found.alias, qtype)
        return self._conclude(node, Found())

    def _follow(self, start: _Node, target: Name, qtype: int) -> Result:
        """Go along a chain (RFC 1034 section 4.3.2, step 3a); what its end says is the answer (RFC 6604)."""
        chain = [self._cname(start.name, target)]
        seen = {start.name}
        while self.covers(current := Name(target.lower())):
            seen.add(current)
            node = self._node(current)
            found = self._find(node, target, qtype)
            if found is None or found.alias is None:
                end = self._conclude(node, found)
                if end.elsewhere or end.ask_cluster:
                    return Result(answer=tuple(chain), chase=current)
                if end.rcode == Rcode.SERVFAIL:
                    return end
                return msgspec.structs.replace(end, answer=(*chain, *end.answer), owner=None)
            chain.append(self._cname(target, found.alias))
            target = found.alias
            if len(chain) > _MAX_LINKS or target.lower() in seen:
                return Result(Rcode.SERVFAIL)
        return Result(answer=tuple(chain), chase=current, owner=start.place.owner if len(chain) == 1 else None)

    def _follow_as_coredns(self, start: _Node, target: Name, qtype: int) -> Result:
        """Go along a chain as CoreDNS does: one that ends here without an address is no data, without the CNAMEs."""
        chain: list[RRset] = []
        shown = start.name
        while True:
            current = Name(target.lower())
            link = self._cname(shown, target)
            if is_within(current, Name(shown.lower())) or len(chain) == _COREDNS_MAX_LINKS or link in chain:
                break
            chain.append(link)
            if not is_within(current, start.zone):
                owner = start.place.owner if len(chain) == 1 else None
                return Result(answer=tuple(chain), chase=current, owner=owner)
            found = self._find(self._node(current), target, qtype)
            if found is not None and found.answer is not None:
                return Result(answer=(*chain, found.answer))
            if found is None or found.alias is None:
                break
            shown, target = target, found.alias
        return msgspec.structs.replace(self._conclude(start, Found()), owner=None)

    def _conclude(self, node: _Node, found: Found | None) -> Result:
        """What is said of a name: its data, that it has none of the type, or that there is no such name."""
        owner = node.place.owner
        if found is not None and found.answer is not None:
            # The serial changes with every record.
            kept = None if found.answer.rtype == RRType.SOA else owner
            return Result(answer=(found.answer,), additional=found.additional, owner=kept)
        soa = (self.soa(node.name),)
        if found is not None:
            return Result(authority=soa, owner=owner)
        elsewhere = any(is_within(node.name, zone) for zone in self._options.fallthrough)
        ask = self._options.asks_cluster
        if self._table.synced:
            ask = ask and self._needs_unwatched(node.place)
            return Result(Rcode.NXDOMAIN, authority=soa, owner=owner, elsewhere=elsewhere, ask_cluster=ask)
        # It may be that the name has just not been told of yet. CoreDNS asks the upstreams all the same (M9).
        elsewhere = elsewhere and self._options.coredns
        return Result(Rcode.SERVFAIL, authority=soa, elsewhere=elsewhere, ask_cluster=ask, ede=EDE.NOT_READY)

    def _needs_unwatched(self, place: Place) -> bool:
        """Whether a name that was not found may be that of an endpoint which is not watched."""
        if not self._options.scoped:
            return False
        if place.at is At.REVERSE:
            return True
        service = self._service(place) if place.names_endpoint else None
        fact = None if service is None else service.fact
        return fact is not None and not fact.headless and fact.external_name is None

    def _service(self, place: Place) -> HeldService | None:
        return self._table.service(place.namespace.decode("latin-1"), place.label.decode("latin-1"))

    def _find(self, node: _Node, shown: Name, qtype: int) -> Found | None:
        """What a name has of a type; None: there is no such name.

        Args:
            shown: the name as the owner of the records is to be spelled.
        """
        if self._options.coredns:
            if qtype == RRType.SOA and node.place.at is not At.APEX:
                return Found()  # A14: nothing is looked up
            return None if _is_denied_by_coredns(node.place.at, qtype) else self._find_type(node, shown, qtype)
        if qtype != RRType.ANY:
            return self._find_type(node, shown, qtype)
        exists = None
        for rtype in _ONE_OF_ANY:
            found = self._find_type(node, shown, rtype)
            if found is not None and (found.answer is not None or found.alias is not None):
                return Found(found.answer, alias=found.alias)
            exists = exists or found
        return exists

    def _find_type(self, node: _Node, shown: Name, qtype: int) -> Found | None:
        options, table, place = self._options, self._table, node.place
        namespace = place.namespace.decode("latin-1")
        found: Found | None = None
        match place.at:
            case At.APEX if qtype == RRType.NS:
                found = find_ns(node.zone, table, options)
            case At.APEX:
                found = Found(self.soa(node.name) if qtype == RRType.SOA else None)
            case At.BRANCH:
                found = Found()
            case At.NAME_SERVER:
                found = find_name_server(node.zone, shown, qtype, table, options)
            case At.SCHEMA_VERSION if qtype == RRType.TXT:
                found = Found(RRset(shown, qtype, _SCHEMA_VERSION_TTL, (_SCHEMA_VERSION,)))
            case At.NAMESPACE if table.has_namespace(namespace):
                found = Found()
            case At.POD_NAMESPACE if options.pods is not Pods.DISABLED and table.has_namespace(namespace):
                found = Found()
            case At.POD:
                found = find_pod(place, shown, qtype, table, options)
            case At.REVERSE if place.addresses is not None and table.knows_addresses:
                found = find_reverse(place.addresses, shown, qtype, table, options)
            case At.SERVICE:
                service = self._service(place)
                # Endpoints are told one slice after the other: some of them are not an answer.
                if service is not None and (table.knows(Kind.ENDPOINT_SLICE) or not _needs_endpoints(service, place)):
                    found = find_service(service, place.below, shown, qtype, table.visible, options)
        return found

    def _node(self, name: Name) -> _Node:
        zone = self._zone_of(name)
        left = labels(Name(name[: len(name) - len(zone)] + b"\0"))
        if zone == self._options.zone:
            return _Node(name, zone, read_forward(left))
        return _Node(name, zone, read_reverse(left, labels(zone), self._options.coredns))

    def _zone_of(self, name: Name) -> Name:
        for zone in self.zones:
            if is_within(name, zone):
                return zone
        raise LookupError(f"{to_text(name)} is in none of the zones")

    def _cname(self, name: Name, target: Name) -> RRset:
        return RRset(name, RRType.CNAME, self._options.ttls.external, (target,))


def _needs_endpoints(service: HeldService, place: Place) -> bool:
    return place.names_endpoint or (service.fact is not None and service.fact.headless)


def _short_lived(section: tuple[RRset, ...]) -> tuple[RRset, ...]:
    return tuple(RRset(rrset.name, rrset.rtype, min(rrset.ttl, _MAX_STALE_TTL), rrset.rdatas) for rrset in section)


def _is_denied_by_coredns(at: At, qtype: int) -> bool:
    """Whether CoreDNS says of a name that exists that it does not, when asked for some type."""
    if qtype == RRType.TXT:
        # A4
        return at in (At.APEX, At.BRANCH, At.NAMESPACE, At.POD_NAMESPACE, At.NAME_SERVER)
    return qtype == RRType.PTR and at is At.NAME_SERVER
