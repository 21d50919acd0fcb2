"""hsdnsd.kube.convert: objects -> facts."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube import objects
from hsdnsd.kube.convert import pack_address, to_fact
from hsdnsd.records.model import (
    EndpointSliceFact,
    Fact,
    Kind,
    NamespaceFact,
    PodFact,
    Port,
    ServiceFact,
)

A, B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
V6 = ipaddress.ip_address("fd00::1").packed


def fact_of(kind: Kind, value: dict[str, Any]) -> Fact | None:
    obj: objects.Object = msgspec.convert(value, objects.OBJECT_OF[kind])
    return to_fact(obj)


def service(**spec: Any) -> Fact | None:
    return fact_of(Kind.SERVICE, {"metadata": {"name": "s", "namespace": "n"}, "spec": spec})


def slice_of(*endpoints: dict[str, Any], label: str | None = "s", **fields: Any) -> EndpointSliceFact | None:
    labels = {} if label is None else {"labels": {"kubernetes.io/service-name": label, "x": "y"}}
    value = {"metadata": {"name": "s-1", "namespace": "n", **labels}, "endpoints": list(endpoints), **fields}
    fact = fact_of(Kind.ENDPOINT_SLICE, {"addressType": "IPv4", **value})
    assert fact is None or isinstance(fact, EndpointSliceFact)
    return fact


def with_endpoint(**fields: Any) -> EndpointSliceFact:
    found = slice_of({"addresses": ["10.0.0.1"], **fields})
    assert found is not None
    assert found.addresses == (A,)
    return found


def pod(status: dict[str, Any] | None, **metadata: Any) -> Fact | None:
    return fact_of(Kind.POD, {"metadata": {"name": "p", "namespace": "n", **metadata}, "status": status})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, {}, id="nothing assigned yet"),
        pytest.param({"clusterIP": "10.0.0.1"}, {"cluster_ips": (A,)}, id="clusterIP alone"),
        pytest.param({"clusterIP": "10.0.0.1", "clusterIPs": []}, {"cluster_ips": (A,)}, id="clusterIPs empty"),
        pytest.param(
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]}, {"cluster_ips": (A, V6)}, id="dual stack"
        ),
        pytest.param({"clusterIPs": ["fd00::1", "10.0.0.1"]}, {"cluster_ips": (V6, A)}, id="order is kept"),
        pytest.param({"clusterIP": ""}, {}, id="empty address"),
        pytest.param({"clusterIPs": ["", "10.0.0.300", "10.0.0.2"]}, {"cluster_ips": (B,)}, id="not addresses"),
        pytest.param({"clusterIP": "None"}, {"headless": True}, id="headless"),
        pytest.param({"clusterIP": "None", "clusterIPs": ["None"]}, {"headless": True}, id="headless, both fields"),
        pytest.param({"clusterIPs": ["None"]}, {"headless": True}, id="headless by clusterIPs"),
        pytest.param({"type": "NodePort", "clusterIP": "10.0.0.1"}, {"cluster_ips": (A,)}, id="NodePort"),
        pytest.param(
            {"type": "ExternalName", "externalName": "Www.Example.com."},
            {"external_name": "Www.Example.com."},
            id="external, as spelled",
        ),
        pytest.param({"type": "ExternalName"}, {"external_name": ""}, id="external without a name"),
        pytest.param(
            {"type": "ExternalName", "externalName": "a.", "clusterIP": "None"},
            {"external_name": "a."},
            id="external though headless",
        ),
        pytest.param(
            {"type": "ExternalName", "externalName": "a.", "clusterIPs": ["10.0.0.1"]},
            {"external_name": "a."},
            id="external though with an address",
        ),
        pytest.param({"externalName": "a.", "clusterIP": "10.0.0.1"}, {"cluster_ips": (A,)}, id="only the type counts"),
        pytest.param({"publishNotReadyAddresses": True}, {"publish_not_ready": True}, id="publishNotReadyAddresses"),
        pytest.param({"publishNotReadyAddresses": False}, {}, id="publishNotReadyAddresses false"),
        pytest.param(
            {"ports": [{"port": 80}, {"name": "dns", "protocol": "UDP", "port": 53}]},
            {"ports": (Port("", "tcp", 80), Port("dns", "udp", 53))},
            id="ports",
        ),
    ],
)
def test_services(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    assert service(**spec) == ServiceFact("n", "s", **expected)


def test_a_service_without_spec_or_namespace() -> None:
    assert fact_of(Kind.SERVICE, {"metadata": {"name": "s"}}) == ServiceFact("default", "s")


def test_namespaces() -> None:
    assert fact_of(Kind.NAMESPACE, {"metadata": {"name": "n"}, "spec": {"finalizers": []}}) == NamespaceFact("n")


def test_a_whole_slice() -> None:
    assert slice_of(
        {"addresses": ["10.0.0.1"], "hostname": "web-0", "targetRef": {"kind": "Pod", "name": "web-0"}},
        {"addresses": ["10.0.0.2", "10.0.0.1"], "conditions": {"ready": False}, "targetRef": {"name": "web-1"}},
        ports=[{"name": "http", "protocol": "TCP", "port": 80}, {"port": None}],
    ) == EndpointSliceFact(
        "n",
        "s-1",
        "s",
        (Port("http", "tcp", 80), Port("", "tcp", None)),
        (A, B, A),
        1,
        hostnames=("web-0", "", ""),
        pods=("", "web-1", "web-1"),
    )


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ({}, True),
        ({"conditions": None}, True),
        ({"conditions": {}}, True),
        ({"conditions": {"ready": None}}, True),
        ({"conditions": {"ready": True}}, True),
        ({"conditions": {"ready": False}}, False),
        ({"conditions": {"ready": False, "serving": True, "terminating": True}}, False),
        ({"conditions": {"serving": False}}, True),
    ],
)
def test_ready_unless_it_says_not(conditions: dict[str, Any], ready: bool) -> None:
    assert with_endpoint(**conditions).ready == ready


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ({}, ""),
        ({"targetRef": {"kind": "Pod", "name": "p-0"}}, "p-0"),
        ({"targetRef": {"name": "p-0"}}, "p-0"),
        ({"targetRef": {"kind": "", "name": "p-0"}}, "p-0"),
        ({"targetRef": {"kind": "Node", "name": "p-0"}}, ""),
        ({"targetRef": {"kind": "Pod"}}, ""),
        ({"targetRef": {"kind": "Pod", "name": "web-0"}, "hostname": "web-0"}, ""),
        ({"targetRef": {"kind": "Pod", "name": "web-0"}, "hostname": "w" * 64}, "web-0"),
        ({"targetRef": {"kind": "Pod", "name": "web-0"}, "hostname": "wéb"}, "web-0"),
    ],
)
def test_the_pod_of_an_endpoint(target: dict[str, Any], name: str) -> None:
    assert with_endpoint(**target).pods == ((name,) if name else ())


def test_the_text_of_an_address_is_kept_as_it_stands() -> None:
    found = slice_of({"addresses": ["FD00:0:0::1"]}, {"addresses": ["10.0.0.1"]}, addressType="IPv6")
    assert found is not None
    assert (found.addresses, found.texts) == ((V6, A), ("FD00:0:0::1", ""))


def test_what_is_no_address_is_left_out_and_an_endpoint_without_any_too() -> None:
    found = slice_of(
        {"addresses": ["host.example.com", "10.0.0.1"]}, {"addresses": ["x"]}, {"addresses": []}, {"hostname": "h"}
    )
    assert found is not None
    assert found == EndpointSliceFact("n", "s-1", "s", (), (A,), 1)


def test_those_that_are_ready_stand_first() -> None:
    found = slice_of(
        {"addresses": ["10.0.0.1"], "conditions": {"ready": False}, "hostname": "a"},
        {"addresses": ["10.0.0.2"], "hostname": "b"},
    )
    assert found is not None
    assert (found.addresses, found.ready, found.hostnames) == ((B, A), 1, ("b", "a"))


@pytest.mark.parametrize("label", [None, ""])
def test_a_slice_of_no_service_is_no_fact(label: str | None) -> None:
    assert slice_of({"addresses": ["10.0.0.1"]}, label=label) is None


def test_a_slice_of_names_is_no_fact() -> None:
    assert slice_of({"addresses": ["a.example.com"]}, addressType="FQDN") is None


@pytest.mark.parametrize(
    ("status", "addresses"),
    [
        ({"podIP": "10.0.0.1"}, (A,)),
        ({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, (A, V6)),
        ({"podIPs": [{"ip": "fd00::1"}, {"ip": "10.0.0.1"}]}, (V6, A)),
        ({"podIP": "10.0.0.1", "phase": "Running"}, (A,)),
        ({"podIP": "10.0.0.1", "phase": "Pending"}, (A,)),
        ({"podIP": "10.0.0.1", "hostIP": "10.0.0.1"}, (A,)),
        ({"podIP": "x", "podIPs": [{}, {"ip": "10.0.0.1"}]}, (A,)),
    ],
)
def test_pods(status: dict[str, Any], addresses: tuple[bytes, ...]) -> None:
    assert pod(status) == PodFact("n", "p", addresses)


@pytest.mark.parametrize(
    ("status", "metadata"),
    [
        (None, {}),
        ({}, {}),
        ({"podIP": ""}, {}),
        ({"podIP": "x", "podIPs": []}, {}),
        ({"podIP": "10.0.0.1", "phase": "Succeeded"}, {}),
        ({"podIP": "10.0.0.1", "phase": "Failed"}, {}),
        ({"podIP": "10.0.0.1", "phase": "Unknown"}, {}),
        ({"podIP": "10.0.0.1"}, {"deletionTimestamp": "2024-01-01T00:00:00Z"}),
    ],
)
def test_pods_that_are_not_there_for_dns(status: dict[str, Any] | None, metadata: dict[str, Any]) -> None:
    assert pod(status, **metadata) is None


@given(st.ip_addresses())
def test_addresses_are_packed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert pack_address(str(address)) == address.packed


@pytest.mark.parametrize(
    "text",
    ["", "None", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4 ", "1.2.3.4/32", "::g", "fe80::1%eth0", "\0", "\ud800:"],
)
def test_what_is_no_address(text: str) -> None:
    assert pack_address(text) is None


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    packed = pack_address(text)
    assert packed is None or ipaddress.ip_address(text).packed == packed


def test_ports_are_shared_between_facts() -> None:
    """A cluster of 100,000 endpoints has a handful of different ports."""
    first = slice_of({"addresses": ["10.0.0.1"]}, ports=[{"name": "http", "port": 80}])
    second = slice_of({"addresses": ["10.0.0.2"]}, ports=[{"name": "http", "port": 80}])
    assert first is not None
    assert second is not None
    assert first.ports[0] is second.ports[0]
    assert first.namespace is second.namespace
    assert first.service is second.service
