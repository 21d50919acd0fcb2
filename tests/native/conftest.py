"""Every test that takes `twin` runs over both packet paths."""

from __future__ import annotations

import pytest

from tests.support.twins import TWINS, Twin


@pytest.fixture(params=TWINS, ids=lambda twin: twin.name)
def twin(request: pytest.FixtureRequest) -> Twin:
    chosen: Twin = request.param
    return chosen
