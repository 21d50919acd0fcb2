"""The zones as a whole: apex, fixed names, namespaces, denials, chains, and what is said before all is known."""

from __future__ import annotations

import pytest

from hsdnsd.records.model import Fact, Kind, NamespaceFact, Replaced
from hsdnsd.records.options import Pods, TTLs
from hsdnsd.records.result import EVERYTHING
from hsdnsd.wire.const import EDE, Rcode, RRType
from hsdnsd.wire.name import ROOT, Name, from_text
from tests.support.facts import (
    IN_ADDR,
    Cluster,
    absolute,
    endpoint,
    endpoint_slice,
    external,
    headless,
    options,
    ports,
    service,
)

HTTP = ports("http:tcp:80")
SHOP = NamespaceFact("shop")
API = service("api", "10.96.0.1", ports=HTTP)
SOA = "cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7200 1800 86400 5"


@pytest.mark.parametrize(
    ("name", "rtype", "mended", "coredns"),
    [
        pytest.param("", "A", "NODATA", "NODATA", id="A3 apex"),
        pytest.param("", "CNAME", "NODATA", "NODATA", id="A3 apex CNAME"),
        pytest.param("", "TXT", "NODATA", "NXDOMAIN", id="A4 apex TXT"),
        pytest.param("svc", "A", "NODATA", "NODATA", id="A9 svc"),
        pytest.param("pod", "A", "NODATA", "NODATA", id="A9 pod, though pods are disabled"),
        pytest.param("svc", "TXT", "NODATA", "NXDOMAIN", id="A4 svc TXT"),
        pytest.param("shop.svc", "A", "NODATA", "NODATA", id="A10 namespace"),
        pytest.param("shop.svc", "TXT", "NODATA", "NXDOMAIN", id="A4 namespace TXT"),
        pytest.param("shop.svc", "SRV", "NODATA", "NODATA", id="A10 namespace SRV"),
        pytest.param("empty.svc", "A", "NODATA", "NODATA", id="A10 namespace without Services"),
        pytest.param("nowhere.svc", "A", "NXDOMAIN", "NXDOMAIN", id="A10 no such namespace"),
        pytest.param("shop.pod", "A", "NXDOMAIN", "NXDOMAIN", id="A11 pods are disabled"),
        pytest.param("dns", "A", "NXDOMAIN", "NXDOMAIN", id="A7 a search list must get past dns.Z"),
        pytest.param("dns", "TXT", "NXDOMAIN", "NXDOMAIN", id="A7 any type"),
        pytest.param("dns-version", "TXT", ['"1.1.0"'], ['"1.1.0"'], id="A8 schema version"),
        pytest.param("dns-version", "A", "NXDOMAIN", "NXDOMAIN", id="A8 other types"),
        pytest.param("dns-version", "ANY", ['"1.1.0"'], "NXDOMAIN", id="A8 ANY"),
        pytest.param("foo", "A", "NXDOMAIN", "NXDOMAIN", id="A12 other names"),
        pytest.param("www.example.com", "A", "NXDOMAIN", "NXDOMAIN", id="A12 what search lists make"),
        pytest.param("www.example.com.shop.svc", "A", "NXDOMAIN", "NXDOMAIN", id="A12 in a namespace"),
        pytest.param("foo", "SOA", "NXDOMAIN", "NODATA", id="A14 SOA of no name"),
        pytest.param("svc", "NS", "NODATA", "NODATA", id="A15 NS"),
        pytest.param("svc", "ANY", "NODATA", "NODATA", id="A15 ANY"),
        pytest.param("foo", "ANY", "NXDOMAIN", "NXDOMAIN", id="A15 ANY of no name"),
    ],
)
def test_the_fixed_names(name: str, rtype: str, mended: object, coredns: object) -> None:
    facts = (SHOP, NamespaceFact("empty"), API)
    assert Cluster(*facts).ask(name, rtype).data == mended
    assert Cluster(*facts, coredns=True).ask(name, rtype).data == coredns


