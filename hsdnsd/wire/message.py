"""Messages of upstream servers: reading what they answer, writing what we ask."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from hsdnsd.errors import WireError
from hsdnsd.wire import edns
from hsdnsd.wire.const import CD, CLASS_IN, HEADER_SIZE, MAX_TTL, QR, RD, RRType
from hsdnsd.wire.cursor import NameReader
from hsdnsd.wire.name import Name
from hsdnsd.wire.rdata import LAYOUTS, SIZES, Layout
from hsdnsd.wire.rrset import RRset

_HEADER: Final = struct.Struct("!HHHHHH")
_RR: Final = struct.Struct("!HHIH")  # TYPE, CLASS, TTL, RDLENGTH
_OPCODE: Final = 0x7800
_OPT: Final = int(RRType.OPT)
_MIN_RECORD: Final = 1 + _RR.size
_PADDED_TO: Final = 128


class Message(msgspec.Struct, frozen=True, gc=False):
    """A parsed response, every name in its rdata uncompressed, records of class IN only.

    Attributes:
        id: message id.
        flags: second word of the header, RCODE bits included.
        rcode: RCODE with the OPT's upper bits.
        question: QNAME, QTYPE and QCLASS octets (QNAME not compressed), as received.
        answer, authority, additional: RRsets in the order of the wire, OPT left out; TTLs with the high bit are 0.
        has_opt: whether an OPT was there.
        foreign: number of records of another class that were dropped.
    """

    id: int
    flags: int
    rcode: int
    question: bytes
    answer: tuple[RRset, ...]
    authority: tuple[RRset, ...]
    additional: tuple[RRset, ...]
    has_opt: bool
    foreign: int = 0


def read_message_untrusted(wire: bytes) -> Message:
    """Parse a response in time linear in its length, whatever it holds.

    Exactly one question; counts must be met; RDLENGTH is obeyed to the octet (a name in rdata may not read past it);
    names in rdata are expanded for the types of RFC 1035 (and SRV, DNAME, NAPTR, RP, AFSDB, KX, which senders were
    once allowed to compress: RFC 3597 section 4), all other rdata is opaque. A, AAAA must have 4, 16 octets.
    Octets behind the last record are ignored.

    Raises:
        WireError: it is not a DNS response to one question.
    """
    if len(wire) < HEADER_SIZE:
        raise WireError("header is cut off", len(wire))
    message_id, flags, qdcount, *counts = _HEADER.unpack_from(wire)
    if not flags & QR or flags & _OPCODE:
        raise WireError("not a response to a query", 2)
    if qdcount != 1:
        raise WireError("not exactly one question", 4)
    reader = _Reader(wire)
    question = reader.question()
    if sum(counts) * _MIN_RECORD > len(wire) - reader.offset:
        raise WireError("more records announced than there is room for", 6)
    answer = reader.section(counts[0], additional=False)
    authority = reader.section(counts[1], additional=False)
    additional = reader.section(counts[2], additional=True)
    rcode = reader.upper_rcode << 4 | flags & 0xF
    return Message(message_id, flags, rcode, question, answer, authority, additional, reader.has_opt, reader.foreign)


def build_query(
    id: int, question: bytes, *, rd: bool, cd: bool, do: bool, udp_size: int | None, pad: bool = False
) -> bytes:
    """The query to send upstream: our own OPT (or none if `udp_size` is None), never the client's.

    Args:
        pad: hide how long the name is, by a length that is a multiple of 128 octets (RFC 8467 section 4.1). Takes an
            OPT.
    """
    flags = (RD if rd else 0) | (CD if cd else 0)
    if udp_size is None:
        return _HEADER.pack(id, flags, 1, 0, 0, 0) + question
    query = _HEADER.pack(id, flags, 1, 0, 0, 1) + question + edns.opt(do, udp_size=udp_size)
    if not pad:
        return query
    options = edns.padding(len(query), _PADDED_TO)
    return query[: -edns.OPT_SIZE] + edns.opt(do, options, udp_size=udp_size)


def matches(wire: bytes, id: int, question: bytes) -> bool:
    """Whether these octets claim to answer exactly this: QR, opcode 0, id, QDCOUNT 1, the question but for case
    (RFC 5452 section 9.1). Looks at header and question alone. Cannot fail."""
    name_end = HEADER_SIZE + len(question) - 4
    if len(wire) < name_end + 4:
        return False
    got_id, flags, qdcount, _, _, _ = _HEADER.unpack_from(wire)
    if got_id != id or qdcount != 1 or not flags & QR or flags & _OPCODE:
        return False
    # Only the name is folded: octets of a QTYPE may look like letters, 65 (HTTPS) and 97 for one.
    return (
        wire[name_end : name_end + 4] == question[-4:] and wire[HEADER_SIZE:name_end].lower() == question[:-4].lower()
    )


class _Reader:
    """Where the reading of one message stands, and what it has found on the way."""

    __slots__ = ("_names", "_wire", "foreign", "has_opt", "offset", "upper_rcode")

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._names = NameReader(wire)
        self.offset = HEADER_SIZE
        self.has_opt = False
        self.upper_rcode = 0
        self.foreign = 0

    def question(self) -> bytes:
        """The question; no pointer can be in it, for there is no name before."""
        _, end = self._names.read_untrusted(self.offset, len(self._wire))
        self.offset = end + 4
        if self.offset > len(self._wire):
            raise WireError("question is cut off", end)
        return self._wire[HEADER_SIZE : self.offset]

    def section(self, count: int, *, additional: bool) -> tuple[RRset, ...]:
        """The next `count` records, those of one name and type put together: the least TTL, no duplicates, where the
        first of them stood (RFC 2181 sections 5, 5.2)."""
        wire = self._wire
        size = len(wire)
        names = self._names
        offset = self.offset
        owners: dict[tuple[bytes, int], Name] = {}
        ttls: dict[tuple[bytes, int], int] = {}
        rdatas: dict[tuple[bytes, int], dict[bytes, None]] = {}
        for _ in range(count):
            name, at = names.read_untrusted(offset, size)
            rdata = at + 10
            if rdata > size:
                raise WireError("record is cut off", at)
            rtype, rclass, ttl, rdlength = _RR.unpack_from(wire, at)
            offset = rdata + rdlength
            if offset > size:
                raise WireError("rdata is cut off", at)
            if rtype == _OPT:
                self._opt(name, ttl, at, additional)
                continue
            if rclass != CLASS_IN:
                self.foreign += 1
                continue
            octets = self._rdata(rtype, rdata, offset)
            if ttl > MAX_TTL:
                ttl = 0
            key = (name.lower(), rtype)
            if key in owners:
                ttls[key] = min(ttls[key], ttl)
                rdatas[key][octets] = None
            else:
                owners[key] = name
                ttls[key] = ttl
                rdatas[key] = {octets: None}
        self.offset = offset
        return tuple(RRset(name, key[1], ttls[key], tuple(rdatas[key])) for key, name in owners.items())

    def _opt(self, name: Name, ttl: int, at: int, additional: bool) -> None:
        """RFC 6891 section 6.1.1: one OPT, in the additional section, at the root."""
        if not additional or self.has_opt or len(name) != 1:
            raise WireError("OPT record where none may be", at)
        self.has_opt = True
        self.upper_rcode = ttl >> 24

    def _rdata(self, rtype: int, start: int, end: int) -> bytes:
        layout = LAYOUTS.get(rtype)
        if layout is not None:
            return self._expanded(layout, start, end)
        size = SIZES.get(rtype)
        if size is not None and end - start != size:
            raise WireError("address of a wrong size", start)
        return self._wire[start:end]

    def _expanded(self, layout: Layout, start: int, end: int) -> bytes:
        """Rdata with its names uncompressed; what stands around them is copied."""
        wire = self._wire
        offset = start + layout.prefix
        for _ in range(layout.strings):
            if offset >= end:
                raise WireError("character-string is cut off", offset)
            offset += wire[offset] + 1
        octets = wire[start:offset]
        for _ in range(layout.names):
            name, offset = self._names.read_untrusted(offset, end)
            octets += name
        if offset + layout.suffix != end:
            raise WireError("RDLENGTH is not the length of the rdata", start)
        return octets + wire[offset:end]
