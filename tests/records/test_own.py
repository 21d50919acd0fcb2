"""hsdnsd.records.own: which slices publish the daemon's own addresses."""

from __future__ import annotations

from hsdnsd.records.held import HeldNamespace, HeldService, HeldSlice
from hsdnsd.records.own import OwnAddresses

HERE, THERE, ELSEWHERE = b"\x0a\0\0\1", b"\x0a\0\0\2", b"\x0a\0\0\3"


def test_who_publishes_them() -> None:
    own = OwnAddresses((HERE, THERE))
    one, other = (HeldService(HeldNamespace("n", configured=True), name) for name in "ab")
    first, second = HeldSlice(one), HeldSlice(other)
    own.publish(first, {ELSEWHERE})
    assert own.slices() == []
    own.publish(first, {HERE, THERE, ELSEWHERE})
    own.publish(first, {HERE, THERE})
    own.publish(second, {THERE})
    assert own.slices() == [first, second]
    assert own.at(one)
    own.publish(first, set())
    assert own.slices() == [second]
    assert not own.at(one)
    assert own.at(other)


def test_where_there_are_none_nobody_needs_to_publish() -> None:
    assert OwnAddresses((HERE,))
    assert not OwnAddresses(())
