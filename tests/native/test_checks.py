"""Answers that contradict themselves get no further: what copies them does not look."""

from __future__ import annotations

from array import array

import pytest

from hsdnsd.native.checks import check_answer, check_name
from hsdnsd.wire.answer import Answer
from hsdnsd.wire.name import Name


def places(*numbers: int) -> bytes:
    return array("H", numbers).tobytes()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, False, 0, 0, 0, b"", b"", 0),
        Answer(15, True, 65535, 65535, 65534, bytes(16), places(0, 12), 0),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, 0, 2, 16),
        Answer(0, False, 2, 0, 0, bytes(65535), places(65531), 0, 65503, 2, 16),
    ],
)
def test_a_sound_answer(answer: Answer) -> None:
    check_answer(answer)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, False, 1, 0, 0, bytes(16), places(13), 0),
        Answer(0, False, 1, 0, 0, bytes(16), places(0, 65535), 0),
        Answer(0, False, 1, 0, 0, bytes(3), places(0), 0),
        Answer(0, False, 1, 0, 0, bytes(16), b"\0\0\0", 0),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, 1, 2, 16),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, 0, 3, 16),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, 0, 1 << 40, 16),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, -16, 2, 16),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, 16, -1, 16),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, 32, 1, -16),
        Answer(0, False, 2, 0, 0, bytes(32), b"", 0, 0, 1 << 40, 0),
        Answer(0, False, 1, 0, 0, bytes(65536), b"", 0),
        Answer(16, False, 0, 0, 0, b"", b"", 0),
        Answer(-1, False, 0, 0, 0, b"", b"", 0),
        Answer(0, False, 0, 0, 0, b"", b"", 0, ede=65536),
        Answer(0, False, 65536, 0, 0, b"", b"", 0),
        Answer(0, False, 1, -1, 0, b"", b"", 0),
        Answer(0, False, 1, 0, 65535, b"", b"", 0),
    ],
)
def test_an_answer_that_contradicts_itself(answer: Answer) -> None:
    with pytest.raises(ValueError, match=r"TTL|run|RCODE|Error|records|body"):
        check_answer(answer)


@pytest.mark.parametrize("size", [0, 256])
def test_what_can_be_no_name(size: int) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(Name(bytes(size)))


def test_the_shortest_and_the_longest_name() -> None:
    check_name(Name(b"\0"))
    check_name(Name(bytes(255)))
