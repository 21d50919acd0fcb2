"""Every script is tried at once with the others of its module, in the ways that the module gives."""

from __future__ import annotations

import pytest

from tests.support.scripts import SCRIPTS
from tests.support.trials import problems_of


@pytest.fixture(scope="module")
def problems(request: pytest.FixtureRequest) -> dict[str, list[Exception]]:
    """Of all scripts that this run of the tests is about, by script; `ways` of the module are its trials of one."""
    names = {item.name for item in request.session.items}
    chosen = [script for script in SCRIPTS if f"test_on_real_sockets[{script}]" in names]
    return problems_of(trial for script in chosen for trial in request.module.ways(script))
