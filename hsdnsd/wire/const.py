"""Numbers of the DNS protocol, and the limits that this daemon sets, each with its reason."""

from __future__ import annotations

import enum
from typing import Final


class RRType(enum.IntEnum):
    """RR TYPEs and QTYPEs that the daemon treats by name (RFC 1035 section 3.2.2 and the IANA registry)."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    WKS = 11
    PTR = 12
    HINFO = 13
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    NAPTR = 35
    DNAME = 39
    OPT = 41
    DS = 43
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    NSEC3 = 50
    SVCB = 64
    HTTPS = 65
    NXNAME = 128
    TKEY = 249
    TSIG = 250
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255
    CAA = 257


class Rcode(enum.IntEnum):
    """Response codes (RFC 1035 section 4.1.1, RFC 6895 section 2.3)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    BADVERS = 16


class EDE(enum.IntEnum):
    """Extended DNS Error info codes that the daemon sends (RFC 8914 section 4, RFC 9824 section 3.1)."""

    OTHER = 0
    STALE_ANSWER = 3
    NOT_READY = 14
    PROHIBITED = 18
    STALE_NXDOMAIN = 19
    NOT_AUTHORITATIVE = 20
    NOT_SUPPORTED = 21
    NO_REACHABLE_AUTHORITY = 22
    NETWORK_ERROR = 23
    INVALID_QUERY_TYPE = 30


CLASS_IN: Final = 1

# Header flags (RFC 1035 section 4.1.1, RFC 4035 section 3.1.6), as bits of the second 16-bit word.
QR: Final = 0x8000
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100
RA: Final = 0x0080
AD: Final = 0x0020
CD: Final = 0x0010
# DO, in the 16 flag bits of an OPT RR's TTL (RFC 3225, RFC 6891 section 6.1.4).
DO: Final = 0x8000

HEADER_SIZE: Final = 12
MAX_NAME: Final = 255  # RFC 1035 section 2.3.4; the limit is on the assembled name, not on a segment of it
MAX_LABEL: Final = 63
# Pointers must go strictly backwards; no server nests them deeper than a reverse IPv6 name has labels (CVE-2026-52682).
MAX_POINTERS: Final = 32
MAX_POINTER_TARGET: Final = 0x3FFF
# A list of EDNS options costs CPU to walk; nobody sends this many on purpose (CVE-2026-41292).
MAX_EDNS_OPTIONS: Final = 64

# DNS flag day 2020: what is both offered upstream and the most that leaves here in one UDP datagram.
EDNS_UDP_SIZE: Final = 1232
# RFC 1035 section 4.2.1: the most that an asker without EDNS takes over UDP.
PLAIN_UDP_SIZE: Final = 512
# A query above this is refused with FORMERR: the largest useful query is a name of 255 octets and a padded OPT.
MAX_UDP_QUERY: Final = 4096
MAX_MESSAGE: Final = 65535

# RFC 2181 section 8: a TTL with the high bit set is to be treated as 0.
MAX_TTL: Final = 0x7FFFFFFF
