"""One control plane for the whole run; a failed test shows the end of its programs' logs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.api_client import Object
from tests.cluster.control_plane import ControlPlane, NoProgramsError, find_programs
from tests.cluster.daemon import Daemon
from tests.cluster.program import until

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that deploy/ has been applied to, as it stands there."""
    try:
        programs = find_programs("etcd", "kube-apiserver")
    except NoProgramsError as why:
        pytest.skip(str(why))
    with ControlPlane(programs, tmp_path_factory.mktemp("control-plane")) as running:
        made_a_moment_after_the_start = "/api/v1/namespaces/kube-system"
        until("the system's Namespaces", lambda: running.api.exists(made_a_moment_after_the_start), within=30)
        for obj in deployed():
            running.api.create(obj)
        yield running


def deployed() -> Iterator[Object]:
    for file in sorted(DEPLOY.glob("*.yaml")):
        yield from filter(None, yaml.safe_load_all(file.read_text()))


@pytest.fixture(scope="session")
def token(control_plane: ControlPlane) -> str:
    """What the daemon's pods would be given."""
    return control_plane.token_of("kube-system", "hsdnsd")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for value in item.funcargs.values():
            if isinstance(value, ControlPlane):
                report.sections += [(f"end of the log of {name}", text) for name, text in value.logs().items()]
            elif isinstance(value, Daemon):
                report.sections.append(("end of the log of hsdnsd", value.program.tail()))
    return report
