from __future__ import annotations

import pytest

from hsdnsd.engine.following import ClusterService, Following, servers_of
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.records.model import Deleted, Fact, Key, Kind, Port, ServiceFact, Upserted
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.wire.name import ROOT, from_text
from tests.support.facts import endpoint, endpoint_slice

DNS = ClusterService("kube-system", "dns")
UDP = Port("dns", "udp", 53)
TCP = Port("dns-tcp", "tcp", 53)


def table(*facts: Fact, **options: object) -> Table:
    made = Table(ZoneOptions(zone=from_text("cluster.local"), **options))  # type: ignore[arg-type]
    for fact in facts:
        made.apply(Upserted(fact), unix_time=1)
    return made


def packed(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def service(*addresses: str, headless: bool = False, ports: tuple[Port, ...] = (UDP, TCP)) -> ServiceFact:
    return ServiceFact("kube-system", "dns", tuple(map(packed, addresses)), headless, ports=ports)


def endpoints(name: str, ready: list[str], unready: list[str] = [], ports: tuple[Port, ...] = (UDP, TCP)) -> Fact:  # noqa: B006
    members = [endpoint(text, ready=text in ready) for text in (*unready, *ready)]
    return endpoint_slice("dns", *members, name=name, namespace="kube-system", ports=ports)


def servers(records: Table, asked: ClusterService = DNS) -> list[str]:
    return [str(server) for server in servers_of(asked, records)]


def test_how_it_is_written() -> None:
    assert str(DNS) == "svc://dns.kube-system"
    assert str(ClusterService("kube-system", "dns", 5353)) == "svc://dns.kube-system:5353"


def test_a_service_with_cluster_ips_is_asked_there_whatever_its_endpoints_are() -> None:
    records = table(service("10.96.0.10", "10.96.0.11"), endpoints("a", ["10.244.0.1"]))
    assert servers(records) == ["10.96.0.10:53", "10.96.0.11:53"]


def test_ipv6() -> None:
    records = table(ServiceFact("kube-system", "dns", (bytes(15) + b"\1",)))
    assert servers(records) == ["[::1]:53"]


def test_a_headless_service_is_asked_at_its_ready_endpoints() -> None:
    slices = [
        endpoints("a", ["10.244.0.3", "10.244.0.1"], ["10.244.0.9"]),
        endpoints("b", ["10.244.0.2", "10.244.0.1"]),
    ]
    expected = ["10.244.0.1:53", "10.244.0.2:53", "10.244.0.3:53"]
    assert servers(table(service(headless=True), *slices)) == expected
    assert servers(table(*reversed(slices), service(headless=True))) == expected


def test_readiness_counts_even_where_names_are_published_without() -> None:
    headless = ServiceFact("kube-system", "dns", headless=True, publish_not_ready=True)
    assert servers(table(headless, endpoints("a", ["10.244.0.1"], ["10.244.0.2"]))) == ["10.244.0.1:53"]


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ((TCP, Port("dns", "udp", 5353), Port("x", "udp", 1)), 5353),
        ((TCP, Port("", "udp", 1053)), 1053),
        ((Port("a", "udp", 1), Port("b", "udp", 2)), 53),
        ((Port("dns", "tcp", 1053),), 53),
        ((Port("dns", "udp", None),), 53),
        ((), 53),
    ],
)
def test_the_port(ports: tuple[Port, ...], port: int) -> None:
    assert servers(table(service("10.96.0.10", ports=ports))) == [f"10.96.0.10:{port}"]
    headless = table(service(headless=True, ports=()), endpoints("a", ["10.244.0.1"], ports=ports))
    assert servers(headless) == [f"10.244.0.1:{port}"]
    assert servers(headless, ClusterService("kube-system", "dns", 99)) == ["10.244.0.1:99"]


@pytest.mark.parametrize(
    "facts",
    [
        (),
        (ServiceFact("default", "dns", (packed("10.96.0.10"),)),),
        (endpoints("a", ["10.244.0.1"]),),
        (ServiceFact("kube-system", "dns", external_name="dns.example"),),
        (service(headless=True), endpoints("a", [], ["10.244.0.1"])),
    ],
)
def test_of_what_is_not_known_there_is_nobody(facts: tuple[Fact, ...]) -> None:
    assert servers(table(*facts)) == []


def test_a_service_is_followed_whether_or_not_its_names_are_told() -> None:
    assert servers(table(service("10.96.0.10"), namespaces=frozenset({"default"}))) == ["10.96.0.10:53"]


def test_zones_stand_for_other_servers_as_the_cluster_changes() -> None:
    fixed = Upstream("192.0.2.1", 53)
    corp = from_text("corp.example")
    following = Following({ROOT: [DNS, fixed], corp: [fixed]}, lambda _: False)
    assert following.follows_services
    assert following.present == {ROOT: (fixed,), corp: (fixed,)}
    records = table()
    assert following.changed(records) == {}
    records.apply(Upserted(service("10.96.0.10")), 1)
    assert following.changed(records) == {ROOT: (Upstream("10.96.0.10", 53), fixed)}
    assert following.changed(records) == {}
    records.apply(Upserted(service("10.96.0.11")), 2)
    assert following.changed(records) == {ROOT: (Upstream("10.96.0.11", 53), fixed)}
    records.apply(Deleted(Kind.SERVICE, Key("kube-system", "dns")), 3)
    assert following.changed(records) == {ROOT: (fixed,)}


def test_a_zone_can_be_given_others() -> None:
    one, two = Upstream("192.0.2.1", 53), Upstream("192.0.2.2", 53)
    following = Following({ROOT: [one]}, lambda _: False)
    assert not following.follows_services
    following.give(ROOT, [two, one, two])
    assert following.changed(None) == {ROOT: (two, one)}


def test_a_server_that_is_refused_is_never_asked() -> None:
    """Such as our own address, where the cluster's DNS address is intercepted on the node."""
    own = Upstream("10.96.0.10", 53)
    following = Following({ROOT: [DNS]}, lambda server: server == own)
    records = table(service("10.96.0.10", "10.96.0.11"))
    assert following.changed(records) == {ROOT: (Upstream("10.96.0.11", 53),)}
