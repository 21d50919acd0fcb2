"""Pod names, which the specification dropped: rules P1 to P6."""

from __future__ import annotations

import pytest

from hsdnsd.records.model import Kind, NamespaceFact
from hsdnsd.records.options import Pods
from tests.support.facts import Cluster, pod, service

FACTS = (
    NamespaceFact("shop"),
    pod("web-0", "10.1.0.1", "fd00::1"),
    pod("node-1", "10.0.0.1"),
    pod("node-2", "10.0.0.1"),
    pod("other", "10.2.0.1", namespace="elsewhere"),
)


@pytest.mark.parametrize("coredns", [False, True])
@pytest.mark.parametrize("name", ["10-1-0-1.shop.pod", "shop.pod", "x.10-1-0-1.shop.pod"])
def test_disabled_there_are_none(name: str, coredns: bool) -> None:
    """P1"""
    assert Cluster(*FACTS, coredns=coredns).ask(name).data == "NXDOMAIN"


@pytest.mark.parametrize("coredns", [False, True])
@pytest.mark.parametrize(
    ("name", "rtype", "data"),
    [
        ("10-1-0-1.shop.pod", "A", ["10.1.0.1"]),
        ("10-9-9-9.shop.pod", "A", ["10.9.9.9"]),
        ("10-1-0-1.shop.pod", "AAAA", "NODATA"),
        ("10-1-0-1.shop.pod", "TXT", "NODATA"),
        ("fd00--1.shop.pod", "AAAA", ["fd00::1"]),
        ("fd00-0--1.shop.pod", "AAAA", ["fd00::1"]),
        ("fd00--1.shop.pod", "A", "NODATA"),
        ("--ffff-a01-1.shop.pod", "A", ["10.1.0.1"]),
        ("web-0.shop.pod", "A", "NXDOMAIN"),
        ("web-0.shop.pod", "HINFO", "NXDOMAIN"),
        ("10-1-0-256.shop.pod", "A", "NXDOMAIN"),
        ("10-1-0-01.shop.pod", "A", "NXDOMAIN"),
        ("10-1-0.shop.pod", "A", "NXDOMAIN"),
        ("10.1.0.1.shop.pod", "A", "NXDOMAIN"),
        ("10-1-0-1.nowhere.pod", "A", "NXDOMAIN"),
        ("shop.pod", "A", "NODATA"),
        ("nowhere.pod", "A", "NXDOMAIN"),
        ("pod", "A", "NODATA"),
    ],
)
def test_insecure_whatever_spells_an_address_is_one(name: str, rtype: str, data: object, coredns: bool) -> None:
    """P2: if the namespace exists; nobody checks whether there is such a pod."""
    assert Cluster(*FACTS, pods=Pods.INSECURE, coredns=coredns).ask(name, rtype).data == data


@pytest.mark.parametrize(
    ("name", "rtype", "mended", "coredns"),
    [
        ("10-1-0-1.shop.pod", "A", ["10.1.0.1"], ["10.1.0.1"]),
        ("fd00--1.shop.pod", "AAAA", ["fd00::1"], "NXDOMAIN"),
        ("fd00-0--1.shop.pod", "AAAA", "NXDOMAIN", "NXDOMAIN"),
        ("10-0-0-1.shop.pod", "A", ["10.0.0.1"], ["10.0.0.1"]),
        ("10-1-0-2.shop.pod", "A", "NXDOMAIN", "NXDOMAIN"),
        ("10-2-0-1.shop.pod", "A", "NXDOMAIN", "NXDOMAIN"),
        ("shop.pod", "A", "NODATA", "NODATA"),
    ],
)
def test_verified_there_must_be_such_a_pod(name: str, rtype: str, mended: object, coredns: object) -> None:
    """P3: in that namespace, under any of its addresses (CoreDNS 1.14: under the primary one)."""
    assert Cluster(*FACTS, pods=Pods.VERIFIED).ask(name, rtype).data == mended
    assert Cluster(*FACTS, pods=Pods.VERIFIED, coredns=True).ask(name, rtype).data == coredns


def test_nothing_lies_below_a_pod() -> None:
    """P5: CoreDNS takes no notice of up to two labels."""
    for name in ("x.10-1-0-1.shop.pod", "x.y.10-1-0-1.shop.pod"):
        assert Cluster(*FACTS, pods=Pods.INSECURE).ask(name).data == "NXDOMAIN"
        assert Cluster(*FACTS, pods=Pods.INSECURE, coredns=True).ask(name).data == ["10.1.0.1"]


def test_a_pod_has_no_srv_record() -> None:
    """P6: CoreDNS makes one, with port 0."""
    assert Cluster(*FACTS, pods=Pods.INSECURE).ask("10-1-0-1.shop.pod", "SRV").data == "NODATA"
    told = Cluster(*FACTS, pods=Pods.INSECURE, coredns=True).ask("x.10-1-0-1.shop.pod", "SRV")
    assert told.data == ["0 100 0 10-1-0-1.shop.pod.cluster.local."]
    assert told.additional_data == ["10-1-0-1.shop.pod.cluster.local. 10.1.0.1"]
    told = Cluster(*FACTS, pods=Pods.VERIFIED, coredns=True).ask("10-0-0-1.shop.pod", "SRV")
    assert told.data == ["0 50 0 10-0-0-1.shop.pod.cluster.local."]


def test_a_pod_on_a_shared_address_goes_away() -> None:
    cluster = Cluster(*FACTS, pods=Pods.VERIFIED)
    assert not cluster.untell(pod("node-1", "10.0.0.1"))
    assert cluster.ask("10-0-0-1.shop.pod").data == ["10.0.0.1"]
    assert cluster.untell(pod("node-2", "10.0.0.1"))
    assert cluster.ask("10-0-0-1.shop.pod").data == "NXDOMAIN"


def test_pods_are_held_only_where_they_are_asked_for() -> None:
    assert Cluster(*FACTS, pods=Pods.INSECURE).table.counts()[Kind.POD.value] == 0
    assert Cluster(*FACTS, pods=Pods.VERIFIED).table.counts()[Kind.POD.value] == 4


def test_a_service_proves_its_namespace() -> None:
    """Manifests without the Namespace object; CoreDNS wants the object."""
    facts = (service("api", "10.96.0.1", namespace="bare"),)
    assert Cluster(*facts, pods=Pods.INSECURE).ask("10-1-0-1.bare.pod").data == ["10.1.0.1"]
    assert Cluster(*facts, pods=Pods.INSECURE, coredns=True).ask("10-1-0-1.bare.pod").data == "NXDOMAIN"
