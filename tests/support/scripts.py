"""The table of scripts: every lie by its name, as the parts of `tests.support.lies` tell it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

from tests.support.lies import (
    FALSE,
    LOCAL,
    LOCAL_ADDRESS,
    NAME,
    QNAME,
    TTL,
    VICTIM,
    Action,
    Asked,
    Elsewhere,
    End,
    Says,
    Script,
    Stream,
    Wait,
    address,
    alias,
    always,
    chain,
    false,
    framed,
    honest,
    only_over_tcp,
    over,
    reply,
    silent,
    soa,
    then_truth,
    truth,
)
from tests.support.oddities import ODDITIES
from tests.support.packets import AAAA, NS, RESPONSE, TC, TXT, A, message, name, opt, pointer, record, u16

_AA, _Z, _AD, _CD = 0x0400, 0x0040, 0x0020, 0x0010
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, YXDOMAIN = 1, 2, 3, 4, 5, 6


def _question(owner: str, qtype: int = A, qclass: int = 1) -> bytes:
    return name(owner) + u16(qtype, qclass)


def _counting(wire: bytes, *, answer: int) -> bytes:
    return wire[:6] + u16(answer) + wire[8:]


def _long_name(labels: int, last: int) -> bytes:
    """A name of `labels` labels of 62 octets and one of `last`, not ended."""
    return (b"\x3e" + b"x" * 62) * labels + bytes((last,)) + b"y" * last


def _assembled(asked: Asked, total: int) -> bytes:
    """An answer whose CNAME's target is a name of `total` octets, put together from three pieces by pointers."""
    # header, question, then RRs of which each rdata is the tail of the next.
    tail = name("example.com")
    first = record(QNAME, TXT, bytes((len(tail),)) + tail, TTL)
    at_tail = 12 + len(asked.question) + len(first) - len(tail)
    middle = _long_name(1, 62) + pointer(at_tail)
    second = record(QNAME, TXT, bytes((len(middle),)) + middle, TTL)
    at_middle = at_tail + len(tail) + len(second) - len(middle)
    so_far = len(tail) + len(middle) - 2
    rest = total - so_far
    front = (b"\x3e" + b"x" * 62) + bytes((rest - 64,)) + b"z" * (rest - 64)
    target = front + pointer(at_middle)
    return reply(asked, first, second, alias(QNAME, target))


def _many(count: int) -> Callable[[Asked], bytes]:
    return lambda asked: reply(asked, *(address(QNAME, bytes((192, 0, n >> 8, n & 255))) for n in range(count)))


def _texts(octets: int) -> Callable[[Asked], bytes]:
    """A reply of about so many octets over whatever way it came."""

    def make(asked: Asked) -> bytes:
        each = 200
        count = octets // (each + 13)
        rdatas = [bytes((each,)) + f"{number:05}".encode() + b"t" * (each - 5) for number in range(count)]
        return reply(asked, *(record(QNAME, TXT, rdata, TTL) for rdata in rdatas))

    return make


def _guesses(asked: Asked, count: int) -> list[bytes]:
    return [false(asked, id=(asked.id + number) % 65536) for number in range(1, count + 1)]


def _pieces(wire: bytes) -> list[Action]:
    """A message in segments that end within its length, its header and its question."""
    ends = [0, 1, 2, 3, 9, 20, None]
    return [part for here, end in itertools.pairwise(ends) for part in (Stream(framed(wire)[here:end]), Wait(0))]


def _plain_only(refusal: int) -> Says:
    return lambda asked: (reply(asked, rcode=refusal, edns=False) if asked.edns else truth(asked),)


_SHORT: Final = b"\x81\x80"
_OTHER_ID: Final = 0x5A5A

