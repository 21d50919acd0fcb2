"""The query gate a second time, slow and plain: docs/gate.md row by row, to be compared with hsdnsd.wire.query.

It shares no code and no constant with the gate, and reads a packet as a stream that is eaten up from the left.
"""

from __future__ import annotations

import dataclasses

NOERROR, FORMERR, NOTIMP, REFUSED = 0, 1, 4, 5


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a query that passes asks, and how."""

    id: int
    question: bytes
    name: bytes
    qtype: int
    rd: bool
    cd: bool
    ad: bool
    has_opt: bool
    do: bool
    udp_size: int
    keepalive: bool
    trailing: bool


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The step that decided ("W23": answer it), the octets that go back (None: none), the question if it passes."""

    step: str
    reply: bytes | None = None
    asked: Asked | None = None


class RanOutError(Exception):
    """There are fewer octets left than are to be taken."""


class BadNameError(Exception):
    """What stands there is no name."""


class BadOptionsError(Exception):
    """An OPT's rdata is not a list of options."""


class Stream:
    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.taken = 0

    def take(self, count: int) -> bytes:
        if self.taken + count > len(self.octets):
            raise RanOutError
        self.taken += count
        return self.octets[self.taken - count : self.taken]

    def number(self, count: int) -> int:
        return sum(octet << 8 * place for place, octet in enumerate(reversed(self.take(count))))

    def empty(self) -> bool:
        return self.taken == len(self.octets)


def eat_name(stream: Stream, *, pointers: bool) -> list[bytes]:
    """The labels of a name, a pointer as a pseudo-label of two octets."""
    begin = stream.taken
    found: list[bytes] = []
    while True:
        kind, length = divmod(stream.number(1), 64)
        if kind == 3 and pointers:
            target = length * 256 + stream.number(1)
            if target < 12 or target >= begin:
                raise BadNameError
            return [*found, bytes([192 + length, target % 256])]
        if kind:
            raise BadNameError
        if length == 0:
            # Each label costs one octet more than it shows, and the root costs one.
            if sum(len(label) + 1 for label in found) + 1 > 255 or len(found) > 127:
                raise BadNameError
            return found
        found.append(stream.take(length))
        if sum(len(label) + 1 for label in found) > 254:
            raise BadNameError


def eat_record(stream: Stream) -> tuple[list[bytes], int, int, int, bytes]:
    owner = eat_name(stream, pointers=True)
    rtype, rclass, ttl = stream.number(2), stream.number(2), stream.number(4)
    return owner, rtype, rclass, ttl, stream.take(stream.number(2))


def eat_options(rdata: bytes) -> list[tuple[int, bytes]]:
    stream = Stream(rdata)
    options: list[tuple[int, bytes]] = []
    try:
        while not stream.empty():
            options.append((stream.number(2), stream.take(stream.number(2))))
    except RanOutError as error:
        raise BadOptionsError from error
    if len(options) > 64:
        raise BadOptionsError
    return options


def bits(word: int) -> str:
    return f"{word:016b}"


def header(id: int, flags: str, rcode: int, questions: int, additional: int) -> bytes:
    word = int(flags, 2) + rcode
    return b"".join(number.to_bytes(2, "big") for number in (id, word, questions, 0, 0, additional))


def opt_record(extended: int, do: bool, ede: int | None) -> bytes:
    option = b"" if ede is None else bytes([0, 15, 0, 2]) + ede.to_bytes(2, "big")
    return bytes([0, 0, 41, 4, 208, extended, 0, 128 if do else 0, 0]) + len(option).to_bytes(2, "big") + option


def judge(octets: bytes, truncated: bool = False) -> Verdict:
    stream = Stream(octets)
    try:
        message_id, word, qd, an, ns, ar = [stream.number(2) for _ in range(6)]
    except RanOutError:
        return Verdict("W1")
    flag = bits(word)
    qr, opcode, rd, ad, cd = flag[0], flag[1:5], flag[7], flag[10], flag[11]
    if qr == "1":
        return Verdict("W3")
    if opcode != "0000":
        return Verdict("W4", header(message_id, "1" + opcode + "0" * 11, NOTIMP, 0, 0))
    bare = header(message_id, "1000000" + rd + "00000000", FORMERR, 0, 0)
    if truncated:
        return Verdict("W5", bare)
    if qd == 0:
        return Verdict("W6", bare)
    if qd > 1:
        return Verdict("W7", bare)
    try:
        qname = eat_name(stream, pointers=False)
    except (RanOutError, BadNameError):
        return Verdict("W8", bare)
    try:
        qtype, qclass = stream.number(2), stream.number(2)
    except RanOutError:
        return Verdict("W9", bare)
    question = octets[12 : stream.taken]
    back = "1000000" + rd + "100" + cd + "0000"
    plain = header(message_id, back, FORMERR, 1, 0) + question
    if an or ns:
        return Verdict("W10", plain)
    if ar > 2:
        return Verdict("W11", plain)
    try:
        records = [eat_record(stream) for _ in range(ar)]
    except (RanOutError, BadNameError):
        return Verdict("W11", plain)
    if any(record[1] == 250 for record in records[:-1]):
        return Verdict("W11", plain)
    opts = [record for record in records if record[1] == 41]
    if len(opts) > 1 or any(owner for owner, *_ in opts):
        return Verdict("W12", plain)
    do, size, version, keepalives = False, 512, 0, list[bytes]()
    for _, _, asked_size, ttl, rdata in opts:
        try:
            keepalives = [value for code, value in eat_options(rdata) if code == 11]
        except BadOptionsError:
            return Verdict("W12", plain)
        if keepalives and keepalives[0]:
            return Verdict("W12", plain)
        version = ttl // 65536 % 256
        do = bits(ttl % 65536)[0] == "1"
        size = sorted([512, asked_size, 1232])[1]

    def refuse(rcode: int, ede: int | None = None) -> bytes:
        tail = opt_record(rcode // 16, do, ede) if opts else b""
        return header(message_id, back, rcode % 16, 1, len(opts)) + question + tail

    if version:
        return Verdict("W15", refuse(16))
    if qclass != 1:
        return Verdict("W16", refuse(REFUSED, 21))
    if qtype in (41, 249, 250):
        return Verdict("W17", refuse(FORMERR))
    if qtype == 128:
        return Verdict("W17", refuse(FORMERR, 30))
    if qtype in (251, 252):
        return Verdict("W18", refuse(REFUSED))
    if qtype in (253, 254):
        return Verdict("W19", refuse(NOTIMP))
    name = b"".join(bytes([len(label)]) + label.lower() for label in qname) + b"\0"
    asked = Asked(
        message_id, question, name, qtype, rd == "1", cd == "1", ad == "1",
        bool(opts), do, size, bool(keepalives), not stream.empty(),
    )  # fmt: skip
    return Verdict("W23", None, asked)
