"""Scripts tried on real sockets: the daemon's DNS side in front, a liar behind it, and the verdict on what comes of it.

Time-outs are nearly those that the daemon has, and many trials wait at once. Whatever is to come first has seconds to
do so, and what a machine that stands still has made late is tried again; the tests with a clock of their own
(`test_lying_in_time`) are strict. Everything else is as small as can be: with room for one question, one that is not
given back makes the next one fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from hsdnsd.engine.exchange import MAX_MESSAGES, ExchangeOptions
from hsdnsd.engine.resolver import Bounds
from tests.support.judged import Judged
from tests.support.liar import lying
from tests.support.lies import NAME, Script, honest
from tests.support.net import PATIENCE, run
from tests.support.scripts import SCRIPTS
from tests.support.verdicts import FAILED, KNOWN, TABLE, TRUTH, Said, Way, expect, sent_by_us, stale_said

# At one time: each waits most of its time, and what it does otherwise keeps the others waiting.
TRIALS = 16
# An answer is due within 4 s. A second of them is for the machine, which may be busy.
DUE, DEADLINE, ATTEMPT_TIMEOUT = 4.0, 3.0, 1.0
# When something stale is given: at once where nothing better comes; else long after that has come.
SOON, LATE = 0.4, 2.5


# What is found wrong while the machine gives the process no time for so long is tried again, so many times in all.
STALL, TRIES = 0.2, 8


class Stalls:
    """When the event loop came late to what was due."""

    def __init__(self) -> None:
        self._last = -math.inf

    async def watch(self) -> None:
        while True:
            due = monotonic() + STALL / 4
            await asyncio.sleep(STALL / 4)
            if monotonic() - due > STALL:
                self._last = monotonic()

    def since(self, when: float) -> bool:
        return self._last >= when


class Trial(NamedTuple):
    """One script, tried in one way.

    Attributes:
        over: by what ways it is asked at once: over TCP, or not.
        upstream_tcp: the upstream is asked over TCP alone. stale: something is known whose time is over.
        helped: there is a second server, which is honest.
        threads: of the packet path; without, the engine reads and asks everything.
    """

    script: str
    over: tuple[bool, ...]
    upstream_tcp: bool = False
    stale: bool = False
    helped: bool = False
    threads: int = 0

    @property
    def verdict(self) -> Said:
        row = TABLE[self.script]
        said = Way(self.over[0], self.upstream_tcp, self.stale).verdict(row)
        # Where nobody could say anything better, nobody else is asked.
        return TRUTH if self.helped and said is FAILED and row.stale is KNOWN else said


async def judge(trial: Trial) -> None:
    """
    Raises:
        AssertionError: the verdict is another.
    """
    script, row, verdict = SCRIPTS[trial.script], TABLE[trial.script], trial.verdict
    said = stale_said(verdict, script.qtype)
    bounds = Bounds(
        in_flight=1,
        waiters=len(trial.over),
        per_client=len(trial.over),
        deadline=DEADLINE,
        stale_after=SOON if verdict is KNOWN else LATE,
    )
    exchange = ExchangeOptions(attempt_timeout=ATTEMPT_TIMEOUT, force_tcp=trial.upstream_tcp)
    async with contextlib.AsyncExitStack() as opened:
        liar, where = await opened.enter_async_context(lying(script))
        upstreams = [where]
        if trial.helped:
            _, another = await opened.enter_async_context(lying(Script(honest)))
            upstreams.append(another)
        judged = Judged(script, upstreams, bounds=bounds, exchange=exchange, stale=trial.stale, threads=trial.threads)
        listeners = await opened.enter_async_context(judged.serving())
        began = monotonic()
        messages = await asyncio.gather(*(judged.ask(NAME, judged.qtype, tcp=tcp) for tcp in trial.over))
        took = monotonic() - began
        for message, tcp in zip(messages, trial.over, strict=True):
            expect(message, said, tcp)
        assert took < DUE, f"{took:.3f} s"
        await judged.settled()
        asked = list(liar.asked)
        sent_by_us(asked)
        assert len(asked) <= MAX_MESSAGES * len(trial.over)
        if listeners.driver.flights is not None:
            assert listeners.driver.flights.flights.opened or True in trial.over

        # And nothing of it is left.
        liar.repent()
        again = await judged.ask(NAME, judged.qtype, tcp=trial.over[0])
        if row.kept is not None and verdict == row.cold:
            assert (len(liar.asked) == len(asked)) is row.kept
            if row.kept:
                expect(again, said, trial.over[0])
        await judged.goes_on(reachable=trial.helped or (script.tcp if trial.upstream_tcp else script.udp))
        await judged.settled()


def problems_of(trials: Iterable[Trial]) -> dict[str, list[Exception]]:
    """What is wrong, by script; each trial has `PATIENCE`."""
    trials = list(trials)
    return run(_judge_all(trials), PATIENCE * (len(trials) + 1))


async def _judge_all(trials: list[Trial]) -> dict[str, list[Exception]]:
    room = asyncio.Semaphore(TRIALS)
    problems: dict[str, list[Exception]] = {}

    async def begin(trial: Trial) -> None:
        for tries_left in reversed(range(TRIES)):
            async with room:
                began = monotonic()
                try:
                    async with asyncio.timeout(PATIENCE):
                        await judge(trial)
                except (AssertionError, OSError, TimeoutError) as problem:
                    if tries_left and stalls.since(began):
                        continue
                    problem.add_note(str(trial))
                    problems.setdefault(trial.script, []).append(problem)
                return

    stalls = Stalls()
    watching = asyncio.create_task(stalls.watch())
    # The first one opens what is open from then on.
    await judge(Trial("honest", (True,)))
    before = _open_descriptors()
    await asyncio.gather(*map(begin, trials))
    # A connection's transport is closed in the turn after it was told to.
    await asyncio.sleep(0)
    watching.cancel()
    if not problems:
        # Else the problems hold what is open in the frames that they came from.
        assert _open_descriptors() <= before
    return problems


def _open_descriptors() -> int:
    # What the native part has open is closed when Python lets go of it.
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))
