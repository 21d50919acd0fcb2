"""Finished answers: built once, kept, and given to any number of askers without being parsed again."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Final

import msgspec

from hsdnsd.errors import WireError
from hsdnsd.wire import edns
from hsdnsd.wire.compress import Compressor
from hsdnsd.wire.const import AA, CD, CLASS_IN, HEADER_SIZE, MAX_MESSAGE, QR, RA, RD, TC
from hsdnsd.wire.message import read_message_untrusted
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query
from hsdnsd.wire.rdata import LAYOUTS, SIZES, Layout
from hsdnsd.wire.rrset import RRset

_HEADER: Final = struct.Struct("!HHHHHH")
_TYPE_CLASS_TTL: Final = struct.Struct("!HHI")
_TTL: Final = struct.Struct("!I")
_FLAGS: Final = QR | RA
_OPT: Final = edns.opt(do=False)
_OPT_DO: Final = edns.opt(do=True)
# Every option that may go out at once: EDE and keepalive.
_MAX_OPT: Final = len(edns.opt(do=False, options=edns.ede(0) + edns.KEEPALIVE))


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Everything of a response behind the question, but the OPT.

    Compression pointers in `body` hold for any message whose 12-octet header is followed by one question with this
    name, so the asker's own question (id, case of letters) is put before it as it stands.

    Attributes:
        rcode: RCODE, 0 to 15.
        aa: authoritative (own zones only).
        an, ns, ar: record counts; ar without OPT.
        body: the records.
        ttls: offset in `body` of each record's TTL, as 16-bit unsigned integers in native byte order.
        ttl: the least TTL in `body`, seconds; 0 if there are no records.
        rotate_at, rotate_count, rotate_size: where a run of equally long records of one RRset begins in `body`, how
            many they are (0: nothing to rotate) and how many octets each has; rotated so that load spreads.
        extra: octets at the end of `body` that are the additional section: what does not fit loses them first, and only
            then the rest (RFC 2181 section 9: TC is for what is required).
        fixed: TTLs are given as they stand, not aged (own zones: the watch ends them, not time).
        ede: info code of the Extended DNS Error to send, if any (RFC 8914).
    """

    rcode: int
    aa: bool
    an: int
    ns: int
    ar: int
    body: bytes
    ttls: bytes
    ttl: int
    rotate_at: int = 0
    rotate_count: int = 0
    rotate_size: int = 0
    extra: int = 0
    fixed: bool = False
    ede: int | None = None


def build_answer(
    name: Name,
    rcode: int,
    answer: Sequence[RRset] = (),
    authority: Sequence[RRset] = (),
    additional: Sequence[RRset] = (),
    *,
    aa: bool = False,
    fixed: bool = False,
    ede: int | None = None,
) -> Answer:
    """Put RRsets on the wire, to answer a question for `name`.

    Owner names are compressed, and names in the rdata of the types of RFC 1035 section 3.3 (RFC 3597 section 4);
    comparison for compression folds case, so a name that ends like the question shows the asker's spelling.
    The first RRset of A or AAAA in the answer section with more than one record is what rotates.

    Raises:
        WireError: the result would not fit in 65,535 octets with a question and an OPT.
    """
    writer = _Writer(name)
    an = writer.section(answer, rotates=True)
    ns = writer.section(authority)
    required = writer.size
    ar = writer.section(additional)
    return Answer(
        rcode=rcode,
        aa=aa,
        an=an,
        ns=ns,
        ar=ar,
        body=b"".join(writer.parts),
        ttls=array("H", writer.ttls).tobytes(),
        ttl=min((rrset.ttl for rrset in (*answer, *authority, *additional)), default=0),
        rotate_at=writer.rotate_at,
        rotate_count=writer.rotate_count,
        rotate_size=writer.rotate_size,
        extra=writer.size - required,
        fixed=fixed,
        ede=ede,
    )


def render(answer: Answer, query: Query, limit: int, age: int = 0, turn: int = 0) -> bytes:
    """The response to `query`: header (QR, RD and CD as asked, RA, AA), the question as asked, records, OPT if asked.

    If it is longer than `limit` (query.udp_size over UDP, 65,535 over TCP), an EDE is left out first, then the
    additional section; if that is not enough: TC set and no records (OPT stays). Over TCP an edns-tcp-keepalive is
    answered with ours (RFC 7828).

    Args:
        answer: what is known.
        query: who asks.
        limit: octets that the asker takes.
        age: whole seconds since the answer was made; taken off each TTL, not below 0, unless `answer.fixed`.
        turn: by how many records the rotating run is turned.
    """
    flags = _FLAGS | answer.rcode
    if answer.aa:
        flags |= AA
    if query.rd:
        flags |= RD
    if query.cd:
        flags |= CD
    question = query.question
    body = answer.body
    opt = b""
    ar = answer.ar
    if query.has_opt:
        ar += 1
        opt = _OPT_DO if query.do else _OPT
        if answer.ede is not None or (query.keepalive and limit == MAX_MESSAGE):
            opt = _opt_with_options(answer, query, limit, limit - HEADER_SIZE - len(question) - len(body))
    if HEADER_SIZE + len(question) + len(body) + len(opt) > limit:
        if answer.extra and HEADER_SIZE + len(question) + len(body) - answer.extra + len(opt) <= limit:
            return render(without_additional(answer), query, limit, age, turn)
        return _HEADER.pack(query.id, flags | TC, 1, 0, 0, 1 if opt else 0) + question + opt
    if age and not answer.fixed:
        body = _aged(answer, age)
    if turn and answer.rotate_count:
        body = _turned(answer, body, turn)
    return _HEADER.pack(query.id, flags, 1, answer.an, answer.ns, ar) + question + body + opt


