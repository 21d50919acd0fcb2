"""CoreDNS with the Corefile of Kubernetes' add-on, fed by the API server's stand-in."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cluster import ZONE
from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site


def command(program: str, site: Site) -> Sequence[str]:
    # Of the add-on's plugins only those are left out that no query passes: health, ready, reload, loop.
    text = f""".:{site.port} {{
    bind {LOOPBACK}
    errors
    kubernetes {ZONE} in-addr.arpa ip6.arpa {{
        kubeconfig {site.shared}/kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus {LOOPBACK}:{site.admin}
    forward . {LOOPBACK}:{site.upstream} {{
        max_concurrent 1000
    }}
    cache 30
    loadbalance
}}
"""
    return [program, "-conf", site.write("Corefile", text)]


SERVER = Server(
    name="coredns",
    title="CoreDNS",
    program="coredns",
    variable="BENCH_COREDNS",
    serves=Serves.OWN | Serves.EXTERNAL,
    command=command,
    role="`kubernetes` and `cache` plugins: serves the zone from Kubernetes objects, forwards the rest",
    package="bench/install-peers --coredns FOLDER",
    version=["-version"],
    environment={"GOMAXPROCS": "1"},
)
