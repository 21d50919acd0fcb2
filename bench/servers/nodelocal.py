"""NodeLocal DNSCache's configuration: the `cache` and `forward` plugins as Kubernetes' add-on sets them.

The program is node-cache where BENCH_NODE_CACHE names it, else CoreDNS, which is what node-cache is made from.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from bench.cluster import ZONE
from bench.process import LOOPBACK
from bench.servers.base import Serves, Site
from bench.servers.coredns import SERVER as COREDNS

NODE_CACHE = "BENCH_NODE_CACHE"


def command(program: str, site: Site) -> Sequence[str]:
    text = f"""{ZONE}:{site.port} {{
    errors
    cache {{
        success 9984 30
        denial 9984 5
    }}
    bind {LOOPBACK}
    forward . {LOOPBACK}:{site.upstream} {{
        force_tcp
    }}
    prometheus {LOOPBACK}:{site.admin}
}}
.:{site.port} {{
    errors
    cache 30
    bind {LOOPBACK}
    forward . {LOOPBACK}:{site.upstream}
    prometheus {LOOPBACK}:{site.admin}
}}
"""
    path = site.write("Corefile", text)
    if NODE_CACHE not in os.environ:
        return [program, "-conf", path]
    # Without the interface and the firewall rules that it would make on a node.
    own = ["-localip", LOOPBACK, "-setupinterface=false", "-setupiptables=false", "-skipteardown=true"]
    return [program, "-conf", path, *own]


SERVER = dataclasses.replace(
    COREDNS,
    name="nodelocal",
    title="NodeLocal configuration",
    variable=NODE_CACHE if NODE_CACHE in os.environ else COREDNS.variable,
    serves=Serves.OWN | Serves.EXTERNAL | Serves.MISS,
    command=command,
    role="`cache` and `forward` plugins: caches what the upstream says, for at most 30 s",
)
