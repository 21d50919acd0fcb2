"""Services, headless Services and ExternalNames: rules C, H and E of the Kubernetes DNS specification and CoreDNS."""

from __future__ import annotations

from typing import Final

import pytest

from hsdnsd.records.model import NamespaceFact
from hsdnsd.records.options import Pods, TTLs
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import Name, from_text
from tests.support.facts import (
    Cluster,
    endpoint,
    endpoint_slice,
    external,
    headless,
    packed,
    ports,
    service,
)

HTTP = ports("http:tcp:80")
WEB = ports("http:tcp:8080", "metrics:tcp:9090")

FACTS = (
    # Section 2.3: cluster IPs.
    service("api", "10.96.0.1", ports=ports("http:tcp:80", "dns:udp:53", ":tcp:99")),
    service("six", "fd00:96::1", ports=HTTP),
    service("dual", "10.96.0.2", "fd00:96::2", ports=HTTP),
    service("bare", "10.96.0.3"),
    service("pending", ports=HTTP),
    endpoint_slice("api", endpoint("10.1.9.9"), endpoint("10.1.9.8", ready=False), ports=ports("http:tcp:8080")),
    # Section 2.4: headless.
    headless("web", ports=HTTP),
    endpoint_slice(
        "web",
        endpoint("10.1.0.1", host="web-0", pod="web-0"),
        endpoint("10.1.0.2", pod="web-1"),
        endpoint("10.1.0.9", host="web-9", ready=False),
        ports=WEB,
    ),
    endpoint_slice("web", endpoint("fd00:1::1", host="web-0"), ports=WEB, name="web-6"),
    headless("moving"),
    endpoint_slice("moving", endpoint("10.2.0.1", host="m-0"), endpoint("10.2.0.2", host="m-1"), ports=HTTP),
    endpoint_slice("moving", endpoint("10.2.0.1", host="m-0"), ports=HTTP, name="moving-2"),
    headless("idle"),
    endpoint_slice("idle", endpoint("10.3.0.1", host="i-0", ready=False), ports=HTTP),
    headless("sliceless", ports=HTTP),
    headless("eager", unready=True),
    endpoint_slice("eager", endpoint("10.4.0.1", host="e-0", ready=False), ports=HTTP),
    headless("twin"),
    endpoint_slice("twin", endpoint("10.5.0.1", host="both"), endpoint("10.5.0.2", host="both"), ports=HTTP),
    headless("two-addresses"),
    endpoint_slice("two-addresses", endpoint("10.5.1.1", "10.5.1.2"), ports=HTTP),
    headless("spelled"),
    endpoint_slice("spelled", endpoint("FD00:0:0::9"), endpoint("fd00:2::"), endpoint("::a:1:2"), ports=HTTP),
    headless("loud"),
    endpoint_slice("loud", endpoint("10.5.2.1", host="Loud-0"), ports=ports("HTTP:tcp:80")),
    headless("portless"),
    endpoint_slice("portless", endpoint("10.6.0.1", host="p-0")),
    headless("numberless"),
    endpoint_slice("numberless", endpoint("10.6.1.1", host="n-0"), ports=ports("any:tcp:")),
    headless("unnamed"),
    endpoint_slice("unnamed", endpoint("10.6.2.1", host="u-0"), ports=ports(":tcp:7000")),
    endpoint_slice("orphan", endpoint("10.7.0.1", host="o-0"), ports=HTTP),
    endpoint_slice("web", endpoint("10.7.1.1"), ports=HTTP, namespace="elsewhere"),
    # Section 2.5: ExternalName.
    external("out", "www.example.com"),
    external("shout", "WWW.Example.com."),
    external("in", "api.shop.svc.cluster.local"),
    external("in-in", "In.shop.svc.cluster.local"),
    external("to-host", "web-0.web.shop.svc.cluster.local"),
    external("missing", "nobody.shop.svc.cluster.local"),
    external("apex", "cluster.local"),
    external("self", "self.shop.svc.cluster.local"),
    external("below-self", "x.below-self.shop.svc.cluster.local"),
    external("ping", "pong.shop.svc.cluster.local"),
    external("pong", "ping.shop.svc.cluster.local"),
    external("ip", "192.0.2.1"),
    external("ip6", "2001:db8::1"),
    external("nothing", ""),
    external("broken", "bad..name"),
    external("by-reverse", "1.0.96.10.in-addr.arpa"),
)
FACTS += (NamespaceFact("shop"), NamespaceFact("elsewhere"))


