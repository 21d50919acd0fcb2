"""Decoded Kubernetes objects -> facts. Pure; the same functions serve the API server and manifests."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, inet_pton
from sys import intern

from hsdnsd.kube import objects
from hsdnsd.records.endpoints import is_label
from hsdnsd.records.model import (
    EndpointSliceFact,
    Fact,
    NamespaceFact,
    PodFact,
    Port,
    ServiceFact,
)

_HEADLESS = "None"
_POD_KINDS = ("Pod", "", None)
_FINISHED_PHASES = frozenset(("Succeeded", "Failed", "Unknown"))


def to_fact(obj: objects.Object) -> Fact | None:
    """The fact of an object; None where there is nothing in it that DNS may tell. Cannot fail."""
    if isinstance(obj, objects.EndpointSlice):
        return endpoint_slice_fact(obj)
    if isinstance(obj, objects.Service):
        return service_fact(obj)
    if isinstance(obj, objects.Pod):
        return pod_fact(obj)
    return NamespaceFact(obj.metadata.name)


def service_fact(obj: objects.Service) -> ServiceFact:
    """A Service of type ExternalName is external whatever else it says. Addresses that can't be parsed (an
    unassigned "" above all) are left out.
    """
    spec = obj.spec or objects.ServiceSpec()
    external = spec.type == "ExternalName"
    texts = spec.cluster_ips or [spec.cluster_ip or ""]
    headless = not external and _HEADLESS in (texts[0], spec.cluster_ip)
    packed = () if external or headless else tuple(filter(None, map(pack_address, texts)))
    return ServiceFact(
        intern(obj.metadata.namespace or "default"),
        intern(obj.metadata.name),
        packed,
        headless,
        (spec.external_name or "") if external else None,
        spec.publish_not_ready is True,
        _ports(spec.ports or ()),
    )


def endpoint_slice_fact(obj: objects.EndpointSlice) -> EndpointSliceFact | None:
    """None for a slice that belongs to no Service (no kubernetes.io/service-name: no name could be made for its
    endpoints), and for the address type FQDN, which is deprecated and which kube-proxy ignores too.
    """
    meta = obj.metadata
    service = meta.labels.service if meta.labels is not None else None
    if not service or obj.address_type == "FQDN":
        return None
    ready: Sequence[objects.Endpoint] = obj.endpoints or ()
    unready = [one for one in ready if one.conditions is not None and one.conditions.ready is False]
    if unready:
        ready = [one for one in ready if one.conditions is None or one.conditions.ready is not False]
    addresses: list[bytes] = []
    hostnames: list[str] = []
    pods: dict[int, str] = {}
    texts: dict[int, str] = {}
    count = 0
    for part in (ready, unready):
        count = len(addresses)
        for endpoint in part:
            hostname, target = endpoint.hostname or "", endpoint.target
            unnamed = not is_label(hostname)
            for text in endpoint.addresses or ():
                if (packed := pack_address(text)) is None:
                    continue
                if len(packed) != 4:
                    texts[len(addresses)] = text
                if unnamed and target is not None and target.name and target.kind in _POD_KINDS:
                    pods[len(addresses)] = target.name
                addresses.append(packed)
                hostnames.append(hostname)
    return EndpointSliceFact(
        intern(meta.namespace or "default"),
        meta.name,
        intern(service),
        _ports(obj.ports or ()),
        tuple(addresses),
        count,
        tuple(hostnames) if any(hostnames) else (),
        _column(pods, len(addresses)),
        _column(texts, len(addresses)),
    )


def _column(texts: dict[int, str], length: int) -> tuple[str, ...]:
    return tuple([texts.get(place, "") for place in range(length)]) if texts else ()


def pod_fact(obj: objects.Pod) -> PodFact | None:
    """None for a pod that is being deleted, has ended (phase Succeeded, Failed, Unknown), or has no address yet.

    A pod on the host's network has the node's address, and keeps it.
    """
    status = obj.status
    if obj.metadata.deleted is not None or status is None or status.phase in _FINISHED_PHASES:
        return None
    texts = [status.pod_ip or "", *[entry.ip or "" for entry in status.pod_ips or ()]]
    packed = tuple(dict.fromkeys(filter(None, map(pack_address, texts))))
    if not packed:
        return None
    return PodFact(intern(obj.metadata.namespace or "default"), obj.metadata.name, packed)


def pack_address(text: str) -> bytes | None:
    """4 or 16 octets, or None if the text is no IP address."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL or a lone surrogate in the text
        return None


def _ports(ports: Sequence[objects.ServicePort | objects.SlicePort]) -> tuple[Port, ...]:
    return tuple([_port(port.name, port.protocol, port.port) for port in ports])


@functools.lru_cache(maxsize=4096)
def _port(name: str | None, protocol: str | None, number: int | None) -> Port:
    """Shared: slices of one Service, and most Services of a cluster, have the same few ports."""
    return Port(intern(name or ""), intern((protocol or "TCP").lower()), number)
