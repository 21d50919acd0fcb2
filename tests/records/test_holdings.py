"""What is held, whose answers end when it changes, what is counted, in whatever order things come."""

from __future__ import annotations

import pytest

from hsdnsd.records.model import (
    Deleted,
    EndpointSliceFact,
    Fact,
    Key,
    Kind,
    NamespaceFact,
    PodFact,
    Replaced,
    ServiceFact,
)
from hsdnsd.records.options import Pods
from hsdnsd.records.owners import ZONE
from tests.support.facts import (
    HTTP,
    SHOP,
    WEB,
    WEB_ENDPOINTS,
    WEB_SLICE,
    Cluster,
    endpoint,
    endpoint_slice,
    external,
    headless,
    of_address,
    of_kind,
    of_namespace,
    of_service,
    packed,
    pod,
    ports,
    service,
)


class TestWhatAChangeEnds:
    def test_a_new_endpoint(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE)
        more = endpoint_slice("web", *WEB_ENDPOINTS, endpoint("10.1.0.3"), ports=HTTP)
        assert cluster.tell(more) == {of_service("web"), of_address("10.1.0.3")}
        assert cluster.tell(WEB_SLICE) == {of_service("web"), of_address("10.1.0.3")}

    def test_an_endpoint_becomes_ready(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE)
        ready = endpoint_slice(
            "web", endpoint("10.1.0.1", host="web-0"), endpoint("10.1.0.2", host="web-1"), ports=HTTP
        )
        assert cluster.tell(ready) == {of_service("web"), of_address("10.1.0.2")}

    def test_an_endpoint_gets_another_name(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE)
        renamed = endpoint_slice("web", endpoint("10.1.0.1", host="zero"), ports=HTTP)
        assert cluster.tell(renamed) == {of_service("web"), of_address("10.1.0.1")}

    def test_an_endpoint_is_spelled_otherwise(self) -> None:
        cluster = Cluster(SHOP, WEB, endpoint_slice("web", endpoint("fd00::1"), endpoint("fd00::2")))
        changed = endpoint_slice("web", endpoint("fd00:0::1"), endpoint("fd00::2"))
        assert cluster.tell(changed) == {of_service("web"), of_address("fd00::1")}

    def test_other_ports(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE)
        assert cluster.tell(endpoint_slice("web", *WEB_ENDPOINTS)) == {of_service("web")}

    def test_a_slice_moves_to_another_service(self) -> None:
        cluster = Cluster(SHOP, WEB, headless("api"), WEB_SLICE)
        moved = endpoint_slice("api", *WEB_ENDPOINTS, name=WEB_SLICE.name, ports=HTTP)
        assert cluster.tell(moved) == {of_service("web"), of_service("api"), of_address("10.1.0.1")}
        assert cluster.ask("web.shop.svc").data == "NXDOMAIN"
        assert cluster.ask("api.shop.svc").data == ["10.1.0.1"]
        assert cluster.ask("1.0.1.10.in-addr.arpa.", "PTR").data == ["web-0.api.shop.svc.cluster.local."]

    def test_a_slice_without_its_service_ends_only_pointers(self) -> None:
        assert Cluster(SHOP).tell(WEB_SLICE) == {of_address("10.1.0.1")}

    def test_a_slice_of_an_alias_ends_only_pointers(self) -> None:
        assert Cluster(SHOP, external("web", "x.")).tell(WEB_SLICE) == {of_address("10.1.0.1")}

    def test_a_headless_service_comes_and_goes(self) -> None:
        cluster = Cluster(SHOP, WEB_SLICE)
        assert cluster.tell(WEB) == {of_service("web")}
        assert cluster.untell(WEB) == {of_service("web")}
        assert cluster.ask("web.shop.svc").data == "NXDOMAIN"

    def test_a_cluster_ip_service_comes_and_goes(self) -> None:
        cluster = Cluster(SHOP)
        api = service("api", "10.96.0.1", ports=HTTP)
        assert cluster.tell(api) == {of_service("api"), of_address("10.96.0.1")}
        changed = service("api", "10.96.0.2", ports=HTTP)
        assert cluster.tell(changed) == {of_service("api"), of_address("10.96.0.1"), of_address("10.96.0.2")}
        assert cluster.untell(changed) == {of_service("api"), of_address("10.96.0.2")}

    def test_readiness_ceases_to_matter(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE)
        assert cluster.tell(headless("web", ports=HTTP, unready=True)) == {of_service("web"), of_address("10.1.0.2")}
        assert cluster.ask("web.shop.svc").data == ["10.1.0.1", "10.1.0.2"]
        assert cluster.untell(WEB) == {of_service("web"), of_address("10.1.0.2")}

    def test_the_first_and_last_service_of_a_namespace(self) -> None:
        cluster = Cluster()
        first, second = service("a", "10.96.0.1"), service("b", "10.96.0.2")
        assert of_namespace() in cluster.tell(first)
        assert of_namespace() not in cluster.tell(second)
        assert cluster.tell(SHOP) == set()
        assert of_namespace() not in cluster.untell(first)
        assert of_namespace() not in cluster.untell(second)
        assert cluster.untell(SHOP) == {of_namespace()}

    @pytest.mark.parametrize("changes", [{"label_selected": True}, {"coredns": True}])
    def test_a_namespace_that_exposes_its_services(self, changes: dict[str, object]) -> None:
        facts = (WEB, WEB_SLICE, headless("idle"), service("api", "10.96.0.1"))
        cluster = Cluster(*facts, **changes)
        owners = {of_namespace(), of_service("web"), of_service("api")}
        assert cluster.tell(SHOP) == owners
        assert cluster.untell(SHOP) == owners
        assert cluster.tell(service("api", "10.96.0.2")) == {of_address("10.96.0.1"), of_address("10.96.0.2")}

    def test_coredns_shows_pointers_of_listed_namespaces_that_exist(self) -> None:
        facts = (WEB, WEB_SLICE, service("api", "10.96.0.1"))
        cluster = Cluster(*facts, coredns=True, namespaces=frozenset({"shop"}))
        assert cluster.ask("1.0.96.10.in-addr.arpa.", "PTR").data == "NXDOMAIN"
        assert {of_address("10.96.0.1"), of_address("10.1.0.1")} <= cluster.tell(SHOP)
        assert cluster.ask("1.0.96.10.in-addr.arpa.", "PTR").data == ["api.shop.svc.cluster.local."]

    def test_a_pod(self) -> None:
        cluster = Cluster(SHOP, pods=Pods.VERIFIED)
        assert cluster.tell(pod("web-0", "10.1.0.1")) == {of_namespace()}
        assert cluster.tell(pod("web-0", "10.1.0.2")) == {of_namespace()}
        assert cluster.untell(pod("web-0")) == {of_namespace()}

    def test_the_name_servers(self) -> None:
        cluster = Cluster(SHOP, service("dns", "10.96.0.10"), own_addresses=(packed("192.0.2.53"),))
        here = endpoint_slice("dns", endpoint("192.0.2.53"))
        assert cluster.tell(here) == {ZONE, of_service("dns"), of_address("192.0.2.53")}
        assert ZONE not in cluster.tell(WEB_SLICE)
        assert ZONE in cluster.untell(here)