Data = str | list[str]
NX: Final = "NXDOMAIN"
NODATA: Final = "NODATA"
SERVFAIL: Final = "SERVFAIL"


@pytest.fixture(scope="module")
def mended() -> Cluster:
    return Cluster(*FACTS)


@pytest.fixture(scope="module")
def coredns() -> Cluster:
    return Cluster(*FACTS, coredns=True)


def rule(words: str, name: str, rtype: str, data: Data, coredns: Data | None = None) -> object:
    """What is said to a question in namespace `shop`, and what CoreDNS says if that is something else."""
    return pytest.param(f"{name}.shop.svc", rtype, data, data if coredns is None else coredns, id=words)


RULES = [
    # Section 2.3.1 and C1: "<service>.<ns>.svc.<zone>. <ttl> IN A <cluster-ip>", and AAAA alike.
    rule("C1 cluster IP", "api", "A", ["10.96.0.1"]),
    rule("C1 a family that the Service lacks is no data", "api", "AAAA", NODATA),
    rule("C1 IPv6 cluster IP", "six", "AAAA", ["fd00:96::1"]),
    rule("C1 IPv6 alone has no A", "six", "A", NODATA),
    rule("C1 dual stack A", "dual", "A", ["10.96.0.2"]),
    rule("C1 dual stack AAAA", "dual", "AAAA", ["fd00:96::2"]),
    rule("C1 no such Service", "nobody", "A", NX),
    rule("C2 endpoints do not matter", "dual", "A", ["10.96.0.2"]),
    rule("a Service that has no cluster IP yet exists", "pending", "A", NODATA),
    rule("a wildcard is a label like others", "*", "A", NX),
    # Section 2.3.2 and C3: SRV per named port; at the bare name also the unnamed ones.
    rule("C3 SRV of a port", "_http._tcp.api", "SRV", ["0 100 80 api.shop.svc.cluster.local."]),
    rule(
        "C3 the port is the Service's, not the slice's",
        "_http._tcp.api",
        "SRV",
        ["0 100 80 api.shop.svc.cluster.local."],
    ),
    rule("C3 other protocol", "_dns._tcp.api", "SRV", NX),
    rule("C3 no such port", "_smtp._tcp.api", "SRV", NX),
    rule("C3 numbers are not names", "_80._tcp.api", "SRV", NX),
    rule(
        "C3 bare name",
        "api",
        "SRV",
        [f"0 33 {port} api.shop.svc.cluster.local." for port in (53, 80, 99)],
    ),
    rule("C4 both families count for the weight", "_http._tcp.dual", "SRV", ["0 50 80 dual.shop.svc.cluster.local."]),
    rule("C6 no ports: address", "bare", "A", ["10.96.0.3"]),
    rule("C6 no ports: no SRV", "bare", "SRV", NODATA),
    rule("C7 an endpoint's name below a cluster IP", "10-1-9-9.api", "A", ["10.1.9.9"]),
    rule(
        "C7 its SRV has the endpoint's port", "10-1-9-9.api", "SRV", ["0 100 8080 10-1-9-9.api.shop.svc.cluster.local."]
    ),
    rule("C7 not ready", "10-1-9-8.api", "A", NX),
    # The grammar of 2.3.
    rule("port names have the addresses too", "_http._tcp.api", "A", ["10.96.0.1"]),
    rule("underscores are optional", "http.tcp.api", "SRV", ["0 100 80 api.shop.svc.cluster.local."]),
    rule("an empty port is any", "_._udp.api", "SRV", ["0 100 53 api.shop.svc.cluster.local."]),
    rule("an empty protocol is any", "_http._.api", "SRV", ["0 100 80 api.shop.svc.cluster.local."]),
    rule("two underscores are a name", "__._tcp.api", "A", NX),
    rule("three labels left of a Service", "a.b.c.api", "A", NX),
    rule("A13 the node above the ports", "_tcp.api", "A", NODATA, NX),
    rule("A13 for every type", "_tcp.api", "SRV", NODATA, NX),
    rule("A13 of a protocol without ports", "_sctp.api", "A", NX),
    rule("A13 unnamed ports have no node", "_tcp.unnamed", "A", NX),
    rule("A13 headless", "_tcp.web", "A", NODATA, NX),
    rule("A13 headless without endpoints", "_tcp.idle", "A", NX),
    rule("A13 wants its underscore", "tcp.api", "A", NX),
    # Section 2.4.1 and H1: every ready address of every slice.
    rule("H1 ready endpoints", "web", "A", ["10.1.0.1", "10.1.0.2"]),
    rule("H1 of all slices", "web", "AAAA", ["fd00:1::1"]),
    rule("H1 an address in two slices is told once", "moving", "A", ["10.2.0.1", "10.2.0.2"]),
    rule("H1 a slice of another namespace does not join", "web", "A", ["10.1.0.1", "10.1.0.2"]),
    rule("H2 publishNotReadyAddresses", "eager", "A", ["10.4.0.1"], NX),
    rule("H2 publishNotReadyAddresses by name", "e-0.eager", "A", ["10.4.0.1"], NX),
    rule("H3 none ready", "idle", "A", NX),
    rule("H3 none ready, any type", "idle", "TXT", NX),
    rule("H3 no slice", "sliceless", "A", NX),
    rule("H3 no slice, a port", "_http._tcp.sliceless", "SRV", NX),
    rule("H4 one family only", "twin", "AAAA", NODATA),
    # H5-H8: endpoints' names.
    rule("H5 hostname", "web-0.web", "A", ["10.1.0.1"]),
    rule("H5 dashed address", "10-1-0-2.web", "A", ["10.1.0.2"]),
    rule("H5 not by pod", "web-1.web", "A", NX),
    rule("H6 a hostname takes the dashed name away", "10-1-0-1.web", "A", NX),
    rule("H3 a name that is not ready", "web-9.web", "A", NX),
    rule("H7 as the slice spells it", "fd00-0-0--9.spelled", "AAAA", ["fd00::9"]),
    rule("H7 canonical", "fd00--9.spelled", "AAAA", ["fd00::9"], NX),
    rule("H7 no third spelling", "fd00-0--9.spelled", "AAAA", NX),
    rule("H7 a 0 at the end", "fd00-2--0.spelled", "AAAA", ["fd00:2::"]),
    rule("H7 not without it", "fd00-2--.spelled", "AAAA", NX),
    rule("H7 dashes to begin with", "--a-1-2.spelled", "AAAA", ["::a:1:2"]),
    rule("H8 one name, several addresses", "both.twin", "A", ["10.5.0.1", "10.5.0.2"]),
    rule("H8 one name, both families", "web-0.web", "AAAA", ["fd00:1::1"]),
    rule("H9 several addresses of an endpoint", "two-addresses", "A", ["10.5.1.1", "10.5.1.2"]),
    rule("H9 each under its own name", "10-5-1-2.two-addresses", "A", ["10.5.1.2"]),
    rule("M3 letter case of hostnames", "loud-0.loud", "A", ["10.5.2.1"]),
    rule(
        "M3 letter case of ports; the target is spelled as in the object",
        "_http._tcp.loud",
        "SRV",
        ["0 100 80 Loud-0.loud.shop.svc.cluster.local."],
    ),
    # Section 2.4.2 and H11-H15.
    rule(
        "H11 SRV for each endpoint, with the slice's port",
        "_http._tcp.web",
        "SRV",
        [f"0 33 8080 {target}.web.shop.svc.cluster.local." for target in ("10-1-0-2", "web-0")],
    ),
    rule("H11 a port that only the slice has", "_metrics._tcp.web", "A", ["10.1.0.1", "10.1.0.2"]),
    rule(
        "H12 duplicates count for the weight",
        "_http._tcp.moving",
        "SRV",
        [f"0 33 80 m-{number}.moving.shop.svc.cluster.local." for number in (0, 1)],
    ),
    rule("H13 unnamed port at the bare name", "unnamed", "SRV", ["0 100 7000 u-0.unnamed.shop.svc.cluster.local."]),
    rule("H13 unnamed port, by number", "_7000._tcp.unnamed", "SRV", NX),
    rule(
        "H14 SRV of an endpoint",
        "10-1-0-2.web",
        "SRV",
        [f"0 50 {port} 10-1-0-2.web.shop.svc.cluster.local." for port in (8080, 9090)],
    ),
    rule("H15 no ports: addresses", "portless", "A", ["10.6.0.1"]),
    rule("H15 no ports: endpoint", "p-0.portless", "A", ["10.6.0.1"]),
    rule("H15 no ports: no SRV", "portless", "SRV", NODATA),
    rule("H15 a port without number", "_any._tcp.numberless", "A", ["10.6.1.1"]),
    rule("H15 a port without number: no SRV", "numberless", "SRV", NODATA),
    rule("H17 a slice without its Service", "orphan", "A", NX),
    rule("H17 nor its endpoints", "o-0.orphan", "A", NX),
    # Types that a Service has nothing of.
    rule("A16 TXT", "api", "TXT", NODATA),
    rule("A17 MX", "web", "MX", NODATA),
    rule("A18 PTR", "api", "PTR", NODATA),
    rule("A15 HTTPS", "web", "HTTPS", NODATA),
    rule("A15 HTTPS, no such name", "nobody", "HTTPS", NX),
    rule("A15 NS", "api", "NS", NODATA),
    rule("A14 SOA", "api", "SOA", NODATA),
    rule("A14 SOA, no such name", "nobody", "SOA", NX, NODATA),
    rule("CNAME", "api", "CNAME", NODATA),
    # RFC 8482 section 4.1: one RRset.
    rule("W20 ANY: addresses", "dual", "ANY", ["10.96.0.2"], NODATA),
    rule("W20 ANY: IPv6 addresses", "six", "ANY", ["fd00:96::1"], NODATA),
    rule("W20 ANY: an alias", "out", "ANY", ["www.example.com."], NODATA),
    rule("W20 ANY: no such name", "nobody", "ANY", NX),
    # Section 2.5 and E1-E8.
    rule("E5 CNAME", "out", "CNAME", ["www.example.com."]),
    rule("E8 case is kept", "shout", "CNAME", ["WWW.Example.com."]),
    rule("E2 in the zone", "in", "A", ["10.96.0.1", "api.shop.svc.cluster.local."]),
    rule("E2 to an endpoint", "to-host", "A", ["10.1.0.1", "web-0.web.shop.svc.cluster.local."]),
    rule("E2 two links", "in-in", "A", ["10.96.0.1", "In.shop.svc.cluster.local.", "api.shop.svc.cluster.local."]),
    rule("E2 no such data at the end", "in", "AAAA", ["api.shop.svc.cluster.local."], NODATA),
    rule("E2 no such name at the end", "missing", "A", NX, NODATA),
    rule("E2 the apex", "apex", "A", ["cluster.local."], NODATA),
    rule("E2 itself", "self", "A", SERVFAIL, NODATA),
    rule("E2 itself, CNAME", "self", "CNAME", ["self.shop.svc.cluster.local."]),
    rule("E2 below itself", "below-self", "A", NX, NODATA),
    rule("E2 in a circle", "ping", "A", SERVFAIL, NODATA),
    rule(
        "E5 another type follows the alias",
        "in",
        "SRV",
        [
            "0 33 53 api.shop.svc.cluster.local.",
            "0 33 80 api.shop.svc.cluster.local.",
            "0 33 99 api.shop.svc.cluster.local.",
            "api.shop.svc.cluster.local.",
        ],
        NODATA,
    ),
    rule("E5 TXT", "in", "TXT", ["api.shop.svc.cluster.local."], NODATA),
    rule("E6 an address is no name", "ip", "A", NX),
    rule("E6 nor of IPv6", "ip6", "CNAME", NX),
    rule("E6 an empty name is the root", "nothing", "CNAME", ["."]),
    rule("a target that is no name", "broken", "CNAME", NX),
    rule("E7 nothing below", "x.out", "A", NX),
    rule("E7 no ports", "_http._tcp.out", "SRV", NX),
]


