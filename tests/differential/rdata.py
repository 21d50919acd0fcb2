"""Rdata for every type that is asked for, made from a number, so that whoever asks twice is told the same."""

from __future__ import annotations

from tests.support.packets import AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, A, name, u16, u32

DNAME, DS, RRSIG, NSEC, DNSKEY, NSEC3, SVCB, HTTPS, ANY, CAA = 39, 43, 46, 47, 48, 50, 64, 65, 255, 257
HINFO, MINFO, RP, AFSDB, RT, SIG, KEY, PX, LOC, NAPTR, KX, CERT = 13, 14, 17, 18, 21, 24, 25, 26, 29, 35, 36, 37
SSHFP, TLSA, SMIMEA, OPENPGPKEY, ZONEMD, SPF, URI, PRIVATE, UNASSIGNED = 44, 52, 53, 61, 63, 99, 256, 65280, 731
MB, MG, MR = 7, 8, 9

# How much of each is asked, out of the sum.
TYPES = {
    A: 40, AAAA: 20, TXT: 6, MX: 6, SRV: 6, PTR: 4, NS: 3, SOA: 3, CNAME: 3, HTTPS: 4, SVCB: 2, CAA: 2, NAPTR: 2,
    DS: 1, DNSKEY: 1, TLSA: 1, SSHFP: 1, HINFO: 1, RP: 1, AFSDB: 1, KX: 1, RT: 1, PX: 1, MINFO: 1, MB: 1, MR: 1,
    DNAME: 1, LOC: 1, URI: 1, CERT: 1, SMIMEA: 1, OPENPGPKEY: 1, ZONEMD: 1, SPF: 1, PRIVATE: 2, UNASSIGNED: 2,
}  # fmt: skip


def string(text: bytes) -> bytes:
    """A character-string."""
    return bytes((len(text),)) + text


def rdata(qtype: int, number: int, inside: bytes | None = None) -> bytes:
    """Rdata of a type.

    Args:
        number: makes it differ from others.
        inside: what names in it end in, in wire form: a name, or a pointer to one.
    """
    end = name("d.example") if inside is None else inside
    host = string(b"h%d" % (number % 1000)) + end
    salt = number.to_bytes(4)
    match qtype:
        case 1:
            return bytes((192, 0, 2 + (salt[2] & 1), salt[3]))
        case 28:
            return bytes.fromhex("20010db8") + bytes(8) + salt
        case 2 | 5 | 7 | 8 | 9 | 12 | 39:
            return host
        case 6:
            return host + string(b"hostmaster") + end + u32(number, 7200, 3600, 1209600, 300)
        case 13:
            return string(b"cpu%d" % number) + string(b"os")
        case 14 | 17:
            return host + string(b"m") + end
        case 15 | 18 | 21 | 36:
            return u16(number % 100) + host
        case 16 | 99:
            return string(b"text %d" % number) + string(bytes(range(32))) + string(b"")
        case 26:
            return u16(10) + host + string(b"x400") + end
        case 33:
            return u16(number % 7, 10, 443) + host
        case 35:
            return u16(100, number % 9) + string(b"s") + string(b"SIP+D2U") + string(b"") + host
        case 29:
            return bytes((0, 0x12, 0x16, 0x13)) + u32(2**31 + number, 2**31 - number, 10000000)
        case 64 | 65:
            return u16(1 + number % 9) + b"\0" + u16(1, 3) + b"\2h2" + u16(4, 4) + bytes((192, 0, 2, salt[3]))
        case 257:
            return b"\0" + string(b"issue") + b"ca%d.example" % number
        case 43:
            return u16(number % 65536) + bytes((13, 2)) + salt * 8
        case 48:
            return u16(257) + bytes((3, 13)) + salt * 16
        case 52 | 53:
            return bytes((3, 1, 1)) + salt * 8
        case 44:
            return bytes((4, 2)) + salt * 8
        case _:
            return salt + bytes(range(40))


def rrsig(covered: int, labels: int, number: int) -> bytes:
    """Rdata of an RRSIG that nobody could verify."""
    times = u32(300, 1900000000, 1700000000)
    return u16(covered) + bytes((13, labels)) + times + u16(4711) + name("d.example") + number.to_bytes(4) * 16
