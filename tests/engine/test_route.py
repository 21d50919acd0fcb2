"""Who has the say on a name."""

from __future__ import annotations

import dns.flags
import pytest

from hsdnsd.engine.route import LocalOptions, Route
from hsdnsd.engine.static import static_records
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.records.model import Kind, NamespaceFact, Replaced, ServiceFact
from hsdnsd.records.model import Upserted as Up
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import EDE, Rcode, RRType
from hsdnsd.wire.name import ROOT, from_text, to_text
from tests.support.world import World, ede, rcode, records

FIRST, SECOND = Upstream("192.0.2.1", 53), Upstream("192.0.2.2", 53)


def route(
    stub: str | None = None,
    *,
    default: bool = True,
    fallthrough: tuple[str, ...] = (),
    local: LocalOptions | None = None,
) -> Route:
    options = ZoneOptions(
        zone=from_text("cluster.local"),
        reverse_zones=(from_text("in-addr.arpa"),),
        fallthrough=tuple(map(from_text, fallthrough)),
    )
    table = Table(options)
    for fact in (NamespaceFact("default"), ServiceFact("default", "kubernetes", cluster_ips=(b"\x0a\x60\x00\x01",))):
        table.apply(Up(fact), 1)
    zones = ({ROOT: [FIRST]} if default else {}) | ({from_text(stub): [SECOND]} if stub else {})
    return Route(Zone(options, table), Forwards(zones), local)


EVERYTHING_LOCAL = LocalOptions(
    special_names=True,
    private_reverse=True,
    rewrites={from_text("old.example"): from_text("svc.cluster.local"), from_text("here"): from_text("localhost")},
    no_aaaa=True,
)


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


def owners(given: Route, name: str, qtype: int = RRType.A) -> tuple[int, list[str], list[str]] | None:
    """RCODE, names in the answer, and names of the SOA records, of what is said here; None: somebody else is asked."""
    result, zone = given.find(from_text(name), qtype)
    if result is None:
        assert zone is not None
        return None
    return result.rcode, [to_text(r.name) for r in result.answer], [to_text(r.name) for r in result.authority]


def test_without_options_nothing_is_special() -> None:
    for name in ("localhost", "a.invalid", "1.0.0.10.ip6.arpa"):
        assert not route().is_own(from_text(name))
        assert owners(route(), name) is None
        assert owners(route(), name, RRType.AAAA) is None
    assert route().final(from_text("a.old.example")) == from_text("a.old.example")


def test_special_names_are_answered_here() -> None:
    given = route(local=EVERYTHING_LOCAL)
    for name in ("localhost", "x.localhost", "a.invalid", "a.onion", "1.d.f.ip6.arpa"):
        assert given.is_own(from_text(name))
    assert owners(given, "x.localhost") == (Rcode.NOERROR, ["x.localhost."], [])
    assert owners(given, "a.onion") == (Rcode.NXDOMAIN, [], ["onion."])
    assert owners(given, "1.d.f.ip6.arpa", RRType.PTR) == (Rcode.NXDOMAIN, [], ["d.f.ip6.arpa."])
    for name in ("a.test", "local", "1.c.f.ip6.arpa", "www.example.com"):
        assert not given.is_own(from_text(name))
        assert owners(given, name) is None


@pytest.mark.parametrize(
    ("stub", "name"), [("onion", "a.onion"), ("ip6.arpa", "1.d.f.ip6.arpa"), ("a.localhost", "a.localhost")]
)
def test_a_stub_zone_around_or_inside_wins_over_a_special_name(stub: str, name: str) -> None:
    given = route(stub, local=EVERYTHING_LOCAL)
    assert not given.is_own(from_text(name))
    _, zone = given.find(from_text(name), RRType.PTR)
    assert zone is not None
    assert zone.servers[0].upstream == SECOND
    assert given.is_own(from_text("b.localhost"))


