"""All facts, joined by (namespace, Service): what the zone is answered from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

import msgspec

from hsdnsd.records.addresses import AddressRange
from hsdnsd.records.endpoints import NO_ENDPOINTS, Endpoints, boil_down, is_label, renamed
from hsdnsd.records.held import HeldNamespace, HeldService, HeldSlice, namespace_of, own_records
from hsdnsd.records.memory import Memory, SliceMemory, slice_memory
from hsdnsd.records.model import (
    KIND_OF,
    Change,
    EndpointSliceFact,
    Fact,
    Key,
    Kind,
    Listed,
    NamespaceFact,
    PodFact,
    Port,
    Replaced,
    ServiceFact,
    Upserted,
)
from hsdnsd.records.options import Pods, ZoneOptions
from hsdnsd.records.owners import ZONE, address_owner, namespace_owner, service_owner
from hsdnsd.records.result import EVERYTHING, Owner
from hsdnsd.records.reverse_index import Holder, ReverseIndex

# Sets of ports that slices and Services share; a cluster has few, and one that has many more loses only memory.
_SHARED_PORTS: Final = 4096


class Table:
    """The facts of the cluster as they were last told. One owner; not thread-safe.

    Slices are kept by their own name and joined to Services by label, in whatever order the two arrive; a Service's
    records come from *all* its slices (an endpoint may stand in two while the controller moves it). An object whose
    name is no label (the API server has none such) is not held: nobody could ask for it.
    """

    serial: int
    """Unix seconds of the last change of any record; 0 before the first. The SOA serial."""

    def __init__(self, options: ZoneOptions) -> None:
        self.serial = 0
        self._options = options
        # A namespace is exposed only if its object is held: CoreDNS's rule, and what a label selector means.
        self._strict = options.coredns or options.label_selected
        self._ignore_empty = options.ignore_empty_service and (options.endpoints or options.coredns)
        self._namespaces: dict[str, HeldNamespace] = {}
        self._slices: dict[Key, HeldSlice] = {}
        self._pods: dict[Key, tuple[bytes, ...]] = {}
        self._reverse = ReverseIndex()
        self._own: dict[bytes, list[HeldSlice]] = {address: [] for address in options.own_addresses}
        self._listed: set[Kind] = set()
        self._recalled: dict[Kind, set[Key]] = {}  # what nobody has told of since
        self._ports: dict[tuple[Port, ...], tuple[Port, ...]] = {}
        self._counts = {Kind.SERVICE: 0, Kind.NAMESPACE: 0}
        self._records = 0

    @property
    def synced(self) -> bool:
        """Whether every expected kind has been listed at least once."""
        return self._options.expect <= self._listed

    @property
    def stale(self) -> bool:
        """Whether a kind of object is held as it was recalled, and has not been listed since."""
        return bool(self._recalled)

    def knows(self, kind: Kind) -> bool:
        """Whether all objects of a kind have been told of or recalled, if that is expected at all."""
        return kind in self._listed or kind in self._recalled or kind not in self._options.expect

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        """Take in one change, and say whose answers it ends (often nobody's). Cannot fail on any fact.

        Before all expected kinds are listed answers are not kept (unless they are recalled), so what is told up to the
        end of a kind's first list ends nobody's. That ends EVERYTHING, unless it changes no record and other kinds are
        still expected. SOA serials in answers do not count: only the SOA question tells the serial, and is never kept.
        """
        touched: set[Owner] = set()
        if isinstance(change, Upserted):
            if self._recalled:
                self._recalled.get(KIND_OF[type(change.fact)], set()).discard(change.fact.key)
            elif not self.synced and KIND_OF[type(change.fact)] not in self._listed:
                self._hold(change.fact)
                return frozenset()
            self._put(change.fact, touched)
        elif isinstance(change, Listed):
            return self._end_list(change, unix_time)
        elif isinstance(change, Replaced):
            if change.kind not in self._listed:
                return self._first_list(change, unix_time)
            self._replace(change, touched)
        else:
            self._remove(change.kind, change.key, touched)
        if touched:
            self.serial = max(self.serial, unix_time)
        return frozenset(touched)

    def recall(self, kind: Kind, memories: Iterable[Memory], unix_time: int) -> None:
        """Hold what is remembered of a kind of which nothing has been told yet; its first list, or `forget`, ends
        that. To be called before anybody is answered."""
        recalled = self._recalled[kind] = set()
        for memory in memories:
            key = memory.key
            recalled.add(key)
            if isinstance(memory, SliceMemory):
                ports = self._share(memory.ports)
                self._hold_slice(key, memory.service, memory.endpoints(ports))
            else:
                self._hold(memory)
        self.serial = max(self.serial, unix_time)

    def forget(self, kind: Kind) -> frozenset[Owner]:
        """Hold nothing of a kind that is only recalled. Says whose answers that ends."""
        if kind not in self._recalled:
            return frozenset()
        touched: set[Owner] = set()
        for key in self._recalled.pop(kind):
            self._remove(kind, key, touched)
        return frozenset((EVERYTHING,))

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
        return list(dict.fromkeys(held for holders in self._own.values() for held in holders))

    def _end_list(self, change: Listed, unix_time: int) -> frozenset[Owner]:
        touched: set[Owner] = set()
        for key in [key for key in self._keys(change.kind) if key not in change.keys]:
            self._remove(change.kind, key, touched)
        first = change.kind not in self._listed
        if touched or (first and change.keys):
            self.serial = max(self.serial, unix_time)
        self._recalled.pop(change.kind, None)
        if not first:
            return frozenset(touched)
        self._listed.add(change.kind)
        return frozenset((EVERYTHING,))

    def _first_list(self, change: Replaced, unix_time: int) -> frozenset[Owner]:
        # A cluster's first list would name a hundred thousand owners, only to end everything.
        touched: set[Owner] = set()
        for key in self._vanished(change):
            self._remove(change.kind, key, touched)
        changed = bool(touched)
        for fact in change.facts:
            touched.clear()
            self._put(fact, touched)
            changed = changed or bool(touched)
        was_synced = self.synced
        self._listed.add(change.kind)
        changed = self._recalled.pop(change.kind, None) is not None or changed
        if changed:
            self.serial = max(self.serial, unix_time)
        return frozenset((EVERYTHING,)) if changed or self.synced != was_synced else frozenset()

    def _replace(self, change: Replaced, touched: set[Owner]) -> None:
        for key in self._vanished(change):
            self._remove(change.kind, key, touched)
        for fact in change.facts:
            self._put(fact, touched)

    # As `_put` for what was not there, where nobody needs to know whose answers that ends: without that a hundred
    # thousand endpoints are there in a third of the time.

    def _hold(self, fact: Fact) -> None:
        if isinstance(fact, ServiceFact) and is_label(fact.namespace) and is_label(fact.name):
            self._hold_service(fact)
        elif isinstance(fact, EndpointSliceFact) and self._holds(fact) and fact.key not in self._slices:
            self._hold_slice(fact.key, fact.service, self._boil_down(fact))
        else:
            self._put(fact, set())

    def _hold_slice(self, key: Key, service_name: str, endpoints: Endpoints) -> None:
        if key in self._slices:
            self._put_slice(key, service_name, endpoints, set())
            return
        home = self._namespace(key.namespace)
        service = home.services.get(service_name)
        if service is None:
            service = home.services[service_name] = HeldService(home, service_name)
        held = self._slices[key] = HeldSlice(service)
        service.slices.append(held)
        held.endpoints = endpoints
        visible = self.visible(held)
        self._records += visible
        addresses = set(held.endpoints.addresses[:visible])
        for address in self._own.keys() & addresses:
            self._own[address].append(held)
        if self._options.reverse_zones and home.configured:
            self._reverse.link(addresses, held)

    def _hold_service(self, fact: ServiceFact) -> None:
        home = self._namespace(fact.namespace)
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
        if self._options.reverse_zones and home.configured:
            self._reverse.link(set(fact.cluster_ips), service)

    def _vanished(self, change: Replaced) -> list[Key]:
        told = {fact.key for fact in change.facts}
        return [key for key in self._keys(change.kind) if key not in told]

    def _keys(self, kind: Kind) -> Iterable[Key]:
        if kind is Kind.ENDPOINT_SLICE:
            return self._slices
        if kind is Kind.POD:
            return self._pods
        if kind is Kind.NAMESPACE:
            return [Key("", held.name) for held in self._namespaces.values() if held.told]
        services = (service for held in self._namespaces.values() for service in held.services.values())
        return [service.fact.key for service in services if service.fact is not None]

    def _put(self, fact: Fact, touched: set[Owner]) -> None:
        if isinstance(fact, EndpointSliceFact):
            if self._holds(fact):
                self._put_slice(fact.key, fact.service, self._boil_down(fact), touched)
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
            self._put_pod(fact.key, fact.addresses[:1] if self._options.coredns else fact.addresses, touched)

    def _holds(self, fact: EndpointSliceFact) -> bool:
        return self._options.endpoints and is_label(fact.namespace) and is_label(fact.service)

    def _boil_down(self, fact: EndpointSliceFact) -> Endpoints:
        ports = self._share(fact.ports)
        return boil_down(fact, ports, self._options.endpoint_pod_names, self._options.coredns)

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
        for address, holders in self._own.items():
            if address in came and held not in holders:
                holders.append(held)
            elif address not in came and held in holders:
                holders.remove(held)
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
        if any(held.service is service for holders in self._own.values() for held in holders):
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
