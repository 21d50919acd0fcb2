"""What a client sent: the gate that every query passes, and the question it asks."""

from __future__ import annotations

import enum
import struct
from typing import Final, Protocol

import msgspec

from hsdnsd.errors import WireError
from hsdnsd.wire import edns
from hsdnsd.wire.const import (
    AD,
    CD,
    CLASS_IN,
    DO,
    EDE,
    EDNS_UDP_SIZE,
    HEADER_SIZE,
    MAX_NAME,
    PLAIN_UDP_SIZE,
    QR,
    RA,
    RD,
    Rcode,
    RRType,
)
from hsdnsd.wire.name import Name

HEADER: Final = struct.Struct("!HHHHHH")
_TYPE_CLASS: Final = struct.Struct("!HH")
_RR: Final = struct.Struct("!HHIH")  # TYPE, CLASS, TTL, RDLENGTH
_OPCODE: Final = 0x7800
# One OPT and one TSIG or SIG(0): more has no use in a query.
_MAX_ADDITIONAL: Final = 2


class Refused(enum.Enum):
    """Why the gate let a packet go no further; the label of a counter."""

    SHORT = "short"  # W1
    RESPONSE = "response"  # W3
    OPCODE = "opcode"  # W4
    OVERSIZE = "oversize"  # W5
    QDCOUNT = "qdcount"  # W6, W7
    QUESTION = "question"  # W8, W9
    SECTIONS = "sections"  # W10, W11
    OPT = "opt"  # W12
    VERSION = "version"  # W15
    CLASS = "class"  # W16
    QTYPE = "qtype"  # W17
    TRANSFER = "transfer"  # W18
    OBSOLETE = "obsolete"  # W19


class Question(Protocol):
    """What of a question of class IN an answer may depend on: a `Query`, or a key of the cache."""

    @property
    def name(self) -> Name:
        """Folded."""
        ...

    @property
    def qtype(self) -> int: ...

    @property
    def do(self) -> bool: ...

    @property
    def cd(self) -> bool: ...