def test_private_addresses_that_the_cluster_does_not_have_are_denied_by_the_own_zone() -> None:
    given = route(fallthrough=("in-addr.arpa",), local=EVERYTHING_LOCAL)
    assert owners(given, "2.0.96.10.in-addr.arpa", RRType.PTR) == (Rcode.NXDOMAIN, [], ["in-addr.arpa."])
    assert owners(given, "1.0.96.10.in-addr.arpa", RRType.PTR) == (Rcode.NOERROR, ["1.0.96.10.in-addr.arpa."], [])
    assert owners(given, "8.8.8.8.in-addr.arpa", RRType.PTR) is None
    asked = route("10.in-addr.arpa", fallthrough=("in-addr.arpa",), local=EVERYTHING_LOCAL)
    assert owners(asked, "2.0.96.10.in-addr.arpa", RRType.PTR) is None


def test_a_denial_of_a_private_address_ends_when_the_cluster_has_it() -> None:
    given = route(fallthrough=("in-addr.arpa",), local=EVERYTHING_LOCAL)
    for name in ("2.0.96.10.in-addr.arpa", "1.0.0.127.in-addr.arpa"):
        result, _ = given.find(from_text(name), RRType.PTR)
        assert result is not None
        assert result.owner == b"a" + bytes(map(int, reversed(name.split(".")[:4])))


def test_the_loopback_address_is_localhost_where_the_own_zone_lets_go() -> None:
    name = "1.0.0.127.in-addr.arpa"
    here = (Rcode.NOERROR, [f"{name}."], [])
    assert owners(route(fallthrough=("in-addr.arpa",), local=EVERYTHING_LOCAL), name, RRType.PTR) == here
    assert owners(route(local=EVERYTHING_LOCAL), name, RRType.PTR) == (Rcode.NXDOMAIN, [], ["in-addr.arpa."])
    assert owners(Route(None, Forwards({ROOT: [FIRST]}), EVERYTHING_LOCAL), name, RRType.PTR) == here


def test_static_records_come_before_everything() -> None:
    given = route("stub.example", local=EVERYTHING_LOCAL)
    names = ("kubernetes.default.svc.cluster.local", "a.invalid", "a.stub.example", "www.example.com")
    given.static = static_records([(b"\x0a\0\0\1", tuple(map(from_text, names)))], 30)
    for name in names:
        assert given.is_own(from_text(name))
        result, zone = given.find(from_text(name), RRType.A)
        assert zone is None
        assert result is not None
        assert result.answer[0].rdatas == (b"\x0a\0\0\1",)
        assert owners(given, name, RRType.AAAA) == (Rcode.NOERROR, [], [f"{name}."])
    assert owners(given, "b.stub.example") is None


def test_no_aaaa_is_for_names_that_somebody_else_would_be_asked_for() -> None:
    given = route("stub.example", local=EVERYTHING_LOCAL)
    for name in ("www.example.com", "a.stub.example"):
        assert owners(given, name, RRType.AAAA) == (Rcode.NOERROR, [], [f"{name}."])
        assert owners(given, name) is None
    assert owners(given, "localhost", RRType.AAAA) == (Rcode.NOERROR, ["localhost."], [])
    assert owners(given, "kubernetes.default.svc.cluster.local", RRType.AAAA) == (
        Rcode.NOERROR,
        [],
        ["cluster.local."],
    )
    assert route(default=False, local=EVERYTHING_LOCAL).find(from_text("a.test"), RRType.AAAA) == (None, None)


def test_what_falls_through_is_somebody_elses_and_has_no_aaaa_either() -> None:
    given = route(fallthrough=(".",), local=EVERYTHING_LOCAL)
    result, zone = given.find(from_text("nothing.default.svc.cluster.local"), RRType.AAAA)
    assert zone is None
    assert result is not None
    assert (result.rcode, result.owner) == (Rcode.NOERROR, b"s\x07nothing\x07default"), "until there is such a Service"


