"""The configuration: one frozen tree; every fault reported at once, with its path; unknown keys refused."""

from __future__ import annotations

from typing import Literal

import msgspec


class Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The zones that are answered from Kubernetes objects."""

    name: str = "cluster.local"
    reverse_zones: tuple[str, ...] = ("in-addr.arpa", "ip6.arpa")
    namespaces: tuple[str, ...] = ()  # empty: all
    labels: str = ""  # label selector on Services, EndpointSlices and Pods
    namespace_labels: str = ""  # label selector on Namespaces
    pods: Literal["disabled", "insecure", "verified"] = "disabled"
    endpoint_pod_names: bool = False
    noendpoints: bool = False
    ignore_empty_service: bool = False
    fallthrough: tuple[str, ...] = ("in-addr.arpa", "ip6.arpa")
    own_addresses: tuple[str, ...] = ()  # empty: the listening addresses
    compat: Literal["", "coredns"] = ""
    ttl: int = 5  # seconds
    # each None: as `ttl`
    service_ttl: int | None = None
    endpoint_ttl: int | None = None
    srv_ttl: int | None = None
    ptr_ttl: int | None = None
    external_ttl: int | None = None
    pod_ttl: int | None = None
    negative_ttl: int | None = None


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the Kubernetes objects come from; at most one of the three; none: no own zones, only forward and cache."""

    manifests: tuple[str, ...] = ()
    kubeconfig: str = ""
    in_cluster: bool = False


class Forward(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where every other name is asked."""

    upstreams: tuple[str, ...] = ()  # ADDR:PORT, ADDR or [ADDR]:PORT; empty: the nameservers of resolv_conf
    resolv_conf: str = "/etc/resolv.conf"  # "" with no upstreams: nothing is forwarded
    stub_zones: dict[str, tuple[str, ...]] = {}  # zone -> upstreams
    deadline: float = 4.0  # seconds for one client query, connect and all
    attempt_timeout: float = 1.2  # seconds until an attempt is given up and the next is made
    max_in_flight: int = 4096
    max_waiters: int = 1024  # per question
    max_per_client: int = 256


class Cache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of the upstreams' answers; budgets in bytes, 0: keep none."""

    positive_bytes: int = 32 << 20
    negative_bytes: int = 4 << 20
    failure_bytes: int = 1 << 20
    max_ttl: int = 86400  # seconds
    max_negative_ttl: int = 30
    min_ttl: int = 0
    failure_ttl: int = 1


class Tcp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of TCP service (RFC 7766, RFC 9210)."""

    max_connections: int = 1024
    max_per_source: int = 64
    max_pipelined: int = 64
    message_timeout: float = 3.0  # from a message's first octet (or the connection's begin) to its last
    idle_timeout: float = 10.0


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    listen: tuple[str, ...] = ("127.0.0.1:53",)
    admin: str = "127.0.0.1:9253"  # "": no HTTP
    drain: float = 5.0  # seconds that SIGTERM leaves for what is in hand
    source: Source = Source()
    zone: Zone = Zone()
    forward: Forward = Forward()
    cache: Cache = Cache()
    tcp: Tcp = Tcp()
    log: Log = Log()
