from __future__ import annotations

from hsdnsd.wire.inspect import dump
from tests.support.packets import CNAME, A, message, name, opt, pointer, question, record, u16


def test_dump() -> None:
    text = dump(message(question("web.svc"), [record(pointer(12), A, b"\x0a\0\0\1")], [], [opt()]))
    lines = [line.split() for line in text.splitlines()]
    assert ["web.svc.", "60", "IN", "A", "10.0.0.1"] in lines
    assert any("ANSWER: 1" in line for line in text.splitlines())


def test_what_dnslib_cannot_read_is_told_in_hexadecimal() -> None:
    wire = message(b"\2\xff\xfe\0" + u16(A, 1))
    assert wire.hex() in dump(wire)
    caa = message(question("a"), [record(pointer(12), 257, b"\0\2\xff\xfex")])
    assert caa.hex() in dump(caa)


def test_what_is_long_is_cut_off() -> None:
    wire = message(question("a"), [record(pointer(12), CNAME, name("b"))] * 200)
    assert str(len(wire)) in dump(wire)
    assert len(dump(wire)) < 2600


def test_nothing_in_it_moves_a_cursor() -> None:
    text = dump(message(b"\4\x1b[2J\0" + u16(A, 1), [record(pointer(12), 16, b"\4\x1b[2J")]))
    assert text.replace("\n", "").isprintable()
    assert text.isascii()
