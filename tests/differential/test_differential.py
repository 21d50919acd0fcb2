"""The daemon beside unbound, which knows nothing of it: the same questions, the same upstream, the same answers.

HSDNSD_DIFFERENTIAL_QUESTIONS: how many, instead of 2,000 (20,000 is a full run). HSDNSD_DIFFERENTIAL_SEED: which.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.differential.comparing import Case
from tests.differential.differences import DIFFERENCES, OUR_MESSAGES, explained
from tests.differential.reading import read
from tests.differential.running import Run, run, shares
from tests.differential.servers import UNBOUND
from tests.differential.world import AA, RA, SERVFAIL, TC, links

COUNT = int(os.environ.get("HSDNSD_DIFFERENTIAL_QUESTIONS", "2000"))
SEED = int(os.environ.get("HSDNSD_DIFFERENTIAL_SEED", "1"))
FULL = 20_000
UNEXPLAINED = 0.001
DOCUMENT = Path(__file__).parents[2] / "docs" / "differences.md"


@pytest.fixture(scope="module")
def outcome() -> Run:
    if UNBOUND is None:
        pytest.skip("unbound is not installed")
    return run(COUNT, SEED)


def is_long(case: Case) -> bool:
    return sum(length for kind, length in links(case.question.owner) if kind == "alias") >= OUR_MESSAGES


def only_ttls(case: Case) -> bool:
    return case.aspects <= {"answer TTL", "authority TTL"}


def told(case: Case) -> str:
    return f"{case.question}\n  {sorted(case.aspects)}\n  ours: {case.ours}\n  theirs: {case.theirs}"


def check(cases: Sequence[Case]) -> None:
    unexplained = [case for case in cases if explained(case) is None]
    assert len(unexplained) <= UNEXPLAINED * COUNT, "\n".join(map(told, unexplained[:10]))


def test_what_differs_has_its_reason(outcome: Run) -> None:
    print(f"{len(outcome.first)} of {COUNT} differ; {outcome.seconds:.1f} s")
    check(outcome.first)


def test_what_differs_when_both_know_the_answer_has_its_reason(outcome: Run) -> None:
    check(outcome.second)


def test_the_cache_tells_what_was_told_before(outcome: Run) -> None:
    # A chain that is told link by link costs more messages than one question may: the next goes on where it ended.
    went_on = [case for case in outcome.changed if case.ours and case.ours.rcode == SERVFAIL and is_long(case)]
    # What is asked for again and again may have run out and been fetched anew.
    renewed = [case for case in outcome.changed if case.question.kind.startswith("name ") and only_ttls(case)]
    assert [told(case) for case in outcome.changed if case not in went_on + renewed] == []


def test_every_reply_is_well_formed(outcome: Run) -> None:
    for wires in outcome.ours:
        for question, wire in zip(outcome.questions, wires, strict=True):
            assert wire is not None, question
            reply = read(wire)
            assert (reply.edns is None) == (question.edns is None), question
            assert reply.flag(RA), question
            assert question.tcp or reply.size <= min(max(question.edns or 512, 512), 1232), question
            assert not (question.tcp and reply.flag(TC)), question
            for section in (reply.answer, reply.authority, reply.additional):
                for rrset in section.values():
                    assert rrset.count == len(rrset.rdatas), "a record stands there twice"
                    assert rrset.ttl <= 86400, question
            if not question.kind.startswith("name "):
                assert not reply.flag(AA), question


@pytest.mark.skipif(COUNT < FULL, reason="some differences are too rare for a sample")
def test_every_class_is_met(outcome: Run) -> None:
    assert {difference.title for difference in DIFFERENCES} <= {
        *shares(outcome.first, COUNT), *shares(outcome.second, COUNT)
    }  # fmt: skip


def test_the_document_lists_the_classes() -> None:
    rows = re.findall(r"^\| (.*?) \| [\d.]+% \| (.*?) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == [(difference.title, difference.reason) for difference in DIFFERENCES]
