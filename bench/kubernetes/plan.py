"""How much of everything is measured."""

from __future__ import annotations

from typing import NamedTuple

SECTIONS = ("idle", "freshness", "start", "outage", "fleet")
RATES = (100, 400)  # updates a second


class Plan(NamedTuple):
    """
    Attributes:
        sections: of SECTIONS.
        rounds: of freshness that count, each with both servers; updates: of a round, at each rate.
        starts: how often each server is started with the large cluster; outages: how often the API server is killed
            under each; of those too, that count.
        quiet, outage: seconds of hits before the API server is killed, and in all around that.
        watchers: of the fleet; events: to it, of each sort; event_rate: a second.
        services: headless ones of the large cluster, with ten endpoints each.
    """

    sections: tuple[str, ...] = SECTIONS
    rounds: int = 8
    updates: int = 1250
    starts: int = 3
    outages: int = 3
    quiet: float = 5.0
    outage: float = 20.0
    watchers: int = 100
    events: int = 500
    event_rate: float = 50.0
    services: int = 10_000

    def seconds(self) -> float:
        """About how long it takes, of two servers on two cores at rest; up to twice that where they are not."""
        freshness = self.rounds * 2 * (sum(self.updates / rate for rate in RATES) + 3)
        fill = 5 + self.services / 250
        start = self.starts * 3 * 9
        outage = self.outages * 2 * (self.quiet + self.outage + 17)
        fleet = 45 + 6 * (self.events / self.event_rate + 1) + 0.4 * self.watchers
        takes = {"idle": 30.0, "freshness": freshness, "start": start, "outage": outage, "fleet": fleet}
        large = fill if {"start", "outage"} & set(self.sections) else 0.0
        return large + sum(takes[section] for section in self.sections)


QUICK = Plan(
    rounds=1, updates=500, starts=1, outages=1, quiet=3.0, outage=15.0, watchers=50, events=300, services=2_000
)