def test_the_schema_version_has_a_ttl_of_its_own() -> None:
    assert Cluster().ask("dns-version", "TXT").answer == ['dns-version.cluster.local. 28800 TXT "1.1.0"']


@pytest.mark.parametrize("coredns", [False, True])
@pytest.mark.parametrize(("ttl", "shown"), [(0, 0), (56, 56), (600, 300)])
def test_the_soa(ttl: int, shown: int, coredns: bool) -> None:
    """M5, M6: told for at most 300 seconds; the last field is the TTL of denials (RFC 2308 section 4)."""
    cluster = Cluster(SHOP, ttls=TTLs(negative=ttl), coredns=coredns)
    soa = [f"cluster.local. {shown} SOA ns.dns.cluster.local. hostmaster.cluster.local. 7200 1800 86400 {ttl}"]
    told = cluster.ask("", "SOA")
    assert (told.answer, told.authority) == (soa, [])
    for name in ("foo", "svc"):
        told = cluster.ask(name)
        assert (told.answer, told.authority) == ([], soa)
    assert cluster.zone.soa(absolute("foo")) == cluster.look_up("foo").authority[0]


def test_the_serial_is_the_time_of_the_last_change() -> None:
    def serial(cluster: Cluster) -> int:
        (rdata,) = cluster.look_up("", "SOA").answer[0].rdatas
        return int.from_bytes(rdata[-20:-16], "big")

    cluster = Cluster()
    assert serial(cluster) == 0
    cluster.tell(API, now=1_700_000_000)
    assert serial(cluster) == 1_700_000_000
    cluster.tell(API, now=1_700_000_009)
    assert serial(cluster) == 1_700_000_000
    cluster.tell(service("api", "10.96.0.2"), now=1_600_000_000)
    assert serial(cluster) == 1_700_000_000
    cluster.tell(API, now=(1 << 32) + 7)
    assert serial(cluster) == 7


def test_the_longest_zone_wins() -> None:
    """M1"""
    cluster = Cluster(API, reverse_zones=(IN_ADDR, from_text("96.10.in-addr.arpa")))
    assert cluster.ask("9.9.96.10.in-addr.arpa.").authority[0].startswith("96.10.in-addr.arpa. ")
    assert cluster.ask("9.9.97.10.in-addr.arpa.").authority[0].startswith("in-addr.arpa. ")
    assert cluster.ask("1.0.96.10.in-addr.arpa.", "PTR").data == ["api.shop.svc.cluster.local."]
    assert cluster.ask("96.10.in-addr.arpa.", "SOA").answer[0].startswith("96.10.in-addr.arpa. ")


def test_what_is_covered() -> None:
    zone = Cluster().zone
    for name in ("", "svc", "a.b.c", "in-addr.arpa.", "1.0.96.10.in-addr.arpa.", "ip6.arpa."):
        assert zone.covers(absolute(name))
    for name in (".", "local.", "xcluster.local.", "cluster.local.example.", "arpa.", "example.com."):
        assert not zone.covers(absolute(name))


@pytest.mark.parametrize("coredns", [False, True])
def test_only_some_namespaces_are_exposed(coredns: bool) -> None:
    facts = (SHOP, NamespaceFact("hidden"), API, service("api", "10.96.0.2", namespace="hidden"))
    cluster = Cluster(*facts, namespaces=frozenset({"shop"}), pods=Pods.INSECURE, coredns=coredns)
    assert cluster.ask("api.shop.svc").data == ["10.96.0.1"]
    assert cluster.ask("10-1-0-1.shop.pod").data == ["10.1.0.1"]
    for name in ("api.hidden.svc", "_http._tcp.api.hidden.svc", "hidden.svc", "hidden.pod", "10-1-0-1.hidden.pod"):
        assert cluster.ask(name).data == "NXDOMAIN"
    assert cluster.ask("svc").data == "NODATA"


