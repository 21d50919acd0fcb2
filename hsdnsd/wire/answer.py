"""Finished answers: built once, kept, and given to any number of askers without being parsed again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query
from hsdnsd.wire.rrset import RRset


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
    raise NotImplementedError


def render(answer: Answer, query: Query, limit: int, age: int = 0, turn: int = 0) -> bytes:
    """The response to `query`: header (QR, RD and CD as asked, RA, AA), the question as asked, records, OPT if asked.

    If it is longer than `limit` (query.udp_size over UDP, 65,535 over TCP): TC set and no records (OPT stays). An EDE
    that does not fit is left out first.

    Args:
        answer: what is known.
        query: who asks.
        limit: octets that the asker takes.
        age: whole seconds since the answer was made; taken off each TTL, not below 0, unless `answer.fixed`.
        turn: by how many records the rotating run is turned.
    """
    raise NotImplementedError


def rrsets(answer: Answer, query: Query, age: int = 0) -> tuple[tuple[RRset, ...], tuple[RRset, ...]]:
    """Answer and authority sections of a finished answer as RRsets again, TTLs aged, to build a longer chain on them."""
    raise NotImplementedError
