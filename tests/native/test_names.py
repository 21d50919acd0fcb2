"""Sets of names: each alone, or with whatever lies below it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.native import _names, _names_py
from hsdnsd.wire.name import ROOT, Name
from tests.support.packets import name
from tests.support.wire_strategies import names

BOTH = pytest.mark.parametrize("made", [_names.NameSet, _names_py.NameSet], ids=["cython", "python"])


def folded(text: str) -> Name:
    return Name(name(text))


@BOTH
def test_names_and_what_lies_below_them(made: type[_names_py.NameSet]) -> None:
    found = made([folded("a.example"), folded("c.example")], [folded("b.example"), folded("c.example")])
    for text in ("a.example", "b.example", "x.b.example", "y.x.b.example", "c.example", "x.c.example"):
        assert folded(text) in found
    for text in ("", "example", "x.a.example", "bb.example", "b.example.com"):
        assert folded(text) not in found


@BOTH
def test_a_tail_counts_only_at_a_labels_border(made: type[_names_py.NameSet]) -> None:
    assert Name(b"\4a\1b\1" + b"\0") not in made((), [Name(b"\1b\1\0")])
    assert Name(b"\3x\1b\0") not in made((), [Name(b"\1b\0")])


@BOTH
def test_everything_lies_below_the_root(made: type[_names_py.NameSet]) -> None:
    assert folded("a.example") in made((), [ROOT])
    assert ROOT in made((), [ROOT])
    assert ROOT in made([ROOT])
    assert folded("a.example") not in made([ROOT])


@BOTH
def test_no_names(made: type[_names_py.NameSet]) -> None:
    assert folded("a.example") not in made()
    for bad in (b"", b"x" * 256):
        with pytest.raises(ValueError, match="name"):
            made([Name(bad)])


@BOTH
def test_many(made: type[_names_py.NameSet]) -> None:
    found = made([folded(f"{number}.example") for number in range(2000)])
    assert all(folded(f"{number}.example") in found for number in range(2000))
    assert not any(folded(f"x{number}.example") in found for number in range(2000))


folds = names().map(lambda each: Name(each.lower()))


@given(st.lists(folds, max_size=5), st.lists(folds, max_size=5), folds, st.integers(0, 5))
def test_the_twins_agree(exact: list[Name], below: list[Name], asked: Name, labels: int) -> None:
    for tail in (asked, *exact, *below):
        longer = Name(b"\1a" * labels + tail)
        if len(longer) <= 255:
            assert (longer in _names.NameSet(exact, below)) == (longer in _names_py.NameSet(exact, below))
