"""The layouts agree with an independent writer of the same types."""

from __future__ import annotations

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from hsdnsd.wire.rdata import LAYOUTS, SIZES

TEXTS = {
    "NS": "a.b.",
    "CNAME": "a.b.",
    "SOA": "a.b. c.d. 1 2 3 4 5",
    "PTR": "a.b.",
    "MX": "10 a.b.",
    "RP": "a.b. c.d.",
    "AFSDB": "1 a.b.",
    "RT": "1 a.b.",
    "PX": "1 a.b. c.d.",
    "SRV": "1 2 3 a.b.",
    "NAPTR": '1 2 "s" "SIP+D2U" "" a.b.',
    "KX": "1 a.b.",
    "DNAME": "a.b.",
}
# Obsolete since 1987; an independent writer can't be had for these.
ANCIENT = {3, 4, 7, 8, 9, 14}


def test_every_layout_is_tried() -> None:
    assert {dns.rdatatype.from_text(text) for text in TEXTS} | ANCIENT == set(LAYOUTS)


@pytest.mark.parametrize("rtype", TEXTS)
def test_layout(rtype: str) -> None:
    number = dns.rdatatype.from_text(rtype)
    layout = LAYOUTS[number]
    rdata = dns.rdata.from_text(dns.rdataclass.IN, number, TEXTS[rtype]).to_wire()
    assert rdata is not None
    offset = layout.prefix
    for _ in range(layout.strings):
        offset += rdata[offset] + 1
    for name in (b"\1a\1b\0", b"\1c\1d\0")[: layout.names]:
        assert rdata[offset : offset + 5] == name
        offset += 5
    assert len(rdata) == offset + layout.suffix


def test_only_what_rfc_1035_defined_is_compressed() -> None:
    compressed = {number for number, layout in LAYOUTS.items() if layout.compressed}
    assert compressed == {2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15}
    assert not any(LAYOUTS[number].strings for number in compressed)


def test_addresses() -> None:
    assert SIZES == {1: 4, 28: 16}
