from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.records.addresses import AddressRange, canonical_text, dashed, dashed_address, reverse_name, reverse_range
from hsdnsd.wire.name import from_text, labels
from tests.support.facts import packed
from tests.support.facts import reverse_name as reverse_text

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(lambda address: address.packed)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        pytest.param("10.1.2.3", b"10-1-2-3", id="ipv4"),
        pytest.param("fd00::9", b"fd00--9", id="ipv6"),
        pytest.param("FD00:0:0::9", b"FD00-0-0--9", id="spelling-is-kept"),
        pytest.param("fd00:2::", b"fd00-2--0", id="a-label-does-not-end-in-a-dash"),
        pytest.param("::1:2", b"--1-2", id="but-it-may-begin-with-one"),
    ],
)
def test_an_address_becomes_a_label(text: str, label: bytes) -> None:
    assert dashed(text) == label


@given(ADDRESSES)
def test_the_label_of_an_address_leads_back_to_it(address: bytes) -> None:
    assert dashed_address(dashed(canonical_text(address))) == address


@pytest.mark.parametrize(
    "label",
    [
        b"",
        b"-",
        b"web-0",
        b"10-1-2",
        b"10-1-2-3-4",
        b"10-1-2-256",
        b"10-1-2-03",
        b"10-1-2-",
        b"a-b-c-d",
        b"fd00---1",
        b"1-2-3-4-5-6-7-8-9",
        b"fe80--1%eth0",
        b"10.1.2.3",
        b"::1",
        b"\xff-1-1-1",
    ],
)
def test_a_label_that_spells_no_address(label: bytes) -> None:
    assert dashed_address(label) is None


@given(ADDRESSES)
def test_a_complete_reverse_name_is_one_address(address: bytes) -> None:
    name = from_text(reverse_text(canonical_text(address)))
    assert reverse_name(address) == name
    assert reverse_range(labels(name)) == AddressRange(address, address)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("96.10.in-addr.arpa", "10.96.0.0", "10.96.255.255"),
        ("in-addr.arpa", "0.0.0.0", "255.255.255.255"),
        ("0.d.f.ip6.arpa", "fd00::", "fd0f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ],
)
def test_an_incomplete_reverse_name_is_a_range(name: str, first: str, last: str) -> None:
    assert reverse_range(labels(from_text(name))) == AddressRange(packed(first), packed(last))


@pytest.mark.parametrize(
    "name",
    [
        "01.0.96.10.in-addr.arpa",
        "256.0.96.10.in-addr.arpa",
        "x.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "10.ip6.arpa",
        "g.ip6.arpa",
        "0." * 33 + "ip6.arpa",
        "1.2.3.4.cluster.local",
        "arpa",
    ],
)
def test_no_address_lies_there(name: str) -> None:
    assert reverse_range(labels(from_text(name))) is None
