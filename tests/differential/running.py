"""One run: the same questions to both servers, and again when both have the answers in their caches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tests.differential.asking import Told, ask
from tests.differential.comparing import Case, differing
from tests.differential.differences import explained
from tests.differential.questions import Question, questions
from tests.differential.servers import unbound, upstream
from tests.support.daemon import running

# Everything that is asked fits, nothing is given past its time, nobody but clients asks, and a machine that has other
# things to do is waited for.
_SETTINGS = (
    "cache.positive_bytes=134217728",
    "cache.negative_bytes=67108864",
    "cache.failure_bytes=16777216",
    "cache.max_stale=0",
    "forward.loop_probe_after=3600",
    "forward.deadline=20",
    "forward.attempt_timeout=5",
)


# So many are asked, and then again, before the next: TTLs can be told apart by more than this takes.
BATCH = 2000


class Run(NamedTuple):
    """What came of it.

    Attributes:
        ours: the daemon's replies, of both rounds.
        first, second: where the two servers differ, when they had to ask and when they knew.
        changed: where the daemon's second replies differ from its first.
        seconds: how long it took.
    """

    questions: Sequence[Question]
    ours: tuple[Told, Told]
    first: list[Case]
    second: list[Case]
    changed: list[Case]
    seconds: float


def run(count: int, seed: int) -> Run:
    """Ask so many questions, which are those of this seed."""
    outcome = Run(questions(count, seed), ([], []), [], [], [], 0.0)
    with (
        upstream() as (where, plain),
        unbound((where, plain)) as theirs,
        running(
            "--upstream", where, settings=[*_SETTINGS, f'forward.stub_zones={{"plain.example"=["{plain}"]}}']
        ) as ours,
    ):
        begun = before = time.monotonic()
        for start in range(0, count, BATCH):
            batch = outcome.questions[start : start + BATCH]
            # A name may be one that was asked for in the batch before.
            since, before = before, time.monotonic()
            first = ask((ours.server, theirs), batch)
            halfway = time.monotonic()
            second = ask((ours.server, theirs), batch)
            end = time.monotonic()
            # Either server may have learned something when it was first asked for, or just now; and each rounds.
            outcome.first.extend(differing(batch, first[0], first[1], halfway - since + 2))
            outcome.second.extend(differing(batch, second[0], second[1], end - since + 2))
            outcome.changed.extend(differing(batch, first[0], second[0], end - since + 2))
            for told, replies in zip(outcome.ours, (first[0], second[0]), strict=True):
                told.extend(replies)
        seconds = time.monotonic() - begun
        assert "Traceback" not in ours.log
    return outcome._replace(seconds=seconds)


def shares(cases: Sequence[Case], count: int) -> dict[str | None, float]:
    """Which part of all questions each class is; those under None are explained by no class."""
    counts = Counter(difference.title if (difference := explained(case)) else None for case in cases)
    return {title: number / count for title, number in counts.items()}
