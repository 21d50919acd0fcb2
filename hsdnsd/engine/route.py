"""Who has the say on a name: an own zone, or one of the forward zones."""

from __future__ import annotations

from hsdnsd.engine.upstreams import Forwards, ForwardZone
from hsdnsd.records.result import Result
from hsdnsd.records.zone import Zone
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset


class Route:
    """Own zones before forward zones, but for a stub zone that was configured inside an own zone."""

    def __init__(self, zone: Zone | None, forwards: Forwards) -> None:
        self._zone = zone
        self._forwards = forwards
        self._inner_stubs = zone is not None and any(zone.covers(stub.name) for stub in forwards.zones)

    def is_own(self, name: Name) -> bool:
        """Whether a folded name is answered from the own zones (first of all)."""
        if self._zone is None or not self._zone.covers(name):
            return False
        return not self._inner_stubs or not self._in_inner_stub(name)

    def find(self, name: Name, qtype: int) -> tuple[Result | None, ForwardZone | None]:
        """What the own zones say to a question; or else where it is to be asked; (None, None): nowhere."""
        if self._zone is None or not self.is_own(name):
            return None, self._forwards.match(name)
        result = self._zone.look_up(name, qtype)
        if result.elsewhere:
            zone = self._forwards.match(name)
            if zone is not None:
                return None, zone
        return result, None

    def match(self, name: Name) -> ForwardZone | None:
        """Where a folded name that is not our own is asked."""
        return self._forwards.match(name)

    def forward_zone(self, number: int) -> ForwardZone:
        """The forward zone that a cache key names."""
        return self._forwards.zones[number]

    def own_soa(self, name: Name) -> tuple[RRset, ...]:
        """The SOA of the own zone that `name` lies in, as it stands in denials."""
        return () if self._zone is None else (self._zone.soa(name),)

    def _in_inner_stub(self, name: Name) -> bool:
        stub = self._forwards.stub(name)
        return stub is not None and self._zone is not None and self._zone.covers(stub.name)
