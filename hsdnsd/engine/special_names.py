"""Names that mean the same everywhere, so that nobody else is to be asked for them (RFC 6761, 7686, 6303, 7793)."""

from __future__ import annotations

from typing import Final

from hsdnsd.records.result import Owner, Result
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import Name, from_text, is_within
from hsdnsd.wire.rrset import RRset, soa_rdata

# RFC 6303 section 3: the TTL of everything in such a zone, and the numbers of its SOA.
TTL: Final = 10800
_SERIAL, _REFRESH, _RETRY, _EXPIRE = 1, 3600, 1200, 604800
_NOBODY: Final = from_text("nobody.invalid")
# Nothing ends these answers.
_OWNER: Final[Owner] = b"l"

LOCALHOST: Final = from_text("localhost")
# `test` is left out: RFC 6761 section 6.2 leaves it to whoever runs the network, and labs do resolve it.
NONEXISTENT: Final = (from_text("invalid"), from_text("onion"))


def _reverse_zones(tree: str, *digits: str) -> tuple[Name, ...]:
    return tuple(from_text(f"{left}.{tree}") for left in digits)


_FIRST_OF_127: Final = from_text("1.0.0.127.in-addr.arpa")
_IPV6_LOOPBACK: Final = from_text(f"1.{'0.' * 31}ip6.arpa")
_LOOPBACK: Final = (from_text("127.in-addr.arpa"), _IPV6_LOOPBACK)
PRIVATE_REVERSE: Final = (
    # RFC 6303 section 4.1: RFC 1918
    *_reverse_zones("in-addr.arpa", "10", *(f"{octet}.172" for octet in range(16, 32)), "168.192"),
    # Section 4.2: this network, this host, link-local, documentation, broadcast
    *_reverse_zones("in-addr.arpa", "0", "254.169", "2.0.192", "100.51.198", "113.0.203", "255.255.255.255"),
    # RFC 7793: carrier-grade NAT
    *_reverse_zones("in-addr.arpa", *(f"{octet}.100" for octet in range(64, 128))),
    # RFC 6303 sections 4.3 to 4.6: unspecified, locally assigned, link-local, documentation
    *_reverse_zones("ip6.arpa", "0." * 31 + "0", "d.f", "8.e.f", "9.e.f", "a.e.f", "b.e.f", "8.b.d.0.1.0.0.2"),
    *_LOOPBACK,
)


class SpecialNames:
    """Which of the special zones are answered here.

    Attributes:
        zones: their folded names.
    """

    def __init__(self, names: bool, private_reverse: bool) -> None:
        """
        Args:
            names: localhost, invalid and onion.
            private_reverse: the reverse zones of addresses that are nobody's alone.
        """
        self.zones = frozenset(
            ((LOCALHOST, *NONEXISTENT) if names else ()) + (PRIVATE_REVERSE if private_reverse else ())
        )
        # A hundred zones have names of a dozen sizes.
        self._sizes = tuple({len(zone) for zone in self.zones})

    def zone_of(self, name: Name) -> Name | None:
        """The special zone that a folded name lies in. They do not lie in each other."""
        for size in self._sizes:
            zone = Name(name[-size:])
            if zone in self.zones and is_within(name, zone):
                return zone
        return None


def has_data(zone: Name) -> bool:
    """Whether a special zone holds more than its own SOA and NS."""
    return zone == LOCALHOST or zone in _LOOPBACK


def look_up(zone: Name, name: Name, qtype: int) -> Result:
    """The answer to a question for a folded name in a special zone."""
    soa = made_up_soa(zone, TTL)
    records = _records(zone, name)
    if records is None:
        return Result(Rcode.NXDOMAIN, authority=(soa,), owner=_OWNER)
    if qtype == RRType.ANY:
        # RFC 8482 section 4.1: one RRset of those that there are.
        qtype = next(iter(records), qtype)
    rdata = records.get(qtype)
    if rdata is None:
        return Result(authority=(soa,), owner=_OWNER)
    return Result(answer=(RRset(name, qtype, TTL, (rdata,)),), owner=_OWNER)


def no_data(name: Name, ttl: int) -> Result:
    """NODATA for any folded name, said by nobody but us, to be kept for `ttl` seconds."""
    return Result(authority=(made_up_soa(name, ttl),), owner=_OWNER)


def made_up_soa(zone: Name, ttl: int) -> RRset:
    """The SOA that makes a denial of ours one that may be kept (RFC 2308 section 5), as RFC 6303 section 3 has it."""
    rdata = soa_rdata(zone, _NOBODY, _SERIAL, _REFRESH, _RETRY, _EXPIRE, ttl)
    return RRset(zone, RRType.SOA, ttl, (rdata,))


def _records(zone: Name, name: Name) -> dict[int, bytes] | None:
    """What a name has, by type; None: there is no such name."""
    if zone in NONEXISTENT:
        # Themselves included (RFC 6761 section 6.4, RFC 7686 section 2).
        return None
    records: dict[int, bytes] = {}
    if zone == LOCALHOST:
        # Whatever lies below is this host too (RFC 6761 section 6.3).
        records = {RRType.A: b"\x7f\0\0\1", RRType.AAAA: bytes(15) + b"\1"}
    elif name in (_FIRST_OF_127, _IPV6_LOOPBACK):
        records = {RRType.PTR: LOCALHOST}
    elif name != zone and not is_within(_FIRST_OF_127, name):
        return None
    if name == zone:
        # RFC 6303 section 3: the zone is its own name server, which has no address.
        records |= {RRType.SOA: made_up_soa(zone, TTL).rdatas[0], RRType.NS: zone}
    return records