@pytest.mark.parametrize(("name", "rtype", "expected", "by_coredns"), RULES)
def test_rule(name: str, rtype: str, expected: Data, by_coredns: Data, mended: Cluster, coredns: Cluster) -> None:
    assert mended.ask(name, rtype).data == expected
    assert coredns.ask(name, rtype).data == by_coredns


@pytest.mark.parametrize("name", ["nobody.shop.svc", "none.nowhere.svc", "idle.shop.svc", "a.b.c.api.shop.svc"])
@pytest.mark.parametrize("rtype", ["A", "AAAA", "SRV", "TXT", "CNAME", "PTR", "ANY", 65280])
def test_a_name_that_is_not_there_is_not_there_for_any_type(name: str, rtype: str | int, mended: Cluster) -> None:
    told = mended.ask(name, rtype)
    assert told.rcode == NX
    assert told.authority == ["cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7200 1800 86400 5"]


def test_srv_brings_both_families_of_its_targets_once(mended: Cluster) -> None:
    """C5, H11: the additional section; a client needs no second question."""
    assert mended.ask("_http._tcp.dual.shop.svc", "SRV").additional_data == [
        "dual.shop.svc.cluster.local. 10.96.0.2",
        "dual.shop.svc.cluster.local. fd00:96::2",
    ]
    assert mended.ask("web.shop.svc", "SRV").additional_data == [
        "10-1-0-2.web.shop.svc.cluster.local. 10.1.0.2",
        "web-0.web.shop.svc.cluster.local. 10.1.0.1",
        "web-0.web.shop.svc.cluster.local. fd00:1::1",
    ]


