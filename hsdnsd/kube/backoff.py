"""How long to wait before the API server is asked again, by what went wrong.

An API server that restarts refuses connections, then denies what it has not read the roles for yet (403), then knows
none of the versions that it gave out (410). Only the first is worth a growing wait: the other two are over in a moment,
and every second of waiting is one in which the zone stands still.
"""

from __future__ import annotations

from collections.abc import Callable

from hsdnsd.kube.source import Cause

# When a watch is cut that was well, the zone must not stand still: behind a proxy or a load balancer the next one is
# open at once. Spread all the same, because a server that dies cuts the watches of a whole fleet; and after a watch
# that was hardly open not at all, so that a server that cuts everything is not asked without a pause.
AT_ONCE = 0.05  # seconds, at most
STEADY = 5.0  # seconds that a watch was open
MIN_BACKOFF, MAX_BACKOFF = 0.5, 30.0  # seconds
GROWTH = 1.5
# A denial may be over soon: for so long after the server could not be reached, or after a kind that had been granted
# was first denied, it is asked again soon. (RBAC is read within two seconds of a start.)
SETTLING = 30.0
MIN_SETTLING, MAX_SETTLING = 0.25, 2.0
# A denial that lasts ends when somebody changes a role; a fleet that asks each half minute only makes noise.
MAX_DENIED = 120.0
# A watch that lived so long ends a row of failures.
HEALTHY = 60.0

_DENIALS = (Cause.UNAUTHORIZED, Cause.FORBIDDEN)
_MOST = 20  # no wait grows any more after so many failures


class Backoff:
    """The failures of one reflector in a row. Every wait is drawn from an interval, so that a fleet spreads."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """
        Args:
            chance: a random number from [0, 1).
        """
        self._chance = chance
        self._failures = 0
        self._denials = 0
        self._settles_until = 0.0
        self._last = Cause.START
        self._steady = False

    def lived(self, seconds: float) -> None:
        """A watch ended that was open for so long; 0.0: none was."""
        self._steady = seconds >= STEADY
        if seconds >= HEALTHY:
            self._failures = 0
            self._denials = 0
            self._last = Cause.START

    def after(self, cause: Cause, now: float, asked: float, granted: bool) -> float:
        """Seconds to wait after a failure at monotonic time `now`.

        Args:
            asked: seconds that the server asked for (Retry-After); the least that is waited.
            granted: the kind has been listed before.
        """
        last, self._last = self._last, cause
        if cause is Cause.TRANSPORT:
            self._settles_until = now + SETTLING
            if self._steady:
                return max(asked, AT_ONCE * self._chance())
        if cause is Cause.GONE and last is not Cause.GONE:
            return asked
        if cause not in _DENIALS:
            self._denials = 0
            self._failures += 1
            return max(asked, self._draw(MIN_BACKOFF, self._failures, MAX_BACKOFF))
        if granted and last not in _DENIALS and now >= self._settles_until:
            self._settles_until = now + SETTLING
        if now < self._settles_until:
            self._denials += 1
            return max(asked, self._draw(MIN_SETTLING, self._denials, MAX_SETTLING))
        self._failures += 1
        return max(asked, self._draw(MIN_BACKOFF, self._failures, MAX_DENIED))

    def _draw(self, least: float, times: int, most: float) -> float:
        ceiling = min(most, 2 * least * GROWTH ** (min(times, _MOST) - 1))
        return least + (ceiling - least) * self._chance()
