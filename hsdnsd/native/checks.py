"""What an answer has to be so that it can be copied and patched without looking at it again."""

from __future__ import annotations

from hsdnsd.wire.answer import Answer
from hsdnsd.wire.const import MAX_MESSAGE, MAX_NAME
from hsdnsd.wire.name import Name


def check_name(name: Name) -> None:
    """Refuse what is too long for a name, or nothing.

    Raises:
        ValueError: see above.
    """
    if not 1 <= len(name) <= MAX_NAME:
        raise ValueError("not a name")


def check_answer(answer: Answer) -> None:
    """Refuse an answer whose parts contradict each other.

    Raises:
        ValueError: a TTL or the rotating run lies outside of the body, or a number has no room in a header.
    """
    size = len(answer.body)
    if size > MAX_MESSAGE:
        raise ValueError("the answer's body is longer than a message")
    if len(answer.ttls) % 2 or max(memoryview(answer.ttls).cast("H"), default=-4) + 4 > size:
        raise ValueError("a TTL lies outside of the answer's body")
    at, count, each = answer.rotate_at, answer.rotate_count, answer.rotate_size
    if count and not (at >= 0 and count > 0 and each > 0 and at + count * each <= size):
        raise ValueError("the rotating run lies outside of the answer's body")
    if not 0 <= answer.rcode <= 15:
        raise ValueError("an RCODE above 15 needs an OPT of its own")
    if answer.ede is not None and not 0 <= answer.ede <= 0xFFFF:
        raise ValueError("an info code of an Extended DNS Error has 16 bits")
    # One more record may come behind the additional ones: the OPT.
    if not (0 <= answer.an <= 0xFFFF and 0 <= answer.ns <= 0xFFFF and 0 <= answer.ar < 0xFFFF):
        raise ValueError("the number of records has no room in a header")
