"""Who has the say on a name: a rewrite, a static record, an own zone, a special name, or one of the forward zones."""

from __future__ import annotations

import msgspec

from hsdnsd.engine.rewrite import Rewrites
from hsdnsd.engine.special_names import SpecialNames, has_data, look_up, no_data
from hsdnsd.engine.static import NO_RECORDS, StaticRecords, answer_from
from hsdnsd.engine.upstreams import CLUSTER, Forwards, ForwardZone
from hsdnsd.records.result import Result
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import ROOT, Name, from_labels, labels
from hsdnsd.wire.rrset import RRset

# Seconds that "no AAAA" may be kept by whoever asked: as long as an upstream's denial at most, by default.
NO_AAAA_TTL = 30


class LocalOptions(msgspec.Struct, frozen=True):
    """What is answered here beside the own zones, or under another name.

    Attributes:
        special_names: localhost, invalid and onion. private_reverse: reverse zones of private addresses.
        rewrites: folded suffix of the name in a question -> what stands for it.
        no_aaaa: there are no IPv6 addresses for names that upstreams would be asked for.
    """

    special_names: bool = False
    private_reverse: bool = False
    rewrites: dict[Name, Name] = {}
    no_aaaa: bool = False


class Route:
    """Decides in this order; the first that fits has the say:

    1. `final`: the end of the name in the question is rewritten, once. Everything else goes by the name that comes of
       it, so that no rewrite leads past any of it (CVE-2026-26017).
    2. Static records.
    3. The own zones, but for a stub zone configured inside one. What they can't know is asked of the cluster's DNS;
       what they do not have goes on where `fallthrough` says.
    4. Special names, but for those that a stub zone covers.
    5. That nobody else has AAAA records, if that is configured.
    6. The longest stub zone, or the default upstreams.
    """

    def __init__(self, zone: Zone | None, forwards: Forwards, local: LocalOptions | None = None) -> None:
        local = local or LocalOptions()
        self.static: StaticRecords = NO_RECORDS
        self._rewrites = Rewrites(local.rewrites)
        self._zone = zone
        self._forwards = forwards
        self._inner_stubs = zone is not None and any(zone.covers(stub.name) for stub in forwards.zones)
        self._special = SpecialNames(local.special_names, local.private_reverse)
        self._no_aaaa = local.no_aaaa
        # Nearly every question is for a name below none of these, and goes no further than this one look.
        zones = {*self._special.zones, *(zone.zones if zone is not None else ())}
        self._tails = tuple({from_labels(labels(name)[-1:]) for name in zones})

    def final(self, name: Name) -> Name | None:
        """What the folded name of a question is looked up as; the same object, if it is not rewritten.

        None: that name would be too long.
        """
        return self._rewrites.apply(name)

    def is_own(self, name: Name) -> bool:
        """Whether a folded name is answered here (first of all): what upstreams say of it is not believed."""
        if name in self.static:
            return True
        if not name.endswith(self._tails):
            return False
        stub = self._forwards.stub(name)
        return self._in_own_zone(name, stub) or (stub is None and self._special.zone_of(name) is not None)

    def find(self, name: Name, qtype: int) -> tuple[Result | None, ForwardZone | None]:
        """What is said here to a question; or else where it is to be asked; (None, None): nowhere."""
        static = self.static.get(name)
        if static is not None:
            return answer_from(static, name, qtype), None
        if not name.endswith(self._tails):
            return self.find_elsewhere(name, qtype)
        stub = self._forwards.stub(name)
        own = self._zone.look_up(name, qtype) if self._zone is not None and self._in_own_zone(name, stub) else None
        if own is not None and own.ask_cluster and self._forwards.cluster is not None:
            return None, self._forwards.cluster
        if own is not None and not own.elsewhere:
            return own, None
        special = self._special.zone_of(name) if stub is None else None
        if special is not None and own is not None and not has_data(special):
            # An address that is nobody's alone, and not the cluster's.
            return own, None
        result, forward_zone = self.find_elsewhere(name, qtype)
        if special is not None:
            result, forward_zone = look_up(special, name, qtype), None
        if own is None or forward_zone is not None:
            return result, forward_zone
        # Whatever is said here, it is said for as long as the own zone has nothing to say.
        return own if result is None else msgspec.structs.replace(result, owner=own.owner), None

    def find_elsewhere(self, name: Name, qtype: int) -> tuple[Result | None, ForwardZone | None]:
        """The same for a name that is not answered here, or not found."""
        zone = self._forwards.match(name)
        if self._no_aaaa and qtype == RRType.AAAA and zone is not None:
            return no_data(name, NO_AAAA_TTL), None
        return None, zone

    def reserved(self) -> tuple[list[Name], list[Name]]:
        """Names that are not simply asked of the default upstreams: alone, and with whatever lies below them."""
        zones = [] if self._zone is None else self._zone.zones
        stubs = [stub.name for stub in self._forwards.zones if stub.name not in (ROOT, CLUSTER)]
        return list(self.static), [*zones, *self._special.zones, *self._rewrites.suffixes, *stubs]

    @property
    def no_aaaa(self) -> bool:
        """Whether nobody is asked for AAAA."""
        return self._no_aaaa

    def match(self, name: Name) -> ForwardZone | None:
        """Where a folded name that is not our own is asked."""
        return self._forwards.match(name)

    def own_soa(self, name: Name) -> tuple[RRset, ...]:
        """The SOA of the own zone that `name` lies in, as it stands in denials."""
        return () if self._zone is None else (self._zone.soa(name),)

    def _in_own_zone(self, name: Name, stub: ForwardZone | None) -> bool:
        """Whether the own zones have the say; `stub` is the longest stub zone that the name lies in."""
        if self._zone is None or not self._zone.covers(name):
            return False
        return not self._inner_stubs or stub is None or not self._zone.covers(stub.name)
