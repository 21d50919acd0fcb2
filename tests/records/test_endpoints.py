from __future__ import annotations

import pytest

from hsdnsd.records.endpoints import NO_ENDPOINTS, Endpoints, boil_down, is_label, renamed, wire_label
from hsdnsd.records.model import EndpointSliceFact
from tests.support.facts import Endpoint, endpoint, endpoint_slice, packed


def boiled(*endpoints: Endpoint, pod_names: bool = False, dotted: bool = False) -> Endpoints:
    return boil_down(endpoint_slice("web", *endpoints), (), pod_names, dotted)


def labels(endpoints: Endpoints) -> list[bytes]:
    return [endpoints.label(place) for place in range(len(endpoints.addresses))]


def test_those_that_are_ready_stand_first() -> None:
    endpoints = boiled(endpoint("10.0.0.1", ready=False), endpoint("10.0.0.2"), endpoint("10.0.0.3", ready=False))
    assert endpoints.addresses == tuple(map(packed, ("10.0.0.2", "10.0.0.1", "10.0.0.3")))
    assert (endpoints.visible(unready=False), endpoints.visible(unready=True)) == (1, 3)


def test_nothing_is_kept_of_endpoints_that_are_called_after_their_ipv4_address() -> None:
    endpoints = boiled(endpoint("10.0.0.1"), endpoint("10.0.0.2"))
    assert (endpoints.names, endpoints.folded, endpoints.texts) == (None, None, None)
    assert labels(endpoints) == [b"\x0810-0-0-1", b"\x0810-0-0-2"]


def test_names_that_need_no_folding_are_kept_once() -> None:
    endpoints = boiled(endpoint("10.0.0.1", host="web-0"), endpoint("10.0.0.2", host="0"))
    assert endpoints.folded is None
    loud = boiled(endpoint("10.0.0.1", host="Web-0"), endpoint("10.0.0.2"))
    assert loud.names == (b"\x05Web-0", None)
    assert loud.folded == (b"\x05web-0", None)


@pytest.mark.parametrize(
    ("pod", "dotted", "label"),
    [
        ("web-abc", False, b"\x07web-abc"),
        ("", False, b"\x0810-0-0-1"),
        ("p" * 63, False, b"\x3f" + b"p" * 63),
        ("p" * 64, False, b"\x0810-0-0-1"),
        ("a.b", False, b"\x0810-0-0-1"),
        ("a.b", True, b"\x01a\x01b"),
        ("a..b", True, b"\x0810-0-0-1"),
    ],
)
def test_pod_names(pod: str, dotted: bool, label: bytes) -> None:
    assert labels(boiled(endpoint("10.0.0.1", pod=pod), pod_names=True, dotted=dotted)) == [label]


def test_the_hostname_goes_before_the_pod_name() -> None:
    assert labels(boiled(endpoint("10.0.0.1", host="h", pod="p"), pod_names=True)) == [b"\x01h"]


@pytest.mark.parametrize("text", ["", "x" * 64])
def test_a_text_that_makes_no_label_is_not_used(text: str) -> None:
    addresses = (packed("fd00::1"), packed("fd00::2"))
    endpoints = boil_down(EndpointSliceFact("", "", "", (), addresses, 2, texts=(text, "fd00:0::2")), (), False, False)
    assert labels(endpoints) == [b"\x07fd00--1", b"\x09fd00-0--2"]


def test_find_by_name() -> None:
    endpoints = boiled(
        endpoint("10.0.0.1", host="a"),
        endpoint("10.0.0.2"),
        endpoint("10.0.0.3", "fd00::3", host="A"),
        endpoint("FD00:0::4"),
        endpoint("10.0.0.2", ready=False),
    )

    def found(label: bytes, address: str | None = None, canonical: bool = True, count: int = 5) -> list[int]:
        return list(endpoints.named(label, address and packed(address), count, canonical))

    assert found(b"a") == [0, 2, 3]
    assert found(b"a", count=3) == [0, 2]
    assert found(b"b") == []
    assert found(b"10-0-0-2", "10.0.0.2") == [1]
    assert found(b"10-0-0-2", "10.0.0.2", count=6) == [1, 5]
    assert found(b"10-0-0-1", "10.0.0.1") == []
    assert found(b"fd00--4", "fd00::4") == [4]
    assert found(b"fd00-0--4", "fd00::4", canonical=False) == [4]
    assert found(b"fd00--4", "fd00::4", canonical=False) == []
    assert list(endpoints.pointed_at(packed("fd00::4"), 5, canonical=False)) == [4]
    assert list(endpoints.pointed_at(packed("fd00::4"), 5, canonical=True)) == []


@pytest.mark.parametrize(
    ("new", "moved"),
    [
        (boiled(endpoint("10.0.0.1"), endpoint("10.0.0.2")), set()),
        (boiled(endpoint("10.0.0.2"), endpoint("10.0.0.1")), set()),
        (boiled(endpoint("10.0.0.1")), {"10.0.0.2"}),
        (boiled(endpoint("10.0.0.1"), endpoint("10.0.0.2", host="b")), {"10.0.0.2"}),
        (boiled(endpoint("10.0.0.1"), endpoint("10.0.0.2"), endpoint("fd00::3")), {"fd00::3"}),
        (NO_ENDPOINTS, {"10.0.0.1", "10.0.0.2"}),
    ],
)
def test_what_is_published_otherwise(new: Endpoints, moved: set[str]) -> None:
    old = boiled(endpoint("10.0.0.1"), endpoint("10.0.0.2"))
    expected = set(map(packed, moved))
    assert renamed(old, 2, new, new.ready) == renamed(new, new.ready, old, 2) == expected


def test_labels() -> None:
    assert [is_label(text) for text in ("a", "x" * 63, "", "x" * 64, "é")] == [True, True, False, False, False]
    assert wire_label(b"web") == b"\x03web"
