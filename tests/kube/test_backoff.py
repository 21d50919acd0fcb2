"""hsdnsd.kube.backoff: how long is waited, by what went wrong; no clock but the test's."""

from __future__ import annotations

import pytest

from hsdnsd.kube.backoff import (
    AT_ONCE,
    HEALTHY,
    MAX_BACKOFF,
    MAX_DENIED,
    MAX_SETTLING,
    MIN_BACKOFF,
    MIN_SETTLING,
    SETTLING,
    STEADY,
    Backoff,
)
from hsdnsd.kube.source import Cause

ORDINARY = [
    Cause.TRANSPORT,
    Cause.BUSY,
    Cause.REFUSED,
    Cause.ERROR,
    Cause.JUNK,
    Cause.BACKWARDS,
    Cause.SHORT,
    Cause.LIST,
]


def waits(backoff: Backoff, cause: Cause, times: int, now: float = 1000.0, granted: bool = False) -> list[float]:
    return [backoff.after(cause, now, 0.0, granted) for _ in range(times)]


@pytest.mark.parametrize("cause", ORDINARY)
def test_waits_grow_to_their_most(cause: Cause) -> None:
    assert waits(Backoff(lambda: 1.0), cause, 3) == [1.0, 1.5, 2.25]
    assert waits(Backoff(lambda: 1.0), cause, 5000)[-1] == MAX_BACKOFF
    assert waits(Backoff(lambda: 0.0), cause, 50) == [MIN_BACKOFF] * 50


def test_what_the_server_asks_for_is_the_least() -> None:
    assert Backoff(lambda: 0.0).after(Cause.BUSY, 0.0, 17.0, True) == 17.0
    assert Backoff(lambda: 0.0).after(Cause.GONE, 0.0, 17.0, True) == 17.0
    assert Backoff(lambda: 1.0).after(Cause.BUSY, 0.0, 0.2, True) == 1.0


def test_a_version_that_is_gone_is_listed_again_at_once_and_lets_no_other_wait_grow() -> None:
    backoff = Backoff(lambda: 1.0)
    assert waits(backoff, Cause.TRANSPORT, 1) == [1.0]
    assert waits(backoff, Cause.GONE, 1) == [0.0]
    assert waits(backoff, Cause.TRANSPORT, 1) == [1.5]


def test_a_server_that_says_gone_to_everything_is_not_asked_without_a_pause() -> None:
    assert waits(Backoff(lambda: 1.0), Cause.GONE, 3) == [0.0, 1.0, 1.5]


def test_a_server_that_restarts_is_followed_soon() -> None:
    """Refused, then denied, then gone: only the first is one that waits grow by."""
    backoff = Backoff(lambda: 1.0)
    waits(backoff, Cause.TRANSPORT, 5, now=1000.0)
    assert waits(backoff, Cause.FORBIDDEN, 3, now=1010.0, granted=True) == [0.5, 0.75, 1.125]
    assert waits(backoff, Cause.GONE, 1, now=1011.0) == [0.0]


@pytest.mark.parametrize("cause", [Cause.FORBIDDEN, Cause.UNAUTHORIZED])
def test_a_denial_soon_after_the_server_was_away_settles(cause: Cause) -> None:
    backoff = Backoff(lambda: 1.0)
    waits(backoff, Cause.TRANSPORT, 1, now=1000.0)
    soon = waits(backoff, cause, 20, now=1000.0 + SETTLING - 1)
    assert soon[-1] == MAX_SETTLING
    assert min(soon) >= MIN_SETTLING
    assert waits(backoff, cause, 50, now=1000.0 + SETTLING)[-1] == MAX_DENIED


def test_a_denial_of_what_was_granted_settles_once() -> None:
    backoff = Backoff(lambda: 1.0)
    assert waits(backoff, Cause.FORBIDDEN, 50, now=1000.0, granted=True)[-1] == MAX_SETTLING
    assert waits(backoff, Cause.FORBIDDEN, 50, now=1000.0 + SETTLING, granted=True)[-1] == MAX_DENIED


def test_a_denial_from_the_first_is_waited_out_long() -> None:
    assert waits(Backoff(lambda: 1.0), Cause.FORBIDDEN, 50)[-1] == MAX_DENIED


def test_health_ends_a_row() -> None:
    backoff = Backoff(lambda: 1.0)
    waits(backoff, Cause.BUSY, 5)
    waits(backoff, Cause.GONE, 1)
    backoff.lived(HEALTHY)
    assert waits(backoff, Cause.GONE, 1) == [0.0]
    assert waits(backoff, Cause.BUSY, 1) == [1.0]


def test_a_watch_that_was_open_for_a_while_is_opened_again_at_once() -> None:
    backoff = Backoff(lambda: 1.0)
    waits(backoff, Cause.TRANSPORT, 2)
    backoff.lived(STEADY)
    assert waits(backoff, Cause.TRANSPORT, 1) == [AT_ONCE]
    backoff.lived(0.0)
    assert waits(backoff, Cause.TRANSPORT, 2) == [2.25, 3.375]
    backoff.lived(STEADY)
    assert backoff.after(Cause.TRANSPORT, 0.0, 7.0, True) == 7.0
    assert waits(backoff, Cause.BUSY, 1) == [5.0625]


def test_one_that_was_hardly_open_is_not() -> None:
    backoff = Backoff(lambda: 0.0)
    backoff.lived(STEADY - 0.1)
    assert waits(backoff, Cause.TRANSPORT, 1) == [MIN_BACKOFF]
