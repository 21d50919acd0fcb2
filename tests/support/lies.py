"""What an upstream server may do with a query, in words: the parts that scripts are made of.

A script says, message by message, what goes back to a query, octet by octet. Whatever is false in it leads to FALSE or
is told of VICTIM, so that a test can look for both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tests.support.packets import CNAME, RESPONSE, SOA, TC, A, message, name, opt, pointer, record, u16, u32

NAME: Final = "www.example.com"
VICTIM: Final = "www.victim.example"
LOCAL: Final = "postgres.db.svc.cluster.local"  # a Service of the cluster, with the address LOCAL_ADDRESS
TRUE: Final = bytes((192, 0, 2, 53))
FALSE: Final = bytes((203, 0, 113, 66))
LOCAL_ADDRESS: Final = bytes((10, 96, 0, 7))
TTL: Final = 300
# Where a message's question begins, as a compressed name.
QNAME: Final = pointer(12)


class Asked(NamedTuple):
    """A message that the daemon sent.

    Attributes:
        turn: how many came before it; tcp: by what way it came.
    """

    wire: bytes
    tcp: bool
    turn: int

    @property
    def id(self) -> int:
        return int.from_bytes(self.wire[:2])

    @property
    def question(self) -> bytes:
        return self.wire[12 : self.wire.index(0, 12) + 5]

    @property
    def name(self) -> bytes:
        return self.question[:-4]

    @property
    def qtype(self) -> int:
        return int.from_bytes(self.question[-4:-2])

    @property
    def edns(self) -> bool:
        return self.wire[10:12] == b"\0\1"


class Wait(NamedTuple):
    """Nothing, for so many seconds."""

    seconds: float


class Stream(NamedTuple):
    """Octets over TCP without a length before them; over UDP nothing."""

    octets: bytes


class Elsewhere(NamedTuple):
    """A datagram from another port of the server's."""

    wire: bytes


class End(NamedTuple):
    """The connection is closed, or reset; over UDP nothing."""

    reset: bool


Action = bytes | Wait | Stream | Elsewhere | End
Says = Callable[[Asked], Iterable[Action]]


class Script(NamedTuple):
    """What the upstream does when NAME is asked of it.

    Attributes:
        qtype: of the question that it is about.
        tcp: whether it can be connected to. udp: whether it takes datagrams; without, they are refused.
    """

    says: Says
    qtype: int = A
    tcp: bool = True
    udp: bool = True


def reply(
    asked: Asked,
    *answer: bytes,
    authority: Iterable[bytes] = (),
    additional: Iterable[bytes] = (),
    flags: int = RESPONSE,
    rcode: int = 0,
    id: int | None = None,
    question: bytes | None = None,
    qdcount: int = 1,
    edns: bool = True,
) -> bytes:
    """A reply with all counts right; an OPT is last if the query had one."""
    added = list(additional) + ([opt()] if edns and asked.edns else [])
    return message(
        asked.question if question is None else question,
        list(answer),
        list(authority),
        added,
        id=asked.id if id is None else id,
        flags=flags | rcode,
        qdcount=qdcount,
    )


def address(owner: bytes, octets: bytes = TRUE, ttl: int = TTL) -> bytes:
    return record(owner, A, octets, ttl)


def soa(zone: str, minimum: int = 300) -> bytes:
    return record(name(zone), SOA, name("ns." + zone) + name("h." + zone) + u32(1, 7200, 3600, 1209600, minimum), TTL)


def alias(owner: bytes, target: bytes) -> bytes:
    return record(owner, CNAME, target, TTL)


def truth(asked: Asked) -> bytes:
    """What an honest server says: every name has the address TRUE, and nothing else."""
    if asked.qtype == A:
        return reply(asked, address(QNAME))
    return reply(asked, authority=[soa("example.com")])


def honest(asked: Asked) -> Iterable[Action]:
    yield truth(asked)


def silent(asked: Asked) -> Iterable[Action]:
    return ()


def false(asked: Asked, **how: object) -> bytes:
    """An answer that would be taken, were it not for what `how` says."""
    return reply(asked, address(QNAME, FALSE), **how)  # type: ignore[arg-type]


def always(make: Callable[[Asked], bytes]) -> Says:
    """The same to every message, by whatever way it comes."""
    return lambda asked: (make(asked),)


def then_truth(make: Callable[[Asked], bytes]) -> Says:
    """The lie first, the truth a moment later."""
    return lambda asked: (make(asked), Wait(0.1), truth(asked))


def over(udp: Says, tcp: Says) -> Says:
    """One thing over UDP, another over TCP."""
    return lambda asked: tcp(asked) if asked.tcp else udp(asked)


def only_over_tcp(make: Callable[[Asked], bytes]) -> Says:
    """TC over UDP, and this over TCP."""
    return over(always(lambda asked: reply(asked, flags=RESPONSE | TC)), always(make))


def chain(links: int, spelled: str = "link{}.example.com") -> list[bytes]:
    """So many CNAMEs from NAME on, and the address TRUE at their end."""
    names = [QNAME, *(name(spelled.format(number)) for number in range(links))]
    return [alias(owner, target) for owner, target in itertools.pairwise(names)] + [address(names[-1])]


def framed(wire: bytes) -> bytes:
    return u16(len(wire)) + wire
