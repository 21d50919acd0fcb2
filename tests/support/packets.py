"""Messages put together by hand, octet by octet, for tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41

RESPONSE = 0x8180  # QR, RD, RA
QUERY = 0x0100  # RD
TC = 0x0200

_CORPUS = Path(__file__).parent.parent / "wire" / "data" / "client_packets.json"


class ClientPacket(NamedTuple):
    """One packet of the corpus: the gate's step that decides it, and the verdicts of the whole daemon."""

    id: str
    about: str
    step: str
    udp: str
    tcp: str
    wire: bytes


def client_packets() -> list[ClientPacket]:
    """Hostile, broken and odd packets that a client may send, each with what has to come back.

    In the file a verdict is DROP or CLOSE (silence), HDR:RCODE and Q:RCODE (`h:` and `q:` of docs/gate.md), or what
    the daemon makes of a good query: ANSWER, NODATA, NXDOMAIN, TC. `zeros` is how many zero octets follow `hex`.
    """
    return [
        ClientPacket(
            packet["id"],
            packet["about"],
            packet["step"],
            packet["udp"],
            packet["tcp"],
            bytes.fromhex(packet["hex"]) + bytes(packet.get("zeros", 0)),
        )
        for packet in json.loads(_CORPUS.read_text())
    ]


class CountedBytes(bytes):
    """Octets that count how often a single one of them is read: work, told without a clock."""

    reads = 0

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, int):
            self.reads += 1
        return super().__getitem__(index)


def u16(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


def u32(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def name(text: str) -> bytes:
    """Wire form of a name without escapes; "" is the root."""
    parts = [part.encode() for part in text.split(".") if part]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def pointer(offset: int) -> bytes:
    return u16(0xC000 | offset)


def question(text: str, qtype: int = A, qclass: int = 1) -> bytes:
    return name(text) + u16(qtype, qclass)


def record(owner: bytes, rtype: int, rdata: bytes, ttl: int = 60, rclass: int = 1) -> bytes:
    return owner + u16(rtype, rclass) + u32(ttl) + u16(len(rdata)) + rdata


def opt(options: bytes = b"", size: int = 1232, ttl: int = 0, owner: bytes = b"\0") -> bytes:
    return record(owner, OPT, options, ttl, size)


def message(
    asked: bytes,
    answer: list[bytes] | None = None,
    authority: list[bytes] | None = None,
    additional: list[bytes] | None = None,
    *,
    id: int = 0x1234,
    flags: int = RESPONSE,
    qdcount: int = 1,
) -> bytes:
    """A header that counts right, and everything behind it."""
    sections = [answer or [], authority or [], additional or []]
    return (
        u16(id, flags, qdcount, *(len(section) for section in sections))
        + asked
        + b"".join(octets for section in sections for octets in section)
    )


def query(asked: bytes, additional: list[bytes] | None = None, *, id: int = 0x1234, flags: int = QUERY) -> bytes:
    return message(asked, additional=additional, id=id, flags=flags)
