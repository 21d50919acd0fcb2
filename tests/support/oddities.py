"""More of the table of scripts: replies that are odd rather than false, which a reader of messages may stumble over."""

from __future__ import annotations

from typing import Final

from tests.support.lies import (
    FALSE,
    LOCAL,
    LOCAL_ADDRESS,
    NAME,
    QNAME,
    TRUE,
    TTL,
    VICTIM,
    Asked,
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
from tests.support.packets import (
    AAAA,
    CNAME,
    NS,
    RESPONSE,
    SOA,
    TC,
    TXT,
    A,
    message,
    name,
    opt,
    pointer,
    record,
    u16,
    u32,
)

_AA, _RD, _RA, _AD = 0x0400, 0x0100, 0x0080, 0x0020
_FORMERR, _NXDOMAIN, _NOTIMP, _REFUSED = 1, 3, 4, 5
_DNAME, _RRSIG, _NSEC, _TSIG, _ANY_CLASS = 39, 46, 47, 250, 255
_DATAGRAM: Final = 1232  # octets that are offered to take


def _counts(wire: bytes, answer: int, authority: int, additional: int) -> bytes:
    return wire[:6] + u16(answer, authority, additional) + wire[12:]


def _sized(octets: int) -> Says:
    """A reply of exactly so many octets, by whatever way."""

    def make(asked: Asked) -> bytes:
        head = reply(asked, record(QNAME, TXT, b"", TTL))
        left = octets - len(head)
        strings = b""
        while left:
            size = min(left - 1, 255)
            strings += bytes((size,)) + b"t" * size
            left -= 1 + size
        return reply(asked, record(QNAME, TXT, strings, TTL))

    return always(make)


def _denied(authority: list[bytes], *, rcode: int = _NXDOMAIN, answer: tuple[bytes, ...] = ()) -> Says:
    return always(lambda q: reply(q, *answer, rcode=rcode, authority=authority))


def _soa_with(minimum: int = 300, ttl: int = TTL, cut: int = 0) -> bytes:
    rdata = name("ns.example.com") + name("h.example.com") + u32(1, 7200, 3600, 1209600, minimum)
    return record(name("example.com"), SOA, rdata[: len(rdata) - cut], ttl)


def _with_opt(options: bytes = b"", *, size: int = _DATAGRAM, ttl: int = 0) -> Says:
    return always(lambda q: reply(q, address(QNAME), edns=False, additional=[opt(options, size, ttl)]))


def _plain_after(refusal: Says) -> Says:
    """So to whoever sends an OPT; who sends none is told the truth."""
    return lambda q: refusal(q) if q.edns else (truth(q),)


def _header(rcode: int) -> Says:
    return always(lambda q: u16(q.id, RESPONSE | rcode) + bytes(8))


def _echoed(asked: Asked) -> bytes:
    return asked.wire


def _victims(count: int) -> list[bytes]:
    return [address(name(VICTIM), FALSE[:2] + u16(number)) for number in range(count)]


def _pointers(asked: Asked) -> bytes:
    """An answer whose owner is as many pointers away as its message has room for."""
    first = 12 + len(asked.question)
    hops = [record(QNAME, 65280, pointer(12), TTL)]
    at = first + len(hops[0]) - 2
    while at < 0x3F00:
        hops.append(record(QNAME, 65280, pointer(at), TTL))
        at += len(hops[-1])
    return reply(asked, *hops, address(pointer(at), FALSE))


_ANSWER = address(QNAME)
_NAME_SERVER = record(name("example.com"), NS, name("ns.example.com"), TTL)
_SIGNATURE = record(QNAME, _RRSIG, u16(A) + b"\5\3" + u32(TTL, 0, 0) + u16(1) + name("example.com") + b"s" * 64, TTL)
_TSIG_DATA = name("hmac-sha256") + bytes(6) + u16(300, 0, 0, 0, 0)

ODDITIES: Final[dict[str, Script]] = {
    # Counts that are not those of what follows.
    "ANCOUNT 0, one record": Script(always(lambda q: _counts(reply(q, _ANSWER, edns=False), 0, 0, 0))),
    "ANCOUNT 1, two records": Script(
        always(lambda q: _counts(reply(q, _ANSWER, address(QNAME, FALSE), edns=False), 1, 0, 0))
    ),
    "NSCOUNT 1, nothing": Script(always(lambda q: _counts(false(q, edns=False), 1, 1, 0))),
    "ARCOUNT 2, nothing": Script(always(lambda q: _counts(false(q, edns=False), 1, 0, 2))),
    "every count 65535": Script(always(lambda q: _counts(false(q), 65535, 65535, 65535))),
    "answer in the authority": Script(always(lambda q: reply(q, authority=[address(QNAME, FALSE)]))),
    "answer in the additional": Script(always(lambda q: reply(q, additional=[address(QNAME, FALSE)]))),
    # What does not match, again and again, and what is no reply at all.
    "wrong qname for ever, TCP silent": Script(
        over(always(lambda q: false(q, question=name(VICTIM) + u16(A, 1))), silent)
    ),
    "empty for ever, TCP refused": Script(always(lambda _: b""), tcp=False),
    "its own query": Script(over(lambda q: (_echoed(q), Wait(0.1), truth(q)), honest)),
    "question of class ANY": Script(then_truth(lambda q: false(q, question=q.question[:-2] + u16(_ANY_CLASS)))),
    "question with a pointer": Script(then_truth(lambda q: false(q, question=pointer(12) + q.question[-4:]))),
    "header only, TC": Script(then_truth(lambda q: u16(q.id, RESPONSE | TC) + bytes(8))),
    "header only, FORMERR to EDNS": Script(over(_plain_after(_header(_FORMERR)), honest)),
    "header only, FORMERR to EDNS, TCP refused": Script(_plain_after(_header(_FORMERR)), tcp=False),
    "refused": Script(honest, udp=False),
    "refused, TCP too": Script(honest, udp=False, tcp=False),
    # OPT records as one may meet them.
    "OPT of version 1": Script(_with_opt(ttl=1 << 16)),
    "OPT with every flag": Script(_with_opt(ttl=0xFFFF)),
    "OPT of size 0": Script(_with_opt(size=0)),
    "OPT with an option past its end": Script(_with_opt(u16(10, 400) + FALSE)),
    "OPT of 900 octets": Script(_with_opt(u16(12, 900) + bytes(900))),
    "OPT before the others": Script(
        always(lambda q: reply(q, address(QNAME), edns=False, additional=[opt(), address(name(VICTIM), FALSE)]))
    ),
    "OPT past the end": Script(always(lambda q: reply(q, address(QNAME, FALSE), edns=False, additional=[opt()])[:-1])),
    "BADCOOKIE with data": Script(
        always(lambda q: reply(q, address(QNAME, FALSE), rcode=7, edns=False, additional=[opt(ttl=1 << 24)]))
    ),
    "TSIG": Script(
        always(lambda q: reply(q, _ANSWER, additional=[record(name("key"), _TSIG, _TSIG_DATA, 0, _ANY_CLASS)]))
    ),
    # Bits of the header.
    "RA is 0": Script(always(lambda q: reply(q, _ANSWER, flags=RESPONSE & ~_RA))),
    "RD is 0": Script(always(lambda q: reply(q, _ANSWER, flags=RESPONSE & ~_RD))),
    "NXDOMAIN with every bit": Script(
        always(lambda q: reply(q, rcode=_NXDOMAIN, flags=RESPONSE | _AA | _AD | 0x0050, authority=[soa("example.com")]))
    ),
    # Refusals, by servers old and new.
    "REFUSED without OPT": Script(always(lambda q: reply(q, rcode=_REFUSED, edns=False))),
    "REFUSED to EDNS": Script(_plain_after(always(lambda q: reply(q, rcode=_REFUSED, edns=False)))),
    "NOTIMP to everything": Script(always(lambda q: reply(q, rcode=_NOTIMP, edns=False))),
    "FORMERR to EDNS, silent to others": Script(lambda q: (reply(q, rcode=_FORMERR, edns=False),) if q.edns else ()),
    "SERVFAIL after the truth": Script(lambda q: (truth(q), reply(q, rcode=2))),
    "FORMERR with an answer": Script(always(lambda q: false(q, rcode=_FORMERR))),
    # Records of the answer.
    "the same record twice": Script(always(lambda q: reply(q, _ANSWER, _ANSWER))),
    "owner in capitals": Script(always(lambda q: reply(q, address(name(NAME).upper())))),
    "class ANY beside": Script(always(lambda q: reply(q, _ANSWER, record(QNAME, A, FALSE, rclass=_ANY_CLASS)))),
    "AAAA beside": Script(always(lambda q: reply(q, _ANSWER, record(QNAME, AAAA, FALSE * 4, TTL)))),
    "AAAA before": Script(always(lambda q: reply(q, record(QNAME, AAAA, FALSE * 4, TTL), _ANSWER))),
    "CNAME before the data": Script(always(lambda q: reply(q, alias(QNAME, name(VICTIM)), _ANSWER))),
    "CNAME behind the data": Script(always(lambda q: reply(q, _ANSWER, alias(QNAME, name(VICTIM))))),
    "signature unasked": Script(always(lambda q: reply(q, _ANSWER, _SIGNATURE))),
    "RDLENGTH 0": Script(always(lambda q: reply(q, record(QNAME, A, b"", TTL)))),
    "malformed in the additional": Script(
        always(lambda q: reply(q, address(QNAME, FALSE), additional=[record(name("a"), AAAA, TRUE, TTL)]))
    ),
    "name server along": Script(
        always(
            lambda q: reply(
                q, _ANSWER, authority=[_NAME_SERVER], additional=[address(name("ns.example.com"), LOCAL_ADDRESS)]
            )
        )
    ),
    "referral with AA": Script(always(lambda q: reply(q, authority=[_NAME_SERVER], flags=RESPONSE | _AA))),
    "referral to the root": Script(
        always(lambda q: reply(q, authority=[record(b"\0", NS, name("a.root-servers.net"), TTL)]))
    ),
    # Chains.
    "8 CNAMEs": Script(always(lambda q: reply(q, *chain(8)))),
    "9 CNAMEs": Script(always(lambda q: reply(q, *chain(9)))),
    "two CNAMEs": Script(
        always(
            lambda q: reply(
                q,
                alias(QNAME, name("link0.example.com")),
                alias(QNAME, name(VICTIM)),
                address(name("link0.example.com")),
            )
        )
    ),
    "the same CNAME twice": Script(always(lambda q: reply(q, *chain(1)[:1] * 2, address(name("link0.example.com"))))),
    "CNAME to the victim": Script(always(lambda q: reply(q, alias(QNAME, name(VICTIM)), address(name(VICTIM))))),
    "CNAME to the root": Script(lambda q: (reply(q, alias(QNAME, b"\0")) if q.name == name(NAME) else truth(q),)),
    "CNAME that names itself in capitals": Script(always(lambda q: reply(q, alias(QNAME, name(NAME.upper()))))),
    "CNAME into the cluster, in capitals": Script(
        always(lambda q: reply(q, alias(QNAME, name(LOCAL.upper())), address(name(LOCAL), FALSE)))
    ),
    "CNAME to the cluster's zone itself": Script(
        always(lambda q: reply(q, alias(QNAME, name("cluster.local")), address(name("cluster.local"), FALSE)))
    ),
    "NXDOMAIN behind a CNAME": Script(_denied([soa("example.com")], answer=tuple(chain(1)[:1]))),
    "NODATA behind a CNAME": Script(_denied([soa("example.com")], rcode=0, answer=tuple(chain(1)[:1]))),
    "DNAME": Script(
        always(
            lambda q: reply(
                q,
                record(name("example.com"), _DNAME, name("example.net"), TTL),
                alias(QNAME, name("www.example.net")),
                address(name("www.example.net")),
            )
        )
    ),
    "DNAME without its CNAME": Script(
        always(lambda q: reply(q, record(name("example.com"), _DNAME, name("example.net"), TTL)))
    ),
    "64 KiB of the victim": Script(only_over_tcp(lambda q: reply(q, *_victims(1800), _ANSWER))),
    "pointers to pointers": Script(only_over_tcp(_pointers)),
    "1600 CNAMEs": Script(only_over_tcp(lambda q: reply(q, *chain(1600, "l{}")))),
    # Denials.
    "NODATA with a SOA of the root": Script(_denied([soa("")], rcode=0)),
    "NXDOMAIN with a SOA of a child": Script(_denied([soa("a." + NAME)])),
    "NXDOMAIN with a SOA of the cluster": Script(_denied([soa("cluster.local")])),
    "NXDOMAIN with a SOA in the answer": Script(_denied([], answer=(soa("example.com"),))),
    "NXDOMAIN with a SOA in the additional": Script(
        always(lambda q: reply(q, rcode=_NXDOMAIN, additional=[soa("example.com")]))
    ),
    "NXDOMAIN with two SOA of one zone": Script(_denied([soa("example.com", 60), soa("example.com")])),
    "NXDOMAIN with a SOA cut off": Script(_denied([_soa_with(cut=4)])),
    "NXDOMAIN with a MINIMUM of 0": Script(_denied([_soa_with(minimum=0)])),
    "NXDOMAIN with the high bit in MINIMUM": Script(_denied([_soa_with(minimum=0x80000001)])),
    "NXDOMAIN with the high bit in its TTL": Script(_denied([_soa_with(ttl=0x80000001)])),
    "NXDOMAIN with a proof unasked": Script(
        _denied([soa("example.com"), record(name("example.com"), _NSEC, name(VICTIM) + b"\0\1\x40", TTL)])
    ),
    "NODATA with a name server along": Script(_denied([_NAME_SERVER, soa("example.com")], rcode=0)),
    "CNAME to a name that is no more, without SOA": Script(
        _denied([], answer=(record(QNAME, CNAME, name("gone.example.com"), TTL),))
    ),
    # Sizes at the edge.
    "1232 octets": Script(_sized(1232), TXT),
    "1233 octets": Script(_sized(1233), TXT),
    "500 octets without OPT": Script(
        always(
            lambda q: reply(q, record(QNAME, TXT, (b"\x7f" + b"t" * 127) * 3 + b"\x3f" + b"t" * 63, TTL), edns=False)
        ),
        TXT,
    ),
    "65500 octets over TCP": Script(over(always(lambda q: reply(q, flags=RESPONSE | TC)), _sized(65500)), TXT),
    "TC and all of the answer": Script(over(always(lambda q: reply(q, _ANSWER, flags=RESPONSE | TC)), honest)),
    "hundred times": Script(lambda q: (truth(q),) * 100),
    # What only a stream can do.
    "hundred other ids over TCP": Script(
        over(
            always(lambda q: reply(q, flags=RESPONSE | TC)),
            lambda q: (*(false(q, id=(q.id + number) % 65536) for number in range(1, 101)), truth(q)),
        )
    ),
    "message of one octet": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (Stream(framed(b"x")), truth(q)))
    ),
    "drop by drop without end": Script(
        over(
            always(lambda q: reply(q, flags=RESPONSE | TC)),
            lambda q: (Stream(u16(65535)), *(part for _ in range(100) for part in (Wait(0.2), Stream(b"x")))),
        )
    ),
    "right id, wrong question over TCP": Script(
        over(
            always(lambda q: reply(q, flags=RESPONSE | TC)),
            always(lambda q: false(q, question=name(VICTIM) + u16(A, 1))),
        )
    ),
    "QR is 0 over TCP": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), always(lambda q: false(q, flags=0x0180)))
    ),
    "no question over TCP": Script(
        over(
            always(lambda q: reply(q, flags=RESPONSE | TC)),
            always(lambda q: message(b"", [address(name(NAME), FALSE)], id=q.id, qdcount=0)),
        )
    ),
    "closed behind the answer": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (truth(q), End(False)))
    ),
    "reset behind the answer": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (truth(q), Wait(0.1), End(True)))
    ),
    "noise behind the answer": Script(
        over(always(lambda q: reply(q, flags=RESPONSE | TC)), lambda q: (truth(q), Stream(b"\xff" * 1000)))
    ),
}
