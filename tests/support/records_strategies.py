"""Small clusters for hypothesis: few names and addresses, so that what happens to them collides."""

from __future__ import annotations

from hypothesis import strategies as st

from hsdnsd.records.model import (
    KIND_OF,
    Change,
    Deleted,
    Fact,
    Key,
    Kind,
    NamespaceFact,
    PodFact,
    Port,
    Replaced,
    ServiceFact,
    Upserted,
)
from hsdnsd.records.options import Pods, ZoneOptions
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import Name
from tests.support.facts import Endpoint, absolute, endpoint_slice, options, packed, reverse_name

NAMESPACES = ("a", "b")
SERVICES = ("s", "t")
HOSTS = ("h", "K")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.1.3", "fd00::1", "FD00:0::1")
PORTS = (Port("http", "tcp", 80), Port("dns", "udp", 53), Port("", "tcp", 7), Port("none", "sctp", None))
TARGETS = ("s.a", "t.a", "s.b", "h.s.a", "_http._tcp.s.a")

# What comes first comes more often: it is there that things collide.
_namespaces = st.sampled_from(("a", "a", "a", "b"))
_services = st.sampled_from(("s", "s", "t"))
_ports = st.lists(st.sampled_from(PORTS), max_size=3).map(tuple)
_addresses = st.sampled_from(ADDRESSES)
_packed = st.lists(_addresses.map(packed), max_size=2, unique=True).map(tuple)

endpoints = st.builds(
    Endpoint,
    addresses=st.lists(_addresses, min_size=1, max_size=2).map(tuple),
    ready=st.sampled_from((True, True, True, False)),
    hostname=st.sampled_from(("", "", *HOSTS)),
    pod=st.sampled_from(("", "h", "p.q")),
)
services = st.one_of(
    st.builds(ServiceFact, _namespaces, _services, cluster_ips=_packed, ports=_ports),
    st.builds(
        ServiceFact, _namespaces, _services, headless=st.just(True), publish_not_ready=st.booleans(), ports=_ports
    ),
    st.builds(
        ServiceFact,
        _namespaces,
        _services,
        external_name=st.sampled_from((*(f"{target}.svc.cluster.local" for target in TARGETS), "example.com")),
    ),
)
slices = st.builds(
    lambda service, these, **others: endpoint_slice(service, *these, **others),
    _services,
    st.lists(endpoints, min_size=1, max_size=3),
    name=st.sampled_from(("x", "y")),
    namespace=_namespaces,
    ports=_ports,
)
pods = st.builds(PodFact, _namespaces, st.sampled_from(("p", "q")), _packed)
facts: st.SearchStrategy[Fact] = st.one_of(services, slices, slices, pods, _namespaces.map(NamespaceFact))

_keys = {
    Kind.SERVICE: st.builds(Key, _namespaces, _services),
    Kind.ENDPOINT_SLICE: st.builds(Key, _namespaces, st.sampled_from(("x", "y"))),
    Kind.NAMESPACE: st.builds(Key, st.just(""), _namespaces),
    Kind.POD: st.builds(Key, _namespaces, st.sampled_from(("p", "q"))),
}
deletions = st.sampled_from(Kind).flatmap(lambda kind: st.builds(Deleted, st.just(kind), _keys[kind]))


def _lists_of(kind: Kind) -> st.SearchStrategy[Replaced]:
    some = st.lists(facts.filter(lambda fact: KIND_OF[type(fact)] is kind), max_size=3, unique_by=lambda fact: fact.key)
    return st.builds(Replaced, st.just(kind), some.map(tuple))


changes: st.SearchStrategy[Change] = st.one_of(
    facts.map(Upserted), facts.map(Upserted), facts.map(Upserted), deletions, st.sampled_from(Kind).flatmap(_lists_of)
)

_rarely = st.sampled_from((False, False, False, True))
zone_options: st.SearchStrategy[ZoneOptions] = st.fixed_dictionaries(
    {
        "namespaces": st.sampled_from((None, None, frozenset({"a"}))),
        "fallthrough": st.sampled_from(((), (absolute("in-addr.arpa."),))),
        "pods": st.sampled_from((Pods.VERIFIED, Pods.VERIFIED, Pods.INSECURE, Pods.DISABLED)),
        "endpoint_pod_names": st.booleans(),
        "endpoints": _rarely.map(lambda off: not off),
        "ignore_empty_service": _rarely,
        "coredns": st.booleans(),
        "own_addresses": st.sampled_from(((), (packed("10.0.0.1"),))),
        "label_selected": _rarely,
    }
).map(lambda changed: options(**changed))


def _questions() -> list[tuple[Name, int]]:
    """Every name that these clusters could make, and some that they can't, with the types that differ."""
    below = (
        "",
        "h.",
        "k.",
        "p.",
        "10-0-0-1.",
        "10-0-1-3.",
        "fd00--1.",
        "fd00-0--1.",
        "_tcp.",
        "_http._tcp.",
        "_._udp.",
    )
    at_services = [f"{left}{name}.{home}.svc" for left in below for name in (*SERVICES, "no") for home in NAMESPACES]
    of_namespaces = [f"{home}.{tree}" for home in (*NAMESPACES, "no") for tree in ("svc", "pod")]
    of_pods = [f"{label}.{home}.pod" for label in ("10-0-0-1", "10-0-1-3", "fd00--1") for home in NAMESPACES]
    fixed = ["", "svc", "dns-version", "ns.dns", "foo", "in-addr.arpa."]
    backwards = [f"{reverse_name(text)}." for text in (*ADDRESSES[:4], "10.0.0.9")]
    backwards += ["0.0.10.in-addr.arpa.", "10.in-addr.arpa.", "d.f.ip6.arpa."]
    types = {
        (RRType.A, RRType.AAAA, RRType.SRV): at_services,
        (RRType.A, RRType.AAAA): of_pods,
        (RRType.A, RRType.TXT): of_namespaces,
        (RRType.A, RRType.NS, RRType.SOA, RRType.TXT): fixed,
        (RRType.PTR, RRType.A): backwards,
        (RRType.CNAME, RRType.ANY): [f"{name}.{home}.svc" for name in SERVICES for home in NAMESPACES],
    }
    return [(absolute(name), int(rtype)) for rtypes, names in types.items() for name in names for rtype in rtypes]


QUESTIONS = _questions()
