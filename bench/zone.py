"""The cluster and the names outside it as resource records: what every server has to answer, and a zone file of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.cluster import PORT, PORT_NAME, ZONE, Cluster, Service

# So long that no cache's answer runs out within a run.
TTL = 3600
EXTERNAL = "example.com"
MISSES = f"miss.{EXTERNAL}"  # every name below it exists
EXTERNAL_HOSTS = 200

_SOA_REST = f"7200 1800 86400 {TTL}"


class Record(NamedTuple):
    """One resource record; names without the final dot, data in presentation form (SRV and SOA: names too)."""

    name: str
    type: str
    data: str


def cluster_records(cluster: Cluster) -> Iterator[Record]:
    """What the Kubernetes DNS specification (schema 1.1.0) makes of the cluster."""
    yield Record(ZONE, "SOA", f"ns.dns.{ZONE} hostmaster.{ZONE} 1 {_SOA_REST}")
    yield Record(ZONE, "NS", f"ns.dns.{ZONE}")
    yield Record(f"ns.dns.{ZONE}", "A", "127.0.0.1")
    yield Record(f"dns-version.{ZONE}", "TXT", '"1.1.0"')
    for service in cluster.services:
        yield from _plain_records(service) if service.cluster_ip else _headless_records(service)


def _plain_records(service: Service) -> Iterator[Record]:
    yield Record(service.domain, "A", service.cluster_ip)
    yield Record(f"_{PORT_NAME}._tcp.{service.domain}", "SRV", f"0 100 {PORT} {service.domain}")


def _headless_records(service: Service) -> Iterator[Record]:
    weight = max(1, 100 // len(service.pods))
    for pod in service.pods:
        yield Record(service.domain, "A", pod.address)
    for pod in service.pods:
        yield Record(f"{pod.name}.{service.domain}", "A", pod.address)
        target = f"{pod.name}.{service.domain}"
        yield Record(f"_{PORT_NAME}._tcp.{service.domain}", "SRV", f"0 {weight} {PORT} {target}")


def external_records() -> Iterator[Record]:
    """The world outside the cluster: a small zone with a wildcard for names that nobody has asked before."""
    yield Record(EXTERNAL, "SOA", f"ns.{EXTERNAL} hostmaster.{EXTERNAL} 1 {_SOA_REST}")
    yield Record(EXTERNAL, "NS", f"ns.{EXTERNAL}")
    yield Record(f"ns.{EXTERNAL}", "A", "127.0.0.1")
    for number in range(EXTERNAL_HOSTS):
        yield Record(f"host-{number:03}.{EXTERNAL}", "A", f"198.51.100.{number % 254 + 1}")
    yield Record(f"*.{MISSES}", "A", "203.0.113.1")


def zone_file(cluster: Cluster) -> str:
    """The cluster's zone in master file format (RFC 1035 section 5), for servers that are given zones."""
    lines = [f"$ORIGIN .\n$TTL {TTL}\n"]
    for name, kind, data in cluster_records(cluster):
        lines.append(f"{name}. IN {kind} {absolute(kind, data)}\n")
    return "".join(lines)


def absolute(kind: str, data: str) -> str:
    """The data with the final dot behind each name in it."""
    words = data.split()
    for place in {"NS": (0,), "SRV": (3,), "SOA": (0, 1)}.get(kind, ()):
        words[place] += "."
    return " ".join(words)
