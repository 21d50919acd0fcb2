"""The facts of Kubernetes objects that DNS needs, and nothing else of them. A field is here because a rule reads it.

Facts are frozen, compare by value, and are what both sources (API server, manifests) deliver, so that an update
which changes nothing for DNS is seen to change nothing. Where they are written down, they are arrays.
"""

from __future__ import annotations

import enum
from collections.abc import Collection

import msgspec


class Kind(enum.Enum):
    """The kinds of object that are watched."""

    SERVICE = "Service"
    ENDPOINT_SLICE = "EndpointSlice"
    NAMESPACE = "Namespace"
    POD = "Pod"

    __hash__ = object.__hash__  # Enum's own is Python, and each change looks up some tables by kind


class Key(msgspec.Struct, frozen=True, gc=False, order=True):
    """Identity of an object within its kind; `namespace` is "" for a Namespace."""

    namespace: str
    name: str


class Port(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A port of a Service or a slice.

    Attributes:
        name: "" if unnamed.
        protocol: lower case: tcp, udp, sctp.
        number: None where a slice's port has none (it then makes no SRV record).
    """

    name: str
    protocol: str
    number: int | None


class ServiceFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A v1 Service.

    Attributes:
        cluster_ips: packed addresses (4 or 16 octets) in the order of the object; empty for headless and ExternalName.
        headless: clusterIP is None.
        external_name: the target as spelled in the object if the type is ExternalName, else None. "" is possible.
        publish_not_ready: spec.publishNotReadyAddresses (its older annotation is not read: gone since 1.24).
    """

    namespace: str
    name: str
    cluster_ips: tuple[bytes, ...] = ()
    headless: bool = False
    external_name: str | None = None
    publish_not_ready: bool = False
    ports: tuple[Port, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class EndpointSliceFact(msgspec.Struct, frozen=True, gc=False):
    """A discovery.k8s.io/v1 EndpointSlice of address type IPv4 or IPv6 that carries kubernetes.io/service-name.

    Its endpoints stand in columns with a row for each address, those that are ready first: a hundred thousand come with
    a first list, and with an object for each endpoint it takes a third longer to make facts of them.

    Attributes:
        service: the label's value: which Service of the same namespace it belongs to.
        addresses: packed.
        ready: how many of them, from the first (`discovery.k8s.io/v1` says of conditions.ready: unset means true).
        hostnames: of the endpoint that has the address, lower case as the API has it; "" if none, () if none has one.
        pods: targetRef.name where the hostname is no label, if targetRef.kind is Pod (or unset); "" if none, () if none
            has one.
        texts: an IPv6 address as it stands in the slice, which names endpoints that have no other name; "" for IPv4, ()
            if there is none.
    """

    namespace: str
    name: str
    service: str
    ports: tuple[Port, ...] = ()
    addresses: tuple[bytes, ...] = ()
    ready: int = 0
    hostnames: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class NamespaceFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A v1 Namespace."""

    name: str

    @property
    def key(self) -> Key:
        return Key("", self.name)


class PodFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A v1 Pod that is not being deleted, for `pods = "verified"`.

    Attributes:
        addresses: packed; the primary address (status.podIP) first, then the rest of status.podIPs.
    """

    namespace: str
    name: str
    addresses: tuple[bytes, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


class SliceMemory(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A slice with the endpoints that names are made of; see `Endpoints`. Good under the options it was made with."""

    namespace: str
    name: str
    service: str
    ports: tuple[Port, ...]
    addresses: tuple[bytes, ...]
    names: tuple[bytes | None, ...] | None
    folded: tuple[bytes | None, ...] | None
    texts: tuple[str | None, ...] | None
    ready: int

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


Fact = ServiceFact | EndpointSliceFact | NamespaceFact | PodFact

# What the zones are answered from, in a form that can be written down and read again: facts, slices boiled down.
Memory = ServiceFact | SliceMemory | NamespaceFact | PodFact

KIND_OF: dict[type, Kind] = {
    ServiceFact: Kind.SERVICE,
    EndpointSliceFact: Kind.ENDPOINT_SLICE,
    NamespaceFact: Kind.NAMESPACE,
    PodFact: Kind.POD,
}


class Upserted(msgspec.Struct, frozen=True, gc=False):
    """An object was made or changed."""

    fact: Fact


class Deleted(msgspec.Struct, frozen=True, gc=False):
    """An object is gone, or no longer selected."""

    kind: Kind
    key: Key


class Replaced(msgspec.Struct, frozen=True, gc=False):
    """The whole set of one kind, from a list; whatever it does not hold is gone. The first one means: synced."""

    kind: Kind
    facts: tuple[Fact, ...]


class Listing(msgspec.Struct, frozen=True, gc=False):
    """Some objects of a list of one kind that has not ended. As `Upserted` for each."""

    kind: Kind
    facts: tuple[Fact, ...]


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A list of one kind has ended, whose objects were told as they came: whatever it does not name is gone.

    As `Replaced`, but nobody has to hold all facts at once, nor take them in without a pause.

    Attributes:
        keys: may be another's own set: to be read at once, and not to be kept.
    """

    kind: Kind
    keys: Collection[Key]


class Amended(msgspec.Struct, frozen=True, gc=False):
    """What a list of one kind said otherwise than it was held, all of it at once: an answer is made from what was
    before, or from what is after.

    Attributes:
        told: objects as they are now. gone: those that are not there any more.
        last: with this everything that the list said is in force.
    """

    kind: Kind
    told: tuple[Memory, ...]
    gone: tuple[Key, ...]
    last: bool = True


Change = Upserted | Deleted | Replaced | Listing | Listed | Amended
