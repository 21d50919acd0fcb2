"""The daemon's answers while a cluster changes and its API server fails, against the true history of every name.

HSDNSD_MODEL_SEED=n repeats one seed; HSDNSD_MODEL_SEEDS=100 HSDNSD_MODEL_OPERATIONS=10000 is the long run.
"""

from __future__ import annotations

import logging
import os

import pytest

from tests.model.play import Rules, judge

SEED = os.environ.get("HSDNSD_MODEL_SEED")
SEEDS = int(os.environ.get("HSDNSD_MODEL_SEEDS", "5"))
OPERATIONS = int(os.environ.get("HSDNSD_MODEL_OPERATIONS", "300"))
RULES = {"all": Rules(), "scoped": Rules(scoped=True)}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("seed", [int(SEED)] if SEED else range(SEEDS))
def test_every_answer_is_true_within_the_bound(seed: int, rules: Rules) -> None:
    logging.disable(logging.CRITICAL)
    try:
        score = judge(seed, OPERATIONS, rules)
    finally:
        logging.disable(logging.NOTSET)
    assert score.checked > 4 * OPERATIONS
    assert score.unsure <= score.checked / 4
