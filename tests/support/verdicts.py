"""What is to come of each script of `tests.support.scripts`, and how a reply is held against it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final, NamedTuple

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from hsdnsd.cache.cache import Cache
from hsdnsd.cache.store import Key
from hsdnsd.wire.answer import build_answer
from hsdnsd.wire.name import ROOT, from_text
from hsdnsd.wire.rrset import RRset
from tests.support.lies import FALSE, LOCAL, NAME, TTL, Asked
from tests.support.scripts import SCRIPTS

# What was known before, in the tests with something stale.
OLD: Final = bytes((192, 0, 2, 99))


class Said(NamedTuple):
    """What a client is told: `name type rdata` of the answer section, or how many records, in whatever order.

    Attributes:
        large: a client over UDP is told that it is truncated instead.
    """

    rcode: str
    records: tuple[str, ...] | int = ()
    large: bool = False


@dataclass(frozen=True)
class Row:
    """The verdict on a script.

    Attributes:
        cold: with nothing in the cache. stale: with an answer whose time is over.
        udp, tcp: messages for the one question, at most.
        kept: whether who asks next is answered without the upstream; None: it is a failure, or there is more to say.
        stream: what a client is told if the upstream is asked over TCP alone, with nothing in the cache and with
            something stale; None: the same.
    """

    cold: Said
    stale: Said
    udp: int
    tcp: int = 0
    kept: bool | None = None
    stream: tuple[Said, Said] | None = None


def _chain(links: int, spelled: str = "link{}.example.com.") -> Said:
    names = ["www.example.com.", *(spelled.format(number) for number in range(links))]
    aliases = [f"{owner} CNAME {target}" for owner, target in itertools.pairwise(names)]
    return Said("NOERROR", (*aliases, f"{names[-1]} A 192.0.2.53"))


TRUTH = Said("NOERROR", ("www.example.com. A 192.0.2.53",))
FAILED = Said("SERVFAIL")
KNOWN = Said("NOERROR", ("www.example.com. A 192.0.2.99",))
NODATA = Said("NOERROR")
NXDOMAIN = Said("NXDOMAIN")


def good(said: Said = TRUTH, udp: int = 1, tcp: int = 0, *, kept: bool = True) -> Row:
    """The answer, whatever was known before."""
    return Row(said, said, udp, tcp, kept)


def failed(udp: int, tcp: int = 0) -> Row:
    """No answer but what was known before."""
    return Row(FAILED, KNOWN, udp, tcp)


def waited_for(stream: tuple[Said, Said] | None = (FAILED, KNOWN)) -> Row:
    """The right answer that comes after something else. It may come over TCP as well, where it is asked for then.

    On a stream nobody from outside can say anything: there it is the server that has gone wrong, and nothing is waited
    for (but what has another message's id is).
    """
    return Row(TRUTH, TRUTH, 2, 1, True, stream)


def late(udp: int, tcp: int = 0) -> Row:
    """The answer, but not in time for whoever can have something older."""
    return Row(TRUTH, KNOWN, udp, tcp)


# Against section 2.5 of the note on reliability, and the `must` rows of its section 1.1 that are about replies.
TABLE: Final[dict[str, Row]] = {
    "honest": good(),
    # A reply that doesn't match source, id and question is dropped, and the wait goes on.
    "wrong id": waited_for(None),
    "wrong qname": waited_for(),
    "shorter qname": waited_for(),
    "wrong qtype": waited_for(),
    "wrong qclass": waited_for(),
    "no question": waited_for(),
    "two questions": waited_for(),
    "QR is 0": waited_for(),
    "opcode 2": waited_for(),
    "four octets": waited_for(),
    "nothing": waited_for(),
    "header only": waited_for(),
    "header only, SERVFAIL": waited_for(),
    "header that promises a question": waited_for(),
    "from another port": good(),
    "wrong id for ever, right over TCP": good(TRUTH, 1, 1),
    "wrong id for ever, TCP silent": failed(3, 1),
    "wrong id for ever, TCP refused": failed(3, 1),
    "hundred wrong ids": waited_for(None),
    # One stray reply costs a server without TCP nothing. Beyond that, what matches is somebody's guess.
    "one wrong id, TCP refused": Row(TRUTH, TRUTH, 1, 1, True, (FAILED, KNOWN)),
    "one wrong id, TCP silent": Row(TRUTH, KNOWN, 1, 1, None, (FAILED, KNOWN)),
    "guessed at once": good(TRUTH, 1, 1),
    "guessed after ten": good(TRUTH, 1, 1),
    "guessed after ten, TCP refused": failed(1, 1),
    "guessed after ten, TCP silent": failed(1, 1),
    "guessed, SERVFAIL over TCP": failed(1, 1),
    "FORMERR guessed": good(TRUTH, 1, 1),
    "qname in capitals": good(),
    # Malformed behind the right question: SERVFAIL, three messages at most.
    "RDLENGTH 3 for A": failed(3),
    "RDLENGTH 5 for A": failed(3),
    "RDLENGTH past the end": failed(3),
    "pointer to itself": failed(3),
    "pointer loop": failed(3),
    "pointer forward": failed(3),
    "pointer into the header": failed(3),
    "ANCOUNT 5, one record": failed(3),
    "ANCOUNT 65535": failed(3),
    "OPT in the answer": failed(3),
    "OPT in the authority": failed(3),
    "two OPT": failed(3),
    "OPT with an owner": failed(3),
    "name of 256 octets": failed(3),
    "label type 0x40": failed(3),
    "CNAME cut off by RDLENGTH": failed(3),
    "CNAME shorter than RDLENGTH": failed(3),
    # No answer to this question.
    "owned by another name": failed(1),
    "another type": failed(1),
    "class CH": failed(1),
    "referral": failed(1),
    "CNAME to itself": failed(1),
    "CNAME loop": failed(1),
    "17 CNAMEs": failed(1),
    # Bailiwick: nothing but the answer is believed, given to anybody, or kept.
    "victim in the answer": good(),
    "victim before the answer": good(),
    "victim in the authority": good(),
    "victim in the additional": good(),
    "answer of class CH beside": good(),
    "cluster's name in the additional": good(),
    "trailing octets": good(),
    "trailing answer": good(),
    # What the cluster answers is answered by the cluster, wherever a chain comes from.
    "CNAME into the cluster": good(
        Said("NOERROR", ("www.example.com. CNAME postgres.db.svc.cluster.local.", f"{LOCAL}. A 10.96.0.7"))
    ),
    "CNAME to what the cluster has not": good(Said("NXDOMAIN", ("www.example.com. CNAME gone.db.svc.cluster.local.",))),
    # Header bits and OPT are hop by hop.
    "Z": good(),
    "AA": good(),
    "AD": good(),
    "every bit": good(),
    "options in the OPT": good(),
    "unasked OPT": good(),
    "private address": good(Said("NOERROR", ("www.example.com. A 127.0.0.1",))),
    # TTLs; see `TTLS` too.
    "TTL with the high bit": good(kept=False),
    "TTL 0": good(kept=False),
    "mixed TTLs": good(Said("NOERROR", ("www.example.com. A 10.96.0.7", "www.example.com. A 192.0.2.53"))),
    "TTL of 68 years": good(),
    # Chains: 16 links in one message, 8 that are looked up.
    "16 CNAMEs": good(_chain(16)),
    "CNAMEs packed backwards": good(_chain(5)),
    "CNAME only": good(Said("NOERROR", ("www.example.com. CNAME b.example.com.", "b.example.com. A 192.0.2.53")), 2),
    "CNAME only, without end": Row(FAILED, FAILED, 6),
    "name of 255 octets": good(Said("NOERROR", 2), 2),
    # Denials. One without SOA is passed on and not kept.
    "NXDOMAIN": good(NXDOMAIN),
    "NXDOMAIN without SOA": good(NXDOMAIN, kept=False),
    "NXDOMAIN with another zone's SOA": good(NXDOMAIN, kept=False),
    "NXDOMAIN with data": good(),
    "NODATA": good(NODATA),
    "NODATA without SOA": good(NODATA, kept=False),
    "NODATA with two SOA": good(NODATA),
    # Refusals: the same server is not asked again.
    "SERVFAIL": failed(1),
    "SERVFAIL with an answer": failed(1),
    "REFUSED": failed(1),
    "NOTIMP": failed(1),
    "YXDOMAIN": failed(1),
    "rcode 15": failed(1),
    "FORMERR to EDNS": good(TRUTH, 2),
    "NOTIMP to EDNS": good(TRUTH, 2),
    "FORMERR to everything": failed(2),
    "FORMERR with an OPT": failed(1),
    "BADVERS": failed(1),
    "silent to EDNS": late(2),
    # Silence.
    "silent": failed(3),
    "silent, TCP refused": failed(3),
    "first message lost": late(2),
    "slow by 0.7 s": late(1),
    "slow by 1.4 s": late(2),
    "twice": good(),
    "false after the truth": good(),
    # Truncation: one try over TCP.
    "TC": good(TRUTH, 1, 1),
    "TC with a false body": good(TRUTH, 1, 1),
    "TC, TCP refused": failed(3, 1),
    "TC, TCP silent": failed(3, 1),
    "TC over TCP too": failed(3, 1),
    # Size. More over UDP than we said that we take is asked for over TCP (no fragment is believed).
    "1400 octets": good(Said("NOERROR", 6, large=True), 1, 1),
    "4000 octets": good(Said("NOERROR", 18, large=True), 1, 1),
    "5000 octets over UDP": good(Said("NOERROR", 23, large=True), 1, 1),
    "60000 octets over TCP": good(Said("NOERROR", 281, large=True), 1, 1),
    "600 records": good(Said("NOERROR", 600, large=True), 1, 1),
    "unknown type": good(Said("NOERROR", 1)),
    "binary labels": good(
        Said("NOERROR", ("www.example.com. CNAME \\000\\255\\.\\\\.", "\\000\\255\\.\\\\. A 192.0.2.53"))
    ),
    # Streams.
    "reset in the middle": failed(3, 2),
    "closed in the middle": failed(3, 2),
    "closed at once": failed(3, 2),
    "silent in the middle": failed(3, 1),
    "piece by piece": good(TRUTH, 1, 1),
    "another question's reply first": good(TRUTH, 1, 1),
    "empty message first": failed(3, 2),
    # Counts that are not those of what follows: octets behind what they promise are nobody's.
    "ANCOUNT 0, one record": good(NODATA, kept=False),
    "ANCOUNT 1, two records": good(),
    "NSCOUNT 1, nothing": failed(3),
    "ARCOUNT 2, nothing": failed(3),
    "every count 65535": failed(3),
    "answer in the authority": good(NODATA, kept=False),
    "answer in the additional": good(NODATA, kept=False),
    # No reply to this question.
    "wrong qname for ever, TCP silent": failed(3, 1),
    "empty for ever, TCP refused": failed(3, 1),
    "its own query": waited_for(None),
    "question of class ANY": waited_for(),
    "question with a pointer": waited_for(),
    "header only, TC": waited_for(),
    "header only, FORMERR to EDNS": good(TRUTH, 1, 1),
    # Taken for silence, after which a question goes without OPT.
    "header only, FORMERR to EDNS, TCP refused": Row(TRUTH, KNOWN, 2, 1, None, (FAILED, KNOWN)),
    "refused": Row(FAILED, KNOWN, 3, 0, None, (TRUTH, TRUTH)),
    "refused, TCP too": failed(3),
    # What an OPT of a reply says beside the RCODE's upper bits is not for us.
    "OPT of version 1": good(),
    "OPT with every flag": good(),
    "OPT of size 0": good(),
    "OPT with an option past its end": good(),
    "OPT of 900 octets": good(),
    "OPT before the others": good(),
    "OPT past the end": failed(3),
    "BADCOOKIE with data": failed(1),
    "TSIG": good(),
    "RA is 0": good(),
    "RD is 0": good(),
    "NXDOMAIN with every bit": good(NXDOMAIN),
    "REFUSED without OPT": failed(1),
    "REFUSED to EDNS": failed(1),
    "NOTIMP to everything": failed(2),
    "FORMERR to EDNS, silent to others": failed(3),
    "SERVFAIL after the truth": good(),
    "FORMERR with an answer": failed(1),
    # Records that are too many, and those that are none.
    "the same record twice": good(),
    "owner in capitals": good(),
    "class ANY beside": good(),
    "AAAA beside": good(),
    "AAAA before": good(),
    "CNAME before the data": good(),
    "CNAME behind the data": good(),
    "signature unasked": good(),
    "RDLENGTH 0": failed(3),
    "malformed in the additional": failed(3),
    "name server along": good(),
    "referral with AA": failed(1),
    "referral to the root": failed(1),
    "8 CNAMEs": good(_chain(8)),
    "9 CNAMEs": good(_chain(9)),
    "two CNAMEs": good(_chain(1)),
    "the same CNAME twice": good(_chain(1)),
    "CNAME to the victim": good(_chain(1, "www.victim.example.")),
    "CNAME to the root": good(_chain(1, "."), 2),
    "CNAME that names itself in capitals": failed(1),
    "CNAME into the cluster, in capitals": good(
        Said("NOERROR", (f"www.example.com. CNAME {LOCAL.upper()}.", f"{LOCAL.upper()}. A 10.96.0.7"))
    ),
    "CNAME to the cluster's zone itself": good(Said("NOERROR", ("www.example.com. CNAME cluster.local.",))),
    "NXDOMAIN behind a CNAME": good(Said("NXDOMAIN", ("www.example.com. CNAME link0.example.com.",))),
    "NODATA behind a CNAME": good(Said("NOERROR", ("www.example.com. CNAME link0.example.com.",))),
    "DNAME": good(
        Said(
            "NOERROR",
            (
                "example.com. DNAME example.net.",
                "www.example.com. CNAME www.example.net.",
                "www.example.net. A 192.0.2.53",
            ),
        )
    ),
    "DNAME without its CNAME": failed(1),
    "64 KiB of the victim": good(TRUTH, 1, 1),
    "pointers to pointers": failed(3, 1),
    "1600 CNAMEs": failed(1, 1),
    # Denials whose SOA is none of this name's are passed on, as those without one.
    "NODATA with a SOA of the root": good(NODATA),
    "NXDOMAIN with a SOA of a child": good(NXDOMAIN, kept=False),
    "NXDOMAIN with a SOA of the cluster": good(NXDOMAIN, kept=False),
    "NXDOMAIN with a SOA in the answer": failed(1),
    "NXDOMAIN with a SOA in the additional": good(NXDOMAIN, kept=False),
    "NXDOMAIN with two SOA of one zone": good(NXDOMAIN),
    "NXDOMAIN with a SOA cut off": failed(3),
    "NXDOMAIN with a MINIMUM of 0": good(NXDOMAIN, kept=False),
    "NXDOMAIN with the high bit in MINIMUM": good(NXDOMAIN, kept=False),
    "NXDOMAIN with the high bit in its TTL": good(NXDOMAIN, kept=False),
    "NXDOMAIN with a proof unasked": good(NXDOMAIN),
    "NODATA with a name server along": good(NODATA),
    "CNAME to a name that is no more, without SOA": good(
        Said("NXDOMAIN", ("www.example.com. CNAME gone.example.com.",)), kept=False
    ),
    "1232 octets": good(Said("NOERROR", 1)),
    "1233 octets": good(Said("NOERROR", 1, large=True), 1, 1),
    "500 octets without OPT": good(Said("NOERROR", 1)),
    "65500 octets over TCP": good(Said("NOERROR", 1, large=True), 1, 1),
    "TC and all of the answer": good(TRUTH, 1, 1),
    "hundred times": good(),
    "hundred other ids over TCP": good(TRUTH, 1, 1),
    "message of one octet": failed(3, 2),
    "drop by drop without end": failed(3, 1),
    "right id, wrong question over TCP": failed(3, 1),
    "QR is 0 over TCP": failed(3, 1),
    "no question over TCP": failed(3, 1),
    "closed behind the answer": good(TRUTH, 1, 1),
    "reset behind the answer": good(TRUTH, 1, 1),
    "noise behind the answer": good(TRUTH, 1, 1),
}

# Seconds for which the answer is said to be good, by script.
TTLS: Final = {"TTL with the high bit": 0, "TTL 0": 0, "mixed TTLs": 60, "TTL of 68 years": 86400, "honest": TTL}


class Way(NamedTuple):
    """How a case is tried."""

    client_tcp: bool
    upstream_tcp: bool
    stale: bool

    def __str__(self) -> str:
        client, upstream = ("over TCP" if tcp else "over UDP" for tcp in (self.client_tcp, self.upstream_tcp))
        return f"client {client}, upstream {upstream}, " + ("something stale" if self.stale else "nothing known")

    def verdict(self, row: Row) -> Said:
        cold, stale = (row.stream if self.upstream_tcp else None) or (row.cold, row.stale)
        return stale if self.stale else cold


WAYS: Final = [
    Way(client_tcp, upstream_tcp, stale)
    for upstream_tcp, client_tcp, stale in itertools.product((False, True), repeat=3)
]


def remember(cache: Cache, now: float) -> None:
    """NAME has had an address for a second."""
    for qtype in {script.qtype for script in SCRIPTS.values()}:
        records = [RRset(from_text(NAME), qtype, 1, (OLD if qtype == 1 else b"\3old",))]
        cache.put(Key(from_text(NAME), qtype, False, False, ROOT), build_answer(from_text(NAME), 0, records), 1, now)


def checked(asked: dns.message.Message, wire: bytes, *, own: bool = False) -> dns.message.Message:
    """The reply to a query: there is nothing of the upstream's header or OPT in it."""
    reply = dns.message.from_wire(wire)
    assert asked.is_response(reply)
    authoritative = dns.flags.AA if own else 0
    assert reply.flags & ~dns.flags.TC & 0xFFF0 == dns.flags.QR | dns.flags.RD | dns.flags.RA | authoritative
    assert {option.otype for option in reply.options} <= {15}, "nothing but EDE"
    assert reply.payload == 1232
    assert FALSE not in wire
    return reply


def records(message: dns.message.Message) -> tuple[str, ...]:
    return tuple(
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {text}"
        for rrset in message.answer
        for text in sorted(rdata.to_text() for rdata in rrset)
    )


def expect(message: dns.message.Message, said: Said, client_tcp: bool) -> None:
    """The reply tells a client just this."""
    got = records(message)
    assert dns.rcode.to_text(message.rcode()) == said.rcode, str(got)[:200]
    truncated = bool(message.flags & dns.flags.TC)
    assert truncated == (said.large and not client_tcp)
    if not truncated:
        assert said.records in (got, len(got)), str(got)[:200]


def stale_said(said: Said, qtype: int) -> Said:
    """KNOWN, for a type other than A."""
    return Said("NOERROR", 1) if said is KNOWN and qtype != 1 else said


def sent_by_us(asked: list[Asked]) -> None:
    """Every message to the upstream is ours from header to OPT, whatever the client's was, and has an id of its own."""
    for message in asked:
        assert message.wire[2:10] == bytes.fromhex("0100000100000000")
        rest = message.wire[12 + len(message.question) :]
        assert rest in (b"", bytes.fromhex("00002904d0000000000000"))