def test_the_weight_of_consuls_ports_is_counted_before_duplicates_go() -> None:
    """C4, H12: 8 ports on 3 pods are 24 candidates, of which 3 times 5 differ in target and number."""
    consul = ports(
        "http:tcp:8500", "https:tcp:8501", "serflan-tcp:tcp:8301", "serflan-udp:udp:8301", "serfwan-tcp:tcp:8302",
        "serfwan-udp:udp:8302", "dns-tcp:tcp:8600", "dns-udp:udp:8600",
    )  # fmt: skip
    pods = [endpoint(f"10.1.0.{number}", host=f"consul-{number}") for number in range(3)]
    cluster = Cluster(headless("consul"), endpoint_slice("consul", *pods, ports=consul))
    told = cluster.ask("consul.shop.svc", "SRV")
    numbers = (8301, 8302, 8500, 8501, 8600)
    assert told.data == sorted(
        f"0 4 {number} consul-{pod}.consul.shop.svc.cluster.local." for number in numbers for pod in range(3)
    )


def test_the_weight_is_at_least_one() -> None:
    pods = [endpoint(f"10.1.0.{number}", host=f"web-{number}") for number in range(101)]
    cluster = Cluster(headless("web"), endpoint_slice("web", *pods, ports=HTTP))
    assert {data.split()[1] for data in cluster.ask("web.shop.svc", "SRV").data} == {"1"}


