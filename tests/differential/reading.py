"""Replies as what they mean, read by nothing of the daemon's own, so that they can be compared."""

from __future__ import annotations

from typing import NamedTuple

# Where names stand in rdata: fixed octets, character-strings, names. Of all other types octets are compared.
_NAMES = {
    **dict.fromkeys((2, 3, 4, 5, 7, 8, 9, 12, 39), (0, 0, 1)),
    **dict.fromkeys((6, 14, 17), (0, 0, 2)),
    **dict.fromkeys((15, 18, 21, 36), (2, 0, 1)),
    26: (2, 0, 2),
    33: (6, 0, 1),
    35: (4, 3, 1),
}  # fmt: skip
_OPT = 41

Owner = tuple[bytes, int, int]  # folded name, type, class


class RRset(NamedTuple):
    ttl: int  # the least
    rdatas: frozenset[bytes]
    count: int


class Reply(NamedTuple):
    """A reply; `flags` without the rcode, `edns` the OPT's version, flags and options, None if there is none."""

    size: int
    id: int
    flags: int
    rcode: int
    question: bytes
    answer: dict[Owner, RRset]
    authority: dict[Owner, RRset]
    additional: dict[Owner, RRset]
    edns: int | None
    ede: int | None

    def flag(self, mask: int) -> bool:
        return self.flags & mask != 0


def read(wire: bytes) -> Reply:
    """Fails with whatever it stumbles over, if the reply is not well-formed to its last octet."""
    counts = [int.from_bytes(wire[at : at + 2]) for at in range(0, 12, 2)]
    offset = 12
    for _ in range(counts[2]):
        _, offset = _name(wire, offset)
        offset += 4
    question = wire[12:offset]
    sections = []
    edns = ede = None
    upper = 0
    for count in counts[3:]:
        section: dict[Owner, RRset] = {}
        for _ in range(count):
            owner, at = _name(wire, offset)
            rtype, rclass = int.from_bytes(wire[at : at + 2]), int.from_bytes(wire[at + 2 : at + 4])
            ttl, start = int.from_bytes(wire[at + 4 : at + 8]), at + 10
            offset = start + int.from_bytes(wire[at + 8 : start])
            if rtype == _OPT:
                assert edns is None
                edns, upper, ede = ttl & 0xFFFFFF, ttl >> 24, _ede(wire[start:offset])
                continue
            key = owner.lower(), rtype, rclass
            known = section.get(key, RRset(ttl, frozenset(), 0))
            rdatas = known.rdatas | {_rdata(wire, rtype, start, offset)}
            section[key] = RRset(min(ttl, known.ttl), rdatas, known.count + 1)
        sections.append(section)
    assert offset == len(wire)
    rcode = counts[1] & 15 | upper << 4
    return Reply(len(wire), counts[0], counts[1] & 0xFFF0, rcode, question, *sections, edns, ede)


def _ede(options: bytes) -> int | None:
    while options:
        code, size = int.from_bytes(options[:2]), int.from_bytes(options[2:4])
        if code == 15:
            return int.from_bytes(options[4:6])
        options = options[4 + size :]
    return None


def _name(wire: bytes, offset: int) -> tuple[bytes, int]:
    octets = b""
    end = 0
    while length := wire[offset]:
        if length >= 192:
            end = end or offset + 2
            offset = (length & 63) << 8 | wire[offset + 1]
            continue
        octets += wire[offset : offset + 1 + length]
        offset += 1 + length
        assert len(octets) < 255
    return octets + b"\0", end or offset + 1


def _rdata(wire: bytes, rtype: int, start: int, end: int) -> bytes:
    layout = _NAMES.get(rtype)
    if layout is None:
        return wire[start:end]
    prefix, strings, names = layout
    at = start + prefix
    for _ in range(strings):
        at += wire[at] + 1
    octets = wire[start:at]
    for _ in range(names):
        octets_of_name, at = _name(wire, at)
        octets += octets_of_name.lower()
    return octets + wire[at:end]