@pytest.mark.parametrize(
    ("changes", "exposed"), [({}, True), ({"label_selected": True}, False), ({"coredns": True}, False)]
)
def test_a_service_proves_its_namespace(changes: dict[str, object], exposed: bool) -> None:
    """Unless the Namespace objects are what is selected by, or CoreDNS is to be followed."""
    cluster = Cluster(API, **changes)
    assert cluster.ask("shop.svc").data == ("NODATA" if exposed else "NXDOMAIN")
    assert cluster.ask("api.shop.svc").data == (["10.96.0.1"] if exposed else "NXDOMAIN")
    cluster.tell(SHOP)
    assert cluster.ask("shop.svc").data == "NODATA"
    assert cluster.ask("api.shop.svc").data == ["10.96.0.1"]
    cluster.untell(SHOP)
    assert cluster.ask("shop.svc").data == ("NODATA" if exposed else "NXDOMAIN")
    cluster.untell(API)
    assert cluster.ask("shop.svc").data == "NXDOMAIN"


def test_slices_prove_no_namespace() -> None:
    assert Cluster(endpoint_slice("web", endpoint("10.1.0.1"))).ask("shop.svc").data == "NXDOMAIN"


class TestFallthrough:
    """Names that are not here and may be asked elsewhere."""

    @pytest.mark.parametrize("coredns", [False, True])
    def test_of_a_reverse_zone(self, coredns: bool) -> None:
        cluster = Cluster(SHOP, API, fallthrough=(IN_ADDR,), coredns=coredns)
        missing = cluster.ask("9.9.9.10.in-addr.arpa.", "PTR")
        assert missing.result.elsewhere
        assert missing.rcode == "NXDOMAIN"
        assert missing.authority
        for name in ("1.0.96.10.in-addr.arpa.", "in-addr.arpa.", "nobody.shop.svc"):
            assert not cluster.ask(name, "PTR").result.elsewhere

    def test_of_everything(self) -> None:
        cluster = Cluster(SHOP, API, fallthrough=(ROOT,))
        assert cluster.look_up("nobody.shop.svc").elsewhere
        assert cluster.look_up("9.9.9.10.in-addr.arpa.").elsewhere
        assert not cluster.look_up("api.shop.svc", "AAAA").elsewhere

    def test_of_a_part_of_a_zone(self) -> None:
        cluster = Cluster(SHOP, fallthrough=(absolute("shop.svc"),))
        assert cluster.look_up("nobody.shop.svc").elsewhere
        assert not cluster.look_up("nobody.other.svc").elsewhere

    def test_at_the_end_of_a_chain(self) -> None:
        """The name that is missing is looked up like any other that lies outside."""
        cluster = Cluster(SHOP, external("out", "nobody.shop.svc.cluster.local"), fallthrough=(ROOT,))
        told = cluster.ask("out.shop.svc")
        assert told.chase == "nobody.shop.svc.cluster.local."
        assert told.answer == ["out.shop.svc.cluster.local. 5 CNAME nobody.shop.svc.cluster.local."]
        assert told.result.owner is None


