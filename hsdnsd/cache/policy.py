"""What of an upstream's reply answers the question, and for how long it may be kept (RFC 2181, 2308, 5452)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from hsdnsd.wire.const import MAX_TTL, Rcode, RRType
from hsdnsd.wire.message import Message
from hsdnsd.wire.name import Name, is_within
from hsdnsd.wire.rrset import RRset

# Longer chains than this in one message are an attack or a mistake (BIND allows 16, unbound 11 restarts).
MAX_CHAIN = 16
# What proves that a name or type does not exist, or that a wildcard was right to stand for it.
_PROOF = frozenset((RRType.NSEC, RRType.NSEC3, RRType.RRSIG))


class TtlLimits(msgspec.Struct, frozen=True):
    """Seconds, for records that came from upstream."""

    least: int = 0
    most: int = 86400
    least_negative: int = 0
    most_negative: int = 30


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The part of a reply that answers the question.

    Attributes:
        answer: RRsets from the question's name along the CNAME chain, in that order.
        authority: of a denial the SOA and the records that prove it, of signed data the records that prove that a
            wildcard stands for it; else empty.
        ttl: seconds that it may be kept; 0: give it to those who wait now, and forget it.
        chase: folded name at which the chain goes on where this upstream has no say (an own zone), or where it
            stopped telling.
    """

    rcode: int
    answer: tuple[RRset, ...]
    authority: tuple[RRset, ...]
    ttl: int
    chase: Name | None = None


def accept(
    message: Message, name: Name, qtype: int, is_own: Callable[[Name], bool], limits: TtlLimits, do: bool = True
) -> Accepted | None:
    """Strip a reply to what answers `name` and `qtype`; None if it does not answer at all.

    Kept are the RRsets on the chain from the question's name, and in a denial one SOA with its proof. Everything else,
    whoever it claims to be about, is left out; nothing of it is ever kept under another name (RFC 5452 section 6).
    Records that lie in an own zone are cut out: the chain goes on there by our own look-up.

    Args:
        do: whether signatures and proofs were asked for. Without, they are left out of what they come along with
            (RFC 4035 section 3.2.1).
    """
    if not do:
        message = _without_proof(message, qtype)
    if message.rcode == Rcode.YXDOMAIN and (moved := _moved_by(message.answer, name, [])):
        # RFC 6672 section 2.2: what a DNAME makes of the name is too long.
        return _accepted(Rcode.YXDOMAIN, tuple(moved), (), limits)
    if message.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return None
    walk = _follow(message.answer, name, qtype, is_own)
    if walk is None:
        return None
    chain, end = walk.chain, walk.end
    if walk.own:
        return _accepted(Rcode.NOERROR, chain, (), limits, chase=end)
    if walk.found:
        # RFC 2308 section 2.1: NXDOMAIN is about the end of the chain, and it has data.
        proof = _wildcard_proof(message, chain, is_own, limits)
        ttl = min((rrset.ttl for rrset in proof), default=limits.most)
        return _accepted(Rcode.NOERROR, chain, proof, limits, ttl=ttl)
    soa = _denial_soa(message.authority, end)
    if soa is not None:
        return _denial(message, chain, soa, limits)
    if chain and message.rcode == Rcode.NOERROR:
        return _accepted(Rcode.NOERROR, chain, (), limits, chase=end)
    if (message.answer or message.foreign) and not chain:
        # Told of another name, type or class: not that there is nothing.
        return None
    if any(rrset.rtype == RRType.NS for rrset in message.authority):
        # A referral: this server does not recurse for us.
        return None
    # RFC 2308 section 5: a denial without SOA is passed on, and not kept.
    return Accepted(message.rcode, chain, (), 0)


class _Walk(NamedTuple):
    chain: tuple[RRset, ...]
    end: Name
    found: bool  # data of the type asked stands at the end
    own: bool  # the end lies in an own zone


def _follow(records: tuple[RRset, ...], name: Name, qtype: int, is_own: Callable[[Name], bool]) -> _Walk | None:
    """Walk the chain from the question's name; None if it loops or is too long."""
    by_name: dict[Name, list[RRset]] = {}
    for rrset in records:
        by_name.setdefault(Name(rrset.name.lower()), []).append(rrset)
    chain: list[RRset] = []
    seen = {name}
    here = name
    for _ in range(MAX_CHAIN + 1):
        there = by_name.get(here, ())
        alias = next((_single(rrset) for rrset in there if rrset.rtype == RRType.CNAME), None)
        if alias is not None:
            # Also where the alias itself was asked for (RFC 6672 section 3.1).
            chain += _moved_by(records, here, chain)
        data = alias if qtype == RRType.CNAME else next((rrset for rrset in there if rrset.rtype == qtype), None)
        if data is not None:
            chain.append(data)
            if qtype != RRType.RRSIG:
                chain += [rrset for rrset in there if rrset.rtype == RRType.RRSIG]
            return _Walk(tuple(chain), here, found=True, own=False)
        if alias is None:
            return _Walk(tuple(chain), here, found=False, own=False)
        chain.append(alias)
        chain += [rrset for rrset in there if rrset.rtype == RRType.RRSIG]
        here = Name(alias.rdatas[0].lower())
        if here in seen:
            return None
        if is_own(here):
            return _Walk(tuple(chain), here, found=False, own=True)
        seen.add(here)
    return None


