"""Upstream servers: which zone goes to whom, and who is to be asked next."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from hsdnsd.address import Endpoint
from hsdnsd.wire.name import ROOT, Name, is_within

# Seconds after which one query tries an upstream that is down again; doubled each time it stays silent.
FIRST_PROBE = 1.0
LAST_PROBE = 30.0
# Seconds for which an upstream that could not take EDNS is asked without.
PLAIN_FOR = 60.0
# After those, one question tries it again; the others wait for what comes of that, for so many seconds at most.
EDNS_TRIAL = 4.0
# Times in a row that an upstream which has sent an OPT before has to say nothing to one, and answer without.
SILENT_TO_EDNS = 3
# Seconds for which an upstream that leads back to us is asked nothing; then one probe may show that it no longer does.
LOOPING_FOR = 60.0
# One query in so many goes to another server than the fastest, so that its time stays known.
EXPLORE_ONE_IN = 32
# Between these, seconds, lies the delay after which a second server is asked while the first is still silent.
LEAST_HEDGE = 0.03
MOST_HEDGE = 0.4


# Stands in the place of a zone for the cluster's own DNS: no name lies in it, its servers are asked only for what is
# sent there.
CLUSTER: Final = Name(b"")


class Policy(enum.Enum):
    """Which of several servers is asked first."""

    SEQUENTIAL = "sequential"
    RANDOM = "random"
    ROUND_ROBIN = "round_robin"
    FASTEST = "fastest"


class Upstream(msgspec.Struct, frozen=True):
    """Address (no name) and port of a server that is asked.

    Attributes:
        tls_name: the name in the server's certificate; None: DNS without TLS.
    """

    host: str
    port: int
    tls_name: str | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where it is asked."""
        return Endpoint(self.host, self.port)

    def __str__(self) -> str:
        return str(self.endpoint) if self.tls_name is None else f"tls://{self.endpoint}@{self.tls_name}"


class Server:
    """What is known of one upstream. Changed only by replies that were believed, and by silence.

    Spoofed packets must not be able to take an upstream out (CVE-2023-26437, CVE-2026-52690).

    Attributes:
        name: of the upstream, for counters.
        fails: time-outs and refusals in a row. max_fails: with so many of them it is down.
        rtt: smoothed round-trip time in seconds, 0.0 before the first.
        knows_edns: it has sent an OPT.
    """

    __slots__ = ("_edns_silences", "_edns_trials", "_plain_until", "_probe_at", "_probe_wait", "_variation", "fails",
                 "knows_edns", "looping_until", "max_fails", "name", "rtt", "upstream")  # fmt: skip

    def __init__(self, upstream: Upstream, max_fails: int) -> None:
        self.upstream = upstream
        self.name = str(upstream)
        self.fails = 0
        self.rtt = 0.0
        self.knows_edns = False
        self.looping_until = 0.0
        self._plain_until = 0.0
        self._edns_silences = 0
        self._edns_trials = False
        self.max_fails = max_fails
        self._variation = 0.0
        self._probe_at = 0.0
        self._probe_wait = FIRST_PROBE

    @property
    def down(self) -> bool:
        """Whether it has been silent too often in a row. Never, if that was configured as 0."""
        return 0 < self.max_fails <= self.fails

    @property
    def hedge_after(self) -> float:
        """Seconds after which it is slower than usual (RFC 6298 section 2), so that another is asked as well."""
        if not self.rtt:
            return MOST_HEDGE
        return min(max(self.rtt + 4 * self._variation, LEAST_HEDGE), MOST_HEDGE)

    def answered(self, seconds: float) -> None:
        """A reply of this server was believed, so long after its message was sent."""
        self.fails = 0
        self._probe_wait = FIRST_PROBE
        if not self.rtt:
            self.rtt, self._variation = seconds, seconds / 2
            return
        self._variation += (abs(seconds - self.rtt) - self._variation) / 4
        self.rtt += (seconds - self.rtt) / 8

    def silent(self, now: float) -> None:
        """It did not answer in time, or refused the connection."""
        self.fails += 1
        if self.fails == self.max_fails:
            self._probe_at = now + self._probe_wait
        # So that the fastest is not the one that has died; what it says next counts again from there.
        self.rtt = min(max(self.rtt * 2, MOST_HEDGE), 4.0)

    def takes_edns(self, now: float) -> bool:
        """Whether to send it an OPT. Of a server that had nothing to say to one, True once per trial."""
        if now < self._plain_until:
            return False
        if self._edns_trials:
            self._plain_until = now + EDNS_TRIAL
        return True

    def refused_edns(self, now: float) -> None:
        """It answered FORMERR or NOTIMP to a query with an OPT (RFC 6891 section 6.2.2)."""
        self._plain_until = now + PLAIN_FOR

    def took_edns(self, opt: bool) -> None:
        """It answered a query with an OPT; `opt`: with one of its own."""
        self._edns_silences = 0
        if self._edns_trials:
            self._edns_trials = False
            self._plain_until = 0.0
        self.knows_edns |= opt

    def silent_to_edns(self, now: float) -> None:
        """It said nothing to a query with an OPT, and answered the same without.

        That is what a lost message looks like too, so it has to happen again and again to a server that is known to
        take an OPT. (DNS flag day 2019 ended such help among public servers; what stands in front of a private one may
        be older.)
        """
        self._edns_silences += 1
        if not self.knows_edns or self._edns_silences >= SILENT_TO_EDNS:
            self.knows_edns = False
            self._edns_trials = True
            self._plain_until = now + PLAIN_FOR

    def steady(self, now: float) -> tuple[bool, float]:
        """Whether to send it an OPT, and until when that, and whether it is down, will not change by time alone."""
        if now < self._plain_until:
            return False, min(self._plain_until, self._probe_at if self.down else math.inf)
        if self._edns_trials:
            return True, now
        return True, self._probe_at if self.down else math.inf

    def looped(self, now: float) -> None:
        """What was sent to it came back to us."""
        self.looping_until = now + LOOPING_FOR

    def probe_due(self, now: float) -> bool:
        """Whether this query is the one that tries a server that is down. True once per probing interval."""
        if not self.down or now < self._probe_at:
            return False
        self._probe_wait = min(self._probe_wait * 2, LAST_PROBE)
        self._probe_at = now + self._probe_wait
        return True