class TestNoChange:
    """An update that changes nothing for DNS ends no answer, and leaves the serial."""

    @pytest.mark.parametrize(
        "fact",
        [
            pytest.param(SHOP, id="namespace"),
            pytest.param(WEB, id="service"),
            pytest.param(headless("web", ports=ports("other:tcp:1")), id="headless-service-ports"),
            pytest.param(headless("idle", unready=True), id="readiness-of-nobody"),
            pytest.param(service("dual", "fd00::96", "10.96.0.2", ports=HTTP), id="order-of-cluster-ips"),
            pytest.param(WEB_SLICE, id="slice"),
            pytest.param(endpoint_slice("web", *reversed(WEB_ENDPOINTS), ports=HTTP), id="order-of-endpoints"),
            pytest.param(
                endpoint_slice("web", endpoint("10.1.0.1", host="web-0", pod="other"), ports=HTTP), id="not-ready-goes"
            ),
            pytest.param(
                endpoint_slice("web", *WEB_ENDPOINTS, endpoint("10.1.0.9", ready=False), ports=HTTP),
                id="not-ready-comes",
            ),
            pytest.param(endpoint_slice("web", name="empty"), id="empty-slice"),
            pytest.param(endpoint_slice("web", endpoint("10.1.0.9", ready=False), name="other"), id="nobody-ready"),
            pytest.param(endpoint_slice("idle", ports=HTTP), id="ports-of-nobody"),
            pytest.param(headless("new"), id="headless-without-endpoints"),
            pytest.param(pod("web-0", "10.1.0.1"), id="pods-are-not-asked-for"),
        ],
    )
    def test_is_seen_to_be_none(self, fact: Fact) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE, headless("idle"), service("dual", "10.96.0.2", "fd00::96", ports=HTTP))
        assert cluster.tell(fact, now=99) == set()
        assert cluster.table.serial == 1

    def test_deleting_what_is_not_there(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE, pods=Pods.VERIFIED)
        for kind in Kind:
            for key in (Key("nowhere", "nobody"), Key("shop", "nobody"), Key("", "nobody"), Key("é", "é")):
                assert cluster.table.apply(Deleted(kind, key), unix_time=99) == set()
        assert cluster.table.serial == 1

    def test_listing_the_same_again(self) -> None:
        facts = (SHOP, WEB, WEB_SLICE, pod("web-0", "10.1.0.1"))
        cluster = Cluster(*facts, pods=Pods.VERIFIED)
        for kind in Kind:
            assert cluster.table.apply(Replaced(kind, of_kind(kind, facts)), unix_time=99) == set()
        assert cluster.table.serial == 1

    def test_unexposed_services(self) -> None:
        cluster = Cluster(namespaces=frozenset({"other"}))
        for fact in (SHOP, WEB, WEB_SLICE, service("api", "10.96.0.1")):
            assert cluster.tell(fact) == set()


