"""Upstreams that are given as a Service of the cluster: which servers that stands for now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from hsdnsd.address import DNS_PORT
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.records.addresses import canonical_text
from hsdnsd.records.model import Port
from hsdnsd.records.table import Table
from hsdnsd.wire.name import Name


class ClusterService(msgspec.Struct, frozen=True):
    """A Service whose servers are asked.

    Attributes:
        port: where they are asked; None: where the Service says.
    """

    namespace: str
    name: str
    port: int | None = None

    def __str__(self) -> str:
        return f"svc://{self.name}.{self.namespace}" + (f":{self.port}" if self.port is not None else "")


# What a forward zone can be given as a server.
Given = Upstream | ClusterService


def servers_of(service: ClusterService, records: Table) -> list[Upstream]:
    """Its cluster IPs; of a headless one the ready endpoints. None, if it is not known (yet), or is an ExternalName.

    Readiness counts even with `publishNotReadyAddresses`: a server that is not ready is no server to ask.
    """
    held = records.held(service.namespace, service.name)
    if held is None or held.fact is None or held.fact.external_name is not None:
        return []
    if not held.fact.headless:
        port = service.port or _port(held.fact.ports)
        return [Upstream(canonical_text(address), port) for address in held.fact.cluster_ips]
    found: dict[Upstream, None] = {}
    for part in held.slices:
        port = service.port or _port(part.endpoints.ports)
        for address in part.endpoints.addresses[: part.endpoints.ready]:
            found[Upstream(canonical_text(address), port)] = None
    # The order in which slices are told of means nothing, and would differ from daemon to daemon.
    return sorted(found, key=lambda upstream: (upstream.host, upstream.port))


class Following:
    """The forward zones with the servers that they stand for at present.

    Attributes:
        follows_services: whether anything depends on the cluster.
    """

    def __init__(self, zones: Mapping[Name, Sequence[Given]], is_refused: Callable[[Upstream], bool]) -> None:
        """
        Args:
            zones: folded zone name -> what was configured. is_refused: whether a server is never to be asked.
        """
        self._zones = dict(zones)
        self._is_refused = is_refused
        self.present: dict[Name, tuple[Upstream, ...]] = {zone: self._servers(zone, None) for zone in zones}
        self.follows_services = self._depends()

    def give(self, zone: Name, given: Sequence[Given]) -> None:
        """This is configured for a zone now; `changed` says what follows from it."""
        self._zones[zone] = given
        self.follows_services = self._depends()

    def changed(self, records: Table | None) -> dict[Name, tuple[Upstream, ...]]:
        """The zones that stand for other servers than the last time, with these."""
        servers = {zone: self._servers(zone, records) for zone in self._zones}
        changed = {zone: now for zone, now in servers.items() if now != self.present.get(zone)}
        self.present = servers
        return changed

    def _depends(self) -> bool:
        return any(isinstance(given, ClusterService) for zone in self._zones.values() for given in zone)

    def _servers(self, zone: Name, records: Table | None) -> tuple[Upstream, ...]:
        servers: dict[Upstream, None] = {}
        for given in self._zones[zone]:
            if isinstance(given, Upstream):
                servers[given] = None
            elif records is not None:
                servers.update(dict.fromkeys(servers_of(given, records)))
        return tuple(server for server in servers if not self._is_refused(server))


def _port(ports: Sequence[Port]) -> int:
    """The UDP port called dns, or the only one; or else 53."""
    over_udp = [port for port in ports if port.protocol == "udp" and port.number is not None]
    named = [port for port in over_udp if port.name == "dns"]
    chosen = named or (over_udp if len(over_udp) == 1 else [])
    return chosen[0].number or DNS_PORT if chosen else DNS_PORT
