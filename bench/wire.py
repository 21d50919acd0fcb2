"""The little of the DNS wire format that a bench needs: queries out, canned answers in a file, headers of replies."""

from __future__ import annotations

import ipaddress
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.scenarios import NOERROR, NXDOMAIN, Question
from bench.zone import TTL, Record

TYPES = {"A": 1, "NS": 2, "SOA": 6, "TXT": 16, "AAAA": 28, "SRV": 33}
IN = 1
EDNS_OCTETS = 1232
AT_QUESTION = b"\xc0\x0c"  # a pointer to the name in the question

_RA = 0x80
_OPT = struct.pack("!BHHIH", 0, 41, EDNS_OCTETS, 0, 0)


def name(text: str) -> bytes:
    """A name in wire form, not compressed."""
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def query(question: Question, number: int = 0, *, edns: bool = False) -> bytes:
    """A query with RD set."""
    head = struct.pack("!6H", number, 0x0100, 1, 0, 0, int(edns))
    return head + name(question.name) + struct.pack("!HH", TYPES[question.type], IN) + (_OPT if edns else b"")


def query_file(questions: Iterable[Question], *, edns: bool) -> bytes:
    """The input of bench/generator/load.c."""
    wires = (query(question, edns=edns) for question in questions)
    return b"".join(len(wire).to_bytes(2, "big") + wire for wire in wires)


class Header(NamedTuple):
    """What the first twelve octets of a reply tell."""

    id: int
    rcode: int
    truncated: bool
    answers: int

    @classmethod
    def read(cls, wire: bytes) -> Header:
        number, flags, _, answers, _, _ = struct.unpack_from("!6H", wire)
        return cls(number, flags & 15, bool(flags & 0x0200), answers)


def answer_file(records: Iterable[Record], absent: Iterable[Question]) -> bytes:
    """The input of bench/upstream/upstream.c: an answer to each question that the records answer, NODATA for AAAA of
    those names, NXDOMAIN for the questions in `absent`."""
    sets: dict[tuple[str, str], list[Record]] = defaultdict(list)
    soa: dict[str, Record] = {}
    for record in records:
        sets[record.name, record.type].append(record)
        if record.type == "SOA":
            soa[record.name] = record
    entries = []
    for (owner, kind), found in sets.items():
        targets = [record.data.split()[3] for record in found if kind == "SRV"]
        additional = [record for target in targets for record in sets[target, "A"]] if targets else []
        entries.append(_entry(Question(owner, kind), NOERROR, found, (), additional))
        if kind == "A" and (owner, "AAAA") not in sets:
            entries.append(_entry(Question(owner, "AAAA"), NOERROR, (), [_apex(owner, soa)], ()))
    entries += [_entry(question, NXDOMAIN, (), [_apex(question.name, soa)], ()) for question in absent]
    return b"".join(entries)


def _apex(owner: str, soa: dict[str, Record]) -> Record:
    """The SOA of the zone that a name lies in."""
    return next(record for zone, record in soa.items() if owner == zone or owner.endswith(f".{zone}"))


def _entry(
    question: Question, rcode: int, found: Sequence[Record], authority: Sequence[Record], additional: Sequence[Record]
) -> bytes:
    rest = b"".join(_record(AT_QUESTION, record) for record in found)
    rest += b"".join(_record(name(record.name), record) for record in (*authority, *additional))
    asked = name(question.name.lower()) + TYPES[question.type].to_bytes(2, "big")
    counts = struct.pack("!BHHH", _RA | rcode, len(found), len(authority), len(additional))
    return struct.pack("!H", len(asked)) + asked + counts + struct.pack("!H", len(rest)) + rest


def _record(owner: bytes, record: Record) -> bytes:
    data = _data(record)
    return owner + struct.pack("!HHIH", TYPES[record.type], IN, TTL, len(data)) + data


def _data(record: Record) -> bytes:
    words = record.data.split()
    match record.type:
        case "A":
            return ipaddress.IPv4Address(record.data).packed
        case "NS":
            return name(record.data)
        case "SRV":
            return struct.pack("!3H", *map(int, words[:3])) + name(words[3])
        case "SOA":
            return name(words[0]) + name(words[1]) + struct.pack("!5I", *map(int, words[2:]))
        case "TXT":
            text = record.data.strip('"').encode()
            return bytes([len(text)]) + text
        case other:
            raise ValueError(f"no wire form for {other}")