def _single(rrset: RRset) -> RRset:
    """The first record alone: a name has no second alias (RFC 2181 section 10.1)."""
    return rrset if len(rrset.rdatas) == 1 else RRset(rrset.name, rrset.rtype, rrset.ttl, rrset.rdatas[:1])


def _moved_by(records: tuple[RRset, ...], name: Name, chain: list[RRset]) -> list[RRset]:
    """The DNAMEs above a name that are not in the chain yet, with their signatures: the CNAME they make has none."""
    above = {
        owner
        for rrset in records
        if rrset.rtype == RRType.DNAME and is_within(name, owner := Name(rrset.name.lower())) and len(owner) < len(name)
    }
    return [
        rrset
        for rrset in records
        if rrset.rtype in (RRType.DNAME, RRType.RRSIG) and Name(rrset.name.lower()) in above and rrset not in chain
    ]


def _without_proof(message: Message, qtype: int) -> Message:
    """The message without records that only who asked for them is to see."""
    if not any(rrset.rtype in _PROOF for rrset in (*message.answer, *message.authority)):
        return message
    answer = tuple(rrset for rrset in message.answer if rrset.rtype not in _PROOF or rrset.rtype == qtype)
    authority = tuple(rrset for rrset in message.authority if rrset.rtype not in _PROOF)
    return msgspec.structs.replace(message, answer=answer, authority=authority)


def _wildcard_proof(
    message: Message, chain: tuple[RRset, ...], is_own: Callable[[Name], bool], limits: TtlLimits
) -> tuple[RRset, ...]:
    """What shows that a name has no data but a wildcard's; without it, who verifies takes the data for forged (RFC 4035
    section 3.1.3.3)."""
    if not message.authority or not any(rrset.rtype == RRType.RRSIG for rrset in chain):
        return ()
    proof = [r for r in message.authority if r.rtype in _PROOF and not is_own(Name(r.name.lower()))]
    denying = {rrset.name for rrset in proof if rrset.rtype != RRType.RRSIG}
    return tuple(_bounded(rrset, limits) for rrset in proof if rrset.name in denying)


def _denial_soa(authority: tuple[RRset, ...], name: Name) -> RRset | None:
    return next((r for r in authority if r.rtype == RRType.SOA and is_within(name, Name(r.name.lower()))), None)


def _denial(message: Message, chain: tuple[RRset, ...], soa: RRset, limits: TtlLimits) -> Accepted:
    minimum = int.from_bytes(soa.rdatas[0][-4:], "big")
    # RFC 2308 section 5: the lesser of the two; MINIMUM is 32 bits that may have the high bit set like a TTL.
    ttl = min(max(min(soa.ttl, 0 if minimum > MAX_TTL else minimum), limits.least_negative), limits.most_negative)
    proof = tuple(
        _with_ttl(rrset, min(rrset.ttl, ttl))
        for rrset in message.authority
        if rrset.rtype in _PROOF and is_within(Name(rrset.name.lower()), Name(soa.name.lower()))
    )
    head = _with_ttl(RRset(soa.name, soa.rtype, soa.ttl, soa.rdatas[:1]), ttl)
    return _accepted(message.rcode, chain, (head, *proof), limits, ttl=ttl)


def _accepted(
    rcode: int,
    chain: tuple[RRset, ...],
    authority: tuple[RRset, ...],
    limits: TtlLimits,
    *,
    ttl: int | None = None,
    chase: Name | None = None,
) -> Accepted:
    answer = tuple(_bounded(rrset, limits) for rrset in chain)
    least = min((rrset.ttl for rrset in answer), default=limits.most)
    return Accepted(rcode, answer, authority, least if ttl is None else min(least, ttl), chase)


def _bounded(rrset: RRset, limits: TtlLimits) -> RRset:
    return _with_ttl(rrset, max(limits.least, min(rrset.ttl, limits.most)))


def _with_ttl(rrset: RRset, ttl: int) -> RRset:
    return rrset if rrset.ttl == ttl else RRset(rrset.name, rrset.rtype, ttl, rrset.rdatas)
