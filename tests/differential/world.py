"""What the scripted upstream says: a name says itself how it is answered.

A name is LABELS.SCRIPT.ZONE, with a script of the table SCRIPTS. Before a script may stand a chain of aliases to it:
`n1.cname2-nx.d.example` is an alias of `n1.cname1-nx.d.example`, which is one of `n1.nx.d.example`, and that does not
exist. `cname` tells the chain to its end and `back` tells its end first; `alias` tells the first link alone; `there`
leads to and fro between two zones; `dname` moves a whole subtree.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.differential.rdata import ANY, DNAME, NSEC, PRIVATE, RRSIG, rdata, rrsig, string
from tests.support.packets import CNAME, MX, NS, SOA, TXT, A, name, opt, record, u16, u32

ZONE, OTHER = b"\1d\7example\0", b"\1o\4test\7example\0"
# Behind this zone stands a server of its own, which knows no EDNS: who learns that must not ask all others without.
PLAIN_ZONE = b"\5plain\7example\0"
TTL = 300

QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN, NOTAUTH = 1, 2, 3, 4, 5, 6, 9


# Of these types a name has one record.
SINGLE = frozenset((CNAME, SOA, DNAME))


class Asked(NamedTuple):
    """A query that reached the upstream; `labels` of its name are folded, `owner` is as it came."""

    id: int
    flags: int
    question: bytes
    qtype: int
    tcp: bool
    edns: int | None  # its UDP size
    do: bool

    @property
    def owner(self) -> bytes:
        return self.question[:-4]

    @property
    def number(self) -> int:
        """Tells names and types apart, and nothing else."""
        return zlib.crc32(self.question.lower()) >> 8


class Said(NamedTuple):
    """A reply, but for what a header copies from a query. `octets`, if there are any, stand for all else."""

    answer: tuple[bytes, ...] = ()
    authority: tuple[bytes, ...] = ()
    additional: tuple[bytes, ...] = ()
    rcode: int = 0
    flags: int = QR | RA
    opt: bool = True
    trailing: bytes = b""
    question: bytes | None = None


Script = Callable[[Asked], Said]


def read_asked(wire: bytes, tcp: bool) -> Asked:
    """A query of one of the two daemons, which are trusted to write them well."""
    end = 12
    while wire[end]:
        end += wire[end] + 1
    end += 5
    has_opt = wire[10:12] != b"\0\0"
    size = int.from_bytes(wire[end + 3 : end + 5]) if has_opt else None
    do = has_opt and wire[end + 7] & 0x80 != 0
    flags = int.from_bytes(wire[2:4])
    return Asked(int.from_bytes(wire[:2]), flags, wire[12:end], int.from_bytes(wire[end - 4 : end - 2]), tcp, size, do)


def written(asked: Asked, said: Said) -> bytes:
    """The reply to a query; over UDP, what is too long for the asker is truncated to nothing."""
    additional = said.additional
    if said.opt and asked.edns is not None:
        additional += (opt(size=4096, ttl=0x8000 if asked.do else 0),)
    flags = said.flags | said.rcode | asked.flags & (RD | CD)
    question = said.question or asked.question
    counts = u16(asked.id, flags, 1, len(said.answer), len(said.authority), len(additional))
    wire = counts + question + b"".join((*said.answer, *said.authority, *additional)) + said.trailing
    if asked.tcp or len(wire) <= max(asked.edns or 512, 512):
        return wire
    return written(asked, Said(flags=said.flags | TC))


def labels(owner: bytes) -> Iterator[tuple[int, bytes]]:
    """The labels of a name, and where each begins."""
    at = 0
    while size := owner[at]:
        yield at, owner[at + 1 : at + 1 + size]
        at += size + 1


def split(owner: bytes) -> tuple[bytes, str, bytes]:
    """LABELS, SCRIPT and ZONE of a name; no script if it lies nowhere."""
    folded = owner.lower()
    for zone in (ZONE, OTHER, PLAIN_ZONE):
        if folded.endswith(zone) and len(folded) > len(zone):
            before = list(labels(owner[: -len(zone)] + b"\0"))
            if before:
                at, script = before[-1]
                return owner[:at], script.lower().decode("latin-1"), owner[-len(zone) :]
    return owner, "", b"\0"


def joined(before: bytes, script: str, zone: bytes) -> bytes:
    return before + string(script.encode()) + zone


def soa(zone: bytes, ttl: int = 600, minimum: int = 20, serial: int = 1) -> bytes:
    return record(zone, SOA, b"\2ns" + zone + b"\1h" + zone + u32(serial, 7200, 3600, 1209600, minimum), ttl)


def data(asked: Asked, owner: bytes, count: int, ttl: int = TTL, inside: bytes | None = None) -> tuple[bytes, ...]:
    """So many records of the type asked for, with a signature if there is a wish for one."""
    if asked.qtype == RRSIG:
        return (record(owner, RRSIG, rrsig(A, 4, asked.number), ttl),)
    if asked.qtype == ANY:
        return tuple(record(owner, rtype, rdata(rtype, asked.number), ttl) for rtype in (A, MX, TXT))
    records = tuple(
        record(owner, asked.qtype, rdata(asked.qtype, asked.number + turn, inside), ttl)
        for turn in range(1 if asked.qtype in SINGLE else count)
    )
    return (*records, record(owner, RRSIG, rrsig(asked.qtype, 4, asked.number), ttl)) if asked.do else records


def say(asked: Asked) -> Said:
    """What the script of a name says."""
    return _say(asked, asked.owner)


def _say(asked: Asked, owner: bytes) -> Said:
    before, script, zone = split(owner)
    if link := _LINK.fullmatch(script):
        kind, length, end = link[1], int(link[2]), link[3]
        rest = f"{kind}{length - 1}-{end}" if length > 1 else end
        return _link(asked, kind, owner, joined(before, rest, _next_zone(kind, zone)))
    # The end of a chain is told as if it had been asked for.
    return SCRIPTS.get(script, _refused)(asked._replace(question=owner + asked.question[-4:]))


_LINK = re.compile(r"(cname|alias|there|dname|back)(\d+)-(.*)")
LINKS = ("cname", "alias", "there", "dname", "back")


def _next_zone(kind: str, zone: bytes) -> bytes:
    return zone if kind != "there" else ZONE if zone.lower() == OTHER else OTHER


def _link(asked: Asked, kind: str, owner: bytes, target: bytes) -> Said:
    """An alias of something else that is told of too, unless the alias itself was asked for."""
    links = (record(owner, CNAME, target, TTL),)
    if kind == "dname":
        moved, there = owner[owner[0] + 1 :], target[target[0] + 1 :]
        signed = (record(moved, RRSIG, rrsig(DNAME, 3, 1), TTL),) if asked.do else ()
        links = (record(moved, DNAME, there, TTL), *signed, *links)
    elif asked.do:
        links += (record(owner, RRSIG, rrsig(CNAME, 4, zlib.crc32(owner.lower()) >> 8), TTL),)
    if asked.qtype == CNAME or kind == "alias":
        return Said(links)
    end = _say(asked, target)
    if end.rcode not in (0, NXDOMAIN):
        return Said(rcode=end.rcode)
    return end._replace(answer=(*end.answer, *links) if kind == "back" else (*links, *end.answer))


def _refused(asked: Asked) -> Said:
    return Said(rcode=REFUSED)


def zone_of(owner: bytes) -> bytes:
    """The zone that a name lies in: its own but for its first label, so that no two names share what a cache keeps of
    the zone."""
    before, script, zone = split(owner.lower())
    above = before[before[0] + 1 :]
    return joined(above, script, zone) if above else zone


def _positive(count: int, **how: object) -> Script:
    return lambda asked: Said(data(asked, asked.owner, count), **how)  # type: ignore[arg-type]


def _with_ttl(*ttls: int) -> Script:
    """One record for each TTL."""

    def script(asked: Asked) -> Said:
        return Said(
            tuple(
                record(asked.owner, asked.qtype, rdata(asked.qtype, asked.number + turn), ttl)
                for turn, ttl in enumerate(ttls[:1] if asked.qtype in SINGLE else ttls)
            )
        )

    return script


def _of(make: Callable[[Asked, bytes], tuple[bytes, ...]], **how: object) -> Script:
    """Records for the answer, made for the name asked."""
    return lambda asked: Said(make(asked, asked.owner), **how)  # type: ignore[arg-type]


def _negative(rcode: int, make: Callable[[bytes, bytes], tuple[bytes, ...]], **how: object) -> Script:
    """No data; the authority section is made from the zone and the name."""

    def script(asked: Asked) -> Said:
        zone = zone_of(asked.owner)
        return Said(authority=make(zone, asked.owner), rcode=rcode, **how)  # type: ignore[arg-type]

    return script


def _proved(rcode: int) -> Script:
    """A denial with its proof, if there is a wish for one."""

    def script(asked: Asked) -> Said:
        zone = zone_of(asked.owner)
        authority = [soa(zone)]
        if asked.do:
            authority += [
                record(zone, RRSIG, rrsig(SOA, 2, 1), 600),
                record(zone, NSEC, b"\1z" + zone + b"\0\1\x62", 20),
                record(zone, RRSIG, rrsig(NSEC, 2, 2), 20),
            ]
        return Said(authority=tuple(authority), rcode=rcode)

    return script


def _wildcard(asked: Asked) -> Said:
    said = Said(data(asked, asked.owner, 1))
    if not asked.do:
        return said
    zone = zone_of(asked.owner)
    proof = record(b"\1a" + zone, NSEC, b"\1z" + zone + b"\0\1\x62", 20)
    return said._replace(authority=(proof, record(b"\1a" + zone, RRSIG, rrsig(NSEC, 3, 2), 20)))


def _sized(count: int, size: int) -> Script:
    """A TXT RRset; another type has three records."""

    def script(asked: Asked) -> Said:
        owner = asked.owner
        if asked.qtype != TXT:
            return Said(data(asked, owner, 3))
        return Said(tuple(record(b"\xc0\x0c", TXT, string(bytes((97 + n % 26,)) * size) + string(b"%d" % n), TTL)
                          for n in range(count)))  # fmt: skip

    return script


def _truncated(partial: bool) -> Script:
    def script(asked: Asked) -> Said:
        whole = data(asked, asked.owner, 3)
        return Said(whole) if asked.tcp else Said(whole[:1] if partial else (), flags=QR | RA | TC)

    return script


def _loop(length: int) -> Script:
    """Aliases that lead back to the first; a name begins with the label `l0`, `l1`, ..."""

    def script(asked: Asked) -> Said:
        first, rest = int(asked.owner[2:3]), asked.owner[3:]
        owners = [b"\2l%d" % (turn % length) + rest for turn in range(first, first + length + 1)]
        return Said(tuple(record(here, CNAME, there, TTL) for here, there in itertools.pairwise(owners)))

    return script


def _itself(asked: Asked) -> Said:
    return Said((record(asked.owner, CNAME, asked.owner, TTL),))


def _refuses_edns(rcode: int) -> Script:
    """As a server of before EDNS does."""
    return lambda asked: (
        Said(data(asked, asked.owner, 2), opt=False) if asked.edns is None else Said(rcode=rcode, opt=False)
    )


def _foreign(asked: Asked, owner: bytes) -> tuple[bytes, ...]:
    return (record(owner, asked.qtype, rdata(asked.qtype, asked.number + 9), TTL, rclass=3),)


def _signed(asked: Asked, owner: bytes) -> tuple[bytes, ...]:
    return data(asked._replace(do=True), owner, 2)


def _empty_non_terminal(asked: Asked) -> Said:
    before = split(asked.owner)[0]
    if sum(1 for _ in labels(before + b"\0")) > 1:  # what lies below it
        return Said(data(asked, asked.owner, 1))
    return Said(authority=(soa(asked.owner.lower()),))


def _root_soa() -> bytes:
    return record(b"\0", SOA, name("a.root-servers.example") + name("h.example") + u32(7, 1800, 900, 604800, 15), 15)


_UNRELATED = record(name("www.unrelated.example"), A, bytes((203, 0, 113, 9)), TTL)


def _root(asked: Asked) -> Said:
    """What stands at the root, and that nothing stands below it but the zones above."""
    if asked.owner == b"\0" and asked.qtype == NS:
        return Said(tuple(record(b"\0", NS, name(f"{letter}.root-servers.example"), TTL) for letter in "abc"))
    return Said(authority=(_root_soa(),), rcode=NXDOMAIN if len(asked.owner) > 1 else 0)


SCRIPTS: dict[str, Script] = {
    "": _root,
    # Data
    "one": _positive(1),
    "three": _positive(3),
    "twenty": _positive(20),
    "sixty": _positive(60),
    "packed": lambda q: Said(data(q, b"\xc0\x0c", 3, inside=b"\xc0\x0c")),
    "capitals": lambda q: Said(data(q, q.owner.upper(), 2)),
    "wildcard": _wildcard,
    "sized500": _sized(1, 250),
    "sized1200": _sized(4, 250),
    "sized1300": _sized(5, 240),
    "sized3000": _sized(12, 230),
    "sized9000": _sized(36, 230),
    "truncated": _truncated(partial=False),
    "cut": _truncated(partial=True),
    # TTLs
    "ttl0": _with_ttl(0),
    "ttl1day": _with_ttl(86400),
    "ttl10years": _with_ttl(315360000),
    "ttlhigh": _with_ttl(0x80000001),
    "ttlmost": _with_ttl(0x7FFFFFFF),
    "ttlmixed": _with_ttl(300, 200, 400),
    "ttlonezero": _with_ttl(300, 0),
    # More than asked for, or put otherwise
    "twice": lambda q: Said(data(q, q.owner, 12) * 2),
    "unrelated": lambda q: Said((_UNRELATED, *data(q, q.owner, 2), _UNRELATED)),
    "additional": lambda q: Said(data(q, q.owner, 2), additional=(_UNRELATED,)),
    "authority": lambda q: Said(
        data(q, q.owner, 2),
        (record(ZONE, NS, name("ns.unrelated.example"), TTL), record(ZONE, NS, b"\2n2" + ZONE, TTL)),
        (record(b"\2n2" + ZONE, A, bytes((192, 0, 2, 1)), TTL), record(name("ns.unrelated.example"), A, bytes(4), TTL)),
    ),
    "othertype": lambda q: Said((*data(q, q.owner, 1), record(q.owner, PRIVATE, b"x", TTL))),
    "onlyothertype": lambda q: Said((record(q.owner, PRIVATE + 1, b"x", TTL),)),
    "onlyothername": lambda q: Said((_UNRELATED,)),
    "chaos": lambda q: Said((*data(q, q.owner, 1), *_foreign(q, q.owner))),
    "onlychaos": _of(_foreign),
    "signed": _of(_signed),
    "noopt": _positive(2, opt=False),
    "trailing": _positive(2, trailing=bytes(range(50))),
    "lowercase": lambda q: Said(data(q, q.owner.lower(), 2), question=q.owner.lower() + q.question[-4:]),
    "wrongsize": lambda q: Said((record(q.owner, q.qtype, b"\5\0\2", TTL),)),
    # Flags
    "aa": _positive(2, flags=QR | RA | AA),
    "nora": _positive(2, flags=QR),
    "ad": _positive(2, flags=QR | RA | AD),
    "z": _positive(2, flags=QR | RA | Z),
    "cd": _positive(2, flags=QR | RA | CD),
    # No data
    "nx": _proved(NXDOMAIN),
    "nodata": _proved(0),
    "nxaa": _negative(NXDOMAIN, lambda zone, _: (soa(zone),), flags=QR | RA | AA),
    "nxbare": _negative(NXDOMAIN, lambda zone, _: ()),
    "nodatabare": _negative(0, lambda zone, _: ()),
    "nxroot": _negative(NXDOMAIN, lambda zone, _: (_root_soa(),)),
    "nodataroot": _negative(0, lambda zone, _: (_root_soa(),)),
    "nxelsewhere": _negative(NXDOMAIN, lambda zone, _: (soa(name("unrelated.example")),)),
    "nodataelsewhere": _negative(0, lambda zone, _: (soa(name("unrelated.example")),)),
    "nxbelow": _negative(NXDOMAIN, lambda zone, owner: (soa(b"\5below" + owner),)),
    "nxtwo": _negative(NXDOMAIN, lambda zone, _: (soa(zone), soa(name("example")))),
    "nodatatwo": _negative(0, lambda zone, _: (soa(name("example")), soa(zone))),
    "nxtwins": _negative(NXDOMAIN, lambda zone, _: (soa(zone), soa(zone, serial=2))),
    "nxns": _negative(NXDOMAIN, lambda zone, _: (soa(zone), record(zone, NS, b"\2ns" + zone, TTL))),
    "nodatans": _negative(0, lambda zone, _: (record(zone, NS, b"\2ns" + zone, TTL), soa(zone))),
    "nxttl0": _negative(NXDOMAIN, lambda zone, _: (soa(zone, ttl=0),)),
    "nxminimum0": _negative(NXDOMAIN, lambda zone, _: (soa(zone, minimum=0),)),
    "nxlong": _negative(NXDOMAIN, lambda zone, _: (soa(zone, ttl=90000, minimum=90000),)),
    "nxshort": _negative(NXDOMAIN, lambda zone, _: (soa(zone, ttl=10, minimum=3600),)),
    "nxhigh": _negative(NXDOMAIN, lambda zone, _: (soa(zone, minimum=0x80000001),)),
    "nxdata": lambda q: Said(data(q, q.owner, 1), (soa(zone_of(q.owner)),), rcode=NXDOMAIN),
    "nxdatabare": lambda q: Said(data(q, q.owner, 1), rcode=NXDOMAIN),
    "emptynt": _empty_non_terminal,
    # Failures
    "servfail": lambda q: Said(rcode=SERVFAIL),
    "servfailsoa": _negative(SERVFAIL, lambda zone, _: (soa(zone),)),
    "servfaildata": _positive(1, rcode=SERVFAIL),
    "refused": _refused,
    "notimp": lambda q: Said(rcode=NOTIMP),
    "formerr": lambda q: Said(rcode=FORMERR),
    "yxdomain": lambda q: Said(rcode=YXDOMAIN),
    "toolong": lambda q: Said(
        (record(joined(b"", "toolong", ZONE), DNAME, string(b"x" * 63) * 3 + string(b"x" * 57) + b"\0", TTL),),
        rcode=YXDOMAIN,
    ),
    "dnamealone": lambda q: Said((record(joined(b"", "dnamealone", ZONE), DNAME, b"\3one" + ZONE, TTL),)),
    "notauth": lambda q: Said(rcode=NOTAUTH),
    "rcode12": lambda q: Said(rcode=12),
    # Referrals
    "referral": _negative(0, lambda zone, owner: (record(owner, NS, b"\2ns" + zone, TTL),)),
    "referralnora": _negative(0, lambda zone, owner: (record(zone, NS, b"\2ns" + zone, TTL),), flags=QR),
    "upward": _negative(0, lambda zone, _: (record(b"\0", NS, name("a.root-servers.example"), TTL),)),
    # Aliases that no other script makes
    "itself": _itself,
    "loop2": _loop(2),
    "loop3": _loop(3),
    "twoaliases": lambda q: Said(
        (record(q.owner, CNAME, b"\1x\3one" + ZONE, TTL), record(q.owner, CNAME, b"\1y\3one" + ZONE, TTL))
    ),
    "aliasanddata": lambda q: Said((record(q.owner, CNAME, b"\1x\3one" + ZONE, TTL), *data(q, q.owner, 1))),
    # Servers of before EDNS
    "oldformerr": _refuses_edns(FORMERR),
    "oldnotimp": _refuses_edns(NOTIMP),
}


def links(owner: bytes) -> list[tuple[str, int]]:
    """The kinds and lengths of the chain that begins at a name."""
    return [(kind, int(length)) for kind, length in re.findall(r"([a-z]+)(\d+)-", split(owner)[1])]
