"""What a bench is going to do, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.scenarios import Scenario
from bench.servers.base import Server, Serves

SETTLE = 3.0  # seconds that starting, warming and stopping a server takes, about
MISS_RATE = 1000  # misses a second, where their latency is measured
MISSES_A_SECOND = 100_000  # more than any server forwards on one core
TAIL_SECONDS = 12.0
QUIET_SECONDS = 4.0
TAIL_START = 12.0  # seconds, about


@dataclass(frozen=True)
class Plan:
    """
    Attributes:
        servers: that are here, in the order of the tables. scenarios: of hits.
        misses: whether misses are measured. tail: whether the daemon's tail is.
        rounds: every server is measured once in each.
        seconds: of each measurement. rate: queries a second where latencies are measured.
        server_core, generator_core: numbers of cores.
    """

    servers: tuple[Server, ...]
    scenarios: tuple[Scenario, ...]
    misses: bool
    tail: bool
    rounds: int
    seconds: float
    rate: int
    server_core: int
    generator_core: int

    def asked_of(self, server: Server) -> Iterator[Scenario]:
        """The scenarios of hits that a server can answer."""
        return (each for each in self.scenarios if (Serves.OWN if each.own else Serves.EXTERNAL) in server.serves)

    def misses_of(self, server: Server) -> bool:
        return self.misses and Serves.MISS in server.serves

    def turn(self, number: int) -> tuple[Server, ...]:
        """The servers of a round. Each round begins with another one, so that what drifts does not hit the same."""
        start = number % max(1, len(self.servers))
        return self.servers[start:] + self.servers[:start]

    def duration(self) -> float:
        """Seconds, about."""
        each = 0.0
        for server in self.servers:
            # A scenario: the greatest rate without and with EDNS, a flood, latencies; a miss: rate and latencies.
            measurements = 4 * len(list(self.asked_of(server))) + 2 * self.misses_of(server)
            each += measurements * (self.seconds + 0.2) + SETTLE * bool(measurements)
        if self.misses:
            each += self.seconds
        if self.tail:
            each += TAIL_START + QUIET_SECONDS + TAIL_SECONDS
        return self.rounds * each
