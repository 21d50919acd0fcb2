"""One control plane for the whole run; a failed test shows the end of its programs' logs."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.api_client import Object, namespace
from tests.cluster.control_plane import ControlPlane, NoProgramsError, find_programs
from tests.cluster.controllers import PROGRAMS, Controllers
from tests.cluster.daemon import Daemon
from tests.cluster.expect import wait_until_ready
from tests.cluster.program import until

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that deploy/ has been applied to, as it stands there."""
    with ControlPlane(programs(), tmp_path_factory.mktemp("control-plane")) as running:
        deploy(running)
        yield running


@pytest.fixture(scope="session")
def controllers(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controllers]:
    """What makes pods of the objects in `control_plane`, from the first test on that asks for it."""
    programs(*PROGRAMS)
    with Controllers(control_plane, tmp_path_factory.mktemp("controllers")) as running:
        yield running


@pytest.fixture
def uncached_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own for a test, whose API server leads each watch to etcd."""
    with ControlPlane(programs(), tmp_path_factory.mktemp("uncached"), "--watch-cache=false") as running:
        deploy(running)
        yield running


def programs(*more: str) -> Path:
    """The folder with etcd, kube-apiserver and `more`; where they are not to be had the test is skipped."""
    try:
        return find_programs("etcd", "kube-apiserver", *more)
    except NoProgramsError as why:
        pytest.skip(str(why))


def deploy(control_plane: ControlPlane) -> None:
    """Apply deploy/ as it stands."""
    made_a_moment_after_the_start = "/api/v1/namespaces/kube-system"
    until("the system's Namespaces", lambda: control_plane.api.exists(made_a_moment_after_the_start), within=30)
    for obj in deployed():
        control_plane.api.create(obj)


def deployed() -> Iterator[Object]:
    for file in sorted(DEPLOY.glob("*.yaml")):
        yield from filter(None, yaml.safe_load_all(file.read_text()))


@pytest.fixture(scope="session")
def token(control_plane: ControlPlane) -> str:
    """What the daemon's pods would be given."""
    return control_plane.token_of("kube-system", "hsdnsd")


@pytest.fixture(scope="module")
def daemon(control_plane: ControlPlane, token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A ready daemon with the rights that deploy/ gives it."""
    running = Daemon(tmp_path_factory.mktemp("hsdnsd"), control_plane.kubeconfig(token))
    running.program.start()
    try:
        wait_until_ready(running)
        yield running
    finally:
        running.program.kill()


@pytest.fixture
def space(control_plane: ControlPlane) -> str:
    """A new Namespace of the test's own."""
    name = "t-" + secrets.token_hex(4)
    control_plane.api.create(namespace(name))
    return name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for value in item.funcargs.values():
            if isinstance(value, ControlPlane | Controllers):
                report.sections += [(f"end of the log of {name}", text) for name, text in value.logs().items()]
            elif isinstance(value, Daemon):
                report.sections.append(("end of the log of hsdnsd", value.program.tail()))
    return report
