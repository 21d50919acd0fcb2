"""RRsets (RFC 2181 section 5) and the rdata that the daemon makes itself. Class is always IN."""

from __future__ import annotations

import msgspec

from hsdnsd.wire.name import Name


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
    raise NotImplementedError


def soa_rdata(mname: Name, rname: Name, serial: int, refresh: int, retry: int, expire: int, minimum: int) -> bytes:
    """SOA rdata (RFC 1035 section 3.3.13)."""
    raise NotImplementedError


def txt_rdata(*strings: bytes) -> bytes:
    """TXT rdata (RFC 1035 section 3.3.14): each string at most 255 octets."""
    raise NotImplementedError


def hinfo_rdata(cpu: bytes, os: bytes) -> bytes:
    """HINFO rdata (RFC 1035 section 3.3.2), for the answer to ANY (RFC 8482 section 4.2)."""
    raise NotImplementedError
