"""In what two replies to one question differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.differential.questions import Question
from tests.differential.reading import Owner, Reply, RRset, read
from tests.differential.world import AA, AD, CD, QR, RA, RD, TC, Z

_OPCODE = 0x7800


class Case(NamedTuple):
    """A question that was answered in two ways.

    Attributes:
        aspects: in what they differ: "silence", "header" (what a reply copies from the query, the OPT, and bits that
            are none of the others), "rcode", a flag, a section, or the TTLs of one.
    """

    question: Question
    ours: Reply | None
    theirs: Reply | None
    aspects: frozenset[str]


def differing(
    questions: Sequence[Question],
    ours: Sequence[bytes | None],
    theirs: Sequence[bytes | None],
    seconds: float,
) -> list[Case]:
    """The questions that two servers answer differently.

    Args:
        seconds: how far apart they may have learned something, so by how much TTLs may differ.
    """
    cases = []
    for question, one, other in zip(questions, ours, theirs, strict=True):
        first, second = (None if wire is None else read(wire) for wire in (one, other))
        if aspects := _aspects(first, second, seconds):
            cases.append(Case(question, first, second, frozenset(aspects)))
    return cases


def _aspects(ours: Reply | None, theirs: Reply | None, seconds: float) -> set[str]:
    if ours is None or theirs is None:
        return {"silence"} if ours is not theirs else set()
    found = set()
    copied = QR | _OPCODE | RD | CD | Z
    if (ours.id, ours.flags & copied, ours.question, ours.edns) != (
        theirs.id, theirs.flags & copied, theirs.question, theirs.edns,
    ):  # fmt: skip
        found.add("header")
    for name, mask in (("AA", AA), ("TC", TC), ("RA", RA), ("AD", AD)):
        if ours.flag(mask) != theirs.flag(mask):
            found.add(name)
    if ours.rcode != theirs.rcode:
        # All else follows from that.
        return found | {"rcode"}
    if ours.flag(TC) or theirs.flag(TC):
        # What stands in a truncated reply is to be ignored (RFC 2181 section 9).
        return found
    for name, one, other in (
        ("answer", ours.answer, theirs.answer),
        ("authority", ours.authority, theirs.authority),
        ("additional", ours.additional, theirs.additional),
    ):
        if data(one) != data(other):
            found.add(name)
        elif any(abs(rrset.ttl - other[owner].ttl) > seconds for owner, rrset in one.items()):
            found.add(f"{name} TTL")
    return found


def data(section: Mapping[Owner, RRset]) -> dict[Owner, frozenset[bytes]]:
    """The records of a section without their TTLs."""
    return {owner: rrset.rdatas for owner, rrset in section.items()}
