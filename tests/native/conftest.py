"""Every test that takes `twin` runs over both packet paths; `sky` is a worker that may ask an upstream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.sky import PLAN, Sky
from tests.support.twins import TWINS, Twin


@pytest.fixture(params=TWINS, ids=lambda twin: twin.name)
def twin(request: pytest.FixtureRequest) -> Twin:
    chosen: Twin = request.param
    return chosen


@pytest.fixture
def sky() -> Iterator[Sky]:
    with ExitStack() as opened:
        made = Sky(opened)
        made.flights.grant(PLAN)
        yield made
