"""Any octets are a message or a WireError, in linear time; what is read can be built again and is then the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from hsdnsd.errors import WireError
from hsdnsd.wire.answer import build_answer, rrsets
from hsdnsd.wire.message import read_message_untrusted
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset
from tests.support.packets import CountedBytes


def check(wire: bytes) -> Hashable:
    """Try one input; what came of it, in a few words.

    Raises:
        AssertionError: the invariant does not hold.
    """
    counted = CountedBytes(wire)
    try:
        read = read_message_untrusted(counted)
    except WireError as error:
        return error.problem
    finally:
        assert counted.reads <= 2 * len(wire), f"{counted.reads} octets read of {len(wire)}"
    name = Name(read.question[:-4])
    try:
        built = build_answer(name, 0, read.answer, read.authority, read.additional)
    except WireError:
        # A few octets of compressed names may be more than 64 KiB of uncompressed rdata.
        assert uncompressed(read.answer) + uncompressed(read.authority) + uncompressed(read.additional) > 60000
        return "too large to be built"
    answer, authority = rrsets(built, name)
    assert folded(answer) == folded(read.answer)
    assert folded(authority) == folded(read.authority)
    types = tuple(rrset.rtype for rrset in (*read.answer, *read.authority, *read.additional)[:3] if rrset.rtype < 64)
    return read.has_opt, bool(read.foreign), types


def uncompressed(section: Iterable[RRset]) -> int:
    return sum(len(rrset.name) + 10 + len(rdata) for rrset in section for rdata in rrset.rdatas)


def folded(section: Iterable[RRset]) -> list[tuple[bytes, int, int, set[bytes]]]:
    """Compression may change the case of a name, and so make two rdatas one."""
    return [
        (rrset.name.lower(), rrset.rtype, rrset.ttl, {rdata.lower() for rdata in rrset.rdatas}) for rrset in section
    ]
