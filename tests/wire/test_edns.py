from __future__ import annotations

import pytest

from hsdnsd.errors import WireError
from hsdnsd.wire.edns import KEEPALIVE, OPT_SIZE, ede, opt, padding, read_options_untrusted
from tests.support.packets import u16


@pytest.mark.parametrize(
    ("made", "octets"),
    [
        (opt(False), "00 0029 04d0 00 00 0000 0000"),
        (opt(True), "00 0029 04d0 00 00 8000 0000"),
        (opt(False, upper_rcode=1), "00 0029 04d0 01 00 0000 0000"),
        (opt(False, udp_size=512), "00 0029 0200 00 00 0000 0000"),
        (opt(False, ede(22) + KEEPALIVE), "00 0029 04d0 00 00 0000 000c 000f 0002 0016 000b 0002 0064"),
    ],
)
def test_opt(made: bytes, octets: str) -> None:
    assert made == bytes.fromhex(octets)


def test_the_size_of_an_opt() -> None:
    assert len(opt(True)) == OPT_SIZE


@pytest.mark.parametrize(("size", "zeros"), [(0, 124), (123, 1), (124, 0), (125, 127), (128, 124)])
def test_padding(size: int, zeros: int) -> None:
    assert padding(size, 128) == u16(12, zeros) + bytes(zeros)


@pytest.mark.parametrize(
    ("options", "keepalive"),
    [
        (b"", False),
        (u16(10, 0), False),
        (u16(10, 3) + b"abc" + u16(3, 0), False),
        (u16(11, 0), True),
        (u16(100, 0, 11, 0, 100, 0), True),
        (u16(11, 0, 11, 2, 7), True),
        (u16(100, 4, 11, 2), False),
        (u16(100, 0) * 63 + u16(11, 0), True),
    ],
)
def test_options(options: bytes, keepalive: bool) -> None:
    around = b"\xff\xff\xff" + options + b"\xff\xff"
    assert read_options_untrusted(around, 3, 3 + len(options)) is keepalive


@pytest.mark.parametrize(
    "options",
    [b"\0", b"\0\1\0", u16(1, 1), u16(1, 0, 2, 65535), u16(11, 1) + b"x", u16(11, 2, 0), u16(1, 0) * 65],
)
def test_wrong_options(options: bytes) -> None:
    # What lies behind the OPT would make each of them right.
    with pytest.raises(WireError):
        read_options_untrusted(options + bytes(8), 0, len(options))
