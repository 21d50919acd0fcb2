"""What a client sent: the gate that every query passes, and the question it asks."""

from __future__ import annotations

import enum

import msgspec

from hsdnsd.wire.name import Name


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


def read_query_untrusted(wire: bytes, truncated: bool = False) -> Query | Refusal:
    """The gate, first match wins: W1, W3 to W19 of the table in docs/gate.md. Never raises.

    Args:
        wire: one datagram or one TCP message, any length, any content.
        truncated: the datagram was longer than the receive buffer (MSG_TRUNC); also over MAX_UDP_QUERY for UDP.
    """
    raise NotImplementedError


def error_reply(query: Query, rcode: int, ede: int | None = None) -> bytes:
    """Header, question and (if the query had OPT) an OPT, with no records: `q:RCODE` of docs/gate.md. Cannot fail."""
    raise NotImplementedError
