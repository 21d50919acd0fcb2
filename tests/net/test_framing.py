"""Messages come out whole, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.errors import WireError
from hsdnsd.net.framing import Frames, framed

MESSAGES = st.lists(st.binary(min_size=12, max_size=60), max_size=6)


def take_all(frames: Frames) -> list[bytes]:
    return list(iter(frames.take_untrusted, None))


@given(MESSAGES, st.data())
def test_any_cut_gives_the_same_messages(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(framed(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    frames, taken = Frames(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        frames.feed(stream[start:end])
        taken += take_all(frames)
    assert taken == messages
    assert len(frames) == 0


def test_one_octet_at_a_time() -> None:
    frames, stream = Frames(), framed(b"first message") + framed(b"second message")
    seen = {}
    for place, octet in enumerate(stream, 1):
        frames.feed(bytes([octet]))
        if message := frames.take_untrusted():
            seen[place] = message
    assert seen == {15: b"first message", 31: b"second message"}


@given(MESSAGES, st.binary(max_size=20))
def test_ready_says_what_take_would_do(messages: list[bytes], rest: bytes) -> None:
    frames = Frames()
    frames.feed(b"".join(framed(message) for message in messages) + rest)
    while True:
        ready = frames.ready
        try:
            taken = frames.take_untrusted()
        except WireError:
            assert ready
            return
        assert ready is (taken is not None)
        if taken is None:
            return


@pytest.mark.parametrize("length", [0, 1, 11])
def test_a_length_that_no_message_has(length: int) -> None:
    frames = Frames()
    frames.feed(length.to_bytes(2) + b"\0" * 20)
    assert frames.ready
    with pytest.raises(WireError, match="shorter than its header"):
        frames.take_untrusted()


def test_the_shortest_and_the_longest_message() -> None:
    frames = Frames()
    for message in (bytes(12), bytes(65535)):
        frames.feed(framed(message))
        assert frames.take_untrusted() == message


def test_what_is_cleared_is_gone() -> None:
    frames = Frames()
    frames.feed(framed(bytes(12))[:-1])
    frames.clear()
    frames.feed(framed(b"another message"))
    assert take_all(frames) == [b"another message"]
