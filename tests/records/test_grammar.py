from __future__ import annotations

import pytest

from hsdnsd.records.grammar import At, Selection, read_forward, read_reverse, read_selection
from hsdnsd.wire.name import from_text, labels


def left_of_zone(text: str) -> tuple[bytes, ...]:
    return labels(from_text(text)) if text else ()


@pytest.mark.parametrize(
    ("left", "at"),
    [
        ("", At.APEX),
        ("svc", At.BRANCH),
        ("pod", At.BRANCH),
        ("ns.dns", At.NAME_SERVER),
        ("dns", At.NOWHERE),
        ("x.ns.dns", At.NOWHERE),
        ("dns-version", At.SCHEMA_VERSION),
        ("x.dns-version", At.NOWHERE),
        ("foo", At.NOWHERE),
        ("www.example.com", At.NOWHERE),
        ("shop.svc", At.NAMESPACE),
        ("svc.svc", At.NAMESPACE),
        ("shop.pod", At.POD_NAMESPACE),
        ("web.shop.svc", At.SERVICE),
        ("svc.svc.svc", At.SERVICE),
        ("web-0.web.shop.svc", At.SERVICE),
        ("_http._tcp.web.shop.svc", At.SERVICE),
        ("a.b.c.web.shop.svc", At.NOWHERE),
        ("10-1-2-3.shop.pod", At.POD),
        ("a.b.10-1-2-3.shop.pod", At.POD),
        ("a.b.c.10-1-2-3.shop.pod", At.NOWHERE),
    ],
)
def test_where_a_name_lies_in_the_cluster_domain(left: str, at: At) -> None:
    assert read_forward(left_of_zone(left)).at is at


def test_the_parts_of_a_service_name() -> None:
    place = read_forward((b"_http", b"_tcp", b"web", b"shop", b"svc"))
    assert (place.below, place.label, place.namespace) == ((b"_http", b"_tcp"), b"web", b"shop")


@pytest.mark.parametrize(
    ("left", "at", "coredns"),
    [
        ("", At.APEX, At.APEX),
        ("ns.dns", At.NAME_SERVER, At.NAME_SERVER),
        ("svc", At.NOWHERE, At.BRANCH),
        ("dns-version", At.NOWHERE, At.SCHEMA_VERSION),
        ("web.shop.svc", At.NOWHERE, At.NOWHERE),
        ("10", At.REVERSE, At.REVERSE),
        ("1.0.96.10", At.REVERSE, At.REVERSE),
        ("01.0.96.10", At.NOWHERE, At.NOWHERE),
        ("1.1.0.96.10", At.NOWHERE, At.NOWHERE),
    ],
)
def test_where_a_name_lies_in_a_reverse_zone(left: str, at: At, coredns: At) -> None:
    zone = (b"in-addr", b"arpa")
    assert read_reverse(left_of_zone(left), zone, coredns=False).at is at
    assert read_reverse(left_of_zone(left), zone, coredns=True).at is coredns


def test_a_reverse_zone_may_be_a_part_of_the_tree() -> None:
    place = read_reverse((b"1", b"0"), (b"96", b"10", b"in-addr", b"arpa"), coredns=False)
    assert place.addresses is not None
    assert place.addresses.first == place.addresses.last == bytes((10, 96, 0, 1))


@pytest.mark.parametrize(
    ("below", "selection"),
    [
        ((), Selection()),
        ((b"web-0",), Selection(endpoint=b"web-0")),
        ((b"_tcp",), Selection(endpoint=b"_tcp")),
        ((b"_http", b"_tcp"), Selection(port=b"http", protocol=b"tcp")),
        ((b"http", b"tcp"), Selection(port=b"http", protocol=b"tcp")),
        ((b"_", b"_tcp"), Selection(protocol=b"tcp")),
        ((b"__", b"_tcp"), Selection(port=b"_", protocol=b"tcp")),
        ((b"_", b"_"), Selection()),
    ],
)
def test_what_the_labels_left_of_a_service_choose(below: tuple[bytes, ...], selection: Selection) -> None:
    assert read_selection(below) == selection
