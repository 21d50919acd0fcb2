"""dnsmasq as a caching forwarder, with room for every name of the bench."""

from __future__ import annotations

from collections.abc import Sequence

from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site

CACHE_NAMES = 10_000  # its default, 150, would hold no scenario but the smallest


def command(program: str, site: Site) -> Sequence[str]:
    text = f"""port={site.port}
listen-address={LOOPBACK}
bind-interfaces
user=root
pid-file={site.folder}/dnsmasq.pid
no-resolv
no-hosts
no-poll
cache-size={CACHE_NAMES}
server={LOOPBACK}#{site.upstream}
"""
    return [program, "--keep-in-foreground", f"--conf-file={site.write('dnsmasq.conf', text)}"]


SERVER = Server(
    name="dnsmasq",
    title="dnsmasq",
    program="dnsmasq",
    serves=Serves.OWN | Serves.EXTERNAL | Serves.MISS,
    command=command,
    role="caches what the upstream says",
    package="bench/install-peers",
    version=["--version"],
)
