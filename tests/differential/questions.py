"""The mixed questions: what clients ask, in what way, and how often each kind comes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import NamedTuple

from tests.differential.rdata import ANY, DS, PRIVATE, TYPES, string
from tests.differential.world import LINKS, PLAIN_ZONE, SCRIPTS, ZONE, joined
from tests.support.packets import AAAA, CNAME, NS, PTR, SOA, TXT, A, name, opt, query, u16


class Question(NamedTuple):
    """One question, and how it is put. `kind` names it in a report: a script, a chain of them, or a special name."""

    kind: str
    owner: bytes
    qtype: int
    qclass: int = 1
    rd: bool = True
    cd: bool = False
    ad: bool = False
    edns: int | None = None
    do: bool = False
    version: int = 0
    tcp: bool = False

    def wire(self, id: int) -> bytes:
        flags = self.rd << 8 | self.ad << 5 | self.cd << 4
        added = [] if self.edns is None else [opt(size=self.edns, ttl=self.version << 16 | self.do << 15)]
        return query(self.owner + u16(self.qtype, self.qclass), added, id=id, flags=flags)


# Scripts that answer most of what is asked in earnest come more often than those that no honest server acts out.
COMMON = ("one", "three", "nx", "nodata", "wildcard", "ttl1day", "signed", "aa")
RARE = tuple(sorted(set(SCRIPTS) - set(COMMON) - {"", "loop2", "loop3", "oldformerr", "oldnotimp"}))
ENDS = ("one", "three", "nx", "nodata", "ttl0", "nxbare", "servfail", "wildcard", "ttlmixed", "nxroot", "nxttl0")
# How long chains are: 17 links are one more than the daemon follows in one message, 12 are more than unbound does.
LENGTHS = (1, 1, 1, 2, 2, 3, 5, 8, 10, 11, 12, 16, 17)
ODD_LABELS = (
    b"\0",
    b"\xff\xfe",
    b"a.b",
    b"\\",
    b"a b",
    b'"',
    b"_http",
    b"*",
    b"xn--bcher-kva",
    b"-",
    b"\xc3\xa9",
    b"@;",
)
EDNS_SIZES = (None, None, 512, 1232, 1232, 1232, 1400, 4096, 65535, 0)

LOCAL = (
    "localhost", "www.localhost", "invalid", "a.invalid", "onion", "abc.onion", "test", "a.test", "home.arpa",
    "host.home.arpa", "1.0.0.127.in-addr.arpa", "127.in-addr.arpa", "9.0.0.127.in-addr.arpa", "7.0.0.10.in-addr.arpa",
    "10.in-addr.arpa", "1.1.168.192.in-addr.arpa", "1.16.172.in-addr.arpa", "1.2.0.192.in-addr.arpa",
    "3.254.169.in-addr.arpa", "5.64.100.in-addr.arpa", "8.8.8.8.in-addr.arpa", "1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
    "1." + "0." * 31 + "ip6.arpa", "5.0.8.e.f.ip6.arpa", "local", "a.local", "resolver.arpa", "_dns.resolver.arpa",
    "service.arpa", "a.service.arpa", "example", "com", "nowhere.zz", "",
)  # fmt: skip


def questions(count: int, seed: int) -> list[Question]:
    """So many questions, of which one in ten repeats an earlier name in another way."""
    draw = random.Random(seed)
    numbers = itertools.count()
    asked: list[Question] = []
    while len(asked) < count:
        if asked and draw.random() < 0.1:
            asked.append(_put(draw, draw.choice(asked[-500:])))
        else:
            asked.append(_put(draw, _new(draw, next(numbers))))
    return asked


def _new(draw: random.Random, number: int) -> Question:
    make = draw.choices(list(_KINDS), list(_KINDS.values()))[0]
    return make(draw, b"n%d" % number)


def _named(draw: random.Random, script: str, label: bytes) -> bytes:
    """A name that nothing else is asked for, with odd labels in it, or as long as a name may be."""
    before = string(b"www") + string(label)
    chance = draw.random()
    if chance < 0.1:
        before = string(draw.choice(ODD_LABELS)) + before
    while chance > 0.97 and (room := 254 - len(joined(before, script, ZONE))) > 0:
        before = string(b"x" * min(63, room)) + before
    return joined(before, script, ZONE)


def _put(draw: random.Random, question: Question) -> Question:
    """The question, in a way that may be any."""
    edns = question.edns if question.version else draw.choice(EDNS_SIZES)
    owner = bytes(_capital(draw, octet) for octet in question.owner) if draw.random() < 0.2 else question.owner
    return question._replace(
        owner=owner,
        edns=edns,
        do=edns is not None and draw.random() < 0.3,
        cd=draw.random() < 0.1,
        ad=draw.random() < 0.1,
        tcp=draw.random() < 0.15,
    )


def _capital(draw: random.Random, octet: int) -> int:
    return octet - 32 if 97 <= octet <= 122 and draw.random() < 0.5 else octet


def _type(draw: random.Random) -> int:
    return draw.choices(list(TYPES), list(TYPES.values()))[0]


def _scripted(script: str) -> Callable[[random.Random, bytes], Question]:
    def make(draw: random.Random, label: bytes) -> Question:
        qtype = _type(draw)
        if script.startswith("sized") or script in ("sixty", "twenty"):
            qtype = TXT if script.startswith("sized") else draw.choice((A, AAAA))
        owner = _named(draw, script, label)
        if script == "emptynt" and draw.random() < 0.5:
            owner = joined(string(label), script, ZONE)
        return Question(script, owner, qtype)

    return make


def _common(draw: random.Random, label: bytes) -> Question:
    return _scripted(draw.choice(COMMON))(draw, label)


def _rare(draw: random.Random, label: bytes) -> Question:
    return _scripted(draw.choice(RARE))(draw, label)


def _chain(draw: random.Random, label: bytes) -> Question:
    script = f"{draw.choice(LINKS)}{draw.choice(LENGTHS)}-{draw.choice(ENDS)}"
    if draw.random() < 0.1:
        script = f"{draw.choice(LINKS)}1-{script}"
    qtype = draw.choice((A, A, AAAA, TXT, CNAME, _type(draw)))
    return Question(script, joined(string(b"www") + string(label), script, ZONE), qtype)


def _loops(draw: random.Random, label: bytes) -> Question:
    script = draw.choice(("loop2", "loop3"))
    return Question(script, joined(b"\2l0" + string(label), script, ZONE), _type(draw))


def _old_server(draw: random.Random, label: bytes) -> Question:
    script = draw.choice(("oldformerr", "oldnotimp"))
    return Question(script, joined(string(label), script, PLAIN_ZONE), _type(draw))


def _local(draw: random.Random, label: bytes) -> Question:
    owner = draw.choice(LOCAL)
    return Question(f"name {owner or 'root'}", name(owner), draw.choice((A, AAAA, PTR, NS, SOA, TXT, DS)))


def _odd(draw: random.Random, label: bytes) -> Question:
    owner = joined(string(label), "three", ZONE)
    kind, how = draw.choice(tuple(_ODD.items()))
    return Question(kind, owner, A)._replace(**how)


_ODD: dict[str, dict[str, int]] = {
    "class CH": {"qclass": 3},
    "class HS": {"qclass": 4},
    "class ANY": {"qclass": 255},
    "class NONE": {"qclass": 254},
    "EDNS version 1": {"version": 1, "edns": 1232},
    "without RD": {"rd": False},
    **{f"type {number}": {"qtype": number} for number in (0, 41, 128, 249, 250, 251, 252, 253, 254, ANY, PRIVATE - 1)},
}
_KINDS: dict[Callable[[random.Random, bytes], Question], int] = {
    _common: 45, _rare: 30, _chain: 15, _loops: 2, _old_server: 2, _local: 4, _odd: 2,
}  # fmt: skip