SCRIPTS: Final[dict[str, Script]] = {
    "honest": Script(honest),
    # Replies to something else than what was asked, and then the right one (RFC 5452 section 9.1).
    "wrong id": Script(then_truth(lambda q: false(q, id=q.id ^ _OTHER_ID))),
    "wrong qname": Script(then_truth(lambda q: false(q, question=_question("www.example.org")))),
    "shorter qname": Script(then_truth(lambda q: false(q, question=_question("www.example.co")))),
    "wrong qtype": Script(then_truth(lambda q: false(q, question=_question(NAME, AAAA)))),
    "wrong qclass": Script(then_truth(lambda q: false(q, question=_question(NAME, A, 3)))),
    "no question": Script(then_truth(lambda q: message(b"", [address(name(NAME), FALSE)], id=q.id, qdcount=0))),
    "two questions": Script(then_truth(lambda q: false(q, question=q.question * 2, qdcount=2))),
    "QR is 0": Script(then_truth(lambda q: false(q, flags=0x0180))),
    "opcode 2": Script(then_truth(lambda q: false(q, flags=RESPONSE | 2 << 11))),
    "four octets": Script(then_truth(lambda q: u16(q.id) + _SHORT)),
    "nothing": Script(then_truth(lambda _: b"")),
    "header only": Script(then_truth(lambda q: u16(q.id) + _SHORT + bytes(8))),
    "header only, SERVFAIL": Script(then_truth(lambda q: u16(q.id) + b"\x81\x82" + bytes(8))),
    "header that promises a question": Script(then_truth(lambda q: u16(q.id) + _SHORT + u16(1, 1, 0, 0))),
    "from another port": Script(lambda q: (Elsewhere(false(q)), Wait(0.1), truth(q))),
    "wrong id for ever, right over TCP": Script(over(always(lambda q: false(q, id=q.id ^ _OTHER_ID)), honest)),
    "wrong id for ever, TCP silent": Script(over(always(lambda q: false(q, id=q.id ^ _OTHER_ID)), silent)),
    "wrong id for ever, TCP refused": Script(always(lambda q: false(q, id=q.id ^ _OTHER_ID)), tcp=False),
    "hundred wrong ids": Script(lambda q: (*_guesses(q, 100), truth(q))),
    "one wrong id, TCP refused": Script(lambda q: (false(q, id=q.id ^ _OTHER_ID), Wait(0.1), truth(q)), tcp=False),
    "one wrong id, TCP silent": Script(
        over(lambda q: (false(q, id=q.id ^ _OTHER_ID), Wait(0.1), truth(q)), silent),
    ),
    # Somebody guesses, and is right in the end; over TCP is the server itself.
    "guessed at once": Script(over(lambda q: (false(q, id=q.id ^ _OTHER_ID), false(q)), honest)),
    "guessed after ten": Script(over(lambda q: (*_guesses(q, 10), false(q)), honest)),
    "guessed after ten, TCP refused": Script(lambda q: (*_guesses(q, 10), false(q)), tcp=False),
    "guessed after ten, TCP silent": Script(over(lambda q: (*_guesses(q, 10), false(q)), silent)),
    "guessed, SERVFAIL over TCP": Script(
        over(lambda q: (*_guesses(q, 1), false(q)), always(lambda q: reply(q, rcode=SERVFAIL)))
    ),
    "FORMERR guessed": Script(
        over(lambda q: (*_guesses(q, 1), reply(q, rcode=FORMERR, edns=False)), honest),
    ),
    "qname in capitals": Script(always(lambda q: reply(q, address(QNAME), question=q.name.upper() + q.question[-4:]))),
    # The right id and question, and nothing that can be read behind them.
    "RDLENGTH 3 for A": Script(always(lambda q: reply(q, record(QNAME, A, FALSE[:3])))),
    "RDLENGTH 5 for A": Script(always(lambda q: reply(q, record(QNAME, A, FALSE + b"\0")))),
    "RDLENGTH past the end": Script(always(lambda q: reply(q, address(QNAME, FALSE)[:-5] + b"\xff" + FALSE))),
    "pointer to itself": Script(
        always(lambda q: reply(q, address(pointer(12 + len(q.question)), FALSE), address(QNAME, FALSE)))
    ),
    "pointer loop": Script(
        always(lambda q: reply(q, address(b"\1a" + pointer(12 + len(q.question)), FALSE), address(QNAME, FALSE)))
    ),
    "pointer forward": Script(
        always(lambda q: reply(q, address(pointer(28 + len(q.question)), FALSE), address(name(NAME), FALSE)))
    ),
    "pointer into the header": Script(always(lambda q: reply(q, address(pointer(0), FALSE)))),
    "ANCOUNT 5, one record": Script(always(lambda q: _counting(false(q), answer=5))),
    "ANCOUNT 65535": Script(always(lambda q: _counting(false(q), answer=65535))),
    "OPT in the answer": Script(always(lambda q: reply(q, opt(), address(QNAME, FALSE), edns=False))),
    "OPT in the authority": Script(always(lambda q: reply(q, address(QNAME, FALSE), authority=[opt()], edns=False))),
    "two OPT": Script(always(lambda q: reply(q, address(QNAME, FALSE), additional=[opt(), opt()], edns=False))),
    "OPT with an owner": Script(always(lambda q: reply(q, address(QNAME, FALSE), additional=[opt(owner=name("a"))]))),
    "name of 256 octets": Script(always(lambda q: _assembled(q, 256))),
    "label type 0x40": Script(always(lambda q: reply(q, alias(QNAME, b"\x41" + b"x" * 65 + b"\0")))),
    "CNAME cut off by RDLENGTH": Script(always(lambda q: reply(q, alias(QNAME, b"\x03www\x07exam")))),
    "CNAME shorter than RDLENGTH": Script(always(lambda q: reply(q, alias(QNAME, name("a.example") + b"xx")))),
    # It can be read, and is no answer.
    "owned by another name": Script(always(lambda q: reply(q, address(name(VICTIM), FALSE)))),
    "another type": Script(always(lambda q: reply(q, record(QNAME, AAAA, FALSE * 4)))),
    "class CH": Script(always(lambda q: reply(q, record(QNAME, A, FALSE, rclass=3)))),
    "referral": Script(
        always(
            lambda q: reply(
                q,
                authority=[record(name("example.com"), NS, name("ns.example.com"))],
                additional=[address(name("ns.example.com"), FALSE)],
            )
        )
    ),
    "CNAME to itself": Script(always(lambda q: reply(q, alias(QNAME, QNAME)))),
    "CNAME loop": Script(
        always(lambda q: reply(q, alias(QNAME, name("b.example.com")), alias(name("b.example.com"), QNAME)))
    ),
    "17 CNAMEs": Script(always(lambda q: reply(q, *chain(17)))),
    # An answer, and more that is none.
    "victim in the answer": Script(always(lambda q: reply(q, address(QNAME), address(name(VICTIM), FALSE)))),
    "victim before the answer": Script(always(lambda q: reply(q, address(name(VICTIM), FALSE), address(QNAME)))),
    "victim in the authority": Script(
        always(
            lambda q: reply(
                q,
                address(QNAME),
                authority=[
                    address(name(VICTIM), FALSE),
                    record(name("victim.example"), NS, name("ns.example.com")),
                    soa("victim.example"),
                ],
            )
        )
    ),
    "victim in the additional": Script(
        always(lambda q: reply(q, address(QNAME), additional=[address(name(VICTIM), FALSE)]))
    ),
    "answer of class CH beside": Script(always(lambda q: reply(q, record(QNAME, A, FALSE, rclass=3), address(QNAME)))),
    "CNAME into the cluster": Script(
        always(lambda q: reply(q, alias(QNAME, name(LOCAL)), address(name(LOCAL), FALSE)))
    ),
    "CNAME to what the cluster has not": Script(
        always(
            lambda q: reply(
                q,
                alias(QNAME, name("gone.db.svc.cluster.local")),
                address(name("gone.db.svc.cluster.local"), FALSE),
            )
        )
    ),
    "cluster's name in the additional": Script(
        always(lambda q: reply(q, address(QNAME), additional=[address(name(LOCAL), FALSE)]))
    ),
    "trailing octets": Script(always(lambda q: truth(q) + b"trailing octets")),
    "trailing answer": Script(always(lambda q: truth(q) + address(QNAME, FALSE))),
    "Z": Script(always(lambda q: reply(q, address(QNAME), flags=RESPONSE | _Z))),
    "AA": Script(always(lambda q: reply(q, address(QNAME), flags=RESPONSE | _AA))),
    "AD": Script(always(lambda q: reply(q, address(QNAME), flags=RESPONSE | _AD))),
    "every bit": Script(always(lambda q: reply(q, address(QNAME), flags=RESPONSE | _AA | _Z | _AD | _CD))),
    "options in the OPT": Script(
        always(lambda q: reply(q, address(QNAME), edns=False, additional=[opt(u16(8, 4) + FALSE + u16(10, 4) + FALSE)]))
    ),
    "unasked OPT": Script(always(lambda q: reply(q, address(QNAME), edns=False, additional=[opt()]))),
    "private address": Script(always(lambda q: reply(q, address(QNAME, bytes((127, 0, 0, 1)))))),
    # TTLs (RFC 2181 section 8).
    "TTL with the high bit": Script(always(lambda q: reply(q, address(QNAME, ttl=0x80000001)))),
    "TTL 0": Script(always(lambda q: reply(q, address(QNAME, ttl=0)))),
    "mixed TTLs": Script(always(lambda q: reply(q, address(QNAME, ttl=600), address(QNAME, LOCAL_ADDRESS, ttl=60)))),
    "TTL of 68 years": Script(always(lambda q: reply(q, address(QNAME, ttl=0x7FFFFFFF)))),
    # Chains.
    "16 CNAMEs": Script(always(lambda q: reply(q, *chain(16)))),
    "CNAMEs packed backwards": Script(always(lambda q: reply(q, *reversed(chain(5))))),
    "CNAME only": Script(
        lambda q: (reply(q, alias(QNAME, name("b.example.com"))) if q.name == name(NAME) else truth(q),)
    ),
    "CNAME only, without end": Script(always(lambda q: reply(q, alias(QNAME, b"\1c" + QNAME)))),
    "name of 255 octets": Script(lambda q: (_assembled(q, 255) if q.name == name(NAME) else truth(q),)),
    # Denials (RFC 2308).
    "NXDOMAIN": Script(always(lambda q: reply(q, rcode=NXDOMAIN, authority=[soa("example.com")]))),
    "NXDOMAIN without SOA": Script(always(lambda q: reply(q, rcode=NXDOMAIN))),
    "NXDOMAIN with another zone's SOA": Script(
        always(lambda q: reply(q, rcode=NXDOMAIN, authority=[soa("victim.example")]))
    ),
    "NXDOMAIN with data": Script(always(lambda q: reply(q, address(QNAME), rcode=NXDOMAIN))),
    "NODATA": Script(always(lambda q: reply(q, authority=[soa("example.com")]))),
    "NODATA without SOA": Script(always(reply)),
    "NODATA with two SOA": Script(
        always(lambda q: reply(q, authority=[soa("victim.example"), soa("example.com"), soa("com")]))
    ),
    # Refusals.
    "SERVFAIL": Script(always(lambda q: reply(q, rcode=SERVFAIL))),
    "SERVFAIL with an answer": Script(always(lambda q: false(q, rcode=SERVFAIL))),
    "REFUSED": Script(always(lambda q: reply(q, rcode=REFUSED))),
    "NOTIMP": Script(always(lambda q: reply(q, rcode=NOTIMP))),
    "YXDOMAIN": Script(always(lambda q: reply(q, rcode=YXDOMAIN))),
    "rcode 15": Script(always(lambda q: false(q, rcode=15))),
    "FORMERR to EDNS": Script(_plain_only(FORMERR)),
    "NOTIMP to EDNS": Script(_plain_only(NOTIMP)),
    "FORMERR to everything": Script(always(lambda q: reply(q, rcode=FORMERR, edns=False))),
    "FORMERR with an OPT": Script(always(lambda q: reply(q, rcode=FORMERR))),
    "BADVERS": Script(always(lambda q: reply(q, edns=False, additional=[opt(ttl=1 << 24)]))),
    "silent to EDNS": Script(lambda q: () if q.edns else (truth(q),)),
    # Silence and slowness.
    "silent": Script(silent),
    "silent, TCP refused": Script(silent, tcp=False),
    "first message lost": Script(lambda q: (truth(q),) if q.turn else ()),
    "slow by 0.7 s": Script(lambda q: (Wait(0.7), truth(q))),
    "slow by 1.4 s": Script(lambda q: (Wait(1.4), truth(q))),
    "twice": Script(lambda q: (truth(q), truth(q))),
    "false after the truth": Script(lambda q: (truth(q), false(q))),
    # Truncation and size.
    "TC": Script(only_over_tcp(truth)),
    "TC with a false body": Script(over(always(lambda q: false(q, flags=RESPONSE | TC)), honest)),
    "TC, TCP refused": Script(always(lambda q: reply(q, flags=RESPONSE | TC)), tcp=False),
    "TC, TCP silent": Script(over(always(lambda q: reply(q, flags=RESPONSE | TC)), silent)),
    "TC over TCP too": Script(always(lambda q: false(q, flags=RESPONSE | TC))),
    "1400 octets": Script(always(_texts(1400)), TXT),
    "4000 octets": Script(always(_texts(4000)), TXT),
    "5000 octets over UDP": Script(always(_texts(5000)), TXT),
    "60000 octets over TCP": Script(only_over_tcp(_texts(60000)), TXT),
    "600 records": Script(only_over_tcp(_many(600))),
    "unknown type": Script(always(lambda q: reply(q, record(QNAME, 65280, bytes(range(256)), TTL))), 65280),
    "binary labels": Script(always(lambda q: reply(q, alias(QNAME, b"\x04\0\xff.\\\0"), address(b"\x04\0\xff.\\\0")))),
    # What only a stream can do. Over UDP it says TC, or there would be no stream.
    "reset in the middle": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (Stream(framed(truth(q))[:20]), End(True)))
    ),
    "closed in the middle": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (Stream(framed(truth(q))[:20]), End(False)))
    ),
    "closed at once": Script(over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda _: (End(False),))),
    "silent in the middle": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (Stream(framed(truth(q))[:20]),))
    ),
    "piece by piece": Script(over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: _pieces(truth(q)))),
    "another question's reply first": Script(
        over(
            always(lambda q: reply(q, flags=RESPONSE | TC)),
            lambda q: (false(q, id=q.id ^ _OTHER_ID, question=_question(VICTIM)), truth(q)),
        )
    ),
    "empty message first": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (Stream(framed(b"")), truth(q)))
    ),
    **ODDITIES,
}