class TestBeforeAllIsListed:
    """M9: absence can't be told yet."""

    KNOWN = (SHOP, API, headless("web"), external("missing", "nobody.shop.svc.cluster.local"))

    def cluster(self, **changes: object) -> Cluster:
        cluster = Cluster(synced=False, **changes)
        for fact in self.KNOWN:
            cluster.tell(fact)
        return cluster

    @pytest.mark.parametrize("coredns", [False, True])
    def test_what_is_known_is_told(self, coredns: bool) -> None:
        cluster = self.cluster(coredns=coredns)
        assert cluster.ask("api.shop.svc").data == ["10.96.0.1"]
        assert cluster.ask("dns-version", "TXT").data == ['"1.1.0"']
        for name in ("", "svc", "shop.svc"):
            assert cluster.ask(name).data == "NODATA"

    @pytest.mark.parametrize("coredns", [False, True])
    @pytest.mark.parametrize("name", ["nobody.shop.svc", "web.shop.svc", "foo", "other.svc", "1.1.1.10.in-addr.arpa."])
    def test_what_is_not_is_a_failure(self, name: str, coredns: bool) -> None:
        told = self.cluster(coredns=coredns).ask(name)
        assert told.rcode == "SERVFAIL"
        assert " SOA " in told.authority[0]
        assert (told.result.ede, told.result.owner) == (EDE.NOT_READY, None)

    def test_a_chain_into_the_unknown(self) -> None:
        assert self.cluster().ask("missing.shop.svc").data == "SERVFAIL"
        assert self.cluster(coredns=True).ask("missing.shop.svc").data == "NODATA"

    def test_nothing_leaks_to_the_upstreams(self) -> None:
        """CoreDNS asks them for reverse names that it will soon have itself."""
        name = "1.1.1.10.in-addr.arpa."
        assert not self.cluster(fallthrough=(IN_ADDR,)).look_up(name).elsewhere
        assert self.cluster(fallthrough=(IN_ADDR,), coredns=True).look_up(name).elsewhere

    def test_until_the_last_kind(self) -> None:
        cluster = self.cluster()
        kinds = list(Kind)
        for kind in kinds[:-1]:
            cluster.table.apply(Replaced(kind, ()), unix_time=3)
            assert not cluster.table.synced
            assert cluster.ask("nobody.shop.svc").data == "SERVFAIL"
        assert cluster.table.apply(Replaced(kinds[-1], ()), unix_time=3) == {EVERYTHING}
        assert cluster.table.synced
        assert cluster.ask("nobody.shop.svc").data == "NXDOMAIN"

    def test_a_kind_that_nobody_expects_is_not_waited_for(self) -> None:
        cluster = Cluster(synced=False, expect=frozenset({Kind.SERVICE}))
        cluster.table.apply(Replaced(Kind.SERVICE, ()), unix_time=3)
        assert cluster.ask("foo").data == "NXDOMAIN"


class TestChains:
    """ExternalNames that lead on."""

    @staticmethod
    def chain(links: int) -> list[Fact]:
        """c0 -> c1 -> ... -> api, with so many aliases."""
        targets = [*(f"c{number}" for number in range(1, links)), "api"]
        aliases = (external(f"c{at}", f"{target}.shop.svc.cluster.local") for at, target in enumerate(targets))
        return [SHOP, API, *aliases]

    @pytest.mark.parametrize(("links", "coredns"), [(8, False), (11, True)])
    def test_long_ones_are_followed(self, links: int, coredns: bool) -> None:
        told = Cluster(*self.chain(links), coredns=coredns).ask("c0.shop.svc")
        assert "api.shop.svc.cluster.local. 5 A 10.96.0.1" in told.answer
        assert len(told.answer) == links + 1

    def test_longer_ones_are_not(self) -> None:
        assert Cluster(*self.chain(9)).ask("c0.shop.svc").data == "SERVFAIL"
        assert Cluster(*self.chain(12), coredns=True).ask("c0.shop.svc").data == "NODATA"

    def test_each_link_stands_before_what_it_leads_to(self) -> None:
        result = Cluster(*self.chain(4)).look_up("c0.shop.svc")
        names = [absolute(f"c{number}.shop.svc") for number in range(4)]
        assert [rrset.name for rrset in result.answer] == [*names, absolute("api.shop.svc")]

    def test_names_on_the_way_are_spelled_as_in_the_objects(self) -> None:
        cluster = Cluster(SHOP, API, external("out", "Api.Shop.svc.Cluster.Local"))
        assert cluster.ask("out.shop.svc").answer == [
            "Api.Shop.svc.Cluster.Local. 5 A 10.96.0.1",
            "out.shop.svc.cluster.local. 5 CNAME Api.Shop.svc.Cluster.Local.",
        ]

    @pytest.mark.parametrize("coredns", [False, True])
    def test_one_that_leaves_the_zones_is_handed_over(self, coredns: bool) -> None:
        cluster = Cluster(
            SHOP, external("out", "WWW.example.com"), external("on", "out.shop.svc.cluster.local"), coredns=coredns
        )
        told = cluster.ask("out.shop.svc")
        assert told.answer == ["out.shop.svc.cluster.local. 5 CNAME WWW.example.com."]
        assert told.chase == "www.example.com."
        assert told.result.owner == cluster.look_up("out.shop.svc", "CNAME").owner
        told = cluster.ask("on.shop.svc", "AAAA")
        assert told.chase == "www.example.com."
        assert len(told.answer) == 2
        assert told.result.owner is None

    def test_every_type_is_handed_over(self) -> None:
        """RFC 1034 section 4.3.2; CoreDNS says of most types that there is no data (E5)."""
        facts = (SHOP, external("out", "www.example.com"))
        for rtype in ("TXT", "SRV", "MX", "HTTPS", "SOA", "NS"):
            assert Cluster(*facts).ask("out.shop.svc", rtype).chase == "www.example.com."
            assert Cluster(*facts, coredns=True).ask("out.shop.svc", rtype).data == "NODATA"

    def test_the_root_is_a_target(self) -> None:
        assert Cluster(SHOP, external("out", "")).ask("out.shop.svc").chase == "."

    def test_a_target_in_a_reverse_zone(self) -> None:
        """It is answered here as well; CoreDNS asks itself in a roundabout way."""
        facts = (SHOP, API, external("out", "1.0.96.10.in-addr.arpa"))
        assert Cluster(*facts).ask("out.shop.svc", "PTR").data == [
            "1.0.96.10.in-addr.arpa.",
            "api.shop.svc.cluster.local.",
        ]
        assert Cluster(*facts, coredns=True).ask("out.shop.svc").chase == "1.0.96.10.in-addr.arpa."

    def test_an_answer_made_from_several_objects_is_not_kept(self) -> None:
        cluster = Cluster(*self.chain(1))
        assert cluster.look_up("c0.shop.svc").owner is None
        assert cluster.look_up("c0.shop.svc", "AAAA").owner is None
        assert cluster.look_up("c0.shop.svc", "CNAME").owner is not None

    def test_the_end_of_a_chain_has_the_last_word(self) -> None:
        """RFC 6604 section 2.1; the SOA is that of the zone where the chain ended."""
        cluster = Cluster(SHOP, external("out", "9.9.9.10.in-addr.arpa"))
        told = cluster.ask("out.shop.svc")
        assert told.rcode == "NXDOMAIN"
        assert told.answer == ["out.shop.svc.cluster.local. 5 CNAME 9.9.9.10.in-addr.arpa."]
        assert told.authority[0].startswith("in-addr.arpa. ")


