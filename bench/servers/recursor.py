"""PowerDNS Recursor as a caching forwarder, one thread, packet cache as it comes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site


def command(program: str, site: Site) -> Sequence[str]:
    text = f"""local-address={LOOPBACK}
local-port={site.port}
allow-from=127.0.0.0/8
forward-zones-recurse=.={LOOPBACK}:{site.upstream}
dont-query=
dnssec=off
threads=1
pdns-distributes-queries=no
security-poll-suffix=
socket-dir={site.folder}
write-pid=no
hint-file=no
daemon=no
disable-syslog=yes
quiet=yes
loglevel=3
"""
    site.write("recursor.conf", text)
    return [program, f"--config-dir={site.folder}"]


SERVER = Server(
    name="pdns-recursor",
    title="PowerDNS Recursor",
    program="pdns_recursor",
    serves=Serves.OWN | Serves.EXTERNAL | Serves.MISS,
    command=command,
    role="caches what the upstream says",
    package="bench/install-peers",
    version=["--version"],
)
