"""hsdnsd.kube.lines."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.lines import LineSplitter, LineTooLongError

lines = st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=10)


@given(lines, st.binary(max_size=8).map(lambda rest: rest.replace(b"\n", b"")), st.lists(st.integers(0, 250)))
def test_lines_come_out_whole_however_the_stream_was_cut(whole: list[bytes], rest: bytes, cuts: list[int]) -> None:
    stream = b"".join(line + b"\n" for line in whole) + rest
    splitter = LineSplitter(20)
    found = []
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in itertools.pairwise(places):
        found += splitter.feed(stream[start:end])
    assert found == [line for line in whole if line]
    assert splitter.rest() == rest
    assert splitter.rest() == b""


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([b"12345"], id="unfinished, in one piece"),
        pytest.param([b"12345\n"], id="finished, in one piece"),
        pytest.param([b"ab\n12", b"34", b"5"], id="in pieces"),
        pytest.param([b"12", b"345\nab"], id="the end in a later piece"),
    ],
)
def test_a_line_over_the_limit_is_refused(chunks: list[bytes]) -> None:
    splitter = LineSplitter(4)

    def feed_all() -> None:
        for chunk in chunks:
            splitter.feed(chunk)

    with pytest.raises(LineTooLongError, match="more than 4 octets"):
        feed_all()


def test_lines_of_just_the_limit_pass() -> None:
    splitter = LineSplitter(4)
    assert splitter.feed(b"1234\n12") == [b"1234"]
    assert splitter.feed(b"34\n1234") == [b"1234"]
    assert splitter.rest() == b"1234"
