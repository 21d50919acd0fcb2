from __future__ import annotations

from hsdnsd.wire.name import ROOT, from_text
from hsdnsd.wire.rrset import hinfo_rdata, soa_rdata, srv_rdata, txt_rdata


def test_srv() -> None:
    expected = "0001 0002 1f90 0161 0162 00"
    assert srv_rdata(1, 2, 8080, from_text("a.b")) == bytes.fromhex(expected)


def test_soa() -> None:
    expected = "026e7300 00 00000001 00000002 00000003 00000004 ffffffff"
    assert soa_rdata(from_text("ns"), ROOT, 1, 2, 3, 4, 0xFFFFFFFF) == bytes.fromhex(expected)


def test_txt() -> None:
    assert txt_rdata() == b""
    assert txt_rdata(b"1.1.0") == b"\x051.1.0"
    assert txt_rdata(b"", b"a", b"b" * 255) == b"\0\1a\xff" + b"b" * 255


def test_hinfo() -> None:
    assert hinfo_rdata(b"RFC8482", b"") == b"\7RFC8482\0"
