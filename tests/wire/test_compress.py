from __future__ import annotations

import dns.name
import pytest

from hsdnsd.wire.compress import Compressor
from hsdnsd.wire.cursor import NameReader
from hsdnsd.wire.name import ROOT, Name, from_text
from tests.support.packets import pointer

QUESTION = from_text("web.db.svc")


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        (ROOT, b"\0"),
        (QUESTION, pointer(12)),
        (from_text("WEB.db.Svc"), pointer(12)),
        (from_text("db.svc"), pointer(16)),
        (from_text("svc"), pointer(19)),
        (from_text("X.svc"), b"\1X" + pointer(19)),
        (from_text("y.x.DB.svc"), b"\1y\1x" + pointer(16)),
        (from_text("web"), b"\3web\0"),
        (from_text("web.db"), b"\3web\2db\0"),
    ],
)
def test_against_the_question(name: Name, octets: bytes) -> None:
    assert Compressor(QUESTION).write(name, 100) == octets


def test_what_was_written_is_found_again() -> None:
    names = Compressor(QUESTION)
    assert names.write(from_text("a.b.svc"), 100) == b"\1a\1b" + pointer(19)
    assert names.write(from_text("a.b.svc"), 200) == pointer(100)
    assert names.write(from_text("c.B.svc"), 300) == b"\1c" + pointer(102)


def test_an_ending_of_the_octets_that_is_none_of_the_name() -> None:
    names = Compressor(Name(b"\1a\0"))
    assert names.write(Name(b"\3x\1a\0"), 100) == b"\3x\1a\0"


def test_no_pointer_leads_where_none_can() -> None:
    names = Compressor(ROOT)
    assert names.write(from_text("a.b"), 0x3FFE) == b"\1a\1b\0"
    # "a" stands at the last place that a pointer can name; "b" behind it.
    assert names.write(from_text("a.b"), 0x5000) == pointer(0x3FFE)
    assert names.write(from_text("b"), 0x6000) == b"\1b\0"
    assert names.write(from_text("b"), 0x7000) == b"\1b\0"


def test_pointers_are_not_nested_deeper_than_the_readers_of_the_field_follow() -> None:
    names = Compressor(ROOT)
    wire = bytearray(12) + ROOT + bytes(4)
    starts = {}
    # Each name a second time: nothing but a pointer to the first.
    for name in [Name(b"\1a" * depth + b"\0") for depth in range(1, 100) for _ in range(2)]:
        starts[len(wire)] = name
        wire += names.write(name, len(wire))
    reader = NameReader(bytes(wire))
    for start, name in starts.items():
        assert reader.read_untrusted(start, len(wire))[0] == name
        assert dns.name.from_wire(bytes(wire), start)[0].to_wire() == name
    assert max(hops(bytes(wire), start) for start in starts) == 8
    assert len(wire) < sum(map(len, starts.values())) / 2


def hops(wire: bytes, offset: int) -> int:
    count = 0
    while length := wire[offset]:
        if length < 64:
            offset += length + 1
        else:
            offset = int.from_bytes(wire[offset : offset + 2], "big") & 0x3FFF
            count += 1
    return count
