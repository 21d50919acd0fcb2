from __future__ import annotations

import pytest

from hsdnsd.errors import WireError
from hsdnsd.wire.cursor import NameReader
from tests.support.packets import CountedBytes, name, pointer

HEADER = bytes(12)
SEGMENT = b"\x3f" + b"a" * 63
LONGEST = SEGMENT * 3 + b"\x3d" + b"a" * 61 + b"\0"


@pytest.mark.parametrize(
    ("octets", "start", "expected"),
    [
        pytest.param(b"\0", 12, b"\0", id="root"),
        pytest.param(name("A.b"), 12, name("A.b"), id="plain"),
        pytest.param(name("a.b") + pointer(12), 17, name("a.b"), id="pointer"),
        pytest.param(name("a.b") + b"\1x" + pointer(14), 17, name("x.b"), id="label, pointer"),
        pytest.param(name("a.b") + b"\1x" + pointer(16), 17, name("x"), id="pointer to a root"),
        pytest.param(name("b") + pointer(12) + pointer(15), 17, name("b"), id="pointer to a pointer"),
        pytest.param(b"\3\xc0\0.\0", 12, b"\3\xc0\0.\0", id="any octet in a label"),
        pytest.param(LONGEST, 12, LONGEST, id="255 octets"),
        pytest.param(b"\1a" * 127 + b"\0", 12, b"\1a" * 127 + b"\0", id="127 labels"),
        pytest.param(LONGEST[64:] + SEGMENT + pointer(12), 12 + 191, LONGEST, id="255 octets, assembled"),
    ],
)
def test_names(octets: bytes, start: int, expected: bytes) -> None:
    wire = HEADER + octets
    assert NameReader(wire).read_untrusted(start, len(wire)) == (expected, len(wire))
    # What follows is not touched.
    assert NameReader(wire + b"\xff\xff").read_untrusted(start, len(wire) + 2) == (expected, len(wire))


@pytest.mark.parametrize(
    ("octets", "start", "end"),
    [
        pytest.param(b"", 12, 12, id="nothing"),
        pytest.param(b"\1", 12, 13, id="label is cut off"),
        pytest.param(b"\1a", 12, 14, id="no end"),
        pytest.param(name("a.b"), 12, 16, id="root lies past the end"),
        pytest.param(name("abc"), 12, 15, id="label lies past the end"),
        pytest.param(b"\xc0", 12, 13, id="pointer is cut off"),
        pytest.param(name("a") + pointer(12), 15, 16, id="pointer lies past the end"),
        pytest.param(b"\x40\0", 12, 14, id="label type 01"),
        pytest.param(b"\x80\0", 12, 14, id="label type 10"),
        pytest.param(pointer(12), 12, 14, id="pointer to itself"),
        pytest.param(b"\1a" + pointer(12), 12, 16, id="pointer to its own label"),
        pytest.param(b"\1a" + pointer(14), 12, 16, id="pointer to itself behind a label"),
        pytest.param(pointer(14) + b"\0", 12, 14, id="pointer forwards"),
        pytest.param(pointer(0), 12, 14, id="pointer into the header"),
        pytest.param(pointer(11), 12, 14, id="pointer to the last octet of the header"),
        pytest.param(name("a") + pointer(16) + pointer(15), 17, 19, id="pointer to a pointer's second octet"),
        pytest.param(pointer(14) + pointer(12), 14, 16, id="loop of two"),
        pytest.param(SEGMENT * 4 + b"\0", 12, 12 + 257, id="257 octets"),
        pytest.param(SEGMENT * 3 + b"\x3e" + b"a" * 62 + b"\0", 12, 12 + 256, id="256 octets"),
        pytest.param(b"\1a" * 128 + b"\0", 12, 12 + 257, id="128 labels"),
        pytest.param(SEGMENT * 3 + b"\0" + SEGMENT + pointer(12), 12 + 193, 12 + 193 + 66, id="257 octets, assembled"),
    ],
)
def test_what_is_no_name(octets: bytes, start: int, end: int) -> None:
    with pytest.raises(WireError):
        NameReader(HEADER + octets).read_untrusted(start, end)


def ladder(rungs: int) -> tuple[bytes, list[int]]:
    """Names that each are one label and a pointer to the name before, and where they begin."""
    wire = HEADER + b"\0"
    starts = [12]
    for _ in range(rungs):
        starts.append(len(wire))
        wire += b"\1a" + pointer(starts[-2])
    return wire, starts


@pytest.mark.parametrize("known", [False, True], ids=["at once", "step by step"])
def test_number_of_pointers_is_bounded_however_they_are_met(known: bool) -> None:
    wire, starts = ladder(33)
    reader = NameReader(wire)
    for start in starts[1:32] if known else []:
        reader.read_untrusted(start, len(wire))
    assert reader.read_untrusted(starts[32], len(wire)) == (b"\1a" * 32 + b"\0", starts[32] + 4)
    with pytest.raises(WireError):
        NameReader(wire).read_untrusted(starts[33], len(wire))
    with pytest.raises(WireError):
        reader.read_untrusted(starts[33], len(wire))


def test_number_of_bare_pointers_is_bounded_too() -> None:
    wire = HEADER + b"\0" + pointer(12) + b"".join(pointer(13 + 2 * rung) for rung in range(5000))
    reader = NameReader(wire)
    # The pointer at 13 is the first of 32.
    assert reader.read_untrusted(13 + 2 * 31, len(wire)) == (b"\0", 13 + 2 * 32)
    for start in (13 + 2 * 32, 13 + 2 * 4999):
        with pytest.raises(WireError):
            reader.read_untrusted(start, len(wire))
        with pytest.raises(WireError):
            NameReader(wire).read_untrusted(start, len(wire))


def test_what_is_remembered_does_not_loosen_the_rules() -> None:
    """At 20 a pointer is fine that leads to 16, but not for the name that begins at 15 and runs over it."""
    wire = HEADER + b"\0\0\0" + b"\1\0\2xx" + pointer(16) + pointer(17)
    assert wire[16:18] == b"\0\2"
    assert wire[20:22] == pointer(16)
    fresh = NameReader(wire)
    with pytest.raises(WireError):
        fresh.read_untrusted(15, len(wire))
    used = NameReader(wire)
    assert used.read_untrusted(20, len(wire)) == (b"\0", 22)
    with pytest.raises(WireError):
        used.read_untrusted(15, len(wire))


@pytest.mark.parametrize("backwards", [False, True])
def test_no_octet_behind_a_pointer_is_walked_twice(backwards: bool) -> None:
    """4,000 pointers, each to another label of names with 126 labels: 250,000 labels if each were followed."""
    blocks = 64
    wire = HEADER + (b"\1a" * 126 + b"\0") * blocks
    targets = [12 + 253 * block + 2 * label for label in range(126) for block in range(blocks)][-4000:]
    if backwards:
        targets.reverse()
    base = len(wire)
    counted = CountedBytes(wire + b"".join(pointer(target) for target in targets))
    reader = NameReader(counted)
    for number, target in enumerate(targets):
        start = base + 2 * number
        name, after = reader.read_untrusted(start, len(counted))
        assert len(name) == 253 - (target - 12) % 253
        assert after == start + 2
    assert counted.reads < 2 * len(counted)


def test_a_name_without_end_is_given_up_at_255_octets() -> None:
    counted = CountedBytes(HEADER + b"\1a" * 30000)
    with pytest.raises(WireError):
        NameReader(counted).read_untrusted(12, len(counted))
    assert counted.reads < 150
