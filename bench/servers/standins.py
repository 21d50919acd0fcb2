"""The two small C programs that the others are seen beside: the socket floor, and the upstream asked directly."""

from __future__ import annotations

from collections.abc import Sequence

from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site


def floor_command(program: str, site: Site) -> Sequence[str]:
    return [program, LOOPBACK, str(site.port)]


def upstream_command(program: str, site: Site) -> Sequence[str]:
    return [program, LOOPBACK, str(site.port), str(site.shared / "answers")]


FLOOR = Server(
    name="floor",
    title="socket floor",
    program="floor",
    serves=Serves.OWN | Serves.EXTERNAL,
    command=floor_command,
    role="reads and writes datagrams in batches and looks nothing up: the query comes back as its own reply",
    checked=False,
)
UPSTREAM = Server(
    name="upstream",
    title="upstream, asked directly",
    program="upstream",
    serves=Serves.MISS,
    command=upstream_command,
    role="answers canned replies",
)