def test_slices_wait_for_their_service_and_outlive_it() -> None:
    """H17: a Service that is gone hides its slices, and they come back with it."""
    cluster = Cluster(WEB_SLICE)
    assert cluster.ask("web.shop.svc").data == "NXDOMAIN"
    for _ in range(2):
        cluster.tell(WEB)
        assert cluster.ask("web.shop.svc").data == ["10.1.0.1"]
        cluster.untell(WEB)
        assert cluster.ask("web.shop.svc").data == "NXDOMAIN"


def test_an_endpoint_that_moves_between_slices_is_never_missed() -> None:
    """H21"""
    cluster = Cluster(SHOP, WEB, WEB_SLICE)
    target = endpoint_slice("web", endpoint("10.1.0.1", host="web-0"), ports=HTTP, name="other")
    cluster.tell(target)
    assert cluster.ask("web-0.web.shop.svc").data == ["10.1.0.1"]
    cluster.untell(WEB_SLICE)
    assert cluster.ask("web-0.web.shop.svc").data == ["10.1.0.1"]
    assert cluster.ask("1.0.1.10.in-addr.arpa.", "PTR").data == ["web-0.web.shop.svc.cluster.local."]
    cluster.untell(target)
    assert cluster.ask("1.0.1.10.in-addr.arpa.", "PTR").data == "NXDOMAIN"


def test_what_is_counted() -> None:
    cluster = Cluster(
        SHOP,
        NamespaceFact("empty"),
        WEB,
        WEB_SLICE,
        service("api", "10.96.0.1", "fd00::96"),
        external("out", "www.example.com"),
        pod("web-0", "10.1.0.1"),
        pods=Pods.VERIFIED,
    )
    assert cluster.table.counts() == {"Service": 3, "EndpointSlice": 1, "Namespace": 2, "Pod": 1, "records": 4}
    cluster.tell(headless("web", ports=HTTP, unready=True))
    assert cluster.table.counts()["records"] == 5


@pytest.mark.parametrize(
    "fact",
    [
        ServiceFact("shop", "", cluster_ips=(bytes(4),)),
        ServiceFact("shop", "é", cluster_ips=(bytes(4),)),
        ServiceFact("shop", "x" * 64, cluster_ips=(bytes(4),)),
        ServiceFact("é", "x", headless=True),
        NamespaceFact("é"),
        NamespaceFact(""),
        EndpointSliceFact("shop", "x", "é"),
        EndpointSliceFact("é", "x", "x"),
        endpoint_slice("x" * 64, *WEB_ENDPOINTS, name=WEB_SLICE.name),
        PodFact("é", "x", (bytes(4),)),
    ],
)
def test_an_object_whose_name_is_no_label_is_not_held(fact: Fact) -> None:
    cluster = Cluster(SHOP, pods=Pods.VERIFIED)
    assert cluster.tell(fact) == set()
    assert cluster.untell(fact) == set()
    assert sum(cluster.table.counts().values()) == 1


def test_a_slice_whose_label_turns_into_nonsense_is_dropped() -> None:
    cluster = Cluster(SHOP, WEB, WEB_SLICE)
    broken = endpoint_slice("", *WEB_ENDPOINTS, name=WEB_SLICE.name, ports=HTTP)
    assert cluster.tell(broken) == {of_service("web"), of_address("10.1.0.1")}
    assert cluster.ask("web.shop.svc").data == "NXDOMAIN"


def test_facts_that_make_no_sense_do_no_harm() -> None:
    cluster = Cluster(SHOP)
    odd = [
        endpoint_slice("web", endpoint("10.1.0.1", host="é"), endpoint("10.1.0.2", host="h" * 64), ports=HTTP),
        endpoint_slice("web", endpoint("10.1.0.3", host="a.b"), ports=ports("é:tcp:80", ":odd:80"), name="2"),
        endpoint_slice("web", endpoint("10.1.0.4"), ports=ports("low:tcp:-1", "high:tcp:70000"), name="3"),
        endpoint_slice("web", endpoint("fd00::1"), name="4", ports=HTTP),
        WEB,
    ]
    for fact in odd:
        cluster.tell(fact)
    assert cluster.ask("web.shop.svc").data == ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"]
    assert cluster.ask("10-1-0-1.web.shop.svc").data == ["10.1.0.1"]
    assert {data.split()[2] for data in cluster.ask("web.shop.svc", "SRV").data} == {"80"}
