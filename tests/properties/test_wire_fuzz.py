"""The fuzz targets hold for their seeds and a first thousand of damaged packets."""

from __future__ import annotations

import importlib
import random

import pytest

from fuzz.run import HERE, damage, read_seeds


@pytest.mark.parametrize("target", ["gate", "message"])
def test_target(target: str) -> None:
    check = importlib.import_module(f"fuzz.{target}").check
    pool = read_seeds(HERE / "corpus" / f"{target}.hex")
    dice = random.Random(0)
    outcomes = {check(wire) for wire in pool}
    outcomes |= {check(damage(dice.choice(pool), pool, dice)) for _ in range(1000)}
    assert len(outcomes) > 15


def test_damage_depends_on_the_seed_alone() -> None:
    pool = read_seeds(HERE / "corpus" / "gate.hex")
    one, other = random.Random(7), random.Random(7)
    assert [damage(pool[0], pool, one) for _ in range(50)] == [damage(pool[0], pool, other) for _ in range(50)]