def test_a_rewrite_decides_by_the_name_that_comes_of_it() -> None:
    given = route(local=EVERYTHING_LOCAL)
    assert given.final(from_text("a.old.example")) == from_text("a.svc.cluster.local")
    assert given.final(from_text("x.here")) == from_text("x.localhost")
    assert given.final(from_text("www.example.com")) == from_text("www.example.com")


class TestClusterDns:
    """Names of the own zones that can't be answered here."""

    OPTIONS = ZoneOptions(
        zone=from_text("cluster.local"),
        reverse_zones=(from_text("in-addr.arpa"),),
        fallthrough=(from_text("in-addr.arpa"),),
        expect=frozenset({Kind.SERVICE}),
        scoped=True,
        asks_cluster=True,
    )
    WEB = ServiceFact("shop", "web", (b"\n\x60\0\1",))

    def test_before_the_api_server_is_heard_it_is_asked_what_is_not_known(self) -> None:
        world = World((self.WEB,), options=self.OPTIONS, cluster_dns=[SECOND])
        assert records(world.answer("web.shop.svc.cluster.local.")) == ["web.shop.svc.cluster.local. 5 A 10.96.0.1"]
        client = world.ask("db.shop.svc.cluster.local.")
        assert [send.upstream for send in world.sent] == [SECOND]
        world.upstream_says("db.shop.svc.cluster.local. 5 A 10.0.0.1")
        reply = world.reply_to(client)
        assert records(reply) == ["db.shop.svc.cluster.local. 5 A 10.0.0.1"]
        assert not reply.flags & dns.flags.AA

    def test_what_it_said_is_forgotten_once_the_cluster_is_known(self) -> None:
        world = World((self.WEB,), options=self.OPTIONS, cluster_dns=[SECOND])
        client = world.ask("db.shop.svc.cluster.local.")
        world.upstream_says("db.shop.svc.cluster.local. 30 A 10.0.0.1")
        assert rcode(world.reply_to(client)) == "NOERROR"
        world.engine.records_changed(world.table.apply(Replaced(Kind.SERVICE, (self.WEB,)), 1), world.now)
        assert rcode(world.answer("db.shop.svc.cluster.local.")) == "NXDOMAIN"

    def test_endpoints_that_are_not_watched_are_asked_there_and_not_of_the_upstreams(self) -> None:
        world = World((self.WEB,), options=self.OPTIONS, cluster_dns=[SECOND])
        world.engine.records_changed(world.table.apply(Replaced(Kind.SERVICE, (self.WEB,)), 1), world.now)
        for name, rtype in (("web-0.web.shop.svc.cluster.local.", "A"), ("7.0.0.10.in-addr.arpa.", "PTR")):
            world.ask(name, rtype)
            assert [send.upstream for send in world.sent] == [SECOND]
            world.sent.clear()
        assert rcode(world.answer("nobody.shop.svc.cluster.local.")) == "NXDOMAIN"
        world.ask("www.example.org.")
        assert [send.upstream for send in world.sent] == [FIRST]

    def test_if_it_does_not_answer_that_is_no_denial(self) -> None:
        world = World(options=self.OPTIONS, cluster_dns=[SECOND])
        client = world.ask("db.shop.svc.cluster.local.")
        world.wait(5.0)
        assert rcode(world.reply_to(client)) == "SERVFAIL"

    def test_without_one_it_is_servfail_and_not_ready(self) -> None:
        world = World(options=self.OPTIONS)
        reply = world.answer("db.shop.svc.cluster.local.")
        assert (rcode(reply), ede(reply)) == ("SERVFAIL", EDE.NOT_READY)
        assert world.sent == []
        assert not world.finished.held
        world.engine.records_changed(world.table.apply(Replaced(Kind.SERVICE, ()), 1), world.now)
        world.engine.records_changed(world.table.apply(Replaced(Kind.NAMESPACE, ()), 1), world.now)
        world.engine.records_changed(world.table.apply(Replaced(Kind.ENDPOINT_SLICE, ()), 1), world.now)
        assert rcode(world.answer("db.shop.svc.cluster.local.")) == "NXDOMAIN"