def test_endpoints_may_be_called_after_their_pods() -> None:
    """H5 with endpoint_pod_names; CoreDNS takes a pod's name with dots too, which leaves no name that can be asked."""
    long = "p" * 64
    slices = endpoint_slice(
        "web",
        endpoint("10.1.0.1", host="web-0", pod="web-abc"),
        endpoint("10.1.0.2", pod="web-def"),
        endpoint("10.1.0.3", pod=long),
        endpoint("10.1.0.4", pod="static.node"),
        ports=HTTP,
    )
    for coredns, dotted in ((False, "10-1-0-4"), (True, "static.node")):
        facts = (headless("web"), slices, NamespaceFact("shop"))
        cluster = Cluster(*facts, endpoint_pod_names=True, coredns=coredns)
        targets = [
            data.split()[3].removesuffix(".web.shop.svc.cluster.local.")
            for data in cluster.ask("web.shop.svc", "SRV").data
        ]
        assert sorted(targets) == sorted(["web-0", "web-def", "10-1-0-3", dotted])
        assert cluster.ask("web-def.web.shop.svc").data == ["10.1.0.2"]
        assert cluster.ask("10-1-0-2.web.shop.svc").data == NX


def test_a_hostname_may_look_like_another_endpoints_address() -> None:
    cluster = Cluster(
        headless("web"),
        endpoint_slice("web", endpoint("10.1.0.1", host="10-1-0-2"), endpoint("10.1.0.2"), ports=HTTP),
    )
    assert cluster.ask("10-1-0-2.web.shop.svc").data == ["10.1.0.1", "10.1.0.2"]
    assert cluster.ask("10-1-0-1.web.shop.svc").data == NX


def test_a_service_turns_into_another_kind() -> None:
    cluster = Cluster(endpoint_slice("web", endpoint("10.1.0.1", host="web-0"), ports=HTTP))
    kinds = [
        (headless("web"), ["10.1.0.1"], ["10.1.0.1"]),
        (service("web", "10.96.0.1", ports=HTTP), ["10.96.0.1"], ["10.1.0.1"]),
        (external("web", "api.shop.svc.cluster.local"), NX, NX),
        (headless("web"), ["10.1.0.1"], ["10.1.0.1"]),
    ]
    for fact, at_service, at_endpoint in kinds:
        cluster.tell(fact)
        assert cluster.ask("web.shop.svc").data == at_service
        assert cluster.ask("web-0.web.shop.svc").data == at_endpoint


