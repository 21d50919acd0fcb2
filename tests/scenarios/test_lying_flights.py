"""What comes of each lie of an upstream where the packet path asks it: a thread hears it first, and needs no Python.

As in `test_lying_upstream`. A client over TCP is the engine's, so that the same question asked over both becomes the
engine's while it is in the air.
"""

from __future__ import annotations

import pytest

from tests.support.scripts import SCRIPTS
from tests.support.trials import Trial


def ways(script: str) -> list[Trial]:
    return [
        Trial(script, (False,), threads=1),
        Trial(script, (False,), threads=1, stale=True),
        Trial(script, (False,), threads=1, helped=True),
        Trial(script, (False, True), threads=1),
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_on_real_sockets(script: str, problems: dict[str, list[Exception]]) -> None:
    if script in problems:
        raise ExceptionGroup(script, problems[script])
