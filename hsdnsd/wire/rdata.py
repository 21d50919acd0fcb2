"""Where domain names stand in rdata: what has to be expanded on the way in, and may be compressed on the way out."""

from __future__ import annotations

from typing import Final

import msgspec

from hsdnsd.wire.const import RRType


class Layout(msgspec.Struct, frozen=True, gc=False):
    """Rdata with names in it: fixed octets, character-strings, names, fixed octets; any part may be empty.

    Attributes:
        prefix: octets before everything else.
        strings: character-strings behind the prefix (NAPTR's flags, service and regexp).
        names: domain names behind those.
        suffix: octets behind the names, to the end.
        compressed: names may be compressed when we write them: the types of RFC 1035 alone (RFC 3597 section 4).
    """

    prefix: int = 0
    strings: int = 0
    names: int = 1
    suffix: int = 0
    compressed: bool = False


_NAME: Final = Layout(compressed=True)
_PREFERENCE: Final = Layout(prefix=2)

# RFC 3597 section 4 names the types that senders have compressed; every other type is opaque octets.
LAYOUTS: Final[dict[int, Layout]] = {
    RRType.NS: _NAME,
    3: _NAME,  # MD
    4: _NAME,  # MF
    RRType.CNAME: _NAME,
    RRType.SOA: Layout(names=2, suffix=20, compressed=True),
    7: _NAME,  # MB
    8: _NAME,  # MG
    9: _NAME,  # MR
    RRType.PTR: _NAME,
    14: Layout(names=2, compressed=True),  # MINFO
    RRType.MX: Layout(prefix=2, compressed=True),
    17: Layout(names=2),  # RP
    18: _PREFERENCE,  # AFSDB
    21: _PREFERENCE,  # RT
    26: Layout(prefix=2, names=2),  # PX
    RRType.SRV: Layout(prefix=6),
    RRType.NAPTR: Layout(prefix=4, strings=3),
    36: _PREFERENCE,  # KX
    RRType.DNAME: Layout(),
}

# RFC 1035 section 3.4.1, RFC 3596 section 2.2.
SIZES: Final[dict[int, int]] = {RRType.A: 4, RRType.AAAA: 16}
