"""Answers of the own zones that would be larger than any DNS message."""

from __future__ import annotations

from hsdnsd.errors import WireError
from hsdnsd.records.result import Result
from hsdnsd.wire.answer import Answer, build_answer, without_additional
from hsdnsd.wire.const import EDNS_UDP_SIZE, HEADER_SIZE
from hsdnsd.wire.edns import OPT_SIZE
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset

# A record's owner, compressed to a pointer, with TYPE, CLASS, TTL and RDLENGTH.
_RECORD = 12
# For the records of an answer that had to be cut: 65,535 octets less header, question, OPT and the first owner's name.
_ROOM = 64_000


def build_own(name: Name, result: Result, turn: int) -> Answer:
    """The answer to a question for `name`. Cannot fail.

    What does not fit into 65,535 octets loses its additional section first, which nobody is owed. If that is not
    enough, it holds as many of the records as there is room for: a client can use some of 5,000 addresses, and none of
    an error. Which ones, changes with `turn`, so that every endpoint gets its share.
    """
    for additional in (result.additional, ()):
        try:
            return _build(name, result, result.answer, additional)
        except WireError:
            continue
    return _build(name, result, _some(result.answer, turn), ())


def for_udp(name: Name, answer: Answer) -> Answer:
    """What the packet path is to hold: an answer that no asker over UDP can be given whole, without what it loses."""
    return without_additional(answer) if answer.extra and not fits_udp(name, answer) else answer


def fits_udp(name: Name, answer: Answer) -> bool:
    """Whether an asker over UDP with EDNS can be given the whole answer."""
    return HEADER_SIZE + len(name) + 4 + len(answer.body) + OPT_SIZE <= EDNS_UDP_SIZE


def _build(name: Name, result: Result, answer: tuple[RRset, ...], additional: tuple[RRset, ...]) -> Answer:
    return build_answer(name, result.rcode, answer, result.authority, additional, aa=True, fixed=True, ede=result.ede)


def _some(answer: tuple[RRset, ...], turn: int) -> tuple[RRset, ...]:
    """As many records of each RRset, in order, as there is room for."""
    room = _ROOM
    some = []
    for rrset in answer:
        start = turn % len(rrset.rdatas)
        chosen = []
        for rdata in rrset.rdatas[start:] + rrset.rdatas[:start]:
            room -= _RECORD + len(rdata)
            if room < 0:
                break
            chosen.append(rdata)
        if chosen:
            some.append(RRset(rrset.name, rrset.rtype, rrset.ttl, tuple(chosen)))
    return tuple(some)
