"""Zones that mean the same everywhere, and what is said of names in them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.engine.special_names import (
    LOCALHOST,
    NONEXISTENT,
    PRIVATE_REVERSE,
    SpecialNames,
    has_data,
    look_up,
    made_up_soa,
    no_data,
)
from hsdnsd.records.addresses import reverse_name
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import Name, from_text, to_text
from hsdnsd.wire.rrset import soa_rdata

ALL = SpecialNames(names=True, private_reverse=True)
# RFC 6303 sections 4.1 to 4.6, and RFC 7793.
NETWORKS = [
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.2.0/24",
        "198.51.100.0/24", "203.0.113.0/24", "255.255.255.255/32", "100.64.0.0/10", "::/128", "::1/128", "fd00::/8",
        "fe80::/10", "2001:db8::/32",
    )
]  # fmt: skip
ADDRESSES = st.one_of(
    st.ip_addresses(), *(st.ip_addresses(network=network) for network in NETWORKS if network.num_addresses > 1)
)


def say(name: str, qtype: int) -> tuple[int, list[tuple[int, tuple[bytes, ...]]], list[str]]:
    """RCODE, (type, rdata) of the answers, owners of the SOA records."""
    folded = from_text(name)
    zone = ALL.zone_of(folded)
    assert zone is not None
    result = look_up(zone, folded, qtype)
    assert all(rrset.name == folded for rrset in result.answer)
    assert result.owner is not None
    authority = [to_text(rrset.name) for rrset in result.authority if rrset.rtype == RRType.SOA]
    return result.rcode, [(rrset.rtype, rrset.rdatas) for rrset in result.answer], authority


@given(ADDRESSES)
def test_reverse_zones_hold_the_addresses_that_are_nobodys_alone_and_no_others(address: object) -> None:
    private = any(address in network for network in NETWORKS if isinstance(network, IPv4Network | IPv6Network))
    name = reverse_name(address.packed)  # type: ignore[attr-defined]
    assert (ALL.zone_of(name) is not None) == private


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("localhost", "localhost."),
        ("a.b.localhost", "localhost."),
        ("x.onion", "onion."),
        ("16.172.in-addr.arpa", "16.172.in-addr.arpa."),
        ("notlocalhost", None),
        ("localhost.example", None),
        ("test", None),
        ("a.test", None),
        ("15.172.in-addr.arpa", None),
        ("172.in-addr.arpa", None),
        ("in-addr.arpa", None),
        ("100.in-addr.arpa", None),
        ("e.f.ip6.arpa", None),
        ("0.0.ip6.arpa", None),
        ("", None),
    ],
)
def test_zones_are_told_at_the_border_of_a_label(name: str, zone: str | None) -> None:
    found = ALL.zone_of(from_text(name or "."))
    assert (found and to_text(found)) == zone


def test_a_label_that_only_looks_like_a_border_is_none() -> None:
    assert ALL.zone_of(Name(b"\x0bx\x09localhost\0")) is None


def test_each_group_can_be_left_out() -> None:
    assert SpecialNames(names=False, private_reverse=False).zones == frozenset()
    assert SpecialNames(names=True, private_reverse=False).zones == {LOCALHOST, *NONEXISTENT}
    assert SpecialNames(names=False, private_reverse=True).zones == set(PRIVATE_REVERSE)
    assert len(PRIVATE_REVERSE) == len(set(PRIVATE_REVERSE)) == 18 + 7 + 64 + 8


@pytest.mark.parametrize("name", ["localhost", "db.localhost", "a.b.localhost"])
def test_localhost_and_what_is_below_is_this_host(name: str) -> None:
    assert say(name, RRType.A) == (Rcode.NOERROR, [(RRType.A, (b"\x7f\0\0\1",))], [])
    assert say(name, RRType.AAAA) == (Rcode.NOERROR, [(RRType.AAAA, (bytes(15) + b"\1",))], [])
    assert say(name, RRType.ANY) == say(name, RRType.A)
    for qtype in (RRType.MX, RRType.HTTPS, 65280):
        assert say(name, qtype) == (Rcode.NOERROR, [], ["localhost."])


@pytest.mark.parametrize("qtype", [RRType.A, RRType.SOA, RRType.ANY])
@pytest.mark.parametrize("name", ["invalid", "a.invalid", "onion", "facebookcorewwwi.onion"])
def test_in_invalid_and_onion_there_are_no_names(name: str, qtype: int) -> None:
    assert say(name, qtype) == (Rcode.NXDOMAIN, [], [name.rpartition(".")[2] + "."])


def test_an_empty_zone_has_an_apex_and_nothing_below() -> None:
    zone = from_text("10.in-addr.arpa")
    soa = soa_rdata(zone, from_text("nobody.invalid"), 1, 3600, 1200, 604800, 10800)
    assert say("10.in-addr.arpa", RRType.SOA) == (Rcode.NOERROR, [(RRType.SOA, (soa,))], [])
    assert say("10.in-addr.arpa", RRType.NS) == (Rcode.NOERROR, [(RRType.NS, (zone,))], [])
    assert say("10.in-addr.arpa", RRType.ANY) == say("10.in-addr.arpa", RRType.SOA)
    assert say("10.in-addr.arpa", RRType.PTR) == (Rcode.NOERROR, [], ["10.in-addr.arpa."])
    assert say("1.0.0.10.in-addr.arpa", RRType.PTR) == (Rcode.NXDOMAIN, [], ["10.in-addr.arpa."])
    assert not has_data(zone)


def test_the_loopback_addresses_are_localhost() -> None:
    localhost = (Rcode.NOERROR, [(RRType.PTR, (LOCALHOST,))], [])
    ipv6 = f"1.{'0.' * 31}ip6.arpa"
    assert say("1.0.0.127.in-addr.arpa", RRType.PTR) == localhost
    assert say(ipv6, RRType.PTR) == localhost
    assert say("1.0.0.127.in-addr.arpa", RRType.A) == (Rcode.NOERROR, [], ["127.in-addr.arpa."])
    assert say(ipv6, RRType.A) == (Rcode.NOERROR, [], [f"{ipv6}."])
    assert say(ipv6, RRType.SOA)[1][0][0] == RRType.SOA
    assert has_data(from_text("127.in-addr.arpa"))


@pytest.mark.parametrize("name", ["127.in-addr.arpa", "0.127.in-addr.arpa", "0.0.127.in-addr.arpa"])
def test_what_stands_above_a_loopback_address_exists(name: str) -> None:
    assert say(name, RRType.PTR) == (Rcode.NOERROR, [], ["127.in-addr.arpa."])


@pytest.mark.parametrize("name", ["2.0.0.127.in-addr.arpa", "1.127.in-addr.arpa", "x.1.0.0.127.in-addr.arpa"])
def test_other_names_in_the_loopback_network_do_not_exist(name: str) -> None:
    assert say(name, RRType.PTR) == (Rcode.NXDOMAIN, [], ["127.in-addr.arpa."])


def test_a_denial_of_ours_says_how_long_it_may_be_kept() -> None:
    name = from_text("www.example.com")
    result = no_data(name, 30)
    assert (result.rcode, result.answer, result.authority) == (Rcode.NOERROR, (), (made_up_soa(name, 30),))
    (soa,) = result.authority
    assert (soa.name, soa.ttl, soa.rdatas[0][-4:]) == (name, 30, bytes((0, 0, 0, 30)))
