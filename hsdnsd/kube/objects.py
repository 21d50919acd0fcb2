"""Kubernetes objects as far as DNS reads them, and the envelopes that the API server sends them in.

Fields that are not named here are skipped by the parser and never allocated (managedFields is most of an object's
bytes). Every optional field may also be null, as Go writes empty lists ("endpoints": null). Objects are decoded with
their envelope; where that fails they stay `Raw` in it and are decoded one at a time, so one that can't be understood
stops nobody else's.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec

from hsdnsd.records.model import Key, Kind

# Of one object, at the most. It is no larger than etcd's request limit (1.5 MiB, if nobody raised it).
OBJECT_OCTETS = 8 << 20

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_PortNumber = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Meta(msgspec.Struct, gc=False):
    """metadata, as every kind has it."""

    name: _Name
    namespace: str | None = None
    resource_version: str | None = msgspec.field(default=None, name="resourceVersion")


class ServicePort(msgspec.Struct, gc=False):
    port: _PortNumber
    name: str | None = None
    protocol: str | None = None


class ServiceSpec(msgspec.Struct, gc=False):
    type: str | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    external_name: str | None = msgspec.field(default=None, name="externalName")
    publish_not_ready: bool | None = msgspec.field(default=None, name="publishNotReadyAddresses")
    ports: list[ServicePort] | None = None


class Service(msgspec.Struct, gc=False):
    """v1 Service."""

    metadata: Meta
    spec: ServiceSpec | None = None


class SliceLabels(msgspec.Struct, gc=False):
    service: str | None = msgspec.field(default=None, name="kubernetes.io/service-name")
    headless: str | None = msgspec.field(default=None, name="service.kubernetes.io/headless")
    manager: str | None = msgspec.field(default=None, name="endpointslice.kubernetes.io/managed-by")


class SliceAnnotations(msgspec.Struct, gc=False):
    changed: str | None = msgspec.field(default=None, name="endpoints.kubernetes.io/last-change-trigger-time")


class SliceMeta(Meta, gc=False):
    labels: SliceLabels | None = None
    annotations: SliceAnnotations | None = None


class SlicePort(msgspec.Struct, gc=False):
    name: str | None = None
    protocol: str | None = None
    port: _PortNumber | None = None


class Conditions(msgspec.Struct, gc=False):
    ready: bool | None = None


class TargetRef(msgspec.Struct, gc=False):
    kind: str | None = None
    name: str | None = None


class Endpoint(msgspec.Struct, gc=False):
    addresses: list[str] | None = None
    conditions: Conditions | None = None
    hostname: str | None = None
    target: TargetRef | None = msgspec.field(default=None, name="targetRef")


class EndpointSlice(msgspec.Struct, gc=False):
    """discovery.k8s.io/v1 EndpointSlice."""

    metadata: SliceMeta
    address_type: str | None = msgspec.field(default=None, name="addressType")
    endpoints: list[Endpoint] | None = None
    ports: list[SlicePort] | None = None


class Namespace(msgspec.Struct, gc=False):
    """v1 Namespace."""

    metadata: Meta


class PodMeta(Meta, gc=False):
    deleted: str | None = msgspec.field(default=None, name="deletionTimestamp")


class PodIP(msgspec.Struct, gc=False):
    ip: str | None = None


class PodStatus(msgspec.Struct, gc=False):
    phase: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[PodIP] | None = msgspec.field(default=None, name="podIPs")


class Pod(msgspec.Struct, gc=False):
    """v1 Pod."""

    metadata: PodMeta
    status: PodStatus | None = None


Object = Service | EndpointSlice | Namespace | Pod
AnyObject = TypeVar("AnyObject", Service, EndpointSlice, Namespace, Pod)

OBJECT_OF: dict[Kind, type[Service | EndpointSlice | Namespace | Pod]] = {
    Kind.SERVICE: Service,
    Kind.ENDPOINT_SLICE: EndpointSlice,
    Kind.NAMESPACE: Namespace,
    Kind.POD: Pod,
}


class Annotations(msgspec.Struct, gc=False):
    initial_events_end: str | None = msgspec.field(default=None, name="k8s.io/initial-events-end")


class HeadMeta(msgspec.Struct, gc=False):
    name: str | None = None
    namespace: str | None = None
    resource_version: str | None = msgspec.field(default=None, name="resourceVersion")
    annotations: Annotations | None = None


class Head(msgspec.Struct, gc=False):
    """What is read of an object where only its identity matters: deleted, a bookmark, one that can't be decoded."""

    metadata: HeadMeta


class Event(msgspec.Struct, gc=False):
    """One line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR with the object.

    A server may also answer a watch with a bare Status; it has no `type`, and `kind` says what it is.
    """

    type: str = ""
    object: msgspec.Raw = msgspec.Raw(b"")
    kind: str = ""


class Told(msgspec.Struct, Generic[AnyObject], gc=False):
    """A line of a watch as nearly all are, decoded in one go: an object of the kind that is watched."""

    type: str
    object: AnyObject


class ListMeta(msgspec.Struct, gc=False):
    resource_version: str | None = msgspec.field(default=None, name="resourceVersion")
    next_page: str | None = msgspec.field(default=None, name="continue")


class ListHead(msgspec.Struct, gc=False):
    """What a list begins with, up to its objects."""

    items: list[msgspec.Raw]


class Page(msgspec.Struct, gc=False):
    """The envelope of a list, or of a page of one."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


class Status(msgspec.Struct, gc=False):
    """meta/v1 Status: what the API server says went wrong."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None


def key_of(kind: Kind, namespace: str | None, name: str) -> Key:
    """Identity of an object. A Namespace has none of its own; elsewhere the API's default is "default"."""
    return Key("" if kind is Kind.NAMESPACE else namespace or "default", name)


def list_type(kind: Kind) -> Any:
    """The type of an array of a kind's objects."""
    of: Any = OBJECT_OF[kind]
    return list[of]


def told_type(kind: Kind) -> Any:
    """The type of `Told` of a kind's objects."""
    told: Any = Told
    return told[OBJECT_OF[kind]]