@pytest.mark.parametrize("coredns", [False, True])
def test_no_endpoints_are_known(coredns: bool) -> None:
    """`noendpoints`: headless Services and endpoint names do not exist, cluster IPs do."""
    facts = (
        service("api", "10.96.0.1", ports=HTTP),
        headless("web"),
        endpoint_slice("web", endpoint("10.1.0.1", host="web-0"), ports=HTTP),
        endpoint_slice("api", endpoint("10.1.0.1"), ports=HTTP),
        NamespaceFact("shop"),
    )
    cluster = Cluster(*facts, endpoints=False, coredns=coredns)
    assert cluster.ask("api.shop.svc").data == ["10.96.0.1"]
    for name in ("web.shop.svc", "web-0.web.shop.svc", "10-1-0-1.api.shop.svc", "1.0.1.10.in-addr.arpa."):
        assert cluster.ask(name).data == NX
    assert cluster.ask("1.0.96.10.in-addr.arpa.", "PTR").data == ["api.shop.svc.cluster.local."]


@pytest.mark.parametrize("coredns", [False, True])
def test_services_without_endpoints_may_be_ignored(coredns: bool) -> None:
    """C2 with `ignore empty_service`: the name does not exist, its reverse name does."""
    cluster = Cluster(
        service("api", "10.96.0.1", ports=HTTP),
        external("out", "www.example.com"),
        NamespaceFact("shop"),
        ignore_empty_service=True,
        coredns=coredns,
    )
    assert cluster.ask("api.shop.svc").data == NX
    assert cluster.ask("_http._tcp.api.shop.svc", "SRV").data == NX
    assert cluster.ask("1.0.96.10.in-addr.arpa.", "PTR").data == ["api.shop.svc.cluster.local."]
    assert cluster.ask("out.shop.svc", "CNAME").data == ["www.example.com."]
    cluster.tell(endpoint_slice("api", endpoint("10.1.0.1", ready=False), ports=HTTP))
    assert cluster.ask("api.shop.svc").data == NX
    cluster.tell(endpoint_slice("api", endpoint("10.1.0.1"), ports=HTTP))
    assert cluster.ask("api.shop.svc").data == ["10.96.0.1"]


def test_who_knows_no_endpoints_can_not_tell_that_there_are_none() -> None:
    """`noendpoints` with `ignore empty_service` leaves CoreDNS without any cluster IP."""
    facts = (service("api", "10.96.0.1", ports=HTTP), NamespaceFact("shop"))
    both = {"endpoints": False, "ignore_empty_service": True}
    assert Cluster(*facts, **both).ask("api.shop.svc").data == ["10.96.0.1"]
    assert Cluster(*facts, **both, coredns=True).ask("api.shop.svc").data == NX


def test_ttls_are_those_of_each_kind_of_record() -> None:
    ttls = TTLs(service=1, endpoint=2, srv=3, ptr=4, external=0, pod=6, negative=7)
    cluster = Cluster(
        service("api", "10.96.0.1", ports=HTTP),
        headless("web"),
        endpoint_slice("web", endpoint("10.1.0.1", host="web-0"), ports=HTTP),
        external("out", "www.example.com"),
        ttls=ttls,
        pods=Pods.INSECURE,
    )

    def ttls_of(name: str, rtype: str) -> list[int]:
        told = cluster.look_up(name, rtype)
        return [rrset.ttl for rrset in (*told.answer, *told.authority, *told.additional)]

    assert ttls_of("api.shop.svc", "A") == [1]
    assert ttls_of("web.shop.svc", "A") == [2]
    assert ttls_of("web-0.web.shop.svc", "A") == [2]
    assert ttls_of("web.shop.svc", "SRV") == [3, 2]
    assert ttls_of("api.shop.svc", "SRV") == [3, 1]
    assert ttls_of("1.0.1.10.in-addr.arpa.", "PTR") == [4]
    assert ttls_of("out.shop.svc", "CNAME") == [0]
    assert ttls_of("10-1-0-1.shop.pod", "A") == [6]
    assert ttls_of("nobody.shop.svc", "A") == [7]


def test_names_that_no_message_can_carry_are_left_out() -> None:
    """A zone so long that endpoints' names pass 255 octets (RFC 1035 section 2.3.4)."""
    zone = from_text(".".join(["z" * 50] * 4))
    cluster = Cluster(
        headless("web"), endpoint_slice("web", endpoint("10.1.0.1", host="h" * 60), ports=HTTP), zone=zone
    )
    name = Name(b"\x03web\x04shop\x03svc" + zone)
    assert cluster.zone.look_up(name, RRType.A).answer[0].rdatas == (packed("10.1.0.1"),)
    assert cluster.zone.look_up(name, RRType.SRV).answer == ()
    assert cluster.ask("1.0.1.10.in-addr.arpa.", "PTR").data == NX
