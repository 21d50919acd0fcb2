"""The nameservers of resolv.conf(5)."""

from __future__ import annotations

import logging
from pathlib import Path

from hsdnsd.address import DNS_PORT, parse_address
from hsdnsd.engine.upstreams import Upstream

log = logging.getLogger(__name__)


def parse_resolv_conf(text: str) -> list[Upstream]:
    """Every nameserver once, in the order of the file. The limit of three is glibc's own, and not kept.

    What is no address is left out, as glibc leaves it out, with a line in the log.
    """
    upstreams: dict[Upstream, None] = {}
    for line in text.splitlines():
        words = line.split()
        # The keyword begins the line (so nothing need be done about comments), and white space ends it.
        if len(words) < 2 or words[0] != "nameserver" or line[0] != "n":
            continue
        try:
            address = parse_address(words[1])
        except ValueError as error:
            log.warning("resolv.conf: %s", error)
            continue
        upstreams[Upstream(str(address), DNS_PORT)] = None
    return list(upstreams)


def read_resolv_conf(path: str) -> list[Upstream]:
    """The nameservers in the file at `path`; none, and a line in the log, if it can't be read."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        log.warning("no nameservers from %s: %s", path, error.strerror)
        return []
    return parse_resolv_conf(text)
