"""nsd with the cluster's zone as a zone file: authoritative only, the fastest way to serve names that never change."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cluster import ZONE
from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site


def command(program: str, site: Site) -> Sequence[str]:
    folder = site.folder
    # Debian's nsd is built with response rate limiting, 200 a second for each client; 0 switches it off.
    text = f"""server:
  server-count: 1
  ip-address: {LOOPBACK}@{site.port}
  do-ip6: no
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  logfile: "{folder}/nsd.log"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  xfrdir: "{folder}"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: {ZONE}
  zonefile: "{site.shared}/cluster.zone"
"""
    return [program, "-d", "-c", site.write("nsd.conf", text)]


SERVER = Server(
    name="nsd",
    title="nsd",
    program="nsd",
    serves=Serves.OWN,
    command=command,
    role="serves the zone from a zone file, forwards nothing",
    package="bench/install-peers",
    version=["-v"],
)
