"""Slices as they are held <-> as they are written down, or wait to be held."""

from __future__ import annotations

from hsdnsd.records.endpoints import Endpoints
from hsdnsd.records.model import Key, Port, SliceMemory


def slice_memory(key: Key, service: str, endpoints: Endpoints) -> SliceMemory:
    """A slice with these endpoints."""
    return SliceMemory(
        key.namespace,
        key.name,
        service,
        endpoints.ports,
        endpoints.addresses,
        endpoints.names,
        endpoints.folded,
        endpoints.texts,
        endpoints.ready,
    )


def remembered(memory: SliceMemory, ports: tuple[Port, ...]) -> Endpoints:
    """The endpoints of a slice; `ports`: the slice's, as an object that may be shared."""
    return Endpoints(ports, memory.addresses, memory.names, memory.folded, memory.texts, memory.ready)
