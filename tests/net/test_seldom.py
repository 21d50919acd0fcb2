"""Lines that could come thousands of times a second come once a minute."""

from __future__ import annotations

from hsdnsd.net.seldom import INTERVAL, MAX_KINDS, Seldom


def test_the_first_of_each_kind_is_due() -> None:
    seldom = Seldom()
    assert seldom.due("a", 100.0) == ""
    assert seldom.due("b", 100.0) == ""


def test_those_left_out_are_counted() -> None:
    seldom = Seldom()
    seldom.due("a", 100.0)
    assert [seldom.due("a", 100.0 + second) for second in (0.0, 1.0, INTERVAL - 1)] == [None, None, None]
    assert seldom.due("a", 100.0 + INTERVAL) == " (3 more since the last such line)"
    assert seldom.due("a", 100.0 + 2 * INTERVAL) == ""


def test_kinds_are_bounded() -> None:
    seldom = Seldom()
    for kind in range(MAX_KINDS + 1):
        assert seldom.due(kind, 100.0) == ""
    assert seldom.due(MAX_KINDS, 100.0) is None
    assert seldom.due(0, 100.0) == ""
