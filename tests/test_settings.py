from __future__ import annotations

import inspect

import pytest

from hsdnsd import settings
from hsdnsd.cache.cache import Limits
from hsdnsd.cache.policy import TtlLimits
from hsdnsd.config import Config, load
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.exchange import ExchangeOptions
from hsdnsd.engine.following import ClusterService
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.upstreams import CLUSTER, Upstream
from hsdnsd.errors import ConfigError
from hsdnsd.records.model import Kind
from hsdnsd.records.options import Pods, TTLs, ZoneOptions
from hsdnsd.wire.name import ROOT, from_text


def configured(*given: str) -> Config:
    return load("", ["source.in_cluster=true", *given])


def options(*given: str) -> ZoneOptions:
    made = settings.zone_options(configured(*given))
    assert made is not None
    return made


@pytest.mark.parametrize("source", ["manifests=a", "kubeconfig=a", "in_cluster=true"])
def test_own_zones_come_with_a_source(source: str) -> None:
    assert settings.zone_options(load("")) is None
    assert settings.zone_options(load("", [f"source.{source}"])) is not None


def test_default_zone_options() -> None:
    assert options() == ZoneOptions(
        zone=from_text("cluster.local"),
        reverse_zones=(from_text("in-addr.arpa"), from_text("ip6.arpa")),
        namespaces=None,
        fallthrough=(from_text("in-addr.arpa"), from_text("ip6.arpa")),
        pods=Pods.DISABLED,
        ttls=TTLs(5, 5, 5, 5, 5, 5, 5),
        own_addresses=(bytes((127, 0, 0, 1)),),
        expect=frozenset({Kind.SERVICE, Kind.NAMESPACE, Kind.ENDPOINT_SLICE}),
        scoped=True,
    )


def test_names_are_folded() -> None:
    made = options(
        "zone.name=Cluster.Example.", "zone.fallthrough=.,IN-ADDR.ARPA", "zone.reverse_zones=10.In-Addr.arpa"
    )
    assert made.zone == from_text("cluster.example")
    assert made.fallthrough == (ROOT, from_text("in-addr.arpa"))
    assert made.reverse_zones == (from_text("10.in-addr.arpa"),)


def test_switches() -> None:
    made = options(
        "zone.namespaces=a,b",
        "zone.pods=verified",
        "zone.endpoint_pod_names=true",
        "zone.noendpoints=true",
        "zone.ignore_empty_service=true",
        "zone.compat=coredns",
        "zone.namespace_labels=a=b",
    )
    assert made.namespaces == {"a", "b"}
    assert made.pods is Pods.VERIFIED
    assert made.endpoint_pod_names
    assert not made.endpoints
    assert made.ignore_empty_service
    assert made.coredns
    assert made.label_selected
    assert made.expect == {Kind.SERVICE, Kind.NAMESPACE, Kind.POD}


def test_each_ttl_is_the_general_one_unless_it_is_set() -> None:
    given = ["ttl=7", "service_ttl=0", "endpoint_ttl=1", "srv_ttl=2", "ptr_ttl=3", "external_ttl=4", "pod_ttl=6"]
    assert options(*(f"zone.{setting}" for setting in given)).ttls == TTLs(0, 1, 2, 3, 4, 6, 7)
    assert options("zone.negative_ttl=1").ttls == TTLs(5, 5, 5, 5, 5, 5, 1)


def test_own_addresses_are_those_of_the_sockets_that_say_where() -> None:
    listen = "listen=127.0.0.1:53,[::1]:53,127.0.0.1:5353,0.0.0.0:54,[::]:54"
    assert options(listen).own_addresses == (bytes((127, 0, 0, 1)), bytes(15) + b"\1")
    assert options(listen, "zone.own_addresses=192.0.2.1").own_addresses == (bytes((192, 0, 2, 1)),)


def test_upstreams_of_the_configuration_count_before_those_of_resolv_conf() -> None:
    config = load(
        "", ["forward.upstreams=10.0.0.1,[2001:db8::1]:54,10.0.0.1:53", "forward.stub_zones.Corp.Example=10.0.0.2"]
    )
    assert settings.forward_zones(config, [Upstream("192.0.2.1", 53)]) == {
        from_text("corp.example"): (Upstream("10.0.0.2", 53),),
        ROOT: (Upstream("10.0.0.1", 53), Upstream("2001:db8::1", 54)),
    }


def test_without_upstreams_the_nameservers_are_asked() -> None:
    assert settings.forward_zones(load(""), [Upstream("192.0.2.1", 53)]) == {ROOT: (Upstream("192.0.2.1", 53),)}
    assert settings.forward_zones(load(""), []) == {ROOT: ()}


def test_a_nameserver_that_is_this_daemon_is_refused() -> None:
    nameservers = [Upstream("192.0.2.1", 53), Upstream("127.0.0.1", 53), Upstream("::1", 53)]
    with pytest.raises(ConfigError) as caught:
        settings.forward_zones(load("", ["listen=127.0.0.1:53,[::]:53"]), nameservers)
    assert [path for path, _ in caught.value.faults] == ["forward.resolv_conf"] * 2
    assert "nameserver 127.0.0.1:53 of /etc/resolv.conf" in str(caught.value)
    assert "nameserver [::1]:53 of /etc/resolv.conf" in str(caught.value)


def test_the_defaults_are_those_of_the_parts() -> None:
    config = load("")
    assert settings.bounds(config) == Bounds()
    assert settings.cache_limits(config) == Limits()
    assert settings.ttl_limits(config) == TtlLimits()


