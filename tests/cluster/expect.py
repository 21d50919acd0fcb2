"""What tests wait for, and for how long at most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import dns.reversename

from tests.cluster.daemon import Daemon
from tests.cluster.program import until

# Seconds. Milliseconds on an idle machine; what counts is that nothing is waited for (a TTL, a cache, the next list).
FOLLOWS: Final = 3.0
# Until the first list is in, and after the API server's return, whatever the back-off was.
SYNCS: Final = 40.0
# Until controllers, scheduler and kubelets have done what an object asks for, also where they have to find the API
# server again first.
MADE: Final = 60.0

NODATA: Final[frozenset[str]] = frozenset()
NXDOMAIN: Final = frozenset(["NXDOMAIN"])


def wait_until_ready(daemon: Daemon) -> None:
    until("hsdnsd ready", daemon.ready, within=SYNCS, check=daemon.program.check)


def becomes(
    daemon: Daemon, name: str, rdtype: str, *addresses: str, before: frozenset[str] = NXDOMAIN, within: float = FOLLOWS
) -> None:
    """The answer turns from `before` into `addresses` in time, and is nothing else on the way."""
    expected = frozenset(addresses)

    def probe() -> bool:
        now = daemon.answers(name, rdtype)
        assert now in (before, expected), f"{name} {rdtype}: {set(now)}, neither {set(before)} nor {set(expected)}"
        return now == expected

    until(f"{name} {rdtype} is {set(expected)}", probe, within=within, check=daemon.program.check)


def vanishes(daemon: Daemon, name: str, rdtype: str, *before: str, within: float = FOLLOWS) -> None:
    becomes(daemon, name, rdtype, "NXDOMAIN", before=frozenset(before), within=within)


def comes_to(
    daemon: Daemon, name: str, rdtype: str, expected: Iterable[str], *, within: float = FOLLOWS, tcp: bool = False
) -> None:
    """The answer is `expected` in time, by whatever way (a roll-out has as many steps as the controllers take)."""
    wanted = frozenset(expected)

    def probe() -> bool | None:
        now = daemon.answers(name, rdtype, tcp=tcp)
        missing, surplus = sorted(wanted - now), sorted(now - wanted)
        last = f"{len(now)} of {len(wanted)}; without {missing[:3]}, with {surplus[:3]} besides"
        if missing or surplus:
            raise OSError(last)  # "not yet", with what it is instead
        return True

    until(f"{name} {rdtype} is {sorted(wanted)[:3]}...", probe, within=within, check=daemon.program.check)


def reverse(address: str) -> str:
    return dns.reversename.from_address(address).to_text()
