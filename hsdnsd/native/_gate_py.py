"""The twin of `_gate.pyx`: the plain good case, recognised with certainty; all else is None and goes up."""

from __future__ import annotations

from hsdnsd.wire.const import (
    AD,
    CD,
    CLASS_IN,
    DO,
    EDNS_UDP_SIZE,
    HEADER_SIZE,
    MAX_EDNS_OPTIONS,
    MAX_LABEL,
    MAX_NAME,
    PLAIN_UDP_SIZE,
    RD,
    RRType,
)
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query

# NSID, client subnet, cookie, padding: a server need do nothing about them (RFC 5001, 7871, 7873, 7830), nor does the
# slow path. Any other, edns-tcp-keepalive among them, goes up.
HARMLESS_OPTIONS = frozenset({3, 8, 10, 12})


def is_special(qtype: int) -> bool:
    """QTYPEs whose answer is not data of one name and type (W17 to W20 of docs/gate.md)."""
    return qtype in (0, RRType.OPT, RRType.NXNAME) or 249 <= qtype <= 255


def read_question(wire: bytes) -> Query | None:
    """The one question of a plain good query, or None."""
    if len(wire) < HEADER_SIZE + 5 or wire[4:10] != b"\0\1\0\0\0\0" or wire[10] != 0 or wire[11] > 1:
        return None
    flags = int.from_bytes(wire[2:4], "big")
    if flags & ~(RD | AD | CD):
        return None
    at = HEADER_SIZE
    while length := wire[at]:
        at += 1 + length
        if length > MAX_LABEL or at - HEADER_SIZE >= MAX_NAME or at >= len(wire):
            return None
    at += 1
    end = at + 4
    if len(wire) < end or int.from_bytes(wire[at + 2 : end], "big") != CLASS_IN:
        return None
    qtype = int.from_bytes(wire[at : at + 2], "big")
    if is_special(qtype):
        return None
    has_opt, do, size = wire[11] == 1, False, PLAIN_UDP_SIZE
    if has_opt:
        opt = _read_opt(wire, end)
        if opt is None:
            return None
        do, size = opt
    elif len(wire) != end:
        return None
    return Query(
        id=int.from_bytes(wire[:2], "big"),
        question=wire[HEADER_SIZE:end],
        name=Name(wire[HEADER_SIZE:at].lower()),
        qtype=qtype,
        rd=bool(flags & RD),
        cd=bool(flags & CD),
        ad=bool(flags & AD),
        has_opt=has_opt,
        do=do,
        udp_size=min(max(size, PLAIN_UDP_SIZE), EDNS_UDP_SIZE),
    )


def _read_opt(wire: bytes, at: int) -> tuple[bool, int] | None:
    """DO and size of the OPT record that begins at `at` and ends the datagram (RFC 6891 section 6.1)."""
    if len(wire) < at + 11 or wire[at : at + 3] != b"\0\0\x29" or wire[at + 5] != 0 or wire[at + 6] != 0:
        return None
    flags = int.from_bytes(wire[at + 7 : at + 9], "big")
    if flags & ~DO or at + 11 + int.from_bytes(wire[at + 9 : at + 11], "big") != len(wire):
        return None
    size = int.from_bytes(wire[at + 3 : at + 5], "big")
    at += 11
    for _ in range(MAX_EDNS_OPTIONS):
        if at == len(wire):
            return bool(flags), size
        if at + 4 > len(wire) or int.from_bytes(wire[at : at + 2], "big") not in HARMLESS_OPTIONS:
            return None
        at += 4 + int.from_bytes(wire[at + 2 : at + 4], "big")
        if at > len(wire):
            return None
    return (bool(flags), size) if at == len(wire) else None