def test_limits_arrive() -> None:
    config = load(
        """
        [forward]
        max_in_flight = 1
        max_waiters = 2
        max_per_client = 3
        deadline = 5
        attempt_timeout = 0.5
        [cache]
        positive_bytes = 6
        negative_bytes = 7
        failure_bytes = 8
        failure_ttl = 9
        min_ttl = 10
        max_ttl = 11
        max_negative_ttl = 12
        min_negative_ttl = 1
        max_stale = 13
        stale_after = 0.25
        """
    )
    assert settings.bounds(config) == Bounds(in_flight=1, waiters=2, per_client=3, deadline=5.0, stale_after=0.25)
    assert settings.exchange_options(config) == ExchangeOptions(attempt_timeout=0.5)
    assert settings.cache_limits(config) == Limits(6, 7, 8, 9, max_stale=13)
    assert settings.ttl_limits(config) == TtlLimits(least=10, most=11, least_negative=1, most_negative=12)


def test_upstreams_of_every_kind() -> None:
    config = configured("forward.upstreams=10.0.0.1,tls://1.1.1.1@dns.example,svc://dns.infra,svc://dns.infra")
    assert settings.forward_zones(config, ()) == {
        ROOT: (Upstream("10.0.0.1", 53), Upstream("1.1.1.1", 853, "dns.example"), ClusterService("infra", "dns"))
    }


def test_tls_is_set_up_where_an_upstream_takes_it() -> None:
    assert not settings.takes_tls(configured("forward.upstreams=10.0.0.1,svc://dns.infra"))
    assert settings.takes_tls(configured("forward.upstreams=10.0.0.1", "forward.stub_zones.x=tls://1.1.1.1@a.example"))


def test_own_addresses_are_no_upstreams() -> None:
    config = load("", ["listen=127.0.0.1:53,[::]:54"])
    own = [Upstream("127.0.0.1", 53), Upstream("::1", 54), Upstream("::ffff:127.0.0.1", 53)]
    others = [Upstream("127.0.0.1", 54), Upstream("2001:db8::1", 54)]
    assert all(settings.is_own_address(config, upstream) for upstream in own)
    assert not any(settings.is_own_address(config, upstream) for upstream in others)


@pytest.mark.parametrize(
    ("chosen", "scoped"),
    [
        ((), True),
        (("zone.endpoints=all",), False),
        (("zone.compat=coredns",), False),
        (("zone.ignore_empty_service=true",), False),
        (("zone.noendpoints=true",), False),
        (("source.in_cluster=false", "source.manifests=a"), False),
    ],
)
def test_which_endpoints_are_watched(chosen: tuple[str, ...], scoped: bool) -> None:
    assert options(*chosen).scoped is scoped


def test_the_rules_are_everything_that_the_engine_is_told() -> None:
    config = load("", ["forward.deadline=2", "cache.max_ttl=7", "zone.compat=coredns", "local.no_aaaa=true"])
    assert settings.rules(config) == {
        "bounds": settings.bounds(config),
        "exchange": settings.exchange_options(config),
        "ttls": settings.ttl_limits(config),
        "local": settings.local_options(config),
        "coredns": True,
    }
    given = inspect.signature(Engine.reconfigure).parameters.values()
    keywords = {parameter.name for parameter in given if parameter.kind is inspect.Parameter.KEYWORD_ONLY}
    assert keywords == {*settings.rules(config), "static"}


def test_the_cluster_s_dns() -> None:
    asked = load("", ["source.in_cluster=true", "forward.upstreams=192.0.2.1", "forward.cluster_dns=10.96.0.10"])
    assert settings.forward_zones(asked, ())[CLUSTER] == (Upstream("10.96.0.10", 53),)
    assert options("forward.cluster_dns=10.96.0.10").asks_cluster
    assert not options().asks_cluster
    assert CLUSTER not in settings.forward_zones(load("", ["forward.upstreams=192.0.2.1"]), ())


def test_how_long_a_snapshot_is_good() -> None:
    made = load("", ["source.in_cluster=true", "source.snapshot_pod_age=7", "zone.pods=verified"])
    assert settings.snapshot_limits(made) == {
        Kind.ENDPOINT_SLICE: 7.0,
        Kind.POD: 7.0,
        Kind.SERVICE: 86400.0,
        Kind.NAMESPACE: 86400.0,
    }


@pytest.mark.parametrize(
    "changed",
    [
        "source.kubeconfig=b",
        "zone.labels=a",
        "zone.namespace_labels=a",
        "zone.pods=verified",
        "zone.noendpoints=true",
        "zone.endpoints=all",
        "zone.endpoint_pod_names=true",
        "zone.compat=coredns",
    ],
)
def test_a_snapshot_made_under_other_options_is_not_used(changed: str) -> None:
    same = settings.snapshot_origin(load("", ["source.kubeconfig=a"]))
    assert settings.snapshot_origin(load("", ["source.kubeconfig=a", "zone.ttl=30"])) == same
    assert settings.snapshot_origin(load("", ["source.kubeconfig=a", changed])) != same


@pytest.mark.parametrize(
    ("held", "may"), [("", True), ("cache.finished_bytes=0", False), ("cache.finished_bytes=11184810", True)]
)
def test_threads_ask_only_for_what_they_could_hold(held: str, may: bool) -> None:
    """By default, with nothing, and with a third."""
    assert settings.may_fly(configured(*filter(None, [held]))) is may
