"""Any octets are a query or a refusal, as the reference gate has it; no refusal outgrows the packet and an EDE."""

from __future__ import annotations

from collections.abc import Hashable

from hsdnsd.wire.query import Query, read_query_untrusted
from tests.support.packets import CountedBytes
from tests.support.reference_gate import judge

# The longest name, and 64 options of which none has an octet that is read alone.
MAX_READS = 400
EDE_SIZE = 6


def check(wire: bytes) -> Hashable:
    """Try one input; what came of it, in a few words.

    Raises:
        AssertionError: the invariant does not hold.
    """
    counted = CountedBytes(wire)
    found = read_query_untrusted(counted)
    assert counted.reads <= MAX_READS, f"{counted.reads} octets read"
    expected = judge(wire)
    if isinstance(found, Query):
        assert expected.asked is not None, expected.step
        for field in Query.__struct_fields__:
            assert getattr(found, field) == getattr(expected.asked, field), field
        return "query", found.has_opt, found.keepalive, found.trailing
    assert found.reply == expected.reply, expected.step
    assert found.reply is None or len(found.reply) <= len(wire) + EDE_SIZE
    return found.why, expected.step
