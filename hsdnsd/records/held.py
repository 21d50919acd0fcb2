"""What is held of the cluster: namespaces, their Services, and the slices joined to each Service."""

from __future__ import annotations

import msgspec

from hsdnsd.records.endpoints import NO_ENDPOINTS, Endpoints, wire_label
from hsdnsd.records.model import ServiceFact


class HeldNamespace:
    """A namespace that the cluster told of, or in which something is held.

    Attributes:
        name: its name.
        told: the Namespace object is held.
        configured: the `namespaces` option does not leave it out.
        services: by name, whether the Service itself or only slices of it are held.
        served: how many Services themselves.
        pods: how many pods have each of the packed addresses that pod names are answered for.
    """

    __slots__ = ("configured", "name", "pods", "served", "services", "told")

    def __init__(self, name: str, configured: bool) -> None:
        self.name = name
        self.told = False
        self.configured = configured
        self.services: dict[str, HeldService] = {}
        self.served = 0
        self.pods: dict[bytes, int] = {}

    @property
    def empty(self) -> bool:
        return not (self.told or self.services or self.pods)

    def count_pod(self, old: set[bytes], new: set[bytes]) -> bool:
        """A pod had some addresses and has others now; whether that makes an address the first or the last of its."""
        changed = False
        for address in new - old:
            self.pods[address] = self.pods.get(address, 0) + 1
            changed = changed or self.pods[address] == 1
        for address in old - new:
            self.pods[address] -= 1
            if not self.pods[address]:
                del self.pods[address]
                changed = True
        return changed


class HeldService(msgspec.Struct, eq=False):
    """A Service and its slices, in whatever order they came.

    Attributes:
        namespace: where it is.
        name: its name.
        fact: the Service; None if only slices were told of.
        slices: all of its slices (an endpoint may stand in two while the controller moves it).
    """

    namespace: HeldNamespace
    name: str
    fact: ServiceFact | None = None
    slices: list[HeldSlice] = []

    @property
    def path(self) -> bytes:
        """Labels of Service and namespace in wire form, spelled as in the objects, without the root."""
        return wire_label(self.name.encode("ascii")) + wire_label(self.namespace.name.encode("ascii"))


class HeldSlice(msgspec.Struct, eq=False):
    """A slice, and the Service that it belongs to."""

    service: HeldService
    endpoints: Endpoints = NO_ENDPOINTS


def namespace_of(holder: HeldService | HeldSlice) -> HeldNamespace:
    """Where a Service is, or that of a slice."""
    return (holder if isinstance(holder, HeldService) else holder.service).namespace


def own_records(fact: ServiceFact | None) -> int:
    """How many records a Service has without its endpoints: addresses, or a CNAME."""
    return 0 if fact is None else len(fact.cluster_ips) + (fact.external_name is not None)
