"""unbound as a caching forwarder, one thread, no validation."""

from __future__ import annotations

from collections.abc import Sequence

from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site


def command(program: str, site: Site) -> Sequence[str]:
    text = f"""server:
  interface: {LOOPBACK}
  port: {site.port}
  do-ip6: no
  num-threads: 1
  do-daemonize: no
  use-syslog: no
  verbosity: 0
  username: ""
  chroot: ""
  directory: "{site.folder}"
  pidfile: "{site.folder}/unbound.pid"
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  so-rcvbuf: 4m
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {LOOPBACK}@{site.upstream}
"""
    return [program, "-d", "-c", site.write("unbound.conf", text)]


SERVER = Server(
    name="unbound",
    title="unbound",
    program="unbound",
    serves=Serves.OWN | Serves.EXTERNAL | Serves.MISS,
    command=command,
    role="caches what the upstream says",
    package="bench/install-peers",
    version=["-V"],
)
