"""dnsdist with its packet cache: answers are kept whole, by the query's octets."""

from __future__ import annotations

from collections.abc import Sequence

from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site

CACHE_ANSWERS = 100_000


def command(program: str, site: Site) -> Sequence[str]:
    text = f"""setLocal("{LOOPBACK}:{site.port}")
setACL({{"127.0.0.0/8"}})
setSecurityPollSuffix("")
newServer({{address="{LOOPBACK}:{site.upstream}", healthCheckMode="up"}})
getPool(""):setCache(newPacketCache({CACHE_ANSWERS}))
"""
    return [program, "--supervised", "--disable-syslog", "-C", site.write("dnsdist.conf", text)]


SERVER = Server(
    name="dnsdist",
    title="dnsdist",
    program="dnsdist",
    serves=Serves.OWN | Serves.EXTERNAL | Serves.MISS,
    command=command,
    role="caches the upstream's replies whole",
    package="bench/install-peers",
    version=["--version"],
)
