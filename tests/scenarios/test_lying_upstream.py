"""What comes of each lie of an upstream, on real sockets: for the client, for the upstream, and for whoever asks next.

`tests.support.verdicts` has the verdict on every script. Here the engine reads and asks everything. Each script is
tried by a client over UDP and one over TCP, over UDP and over TCP towards the upstream, with nothing in the cache and
with an answer whose time is over.
"""

from __future__ import annotations

import itertools

import pytest

from tests.support.scripts import SCRIPTS
from tests.support.trials import Trial
from tests.support.verdicts import TABLE


def test_every_script_has_its_verdict() -> None:
    assert set(TABLE) == set(SCRIPTS)


def ways(script: str) -> list[Trial]:
    return [
        Trial(script, (client_tcp,), upstream_tcp, stale)
        for client_tcp, upstream_tcp, stale in itertools.product((False, True), repeat=3)
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_on_real_sockets(script: str, problems: dict[str, list[Exception]]) -> None:
    if script in problems:
        raise ExceptionGroup(script, problems[script])