def test_records_are_shown_under_the_folded_name() -> None:
    result = Cluster(SHOP, API).look_up("API.Shop.svc")
    assert result.answer[0].name == from_text("api.shop.svc.cluster.local")


def test_answers_that_hang_on_no_single_thing_have_no_owner() -> None:
    cluster = Cluster(SHOP, API)
    assert cluster.look_up("", "SOA").owner is None  # the serial changes with everything
    assert cluster.look_up("96.10.in-addr.arpa.").owner is None


def test_strange_labels_do_no_harm() -> None:
    zone = Cluster(SHOP, API, headless("web"), pods=Pods.INSECURE).zone
    odd = (b"\0", b"\xff" * 63, b".", b"*", b"-", b"_", b"%", b"1" * 63, "é".encode())
    for label in odd:
        for below in ("svc", "shop.svc", "api.shop.svc", "web.shop.svc", "shop.pod", "in-addr.arpa.", "ip6.arpa."):
            name = bytes((len(label),)) + label + absolute(below)
            for rtype in (RRType.A, RRType.SRV, RRType.PTR, RRType.ANY, RRType.TXT):
                assert zone.look_up(Name(name), rtype).answer == ()


def test_the_zone_may_have_any_name() -> None:
    cluster = Cluster(SHOP, API, zone=from_text("k8s.example.net"))
    assert cluster.ask("api.shop.svc.k8s.example.net.").data == ["10.96.0.1"]
    assert cluster.ask("1.0.96.10.in-addr.arpa.", "PTR").data == ["api.shop.svc.k8s.example.net."]
    assert not cluster.zone.covers(absolute("api.shop.svc"))
    assert options(zone=from_text("k8s.example.net")) != options()


