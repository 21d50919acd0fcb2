"""NS of the own zones, and ns.dns.Z: rules A2 and A6."""

from __future__ import annotations

import pytest

from hsdnsd.records.model import NamespaceFact
from tests.support.facts import Cluster, endpoint, endpoint_slice, external, headless, packed, ports, service

HTTP = ports("dns:udp:53")
OWN = (packed("192.0.2.53"), packed("2001:db8::53"))
SHOP = NamespaceFact("shop")


def test_without_a_service_of_its_own_the_daemon_is_ns_dns() -> None:
    cluster = Cluster(SHOP, own_addresses=OWN)
    told = cluster.ask("", "NS")
    assert told.answer == ["cluster.local. 5 NS ns.dns.cluster.local."]
    assert told.additional_data == ["ns.dns.cluster.local. 192.0.2.53", "ns.dns.cluster.local. 2001:db8::53"]
    assert cluster.ask("ns.dns").data == ["192.0.2.53"]
    assert cluster.ask("ns.dns", "AAAA").data == ["2001:db8::53"]


@pytest.mark.parametrize("coredns", [False, True])
def test_a_cluster_ip_service_with_an_endpoint_here(coredns: bool) -> None:
    cluster = Cluster(
        SHOP,
        service("dns", "10.96.0.10", "fd00:96::a", ports=HTTP),
        endpoint_slice("dns", endpoint("192.0.2.53"), endpoint("192.0.2.54"), ports=HTTP),
        own_addresses=OWN,
        coredns=coredns,
    )
    told = cluster.ask("", "NS")
    assert told.data == ["dns.shop.svc.cluster.local."]
    assert told.additional_data == ["dns.shop.svc.cluster.local. 10.96.0.10", "dns.shop.svc.cluster.local. fd00:96::a"]
    assert cluster.ask("ns.dns").data == ["10.96.0.10"]
    assert cluster.ask("ns.dns", "AAAA").data == ["fd00:96::a"]


def test_a_headless_service_names_every_endpoint_of_the_slice() -> None:
    cluster = Cluster(
        SHOP,
        headless("dns"),
        endpoint_slice("dns", endpoint("192.0.2.53"), endpoint("192.0.2.54", host="two"), ports=HTTP),
        own_addresses=OWN,
    )
    assert cluster.ask("", "NS").data == ["192-0-2-53.dns.shop.svc.cluster.local.", "two.dns.shop.svc.cluster.local."]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param((endpoint_slice("dns", endpoint("192.0.2.53")),), id="slice-without-service"),
        pytest.param((endpoint_slice("dns", endpoint("192.0.2.53")), external("dns", "x.")), id="alias"),
    ],
)
def test_who_has_no_name_to_give_is_ns_dns(facts: tuple[object, ...]) -> None:
    """CoreDNS then names nobody."""
    assert Cluster(SHOP, *facts, own_addresses=OWN).ask("", "NS").data == ["ns.dns.cluster.local."]
    assert Cluster(SHOP, *facts, own_addresses=OWN, coredns=True).ask("", "NS").data == "NODATA"


def test_an_endpoint_that_is_not_ready_does_not_count() -> None:
    dns = (service("dns", "10.96.0.10"), endpoint_slice("dns", endpoint("192.0.2.53", ready=False)))
    assert Cluster(SHOP, *dns, own_addresses=OWN).ask("", "NS").data == ["ns.dns.cluster.local."]


def test_a_service_that_is_not_exposed_is_no_name_server() -> None:
    dns = (service("dns", "10.96.0.10"), endpoint_slice("dns", endpoint("192.0.2.53")))
    cluster = Cluster(SHOP, *dns, own_addresses=OWN, namespaces=frozenset({"other"}))
    assert cluster.ask("", "NS").data == ["ns.dns.cluster.local."]


def test_coredns_names_services_of_namespaces_that_are_not_there() -> None:
    dns = (service("dns", "10.96.0.10"), endpoint_slice("dns", endpoint("192.0.2.53")))
    cluster = Cluster(*dns, own_addresses=OWN, coredns=True)
    was = cluster.ask("", "NS")
    assert was.data == ["dns.shop.svc.cluster.local."]
    assert was.result.owner in cluster.tell(service("dns", "10.96.0.11"))
    assert cluster.ask("", "NS").additional_data == ["dns.shop.svc.cluster.local. 10.96.0.11"]


def test_without_an_address_there_is_no_name_server() -> None:
    cluster = Cluster(SHOP)
    assert cluster.ask("", "NS").data == "NODATA"
    assert cluster.ask("ns.dns").data == "NODATA"


def test_reverse_zones_have_the_same_servers() -> None:
    """The cluster domain's names; CoreDNS makes up names below the reverse zone."""
    assert Cluster(SHOP, own_addresses=OWN).ask("in-addr.arpa.", "NS").data == ["ns.dns.in-addr.arpa."]
    assert Cluster(SHOP, own_addresses=OWN).ask("ns.dns.in-addr.arpa.").data == ["192.0.2.53"]
    dns = (service("dns", "10.96.0.10"), endpoint_slice("dns", endpoint("192.0.2.53")))
    told = Cluster(SHOP, *dns, own_addresses=OWN).ask("in-addr.arpa.", "NS")
    assert told.data == ["dns.shop.svc.cluster.local."]
    told = Cluster(SHOP, *dns, own_addresses=OWN, coredns=True).ask("in-addr.arpa.", "NS")
    assert told.data == ["dns.shop.svc.in-addr.arpa."]


@pytest.mark.parametrize(
    ("rtype", "mended", "coredns"),
    [
        ("TXT", "NODATA", "NXDOMAIN"),
        ("PTR", "NODATA", "NXDOMAIN"),
        ("MX", "NODATA", "NODATA"),
        ("NS", "NODATA", "NODATA"),
    ],
)
def test_other_types_of_ns_dns(rtype: str, mended: str, coredns: str) -> None:
    assert Cluster(SHOP, own_addresses=OWN).ask("ns.dns", rtype).data == mended
    assert Cluster(SHOP, own_addresses=OWN, coredns=True).ask("ns.dns", rtype).data == coredns


def test_the_answer_ends_when_the_servers_change() -> None:
    cluster = Cluster(SHOP, own_addresses=OWN)
    before = cluster.ask("", "NS")
    for change in (
        lambda: cluster.tell(service("dns", "10.96.0.10")),
        lambda: cluster.tell(endpoint_slice("dns", endpoint("192.0.2.53"))),
        lambda: cluster.tell(service("dns", "10.96.0.11")),
        lambda: cluster.untell(service("dns")),
    ):
        owners = change()
        after = cluster.ask("", "NS")
        assert before.result.owner == after.result.owner is not None
        assert (before.result.owner in owners) or before.additional == after.additional
        before = after
    assert before.data == ["ns.dns.cluster.local."]
