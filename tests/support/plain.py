"""What the engine makes of a reply over UDP, for comparison with what the packet path makes of it."""

from __future__ import annotations

from hsdnsd.native._accept import accepted

from hsdnsd.cache.policy import TtlLimits, accept
from hsdnsd.errors import WireError
from hsdnsd.native import NameSet
from hsdnsd.wire.answer import Answer, build_answer
from hsdnsd.wire.const import EDNS_UDP_SIZE, TC
from hsdnsd.wire.message import matches, read_message_untrusted
from hsdnsd.wire.name import Name
from tests.support.packets import u16


def by_engine(
    wire: bytes, id: int, name: Name, qtype: int, own: NameSet, limits: TtlLimits
) -> tuple[Answer, int] | None:
    """The finished answer, and for how long it may be kept; None: it is not the end of the matter."""
    if not matches(wire, id, name + u16(qtype, 1)) or len(wire) > EDNS_UDP_SIZE:
        return None
    try:
        message = read_message_untrusted(wire)
    except WireError:
        return None
    if message.flags & TC:
        return None
    kept = accept(message, name, qtype, own.__contains__, limits, False)
    if kept is None or kept.chase is not None:
        return None
    return build_answer(name, kept.rcode, kept.answer, kept.authority), kept.ttl


def by_thread(
    wire: bytes, id: int, name: Name, qtype: int, own: NameSet, limits: TtlLimits
) -> tuple[Answer, int] | None:
    """The same of the packet path; None: it leaves the reply to the engine."""
    bounds = (limits.least, limits.most, limits.least_negative, limits.most_negative)
    made = accepted(wire, id, name, qtype, own, bounds)
    if made is None:
        return None
    rcode, an, ns, body, ttls, ttl, rotate_at, rotate_count, rotate_size, keep = made
    return Answer(rcode, False, an, ns, 0, body, ttls, ttl, rotate_at, rotate_count, rotate_size), keep