class TestScope:
    """Endpoints of ClusterIP Services are not watched: names that need them may exist all the same."""

    FACTS = (
        NamespaceFact("shop"),
        service("web", "10.96.0.1", ports=ports("http:tcp:80")),
        headless("db"),
        external("mail", "mail.example.org"),
        endpoint_slice("db", endpoint("10.0.0.1", host="db-0")),
        # Somebody else than Kubernetes' controller keeps this one.
        endpoint_slice("web", endpoint("10.0.0.2", host="mine"), name="web-mine"),
    )
    UNWATCHED = ("web-0.web.shop.svc", "10-0-0-7.web.shop.svc", "7.0.0.10.in-addr.arpa.", "0.10.10.in-addr.arpa.")

    @pytest.mark.parametrize("name", UNWATCHED)
    @pytest.mark.parametrize("rtype", ["A", "AAAA", "PTR", "TXT"])
    def test_names_that_need_them_are_asked_of_the_cluster_s_dns(self, name: str, rtype: str) -> None:
        asking = Cluster(*self.FACTS, scoped=True, asks_cluster=True)
        assert asking.look_up(name, rtype).ask_cluster
        assert asking.ask(name, rtype).rcode == "NXDOMAIN", "what to say without"
        for changes in ({"scoped": True}, {"asks_cluster": True}):
            alone = Cluster(*self.FACTS, **changes)
            assert not alone.look_up(name, rtype).ask_cluster
            assert alone.ask(name, rtype).data == "NXDOMAIN"

    @pytest.mark.parametrize(
        ("name", "rtype", "data"),
        [
            ("web.shop.svc", "A", ["10.96.0.1"]),
            ("web.shop.svc", "AAAA", "NODATA"),
            ("_http._tcp.web.shop.svc", "SRV", ["0 100 80 web.shop.svc.cluster.local."]),
            ("_tcp.web.shop.svc", "A", "NODATA"),
            ("_udp.web.shop.svc", "A", "NXDOMAIN"),
            ("_no._tcp.web.shop.svc", "SRV", "NXDOMAIN"),
            ("mine.web.shop.svc", "A", ["10.0.0.2"]),
            ("2.0.0.10.in-addr.arpa.", "PTR", ["mine.web.shop.svc.cluster.local."]),
            ("db.shop.svc", "A", ["10.0.0.1"]),
            ("db-1.db.shop.svc", "A", "NXDOMAIN"),
            ("x.mail.shop.svc", "A", "NXDOMAIN"),
            ("nobody.shop.svc", "A", "NXDOMAIN"),
            ("x.nobody.shop.svc", "A", "NXDOMAIN"),
            ("nowhere", "A", "NXDOMAIN"),
            ("1.0.96.10.in-addr.arpa.", "PTR", ["web.shop.svc.cluster.local."]),
        ],
    )
    def test_all_others_are_known_here(self, name: str, rtype: str, data: str | list[str]) -> None:
        cluster = Cluster(*self.FACTS, scoped=True, asks_cluster=True)
        assert not cluster.look_up(name, rtype).ask_cluster
        assert cluster.ask(name, rtype).data == data

    def test_a_chain_goes_on_there(self) -> None:
        alias = external("alias", "web-0.web.shop.svc.cluster.local")
        cluster = Cluster(*self.FACTS, alias, scoped=True, asks_cluster=True)
        told = cluster.ask("alias.shop.svc")
        assert (told.data, told.chase) == (
            ["web-0.web.shop.svc.cluster.local."],
            "web-0.web.shop.svc.cluster.local.",
        )

    def test_before_the_cluster_is_known_everything_is_asked_there(self) -> None:
        cluster = Cluster(synced=False, asks_cluster=True)
        for name in ("web.shop.svc", "nobody.svc", "1.0.96.10.in-addr.arpa."):
            result = cluster.look_up(name)
            assert result.ask_cluster
            assert (result.rcode, result.ede, result.owner) == (Rcode.SERVFAIL, EDE.NOT_READY, None)
        assert not cluster.look_up("").ask_cluster
