"""Messages of upstream servers: reading what they answer, writing what we ask."""

from __future__ import annotations

import msgspec

from hsdnsd.wire.rrset import RRset


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
    raise NotImplementedError


def build_query(id: int, question: bytes, *, rd: bool, cd: bool, do: bool, udp_size: int | None) -> bytes:
    """The query to send upstream: our own OPT (or none if `udp_size` is None), no options, never the client's."""
    raise NotImplementedError


def matches(wire: bytes, id: int, question: bytes) -> bool:
    """Whether these octets claim to answer exactly this: QR, opcode 0, id, QDCOUNT 1, the question but for case
    (RFC 5452 section 9.1). Looks at header and question alone. Cannot fail."""
    raise NotImplementedError
