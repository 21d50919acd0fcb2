"""The bench's C programs compiled, its workload written, and the upstream running, once for all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ask import wait_until_ready
from bench.cluster import Cluster, generate
from bench.generator import compile_all
from bench.process import free_port, running
from bench.rounds import write_workload
from bench.scenarios import miss_scenario
from bench.servers import UPSTREAM
from bench.servers.base import Site


@pytest.fixture(scope="session")
def core() -> int:
    """A core that this process may use."""
    return min(os.sched_getaffinity(0))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return generate()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Path:
    """What all servers of a bench are given."""
    if missing := [name for name in ("cc", "taskset") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} needed")
    folder = tmp_path_factory.mktemp("shared")
    compile_all(folder)
    write_workload(folder, cluster)
    return folder


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory, shared: Path, core: int) -> Iterator[int]:
    """The upstream's port."""
    port = free_port()
    site = Site(tmp_path_factory.mktemp("upstream"), port, 0, port, shared)
    with running(UPSTREAM.command(UPSTREAM.find(shared), site), site.folder, core) as process:
        wait_until_ready(process, port, miss_scenario("start", 1))
        yield port
