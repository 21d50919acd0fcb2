"""Reverse names: sections 2.3.3 and 2.4.3 of the specification, rules R1 to R7."""

from __future__ import annotations

import pytest

from hsdnsd.records.model import NamespaceFact
from tests.support.facts import (
    IN_ADDR,
    Cluster,
    endpoint,
    endpoint_slice,
    headless,
    ports,
    reverse_name,
    service,
)

HTTP = ports("http:tcp:80")
FACTS = (
    NamespaceFact("shop"),
    NamespaceFact("hidden"),
    service("api", "10.96.0.1", "fd00:96::1", ports=HTTP),
    service("secret", "10.96.0.9", ports=HTTP, namespace="hidden"),
    endpoint_slice("api", endpoint("10.1.0.1"), endpoint("10.96.0.1"), ports=HTTP),
    headless("web"),
    endpoint_slice(
        "web",
        endpoint("10.1.0.1", host="web-0"),
        endpoint("10.1.0.2", host="web-1", ready=False),
        endpoint("fd00:1::1", host="web-0"),
        endpoint("FD00:0:1::2"),
        ports=HTTP,
    ),
    endpoint_slice("web", endpoint("10.1.0.1", host="web-0"), name="web-2"),
    endpoint_slice("orphan", endpoint("10.7.0.1", host="o-0")),
    headless("eager", unready=True),
    endpoint_slice("eager", endpoint("10.4.0.1", host="e-0", ready=False)),
)


def pointers(cluster: Cluster, address: str) -> object:
    return cluster.ask(f"{reverse_name(address)}.", "PTR").data


@pytest.mark.parametrize("coredns", [False, True])
@pytest.mark.parametrize(
    ("address", "data"),
    [
        pytest.param("10.96.0.1", ["api.shop.svc.cluster.local."], id="C8 cluster IP, endpoints not looked at"),
        pytest.param("fd00:96::1", ["api.shop.svc.cluster.local."], id="C8 IPv6 cluster IP"),
        pytest.param(
            "10.1.0.1",
            ["10-1-0-1.api.shop.svc.cluster.local.", "web-0.web.shop.svc.cluster.local."],
            id="R2 each endpoint once, of each Service",
        ),
        pytest.param("fd00:1::1", ["web-0.web.shop.svc.cluster.local."], id="R2 IPv6 endpoint"),
        pytest.param("10.1.0.2", "NXDOMAIN", id="R4 not ready"),
        pytest.param("10.9.9.9", "NXDOMAIN", id="nobody's"),
        pytest.param("10.7.0.1", ["o-0.orphan.shop.svc.cluster.local."], id="H17 slice without its Service"),
    ],
)
def test_what_an_address_points_to(address: str, data: object, coredns: bool) -> None:
    assert pointers(Cluster(*FACTS, coredns=coredns), address) == data


def test_an_address_that_the_slice_spells_its_own_way() -> None:
    """H7: the name is the slice's; CoreDNS does not find the address."""
    assert pointers(Cluster(*FACTS), "fd00:0:1::2") == ["FD00-0-1--2.web.shop.svc.cluster.local."]
    assert pointers(Cluster(*FACTS, coredns=True), "fd00:0:1::2") == "NXDOMAIN"


def test_readiness_that_is_not_to_matter() -> None:
    assert pointers(Cluster(*FACTS), "10.4.0.1") == ["e-0.eager.shop.svc.cluster.local."]
    assert pointers(Cluster(*FACTS, coredns=True), "10.4.0.1") == "NXDOMAIN"


