"""Upstream servers: which zone goes to whom, and who is to be asked next."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hsdnsd.wire.name import ROOT, Name, is_within

# Time-outs in a row after which an upstream is asked only when nobody better is left.
MAX_FAILS = 3
# Seconds after which one query tries an upstream that is down again; doubled each time it stays silent.
FIRST_PROBE = 1.0
LAST_PROBE = 30.0
# Seconds for which an upstream that could not take EDNS is asked without.
PLAIN_FOR = 60.0


class Upstream(msgspec.Struct, frozen=True):
    """Address (no name) and port of a server that is asked."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Server:
    """What is known of one upstream. Changed only by replies that were believed, and by silence.

    Spoofed packets must not be able to take an upstream out (CVE-2023-26437, CVE-2026-52690).
    """

    __slots__ = ("_probe_at", "_probe_wait", "fails", "plain_until", "upstream")

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.fails = 0
        self.plain_until = 0.0
        self._probe_at = 0.0
        self._probe_wait = FIRST_PROBE

    @property
    def down(self) -> bool:
        """Whether it has been silent too often in a row."""
        return self.fails >= MAX_FAILS

    def answered(self) -> None:
        """A reply of this server was believed."""
        self.fails = 0
        self._probe_wait = FIRST_PROBE

    def silent(self, now: float) -> None:
        """It did not answer in time, or refused the connection."""
        self.fails += 1
        if self.fails == MAX_FAILS:
            self._probe_at = now + self._probe_wait

    def takes_edns(self, now: float) -> bool:
        """Whether to send it an OPT."""
        return now >= self.plain_until

    def refused_edns(self, now: float) -> None:
        """It answered FORMERR or NOTIMP to a query with an OPT (RFC 6891 section 6.2.2)."""
        self.plain_until = now + PLAIN_FOR

    def probe_due(self, now: float) -> bool:
        """Whether this query is the one that tries a server that is down. True once per probing interval."""
        if not self.down or now < self._probe_at:
            return False
        self._probe_wait = min(self._probe_wait * 2, LAST_PROBE)
        self._probe_at = now + self._probe_wait
        return True


class ForwardZone:
    """Names below `name` are asked of these servers.

    Attributes:
        number: stands for the zone in cache keys.
    """

    __slots__ = ("name", "number", "servers")

    def __init__(self, number: int, name: Name, upstreams: Sequence[Upstream]) -> None:
        self.number = number
        self.name = name
        self.servers = tuple(Server(upstream) for upstream in upstreams)

    def order(self, now: float) -> list[Server]:
        """The servers in the order they are to be tried: as configured, those that are down last, but for one probe."""
        if not any(server.down for server in self.servers):
            return list(self.servers)
        first = [server for server in self.servers if server.probe_due(now)]
        up = [server for server in self.servers if not server.down]
        last = [server for server in self.servers if server.down and server not in first]
        return first + up + last


class Forwards:
    """All forward zones; the longest that a name lies in is its own."""

    def __init__(self, zones: dict[Name, Sequence[Upstream]]) -> None:
        """
        Args:
            zones: folded zone name -> upstreams; the root's are for whatever no stub zone takes. Zones without
                upstreams are left out.
        """
        given = {name: upstreams for name, upstreams in zones.items() if upstreams}
        self.zones = tuple(ForwardZone(number, name, given[name]) for number, name in enumerate(given))
        # Longest first; a handful at most, so a walk beats an index.
        self._stubs = tuple(sorted((z for z in self.zones if z.name != ROOT), key=lambda z: -len(z.name)))
        self._default = next((zone for zone in self.zones if zone.name == ROOT), None)

    def stub(self, name: Name) -> ForwardZone | None:
        """The longest stub zone that a folded name lies in."""
        for zone in self._stubs:
            if is_within(name, zone.name):
                return zone
        return None

    def match(self, name: Name) -> ForwardZone | None:
        """Where a folded name is asked, or None if nobody is configured for it."""
        return self.stub(name) or self._default

    def servers(self) -> list[Server]:
        """Every server of every zone."""
        return [server for zone in self.zones for server in zone.servers]
