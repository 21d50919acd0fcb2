"""What the zones are answered from, in a form that can be written down and read again: facts, slices boiled down."""

from __future__ import annotations

import msgspec

from hsdnsd.records.endpoints import Endpoints, fold
from hsdnsd.records.model import Key, NamespaceFact, PodFact, Port, ServiceFact


class SliceMemory(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A slice with the endpoints that names are made of; see `Endpoints`. Good under the options it was made with."""

    namespace: str
    name: str
    service: str
    ports: tuple[Port, ...]
    addresses: tuple[bytes, ...]
    names: tuple[bytes | None, ...] | None
    texts: tuple[str | None, ...] | None
    ready: int

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    def endpoints(self, ports: tuple[Port, ...]) -> Endpoints:
        """The endpoints; `ports`: the slice's, as an object that may be shared."""
        folded = self.names and fold(self.names)
        return Endpoints(ports, self.addresses, self.names, folded, self.texts, self.ready)


def slice_memory(key: Key, service: str, endpoints: Endpoints) -> SliceMemory:
    """A slice as it is held."""
    return SliceMemory(
        key.namespace,
        key.name,
        service,
        endpoints.ports,
        endpoints.addresses,
        endpoints.names,
        endpoints.texts,
        endpoints.ready,
    )


Memory = ServiceFact | SliceMemory | NamespaceFact | PodFact
