"""BIND's named as a caching forwarder, one worker, no validation."""

from __future__ import annotations

from collections.abc import Sequence

from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site


def command(program: str, site: Site) -> Sequence[str]:
    text = f"""options {{
  directory "{site.folder}";
  pid-file "{site.folder}/named.pid";
  session-keyfile "{site.folder}/session.key";
  listen-on port {site.port} {{ {LOOPBACK}; }};
  listen-on-v6 {{ none; }};
  recursion yes;
  allow-query {{ 127.0.0.0/8; }};
  forward only;
  forwarders port {site.upstream} {{ {LOOPBACK}; }};
  dnssec-validation no;
  empty-zones-enable no;
}};
controls {{ }};
logging {{ channel own {{ stderr; severity warning; }}; category default {{ own; }}; }};
"""
    return [program, "-4", "-f", "-n", "1", "-c", site.write("named.conf", text)]


SERVER = Server(
    name="bind9",
    title="BIND 9",
    program="named",
    serves=Serves.OWN | Serves.EXTERNAL | Serves.MISS,
    command=command,
    role="caches what the upstream says",
    package="bench/install-peers",
    version=["-v"],
)