class ForwardZone:
    """Names below `name` are asked of these servers. The name stands for the zone in cache keys.

    Attributes:
        policy: which of them is asked first.
    """

    __slots__ = ("_max_fails", "_pick", "_turn", "name", "policy", "servers")

    def __init__(
        self,
        name: Name,
        upstreams: Sequence[Upstream],
        policy: Policy = Policy.SEQUENTIAL,
        pick: Callable[[int], int] = lambda _: 0,
        max_fails: int = 3,
    ) -> None:
        """
        Args:
            pick: a number below the one given, all equally likely.
        """
        self.name = name
        self.servers: tuple[Server, ...] = ()
        self.policy = policy
        self._pick = pick
        self._max_fails = max_fails
        self._turn = 0
        self.servers = tuple(Server(upstream, max_fails) for upstream in upstreams)

    def replace(self, upstreams: Sequence[Upstream]) -> None:
        """Ask these from now on. What is known of those that stay is kept."""
        known = {server.upstream: server for server in self.servers}
        self.servers = tuple(known.get(upstream) or Server(upstream, self._max_fails) for upstream in upstreams)

    def inherit(self, before: ForwardZone) -> None:
        """Go on with what another zone's servers are known for, where they are servers of this one too."""
        known = {server.upstream: server for server in before.servers}
        for server in known.values():
            server.max_fails = self._max_fails
        self.servers = tuple(known.get(server.upstream, server) for server in self.servers)

    def order(self, now: float) -> list[Server]:
        """The servers in the order they are to be tried: by policy, those that are down last, but for one probe.

        One that leads back to us is not among them.
        """
        servers = self._by_policy([server for server in self.servers if now >= server.looping_until])
        if not any(server.down for server in servers):
            return servers
        first = [server for server in servers if server.probe_due(now)][:1]
        up = [server for server in servers if not server.down]
        last = [server for server in servers if server.down and server not in first]
        return first + up + last

    def _by_policy(self, servers: list[Server]) -> list[Server]:
        if len(servers) < 2 or self.policy is Policy.SEQUENTIAL:
            return servers
        if self.policy is Policy.FASTEST:
            servers.sort(key=lambda server: server.rtt)
            if self._pick(EXPLORE_ONE_IN) == 0:
                servers.insert(0, servers.pop(1 + self._pick(len(servers) - 1)))
            return servers
        if self.policy is Policy.RANDOM:
            return [servers.pop(self._pick(len(servers))) for _ in range(len(servers))]
        self._turn += 1
        start = self._turn % len(servers)
        return servers[start:] + servers[:start]


class Forwards:
    """All forward zones; the longest that a name lies in is its own.

    Attributes:
        cluster: the cluster's DNS, which is no name's; None: there is none to ask.
        default: the zone for whatever no stub zone takes; None: there is none.
    """

    def __init__(
        self,
        zones: Mapping[Name, Sequence[Upstream]],
        policy: Policy = Policy.SEQUENTIAL,
        pick: Callable[[int], int] = lambda _: 0,
        max_fails: int = 3,
    ) -> None:
        """
        Args:
            zones: folded zone name -> upstreams; the root's are for whatever no stub zone takes, CLUSTER's for names
                of the own zones that can't be answered here.
        """
        self.zones = tuple(ForwardZone(name, upstreams, policy, pick, max_fails) for name, upstreams in zones.items())
        # Longest first; a handful at most, so a walk beats an index.
        stubs = (zone for zone in self.zones if zone.name not in (ROOT, CLUSTER))
        self._stubs = tuple(sorted(stubs, key=lambda zone: -len(zone.name)))
        self.cluster = next((zone for zone in self.zones if zone.name == CLUSTER), None)
        self.default = next((zone for zone in self.zones if zone.name == ROOT), None)

    def inherit(self, before: Forwards) -> None:
        """Go on with what the servers of these zones were known for."""
        known = {zone.name: zone for zone in before.zones}
        for zone in self.zones:
            if zone.name in known:
                zone.inherit(known[zone.name])

    def stub(self, name: Name) -> ForwardZone | None:
        """The longest stub zone that a folded name lies in."""
        for zone in self._stubs:
            if is_within(name, zone.name):
                return zone
        return None

    def match(self, name: Name) -> ForwardZone | None:
        """Where a folded name is asked, or None if nobody was configured for it."""
        return self.stub(name) or self.default

    def servers(self) -> list[Server]:
        """Every server of every zone."""
        return [server for zone in self.zones for server in zone.servers]
