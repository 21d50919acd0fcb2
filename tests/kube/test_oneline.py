"""hsdnsd.kube.oneline."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.oneline import one_line


@given(st.text())
def test_whatever_is_said_becomes_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()
    assert len(line) <= 300


def test_escape_sequences_and_line_ends_do_not_reach_a_terminal() -> None:
    assert one_line("not\r\n allowed:\t\x1b[31mred\u2028x") == "not allowed: [31mred x"


def test_long_text_is_cut() -> None:
    assert one_line("x" * 5000) == "x" * 300
