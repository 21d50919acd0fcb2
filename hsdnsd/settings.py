"""The configuration in the terms of those who are configured: texts become names and addresses, tables options."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypedDict

from hsdnsd.address import is_own, parse_address, parse_endpoint
from hsdnsd.cache.cache import Limits
from hsdnsd.cache.policy import TtlLimits
from hsdnsd.config import Config
from hsdnsd.engine.exchange import ExchangeOptions
from hsdnsd.engine.following import Given
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.route import LocalOptions
from hsdnsd.engine.upstreams import CLUSTER, Upstream
from hsdnsd.errors import ConfigError
from hsdnsd.forms import parse_upstream, parse_zone
from hsdnsd.records.model import Kind
from hsdnsd.records.options import Pods, TTLs, ZoneOptions
from hsdnsd.wire.name import ROOT, Name


def zone_options(config: Config) -> ZoneOptions | None:
    """How the own zones are to be served; None: no source of Kubernetes objects, so there are none."""
    source, zone = config.source, config.zone
    if not (source.manifests or source.kubeconfig or source.in_cluster):
        return None
    return ZoneOptions(
        zone=parse_zone(zone.name),
        reverse_zones=tuple(parse_zone(text) for text in zone.reverse_zones),
        namespaces=frozenset(zone.namespaces) or None,
        fallthrough=tuple(parse_zone(text) for text in zone.fallthrough),
        pods=Pods(zone.pods),
        ttls=_ttls(config),
        endpoint_pod_names=zone.endpoint_pod_names,
        endpoints=not zone.noendpoints,
        scoped=is_scoped(config),
        asks_cluster=bool(config.forward.cluster_dns),
        ignore_empty_service=zone.ignore_empty_service,
        coredns=zone.compat == "coredns",
        own_addresses=_own_addresses(config),
        expect=watched_kinds(config),
        label_selected=bool(zone.namespace_labels),
    )


def watched_kinds(config: Config) -> frozenset[Kind]:
    """The kinds of object that the own zones are made from."""
    kinds = {Kind.SERVICE, Kind.NAMESPACE}
    if not config.zone.noendpoints:
        kinds.add(Kind.ENDPOINT_SLICE)
    if config.zone.pods == "verified":
        kinds.add(Kind.POD)
    return frozenset(kinds)


def is_scoped(config: Config) -> bool:
    """Whether only those EndpointSlices are watched that names are commonly made from.

    Manifests are there anyway. CoreDNS knows them all, and who is to hide Services without endpoints has to.
    """
    zone = config.zone
    if config.source.manifests or zone.compat == "coredns" or zone.ignore_empty_service or zone.noendpoints:
        return False
    return zone.endpoints == "headless"


def snapshot_limits(config: Config) -> dict[Kind, float]:
    """For how many seconds each kind is told as it is recalled."""
    source = config.source
    soon = {Kind.ENDPOINT_SLICE, Kind.POD}
    return {
        kind: source.snapshot_pod_age if kind in soon else source.snapshot_service_age
        for kind in sorted(watched_kinds(config), key=lambda kind: kind.value)
    }


def snapshot_origin(config: Config) -> str:
    """What a snapshot is good for: this cluster, under options that make the same facts of it."""
    source, zone = config.source, config.zone
    where = source.kubeconfig or "in the cluster"
    selected = (zone.labels, zone.namespace_labels, zone.pods, zone.noendpoints, is_scoped(config))
    made = (zone.endpoint_pod_names, zone.compat)
    return hashlib.sha256(repr((where, selected, made)).encode()).hexdigest()


def forward_zones(config: Config, nameservers: Sequence[Upstream]) -> dict[Name, Sequence[Given]]:
    """Folded zone -> who is asked for it; the root's are for whatever no stub zone takes, CLUSTER's the cluster's DNS.

    Args:
        nameservers: those of `forward.resolv_conf`; not looked at if `forward.upstreams` names others.

    Raises:
        ConfigError: one of the nameservers is this daemon.
    """
    zones: dict[Name, Sequence[Given]] = {
        parse_zone(name): _upstreams(texts) for name, texts in config.forward.stub_zones.items()
    }
    if config.forward.cluster_dns:
        zones[CLUSTER] = _upstreams(config.forward.cluster_dns)
    if config.forward.upstreams:
        zones[ROOT] = _upstreams(config.forward.upstreams)
        return zones
    loops = [server for server in nameservers if is_own_address(config, server)]
    if loops:
        problem = "is this daemon's own listening address; name other servers in forward.upstreams"
        path = config.forward.resolv_conf
        raise ConfigError([("forward.resolv_conf", f"nameserver {server} of {path} {problem}") for server in loops])
    if config.forward.resolv_conf:
        zones[ROOT] = tuple(nameservers)
    return zones


def is_own_address(config: Config, upstream: Upstream) -> bool:
    """Whether what is sent to an upstream would come in at an address that is listened on."""
    return any(is_own(upstream.endpoint, parse_endpoint(text)) for text in config.listen)


def takes_tls(config: Config) -> bool:
    """Whether any upstream is asked over TLS."""
    given = [server for zone in forward_zones(config, ()).values() for server in zone]
    return any(isinstance(server, Upstream) and server.tls_name is not None for server in given)


def local_options(config: Config) -> LocalOptions:
    """What is answered here beside the own zones. Of special names CoreDNS knows nothing."""
    local = config.local
    knows_special = config.zone.compat != "coredns"
    return LocalOptions(
        special_names=local.special_names and knows_special,
        private_reverse=local.private_reverse and knows_special,
        rewrites={parse_zone(suffix): parse_zone(other) for suffix, other in local.rewrite.items()},
        no_aaaa=local.no_aaaa,
    )


class Rules(TypedDict):
    """How the engine is to answer, beside the zones: keywords of `Engine.reconfigure`."""

    bounds: Bounds
    exchange: ExchangeOptions
    ttls: TtlLimits
    local: LocalOptions
    coredns: bool


def rules(config: Config) -> Rules:
    """How the engine is to answer."""
    return Rules(
        bounds=bounds(config),
        exchange=exchange_options(config),
        ttls=ttl_limits(config),
        local=local_options(config),
        coredns=config.zone.compat == "coredns",
    )


def bounds(config: Config) -> Bounds:
    """What may be open at once, and for how long."""
    forward = config.forward
    return Bounds(
        in_flight=forward.max_in_flight,
        waiters=forward.max_waiters,
        per_client=forward.max_per_client,
        deadline=forward.deadline,
        stale_after=config.cache.stale_after,
    )


def exchange_options(config: Config) -> ExchangeOptions:
    """How upstreams are asked."""
    forward = config.forward
    return ExchangeOptions(
        attempt_timeout=forward.attempt_timeout,
        force_tcp=forward.transport == "force_tcp",
        mix_case=forward.mix_case,
    )


def cache_limits(config: Config) -> Limits:
    """Budgets of the cache of upstreams' answers."""
    cache = config.cache
    return Limits(
        success_bytes=cache.positive_bytes,
        denial_bytes=cache.negative_bytes,
        failure_bytes=cache.failure_bytes,
        failure_ttl=cache.failure_ttl,
        max_stale=cache.max_stale,
    )


