"""Every server that a bench can run, in the order of its tables."""

from __future__ import annotations

from bench.servers import bind9, coredns, dnsdist, dnsmasq, hsdnsd, nodelocal, nsd, recursor, standins, unbound
from bench.servers.base import Server

FLOOR = standins.FLOOR
UPSTREAM = standins.UPSTREAM
HSDNSD = hsdnsd.SERVER

SERVERS: tuple[Server, ...] = (
    FLOOR,
    HSDNSD,
    nsd.SERVER,
    unbound.SERVER,
    dnsdist.SERVER,
    recursor.SERVER,
    bind9.SERVER,
    dnsmasq.SERVER,
    coredns.SERVER,
    nodelocal.SERVER,
)
BY_NAME = {server.name: server for server in SERVERS}