class Query(msgspec.Struct, frozen=True, gc=False):
    """One well-formed question of class IN, with what its answer has to give back.

    Attributes:
        id: message id.
        question: QNAME, QTYPE and QCLASS, octets exactly as received.
        name: QNAME folded to lower case.
        qtype: QTYPE.
        rd, cd, ad: flags of the query.
        has_opt: whether a valid OPT came with it; one goes back if and only if so (RFC 6891 section 7).
        do: the DO bit of that OPT.
        udp_size: the largest UDP reply that may be sent, already between 512 and 1232.
        keepalive: an empty edns-tcp-keepalive option came with it (RFC 7828).
        trailing: octets behind the last counted record (ignored, counted).
    """

    id: int
    question: bytes
    name: Name
    qtype: int
    rd: bool
    cd: bool
    ad: bool
    has_opt: bool
    do: bool
    udp_size: int
    keepalive: bool = False
    trailing: bool = False


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The gate's verdict on a packet that is not to be answered from data.

    Attributes:
        why: the reason.
        reply: the octets to send back, or None for silence (over TCP: close the connection).
    """

    why: Refused
    reply: bytes | None


class _Record(msgspec.Struct, frozen=True, gc=False):
    """A record behind the question, by its place: `at` its TYPE, `rdata` to `end` its rdata."""

    rtype: int
    at: int
    rdata: int
    end: int
    root: bool


_SILENCE: Final = {why: Refusal(why, None) for why in (Refused.SHORT, Refused.RESPONSE)}

# QTYPEs that nobody is answered from data: W17 (RFC 6891, 9824, 8945, 2930), W18 (RFC 5936), W19 (RFC 1035).
_REFUSED_QTYPES: Final[dict[int, tuple[Refused, int, int | None]]] = {
    RRType.OPT: (Refused.QTYPE, Rcode.FORMERR, None),
    RRType.NXNAME: (Refused.QTYPE, Rcode.FORMERR, EDE.INVALID_QUERY_TYPE),
    RRType.TKEY: (Refused.QTYPE, Rcode.FORMERR, None),
    RRType.TSIG: (Refused.QTYPE, Rcode.FORMERR, None),
    RRType.AXFR: (Refused.TRANSFER, Rcode.REFUSED, None),
    RRType.IXFR: (Refused.TRANSFER, Rcode.REFUSED, None),
    RRType.MAILB: (Refused.OBSOLETE, Rcode.NOTIMP, None),
    RRType.MAILA: (Refused.OBSOLETE, Rcode.NOTIMP, None),
}


def read_query_untrusted(wire: bytes, truncated: bool = False) -> Query | Refusal:
    """The gate, first match wins: W1, W3 to W19 of the table in docs/gate.md. Never raises.

    Args:
        wire: one datagram or one TCP message, any length, any content.
        truncated: the datagram was longer than the receive buffer (MSG_TRUNC); also over MAX_UDP_QUERY for UDP.
    """
    if len(wire) < HEADER_SIZE:
        return _SILENCE[Refused.SHORT]
    message_id, flags, qdcount, ancount, nscount, arcount = HEADER.unpack_from(wire)
    if flags & QR:
        return _SILENCE[Refused.RESPONSE]
    if flags & _OPCODE:
        return Refusal(Refused.OPCODE, HEADER.pack(message_id, QR | flags & _OPCODE | Rcode.NOTIMP, 0, 0, 0, 0))
    if truncated:
        return _refuse_header(Refused.OVERSIZE, message_id, flags)
    if qdcount != 1:
        return _refuse_header(Refused.QDCOUNT, message_id, flags)
    name_end = _question_name_end(wire)
    end = name_end + 4
    if name_end == 0 or end > len(wire):
        return _refuse_header(Refused.QUESTION, message_id, flags)
    question = wire[HEADER_SIZE:end]
    if ancount or nscount:
        return Refusal(Refused.SECTIONS, _reply(message_id, flags, question, Rcode.FORMERR))
    has_opt = do = keepalive = False
    version = 0
    udp_size = PLAIN_UDP_SIZE
    if arcount:
        records = _read_additional(wire, end, arcount)
        if records is None:
            return Refusal(Refused.SECTIONS, _reply(message_id, flags, question, Rcode.FORMERR))
        end = records[-1].end
        opts = [record for record in records if record.rtype == RRType.OPT]
        if opts:
            try:
                keepalive = _read_opt_untrusted(wire, opts)
            except WireError:
                return Refusal(Refused.OPT, _reply(message_id, flags, question, Rcode.FORMERR))
            _, udp_size, ttl, _ = _RR.unpack_from(wire, opts[0].at)
            has_opt = True
            udp_size = min(max(udp_size, PLAIN_UDP_SIZE), EDNS_UDP_SIZE)
            version = ttl >> 16 & 0xFF
            do = ttl & DO != 0
    qtype, qclass = _TYPE_CLASS.unpack_from(wire, name_end)
    query = Query(
        message_id,
        question,
        Name(question[:-4].lower()),
        qtype,
        flags & RD != 0,
        flags & CD != 0,
        flags & AD != 0,
        has_opt,
        do,
        udp_size,
        keepalive,
        len(wire) > end,
    )
    if version:
        return Refusal(Refused.VERSION, error_reply(query, Rcode.BADVERS))
    if qclass != CLASS_IN:
        return Refusal(Refused.CLASS, error_reply(query, Rcode.REFUSED, EDE.NOT_SUPPORTED))
    if qtype in _REFUSED_QTYPES:
        why, rcode, ede = _REFUSED_QTYPES[qtype]
        return Refusal(why, error_reply(query, rcode, ede))
    return query


def error_reply(query: Query, rcode: int, ede: int | None = None) -> bytes:
    """Header, question and (if the query had OPT) an OPT, with no records: `q:RCODE` of docs/gate.md. Cannot fail."""
    flags = (RD if query.rd else 0) | (CD if query.cd else 0)
    opt = b""
    if query.has_opt:
        opt = edns.opt(query.do, b"" if ede is None else edns.ede(ede), upper_rcode=rcode >> 4)
    return _reply(query.id, flags, query.question, rcode & 0xF, opt)


def _reply(id: int, flags: int, question: bytes, rcode: int, opt: bytes = b"") -> bytes:
    """`q:RCODE` to a query of these flags; an OPT counts as seen only once the whole query has been read."""
    return HEADER.pack(id, QR | RA | flags & (RD | CD) | rcode, 1, 0, 0, 1 if opt else 0) + question + opt


def _refuse_header(why: Refused, id: int, flags: int) -> Refusal:
    """`h:FORMERR` of docs/gate.md: no octet of what could not be read goes back."""
    return Refusal(why, HEADER.pack(id, QR | flags & RD | Rcode.FORMERR, 0, 0, 0, 0))


def _question_name_end(wire: bytes) -> int:
    """Offset behind QNAME, or 0 if there is no legal name: a pointer can only be wrong, for no name stands before."""
    offset = HEADER_SIZE
    stop = min(len(wire), HEADER_SIZE + MAX_NAME)
    while offset < stop:
        length = wire[offset]
        if length == 0:
            return offset + 1
        if length > 63:
            return 0
        offset += length + 1
    return 0


def _read_additional(wire: bytes, offset: int, count: int) -> list[_Record] | None:
    """The records of the additional section, or None if they are not all there.

    Also None: a TSIG is not the last of them (RFC 8945 section 5.1).
    """
    if count > _MAX_ADDITIONAL:
        return None
    records: list[_Record] = []
    for left in reversed(range(count)):
        at = _owner_end(wire, offset)
        if at == 0 or at + 10 > len(wire):
            return None
        rtype, _, _, rdlength = _RR.unpack_from(wire, at)
        rdata = at + 10
        if rdata + rdlength > len(wire) or (rtype == RRType.TSIG and left):
            return None
        records.append(_Record(rtype, at, rdata, rdata + rdlength, wire[offset] == 0))
        offset = rdata + rdlength
    return records


def _owner_end(wire: bytes, start: int) -> int:
    """Offset behind an owner name, or 0 if it is none; pointers are not followed, as no owner but OPT's matters."""
    offset = start
    stop = min(len(wire), start + MAX_NAME)
    while offset < stop:
        length = wire[offset]
        if length == 0:
            return offset + 1
        if length >= 0xC0:
            if offset + 2 > len(wire):
                return 0
            target = (length & 0x3F) << 8 | wire[offset + 1]
            return offset + 2 if HEADER_SIZE <= target < start else 0
        if length > 63:
            return 0
        offset += length + 1
    return 0


def _read_opt_untrusted(wire: bytes, opts: list[_Record]) -> bool:
    """Whether the one OPT of a query holds an edns-tcp-keepalive.

    Raises:
        WireError: there are two, its owner is not the root, or an option is wrong (RFC 6891 sections 6.1.1, 6.1.2).
    """
    first = opts[0]
    if len(opts) > 1:
        raise WireError("two OPT records", opts[1].at)
    if not first.root:
        raise WireError("owner of the OPT record is not the root", first.at)
    return edns.read_options_untrusted(wire, first.rdata, first.end)