def may_fly(config: Config) -> bool:
    """Whether threads may ask upstreams by themselves: only if they hold about what the cache holds.

    What they do not hold they ask for. An answer takes them less than a third of what it takes the cache.
    """
    return config.cache.finished_bytes >= config.cache.positive_bytes // 3


def ttl_limits(config: Config) -> TtlLimits:
    """Between what TTLs an upstream's answer is kept."""
    cache = config.cache
    return TtlLimits(
        least=cache.min_ttl,
        most=cache.max_ttl,
        least_negative=cache.min_negative_ttl,
        most_negative=cache.max_negative_ttl,
    )


def _ttls(config: Config) -> TTLs:
    zone = config.zone

    def or_ttl(seconds: int | None) -> int:
        return zone.ttl if seconds is None else seconds

    return TTLs(
        service=or_ttl(zone.service_ttl),
        endpoint=or_ttl(zone.endpoint_ttl),
        srv=or_ttl(zone.srv_ttl),
        ptr=or_ttl(zone.ptr_ttl),
        external=or_ttl(zone.external_ttl),
        pod=or_ttl(zone.pod_ttl),
        negative=or_ttl(zone.negative_ttl),
    )


def _own_addresses(config: Config) -> tuple[bytes, ...]:
    """Packed; of the listening addresses those that say where, so not 0.0.0.0 and [::]."""
    if config.zone.own_addresses:
        return tuple(parse_address(text).packed for text in config.zone.own_addresses)
    hosts = [parse_address(parse_endpoint(text).host) for text in config.listen]
    return tuple(dict.fromkeys(host.packed for host in hosts if not host.is_unspecified))


def _upstreams(texts: Sequence[str]) -> tuple[Given, ...]:
    """Each server once, in the order of the configuration."""
    return tuple(dict.fromkeys(map(parse_upstream, texts)))
