"""Who has the say on a name: a rewrite, a static record, an own zone, a special name, or one of the forward zones."""

from __future__ import annotations

import msgspec

from hsdnsd.engine import special_names
from hsdnsd.engine.rewrite import Rewrites
from hsdnsd.engine.special_names import SpecialNames
from hsdnsd.engine.static import NO_RECORDS, StaticRecords, answer_from
from hsdnsd.engine.upstreams import Forwards, ForwardZone
from hsdnsd.records.result import Result
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import Name, from_labels, labels
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
    """Decides in this order, the first that fits:

    1. `final`: the end of the name in the question is rewritten, once. All else is decided by the name that comes of it,
       so that no rewrite leads past any of it (CVE-2026-26017).
    2. Static records.
    3. A stub zone that was configured inside an own zone.
    4. The own zones; what they do not have goes on where `fallthrough` says so.
    5. A stub zone.
    6. Special names.
    7. Everybody else's AAAA records, if there are to be none.
    8. The default upstreams.

    `is_own` tells the names of 2, 4 and 6: those that no upstream is believed about.
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
        """Whether a folded name is answered here (first of all)."""
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
        if own is not None and not own.elsewhere:
            return own, None
        result, forward_zone = self._find_special(name, qtype, own) if stub is None else (None, None)
        if result is None:
            result, forward_zone = self.find_elsewhere(name, qtype)
        if own is None or forward_zone is not None:
            return result, forward_zone
        if result is None:
            return own, None
        # It holds only for as long as the own zone has nothing to say.
        return msgspec.structs.replace(result, owner=own.owner), None

    def find_elsewhere(self, name: Name, qtype: int) -> tuple[Result | None, ForwardZone | None]:
        """The same for a name that is not answered here, or not found."""
        zone = self._forwards.match(name)
        if self._no_aaaa and qtype == RRType.AAAA and zone is not None:
            return special_names.no_data(name, NO_AAAA_TTL), None
        return None, zone
