"""Who has the say on a name."""

from __future__ import annotations

import pytest

from hsdnsd.engine.route import Route
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.records.model import NamespaceFact, ServiceFact
from hsdnsd.records.model import Upserted as Up
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import ROOT, from_text

FIRST, SECOND = Upstream("192.0.2.1", 53), Upstream("192.0.2.2", 53)


def route(stub: str | None = None, *, default: bool = True, fallthrough: tuple[str, ...] = ()) -> Route:
    options = ZoneOptions(
        zone=from_text("cluster.local"),
        reverse_zones=(from_text("in-addr.arpa"),),
        fallthrough=tuple(map(from_text, fallthrough)),
    )
    table = Table(options)
    for fact in (NamespaceFact("default"), ServiceFact("default", "kubernetes", cluster_ips=(b"\x0a\x60\x00\x01",))):
        table.apply(Up(fact), 1)
    zones = ({ROOT: [FIRST]} if default else {}) | ({from_text(stub): [SECOND]} if stub else {})
    return Route(Zone(options, table), Forwards(zones))


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("cluster.local", True),
        ("kubernetes.default.svc.cluster.local", True),
        ("1.0.96.10.in-addr.arpa", True),
        ("notcluster.local", False),
        ("local", False),
        ("www.example.com", False),
        ("1.ip6.arpa", False),
    ],
)
def test_own_zones_are_told_at_the_border_of_a_label(name: str, own: bool) -> None:
    assert route().is_own(from_text(name)) is own


def test_without_own_zones_nothing_is_own() -> None:
    assert not Route(None, Forwards({ROOT: [FIRST]})).is_own(from_text("cluster.local"))


def test_a_stub_zone_inside_an_own_zone_wins_and_one_around_it_does_not() -> None:
    inside = route("legacy.cluster.local")
    assert not inside.is_own(from_text("a.legacy.cluster.local"))
    assert inside.is_own(from_text("a.default.svc.cluster.local"))
    around = route("local")
    assert around.is_own(from_text("a.default.svc.cluster.local"))
    assert not around.is_own(from_text("printer.local"))


def test_own_names_are_found_here() -> None:
    result, zone = route().find(from_text("kubernetes.default.svc.cluster.local"), RRType.A)
    assert zone is None
    assert result is not None
    assert result.answer[0].rdatas == (b"\x0a\x60\x00\x01",)


def test_a_name_that_is_not_here_falls_through_where_that_is_configured_and_somebody_to_ask() -> None:
    name = from_text("8.8.8.8.in-addr.arpa")
    through = route(fallthrough=("in-addr.arpa",))
    assert through.find(name, RRType.PTR) == (None, through.match(name))
    for shut in (route(), route(fallthrough=("in-addr.arpa",), default=False)):
        result, zone = shut.find(name, RRType.PTR)
        assert (result is not None, zone) == (True, None)


def test_the_soa_of_a_denial_is_that_of_the_zone_the_name_lies_in() -> None:
    (soa,) = route().own_soa(from_text("x.10.in-addr.arpa"))
    assert soa.name == from_text("in-addr.arpa")
    assert Route(None, Forwards({})).own_soa(from_text("x.test")) == ()