def without_additional(answer: Answer) -> Answer:
    """The same answer with an empty additional section."""
    body = answer.body[: -answer.extra] if answer.extra else answer.body
    ttls = answer.ttls[: 2 * (answer.an + answer.ns)]
    return msgspec.structs.replace(answer, ar=0, body=body, ttls=ttls, extra=0)


def restamped(answer: Answer, ttl: int, ede: int | None) -> Answer:
    """The same records with one TTL for all, that is not aged; for an answer given out past its time."""
    body = bytearray(answer.body)
    for offset in array("H", answer.ttls):
        _TTL.pack_into(body, offset, ttl)
    return msgspec.structs.replace(answer, body=bytes(body), ttl=ttl, fixed=True, ede=ede)


def rrsets(answer: Answer, name: Name, age: int = 0) -> tuple[tuple[RRset, ...], tuple[RRset, ...]]:
    """Answer and authority sections of an answer for `name` as RRsets again, TTLs aged, to build a longer chain."""
    header = _HEADER.pack(0, QR, 1, answer.an, answer.ns, answer.ar)
    body = _aged(answer, age) if age and not answer.fixed else answer.body
    # The pointers in the body count on a question of this name; its type is nothing to them.
    message = read_message_untrusted(header + name + bytes(4) + body)
    return message.answer, message.authority


def _opt_with_options(answer: Answer, query: Query, limit: int, room: int) -> bytes:
    """The OPT with what has to be said in it; without the EDE if there is no room for that (CVE-2024-1931)."""
    keepalive = edns.KEEPALIVE if query.keepalive and limit == MAX_MESSAGE else b""
    if answer.ede is not None:
        opt = edns.opt(query.do, edns.ede(answer.ede) + keepalive)
        if len(opt) <= room:
            return opt
    return edns.opt(query.do, keepalive)


def _aged(answer: Answer, age: int) -> bytes:
    body = bytearray(answer.body)
    if age > answer.ttl:
        for offset in array("H", answer.ttls):
            _TTL.pack_into(body, offset, max(_TTL.unpack_from(body, offset)[0] - age, 0))
    else:
        # No TTL is below the least one.
        for offset in array("H", answer.ttls):
            _TTL.pack_into(body, offset, _TTL.unpack_from(body, offset)[0] - age)
    return bytes(body)


def _turned(answer: Answer, body: bytes, turn: int) -> bytes:
    """The records of the run, the first `turn` of them (modulo their number) moved behind the others."""
    start = answer.rotate_at
    end = start + answer.rotate_count * answer.rotate_size
    cut = start + turn % answer.rotate_count * answer.rotate_size
    return body[:start] + body[cut:end] + body[start:cut] + body[end:]


class _Writer:
    """The records of an answer that is being built, and where in the message the next one will stand."""

    __slots__ = ("_at", "_base", "_names", "parts", "rotate_at", "rotate_count", "rotate_size", "ttls")

    def __init__(self, question: Name) -> None:
        self._names = Compressor(question)
        self._base = self._at = HEADER_SIZE + len(question) + 4
        self.parts: list[bytes] = []
        self.ttls: list[int] = []
        self.rotate_at = self.rotate_count = self.rotate_size = 0

    @property
    def size(self) -> int:
        """Octets of records so far."""
        return self._at - self._base

    def section(self, rrsets: Sequence[RRset], *, rotates: bool = False) -> int:
        """Write one section; the number of its records."""
        count = 0
        for rrset in rrsets:
            first = self._at
            size = self._rrset(rrset)
            count += len(rrset.rdatas)
            if rotates and rrset.rtype in SIZES and len(rrset.rdatas) > 1 and not self.rotate_count:
                self._rotate(first, size, len(rrset.rdatas))
        return count

    def _rotate(self, first: int, size: int, count: int) -> None:
        """Let the run turn, unless its first record alone spells out its owner, so that the records differ in size."""
        if self._at - first == size * count:
            self.rotate_at = first - self._base
            self.rotate_count = count
            self.rotate_size = size

    def _rrset(self, rrset: RRset) -> int:
        """Write the records of an RRset; the size of the last one."""
        head = _TYPE_CLASS_TTL.pack(rrset.rtype, CLASS_IN, rrset.ttl)
        layout = LAYOUTS.get(rrset.rtype)
        if layout is not None and not layout.compressed:
            layout = None
        owner = b""
        size = 0
        for index, rdata in enumerate(rrset.rdatas):
            if index < 2:
                # The second record finds the owner of the first; what holds for it holds for all that follow.
                owner = self._names.write(rrset.name, self._at) + head
            if layout is not None:
                rdata = self._compressed(layout, rdata, self._at + len(owner) + 2)
            size = len(owner) + 2 + len(rdata)
            if self._at + size > MAX_MESSAGE - _MAX_OPT:
                raise WireError("answer does not fit into a message", self._at)
            self.ttls.append(self._at - self._base + len(owner) - 4)
            self.parts += (owner, len(rdata).to_bytes(2, "big"), rdata)
            self._at += size
        return size

    def _compressed(self, layout: Layout, rdata: bytes, at: int) -> bytes:
        """Rdata, to stand at this offset of the message, with its names compressed."""
        start = layout.prefix
        octets = rdata[:start]
        for _ in range(layout.names):
            end = start
            while length := rdata[end]:
                end += length + 1
            end += 1
            octets += self._names.write(Name(rdata[start:end]), at + len(octets))
            start = end
        return octets + rdata[start:]
