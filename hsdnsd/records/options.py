"""How the own zones are to be served."""

from __future__ import annotations

import enum

import msgspec

from hsdnsd.records.model import Kind
from hsdnsd.wire.name import Name


class Pods(enum.Enum):
    """Which names below `pod.ZONE` are answered (docs/names.md, P1 to P6)."""

    DISABLED = "disabled"
    INSECURE = "insecure"
    VERIFIED = "verified"


class TTLs(msgspec.Struct, frozen=True):
    """TTL in seconds for each kind of record; 0 is allowed."""

    service: int = 5
    endpoint: int = 5
    srv: int = 5
    ptr: int = 5
    external: int = 5
    pod: int = 5
    negative: int = 5


class ZoneOptions(msgspec.Struct, frozen=True):
    """What the configuration says of the own zones, in the core's terms (names folded, in wire form).

    Attributes:
        zone: the cluster domain.
        reverse_zones: reverse zones served, in-addr.arpa and ip6.arpa or parts of them.
        namespaces: the namespaces exposed; None: all.
        fallthrough: names below these that are NXDOMAIN here are asked elsewhere; the root means all.
        pods: which pod names are answered.
        ttls: TTLs.
        endpoint_pod_names: endpoints without hostname are called after their pod, if that is a label.
        endpoints: False: no endpoints are known; headless Services and endpoint names do not exist.
        scoped: of endpoints only those of headless Services are known, and those that somebody else than Kubernetes'
            own controller keeps: names that need others may exist, and are not found here.
        asks_cluster: what may exist and can't be told here is asked of the cluster's DNS.
        ignore_empty_service: a ClusterIP Service without ready endpoints does not exist (PTR stays).
        coredns: answer as CoreDNS does, oddities included.
        own_addresses: packed addresses that the daemon serves on, for the apex NS.
        expect: kinds that must have been listed before absence may be told.
        label_selected: a label selector for namespaces is in force, so a namespace without its object is not exposed.
    """

    zone: Name
    reverse_zones: tuple[Name, ...] = ()
    namespaces: frozenset[str] | None = None
    fallthrough: tuple[Name, ...] = ()
    pods: Pods = Pods.DISABLED
    ttls: TTLs = TTLs()
    endpoint_pod_names: bool = False
    endpoints: bool = True
    scoped: bool = False
    asks_cluster: bool = False
    ignore_empty_service: bool = False
    coredns: bool = False
    own_addresses: tuple[bytes, ...] = ()
    expect: frozenset[Kind] = frozenset()
    label_selected: bool = False
