"""The objects that are held, joined by (namespace, Service), and whose answers end when one of them changes."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Final

import msgspec

from hsdnsd.records.addresses import AddressRange
from hsdnsd.records.endpoints import NO_ENDPOINTS, Endpoints, boil_down, is_label, renamed
from hsdnsd.records.held import HeldNamespace, HeldService, HeldSlice, namespace_of, own_records
from hsdnsd.records.memory import remembered, slice_memory
from hsdnsd.records.model import (
    EndpointSliceFact,
    Fact,
    Key,
    Kind,
    Memory,
    NamespaceFact,
    PodFact,
    Port,
    ServiceFact,
    SliceMemory,
)
from hsdnsd.records.options import Pods, ZoneOptions
from hsdnsd.records.own import OwnAddresses
from hsdnsd.records.owners import ZONE, address_owner, namespace_owner, service_owner
from hsdnsd.records.result import Owner
from hsdnsd.records.reverse_index import Holder, ReverseIndex

# Sets of ports that slices and Services share; a cluster has few, and one that has many more loses only memory.
_SHARED_PORTS: Final = 4096
_SLICES: Final = (EndpointSliceFact, SliceMemory)


class Holdings:
    """Objects, and what the zones are answered from. One owner; not thread-safe.

    Slices are kept by their own name and joined to Services by label, in whatever order the two arrive; a Service's
    records come from *all* its slices (an endpoint may stand in two while the controller moves it). An object whose
    name is no label (the API server has none such) is not held: nobody could ask for it.
    """

    def __init__(self, options: ZoneOptions) -> None:
        self._options = options
        # A namespace is exposed only if its object is held: CoreDNS's rule, and what a label selector means.
        self._strict = options.coredns or options.label_selected
        self._ignore_empty = options.ignore_empty_service and (options.endpoints or options.coredns)
        self._namespaces: dict[str, HeldNamespace] = {}
        self._slices: dict[Key, HeldSlice] = {}
        self._pods: dict[Key, tuple[bytes, ...]] = {}
        self._reverse = ReverseIndex()
        self._own = OwnAddresses(options.own_addresses)
        self._ports: dict[tuple[Port, ...], tuple[Port, ...]] = {}
        self._counts = {Kind.SERVICE: 0, Kind.NAMESPACE: 0}
        self._records = 0

    def memories(self, kind: Kind) -> list[Memory]:
        """What is held of a kind, for `recall`. A copy in which nothing changes any more."""
        if kind is Kind.ENDPOINT_SLICE:
            return [slice_memory(key, held.service.name, held.endpoints) for key, held in self._slices.items()]
        if kind is Kind.POD:
            return [PodFact(key.namespace, key.name, addresses) for key, addresses in self._pods.items()]
        if kind is Kind.NAMESPACE:
            return [NamespaceFact(home.name) for home in self._namespaces.values() if home.told]
        services = (service for home in self._namespaces.values() for service in home.services.values())
        return [service.fact for service in services if service.fact is not None]

    def beyond(self, kind: Kind, keys: Collection[Key]) -> list[Key]:
        """The objects of a kind that are held and not among these."""
        return [key for key in self._keys(kind) if key not in keys]

    def slice_at(self, key: Key) -> HeldSlice | None:
        """A slice by its own name."""
        return self._slices.get(key)

    def counts(self) -> dict[str, int]:
        """Objects held, by kind's value ("Service", ...); and "records": addresses and CNAMEs of Services and of their
        published endpoints, each slice's counted."""
        return {
            Kind.SERVICE.value: self._counts[Kind.SERVICE],
            Kind.ENDPOINT_SLICE.value: len(self._slices),
            Kind.NAMESPACE.value: self._counts[Kind.NAMESPACE],
            Kind.POD.value: len(self._pods),
            "records": self._records,
        }

    def has_namespace(self, name: str) -> bool:
        """Whether a namespace exists and is exposed."""
        home = self._namespaces.get(name)
        return home is not None and self._exists(home)

    def service(self, namespace: str, name: str) -> HeldService | None:
        """A Service that is exposed, with its `fact`; headless, it may yet have no name for want of endpoints."""
        home = self._namespaces.get(namespace)
        service = None if home is None else home.services.get(name)
        if service is None or service.fact is None or not self._exposes(service.namespace):
            return None
        return None if self._ignore_empty and self._is_idle(service, service.fact) else service

    def held(self, namespace: str, name: str) -> HeldService | None:
        """A Service that is held or has slices that are, exposed or not."""
        home = self._namespaces.get(namespace)
        return None if home is None else home.services.get(name)

    def visible(self, held: HeldSlice) -> int:
        """How many of a slice's endpoints, from the first, are published.

        `publishNotReadyAddresses` says of itself that any agent is to disregard readiness; CoreDNS leaves that to who
        writes the slices.
        """
        fact = held.service.fact
        return held.endpoints.visible(fact is not None and fact.publish_not_ready and not self._options.coredns)

    def pods_at(self, namespace: str, address: bytes) -> int:
        """How many pods of a namespace have an address (the primary one, for CoreDNS)."""
        home = self._namespaces.get(namespace)
        return 0 if home is None else home.pods.get(address, 0)

    def holders(self, address: bytes) -> tuple[Holder, ...]:
        """Who gives an address its reverse name."""
        holders = self._reverse.holders(address)
        if self._options.coredns and self._options.namespaces is not None:
            return tuple(holder for holder in holders if namespace_of(holder).told)
        return holders

    def any_within(self, addresses: AddressRange) -> bool:
        """Whether an address of a range has a reverse name."""
        return self._reverse.any_within(addresses)

    def own_slices(self) -> list[HeldSlice]:
        """The slices that publish one of the daemon's own addresses."""
        return self._own.slices()

    # As `_put` for what was not there, where nobody needs to know whose answers that ends: without that a hundred
    # thousand endpoints are there in a third of the time.

    def _hold(self, these: Iterable[Fact | Memory]) -> None:
        back: list[tuple[tuple[bytes, ...], HeldSlice]] = []
        for fact in these:
            if isinstance(fact, _SLICES) and self._holds(fact) and (key := fact.key) not in self._slices:
                back.append(self._hold_slice(key, fact.service, self._endpoints(fact)))
            elif isinstance(fact, ServiceFact) and is_label(fact.namespace) and is_label(fact.name):
                self._hold_service(fact)
            else:
                self._reverse.link_all(back)  # it may be the change of a slice that is among them
                back = []
                self._put(fact, set())
        self._reverse.link_all(back)

    def _hold_slice(self, key: Key, service_name: str, endpoints: Endpoints) -> tuple[tuple[bytes, ...], HeldSlice]:
        """Returns the addresses that are to lead back to the slice, and what is held of it."""
        home = self._namespaces.get(key.namespace) or self._namespace(key.namespace)
        service = home.services.get(service_name)
        if service is None:
            service = home.services[service_name] = HeldService(home, service_name)
        held = self._slices[key] = HeldSlice(service, endpoints)
        service.slices.append(held)
        visible = self.visible(held)
        self._records += visible
        addresses = endpoints.addresses if visible == len(endpoints.addresses) else endpoints.addresses[:visible]
        if self._own:
            self._own.publish(held, frozenset(addresses))
        return addresses if self._options.reverse_zones and home.configured else (), held

    def _hold_service(self, fact: ServiceFact) -> None:
        home = self._namespaces.get(fact.namespace) or self._namespace(fact.namespace)
        service = home.services.get(fact.name)
        if service is not None and (service.fact is not None or fact.publish_not_ready):
            self._put(fact, set())
            return
        if service is None:
            service = home.services[fact.name] = HeldService(home, fact.name)
        ports = self._share(fact.ports)
        service.fact = fact if ports is fact.ports else msgspec.structs.replace(fact, ports=ports)
        home.served += 1
        self._counts[Kind.SERVICE] += 1
        self._records += own_records(fact)
        if fact.cluster_ips and self._options.reverse_zones and home.configured:
            self._reverse.link(fact.cluster_ips, service)

    def _news(self, fact: Fact) -> Memory | None:
        if not isinstance(fact, EndpointSliceFact):
            return None if self._is_held(fact) else fact
        key, held, endpoints = fact.key, self._slices.get(fact.key), self._endpoints(fact)
        if held is None or not self._holds(fact):
            same = held is None and not self._holds(fact)
        else:
            same = held.service.name == fact.service and held.endpoints == endpoints
        return None if same else slice_memory(key, fact.service, endpoints)

    def _keys(self, kind: Kind) -> Iterable[Key]:
        if kind is Kind.ENDPOINT_SLICE:
            return self._slices
        if kind is Kind.POD:
            return self._pods
        if kind is Kind.NAMESPACE:
            return [Key("", held.name) for held in self._namespaces.values() if held.told]
        services = (service for held in self._namespaces.values() for service in held.services.values())
        return [service.fact.key for service in services if service.fact is not None]

    def _put(self, fact: Fact | SliceMemory, touched: set[Owner]) -> None:
        if isinstance(fact, _SLICES):
            if self._holds(fact):
                self._put_slice(fact.key, fact.service, self._endpoints(fact), touched)
            else:
                self._take_slice(fact.key, touched)
        elif isinstance(fact, ServiceFact):
            if is_label(fact.namespace) and is_label(fact.name):
                home = self._namespace(fact.namespace)
                service = home.services.get(fact.name) or HeldService(home, fact.name)
                self._put_service(service, msgspec.structs.replace(fact, ports=self._share(fact.ports)), touched)
        elif isinstance(fact, NamespaceFact):
            if is_label(fact.name):
                self._put_namespace(self._namespace(fact.name), True, touched)
        elif self._options.pods is Pods.VERIFIED and is_label(fact.namespace):
            self._put_pod(fact.key, self._pod_addresses(fact), touched)

    def _holds(self, fact: EndpointSliceFact | SliceMemory) -> bool:
        return self._options.endpoints and is_label(fact.namespace) and is_label(fact.service)

    def _is_held(self, fact: ServiceFact | NamespaceFact | PodFact) -> bool:
        if isinstance(fact, ServiceFact):
            held = self.held(fact.namespace, fact.name)
            return held is not None and held.fact == fact
        if isinstance(fact, NamespaceFact):
            return fact.name in self._namespaces and self._namespaces[fact.name].told
        return self._options.pods is not Pods.VERIFIED or self._pods.get(fact.key) == self._pod_addresses(fact)

    def _endpoints(self, fact: EndpointSliceFact | SliceMemory) -> Endpoints:
        ports = self._share(fact.ports)
        if isinstance(fact, SliceMemory):
            return remembered(fact, ports)
        return boil_down(fact, ports, self._options.endpoint_pod_names, self._options.coredns)

    def _pod_addresses(self, fact: PodFact) -> tuple[bytes, ...]:
        return fact.addresses[:1] if self._options.coredns else fact.addresses

    def _remove(self, kind: Kind, key: Key, touched: set[Owner]) -> None:
        if kind is Kind.ENDPOINT_SLICE:
            self._take_slice(key, touched)
        elif kind is Kind.POD:
            if key in self._pods:
                self._put_pod(key, None, touched)
        elif kind is Kind.SERVICE:
            home = self._namespaces.get(key.namespace)
            if home is not None and key.name in home.services:
                self._put_service(home.services[key.name], None, touched)
        elif key.name in self._namespaces:
            self._put_namespace(self._namespaces[key.name], False, touched)

    def _put_service(self, service: HeldService, fact: ServiceFact | None, touched: set[Owner]) -> None:
        home, old = service.namespace, service.fact
        if old == fact:
            return
        before, existed = self._publishes(service), self._exists(home)
        shown = [(held, self.visible(held)) for held in service.slices]
        service.fact = fact
        home.services[service.name] = service
        difference = (fact is not None) - (old is not None)
        home.served += difference
        self._counts[Kind.SERVICE] += difference
        self._records += own_records(fact) - own_records(old)
        if self._publishes(service) != before:
            if self._exposes(home):
                touched.add(service_owner(service.path))
            self._touch_own(service, touched)
        if self._exists(home) != existed:
            touched.add(namespace_owner(home.name.encode("ascii")))
        self._point_back(service, set(old.cluster_ips if old else ()), set(fact.cluster_ips if fact else ()), touched)
        for held, count in shown:
            self._show(held, held.endpoints, count, touched)
        self._let_go(service)

    def _put_slice(self, key: Key, service_name: str, endpoints: Endpoints, touched: set[Owner]) -> None:
        held = self._slices.get(key)
        if held is not None and held.service.name != service_name:
            self._take_slice(key, touched)
            held = None
        if held is None:
            home = self._namespace(key.namespace)
            service = home.services.get(service_name) or HeldService(home, service_name)
            home.services[service_name] = service
            held = self._slices[key] = HeldSlice(service)
            service.slices.append(held)
        self._show(held, endpoints, self.visible(held), touched)

    def _take_slice(self, key: Key, touched: set[Owner]) -> None:
        held = self._slices.pop(key, None)
        if held is not None:
            self._show(held, NO_ENDPOINTS, self.visible(held), touched)
            held.service.slices.remove(held)
            self._let_go(held.service)

    def _show(self, held: HeldSlice, endpoints: Endpoints, count: int, touched: set[Owner]) -> None:
        """Hold these endpoints for a slice, of which so far `count` were published."""
        old, service = held.endpoints, held.service
        held.endpoints = endpoints
        visible = self.visible(held)
        if old == endpoints and count == visible:
            return
        moved = renamed(old, count, endpoints, visible)
        if not moved and count == visible and (not count or _same_ports(old.ports, endpoints.ports)):
            return
        self._records += visible - count
        fact = service.fact
        if fact is not None and fact.external_name is None and self._exposes(service.namespace):
            touched.add(service_owner(service.path))
        self._touch_own(service, touched)
        came, gone = set(endpoints.addresses[:visible]), set(old.addresses[:count])
        self._own.publish(held, came)
        self._touch_own(service, touched)
        self._point_back(held, gone, came, touched, moved)

    def _point_back(
        self,
        holder: Holder,
        old: set[bytes],
        new: set[bytes],
        touched: set[Owner],
        moved: Iterable[bytes] | None = None,
    ) -> None:
        """Keep the reverse names; `moved`: addresses that have another name now, if not just those that come and go."""
        if self._options.reverse_zones and namespace_of(holder).configured:
            self._reverse.unlink(old - new, holder)
            self._reverse.link(new - old, holder)
            touched.update(map(address_owner, old ^ new if moved is None else moved))

    def _put_namespace(self, home: HeldNamespace, told: bool, touched: set[Owner]) -> None:
        existed = self._exists(home)
        self._counts[Kind.NAMESPACE] += told - home.told
        home.told = told
        if self._exists(home) != existed:
            touched.add(namespace_owner(home.name.encode("ascii")))
            if self._strict:
                self._touch_all(home, touched)
        self._forget_if_empty(home)

    def _put_pod(self, key: Key, addresses: tuple[bytes, ...] | None, touched: set[Owner]) -> None:
        home = self._namespace(key.namespace)
        old, new = set(self._pods.get(key, ())), set(addresses or ())
        changed = home.count_pod(old, new)
        if addresses is None:
            del self._pods[key]
        else:
            self._pods[key] = addresses
        if changed and self._exists(home):
            touched.add(namespace_owner(home.name.encode("ascii")))
        self._forget_if_empty(home)

    def _exposes(self, home: HeldNamespace) -> bool:
        return home.configured and (home.told or not self._strict)

    def _exists(self, home: HeldNamespace) -> bool:
        # Manifests often leave the Namespace out: then a Service in it is proof enough.
        return self._exposes(home) and (home.told or home.served > 0)

    def _is_idle(self, service: HeldService, fact: ServiceFact) -> bool:
        """Whether it is a ClusterIP Service without endpoints."""
        if fact.headless or fact.external_name is not None:
            return False
        return not any(map(self.visible, service.slices))

    def _publishes(self, service: HeldService) -> Hashable:
        """What a Service's answers are made from, but for its endpoints; None: there is nothing at it."""
        fact = service.fact
        if fact is None or (self._ignore_empty and self._is_idle(service, fact)):
            return None
        if fact.external_name is not None:
            return fact.external_name
        if fact.headless:
            return any(map(self.visible, service.slices)) or None
        return frozenset(fact.cluster_ips), frozenset(fact.ports), len(fact.ports)

    def _touch_own(self, service: HeldService, touched: set[Owner]) -> None:
        """The zone's name servers are Services with an endpoint at one of the daemon's own addresses; exposed or not,
        for CoreDNS."""
        if self._own.at(service):
            touched.add(ZONE)

    def _touch_all(self, home: HeldNamespace, touched: set[Owner]) -> None:
        for service in home.services.values():
            if self._publishes(service) is not None:
                touched.add(service_owner(service.path))
            self._touch_own(service, touched)
            if self._options.coredns and self._options.reverse_zones and self._options.namespaces is not None:
                touched.update(map(address_owner, service.fact.cluster_ips if service.fact else ()))
                for held in service.slices:
                    touched.update(map(address_owner, held.endpoints.addresses[: self.visible(held)]))

    def _namespace(self, name: str) -> HeldNamespace:
        home = self._namespaces.get(name)
        if home is None:
            configured = self._options.namespaces is None or name in self._options.namespaces
            home = self._namespaces[name] = HeldNamespace(name, configured)
        return home

    def _let_go(self, service: HeldService) -> None:
        if service.fact is None and not service.slices:
            del service.namespace.services[service.name]
            self._forget_if_empty(service.namespace)

    def _forget_if_empty(self, home: HeldNamespace) -> None:
        if home.empty:
            del self._namespaces[home.name]

    def _share(self, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        if len(self._ports) >= _SHARED_PORTS:
            self._ports.clear()
        return self._ports.setdefault(ports, ports)


def _same_ports(one: tuple[Port, ...], other: tuple[Port, ...]) -> bool:
    return one == other or (len(one) == len(other) and set(one) == set(other))
