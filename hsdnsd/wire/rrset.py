"""RRsets (RFC 2181 section 5) and the rdata that the daemon makes itself. Class is always IN."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from hsdnsd.wire.name import Name

_SRV: Final = struct.Struct("!HHH")
_SOA: Final = struct.Struct("!IIIII")


class RRset(msgspec.Struct, frozen=True, gc=False):
    """Records of one name and type.

    Attributes:
        name: owner, case as it is to be shown.
        rtype: RR TYPE.
        ttl: seconds, one for all records (RFC 2181 section 5.2).
        rdatas: uncompressed rdata, each record's own, without duplicates.
    """

    name: Name
    rtype: int
    ttl: int
    rdatas: tuple[bytes, ...]


def srv_rdata(priority: int, weight: int, port: int, target: Name) -> bytes:
    """SRV rdata (RFC 2782); the target is never compressed."""
    return _SRV.pack(priority, weight, port) + target


def soa_rdata(mname: Name, rname: Name, serial: int, refresh: int, retry: int, expire: int, minimum: int) -> bytes:
    """SOA rdata (RFC 1035 section 3.3.13)."""
    return mname + rname + _SOA.pack(serial, refresh, retry, expire, minimum)


def txt_rdata(*strings: bytes) -> bytes:
    """TXT rdata (RFC 1035 section 3.3.14): each string at most 255 octets."""
    return b"".join(_character_string(string) for string in strings)


def hinfo_rdata(cpu: bytes, os: bytes) -> bytes:
    """HINFO rdata (RFC 1035 section 3.3.2), for the answer to ANY (RFC 8482 section 4.2)."""
    return _character_string(cpu) + _character_string(os)


def _character_string(octets: bytes) -> bytes:
    """RFC 1035 section 3.3: a length octet, then that many octets."""
    return bytes((len(octets),)) + octets