@pytest.mark.parametrize(
    ("name", "rtype", "mended", "coredns"),
    [
        pytest.param("1.0.96.10.in-addr.arpa.", "A", "NODATA", "NXDOMAIN", id="R5 other types"),
        pytest.param("1.0.96.10.in-addr.arpa.", "TXT", "NODATA", "NXDOMAIN", id="R5 TXT"),
        pytest.param("1.0.96.10.in-addr.arpa.", "SOA", "NODATA", "NODATA", id="R5 SOA"),
        pytest.param("1.0.96.10.in-addr.arpa.", "ANY", ["api.shop.svc.cluster.local."], "NXDOMAIN", id="W20 ANY"),
        pytest.param("9.9.9.10.in-addr.arpa.", "A", "NXDOMAIN", "NXDOMAIN", id="no such name"),
        pytest.param("0.96.10.in-addr.arpa.", "PTR", "NODATA", "NXDOMAIN", id="R1 an address below"),
        pytest.param("10.in-addr.arpa.", "NS", "NODATA", "NXDOMAIN", id="R1 far below"),
        pytest.param("d.f.ip6.arpa.", "PTR", "NODATA", "NXDOMAIN", id="R1 IPv6"),
        pytest.param("1.96.10.in-addr.arpa.", "PTR", "NXDOMAIN", "NXDOMAIN", id="R1 none below"),
        pytest.param("e.f.ip6.arpa.", "PTR", "NXDOMAIN", "NXDOMAIN", id="R1 none below, IPv6"),
        pytest.param("01.0.96.10.in-addr.arpa.", "PTR", "NXDOMAIN", "NXDOMAIN", id="R1 zero-padded"),
        pytest.param("x.1.0.96.10.in-addr.arpa.", "PTR", "NXDOMAIN", "NXDOMAIN", id="nothing below an address"),
        pytest.param("api.shop.svc.in-addr.arpa.", "A", "NXDOMAIN", "NXDOMAIN", id="no Services here"),
        pytest.param("svc.in-addr.arpa.", "A", "NXDOMAIN", "NODATA", id="no fixed names here"),
        pytest.param("dns-version.in-addr.arpa.", "TXT", "NXDOMAIN", ['"1.1.0"'], id="no version here"),
        pytest.param("in-addr.arpa.", "PTR", "NODATA", "NODATA", id="apex"),
        pytest.param("in-addr.arpa.", "TXT", "NODATA", "NXDOMAIN", id="A4 apex"),
    ],
)
def test_other_questions(name: str, rtype: str, mended: object, coredns: object) -> None:
    assert Cluster(*FACTS).ask(name, rtype).data == mended
    assert Cluster(*FACTS, coredns=True).ask(name, rtype).data == coredns


def test_coredns_overlooks_a_label_left_of_32_nibbles() -> None:
    name = f"x.{reverse_name('fd00:96::1')}."
    assert Cluster(*FACTS).ask(name, "PTR").data == "NXDOMAIN"
    assert Cluster(*FACTS, coredns=True).ask(name, "PTR").data == ["api.shop.svc.cluster.local."]


def test_denials_carry_the_reverse_zones_own_soa() -> None:
    """M1, section 3 of RFC 2308."""
    cluster = Cluster(*FACTS)
    assert cluster.ask("9.9.9.10.in-addr.arpa.", "PTR").authority == [
        "in-addr.arpa. 5 SOA ns.dns.in-addr.arpa. hostmaster.in-addr.arpa. 7200 1800 86400 5"
    ]
    assert cluster.ask(f"{reverse_name('fd00::99')}.", "PTR").authority == [
        "ip6.arpa. 5 SOA ns.dns.ip6.arpa. hostmaster.ip6.arpa. 7200 1800 86400 5"
    ]
    assert cluster.ask("in-addr.arpa.", "SOA").answer == [
        "in-addr.arpa. 5 SOA ns.dns.in-addr.arpa. hostmaster.in-addr.arpa. 7200 1800 86400 5"
    ]


@pytest.mark.parametrize("coredns", [False, True])
def test_namespaces_that_are_not_exposed_have_no_pointers(coredns: bool) -> None:
    """R7"""
    cluster = Cluster(*FACTS, namespaces=frozenset({"shop"}), coredns=coredns)
    assert pointers(cluster, "10.96.0.9") == "NXDOMAIN"
    assert pointers(cluster, "10.96.0.1") == ["api.shop.svc.cluster.local."]


def test_a_label_selector_for_namespaces_does_not_limit_pointers() -> None:
    """R7: it selects Namespace objects, and nothing else."""
    facts = [fact for fact in FACTS if fact != NamespaceFact("hidden")]
    cluster = Cluster(*facts, label_selected=True)
    assert cluster.ask("secret.hidden.svc").data == "NXDOMAIN"
    assert pointers(cluster, "10.96.0.9") == ["secret.hidden.svc.cluster.local."]


def test_an_incomplete_name_follows_the_addresses() -> None:
    cluster = Cluster(*FACTS)
    slices = [endpoint_slice("web", endpoint(f"172.16.0.{number}"), name=f"x{number}") for number in range(3)]
    for fact in slices:
        cluster.tell(fact)
        assert cluster.ask("16.172.in-addr.arpa.").data == "NODATA"
    for fact in slices:
        assert cluster.ask("16.172.in-addr.arpa.").data == "NODATA"
        cluster.untell(fact)
    assert cluster.ask("16.172.in-addr.arpa.").data == "NXDOMAIN"


def test_without_a_reverse_zone_there_are_no_pointers() -> None:
    cluster = Cluster(*FACTS, reverse_zones=())
    assert not cluster.zone.covers(IN_ADDR)
    assert cluster.ask("web.shop.svc").data == ["10.1.0.1"]


def test_a_cluster_ip_that_two_services_claim_has_one_name() -> None:
    """C8: what the API server never gives out twice is told the same way in whatever order it came."""
    facts = [service(name, "10.96.0.5") for name in ("b", "a", "c")]
    for order in (facts, facts[::-1]):
        assert pointers(Cluster(*order), "10.96.0.5") == ["a.shop.svc.cluster.local."]
