"""Who goes first on a core: the thread that answers hits before Python's, where there is one."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import struct
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, running

POD = """\
apiVersion: v1
kind: Namespace
metadata: {name: team}
"""
AHEAD = 10
CAP_SYS_NICE = 23
TURN, EVENT_TURN = 100_000, 300_000  # nanoseconds
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}  # the number of the system call
ATTRIBUTES = struct.Struct(
    "=IIQiIQQQ"
)  # sched_setattr(2): size, policy, flags, nice, priority, runtime, deadline, period


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    (tmp_path / "objects.yaml").write_text(POD)
    return str(tmp_path)


def nice_of_threads(daemon: Daemon) -> dict[int, int]:
    threads = [int(task.name) for task in Path(f"/proc/{daemon.process.pid}/task").iterdir()]
    return {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}


def turn_of(thread: int) -> int:
    """In nanoseconds."""
    if platform.machine() not in SCHED_GETATTR or kernel() < (6, 12):
        pytest.skip("threads of this kernel have no turns of their own")
    told = ctypes.create_string_buffer(ATTRIBUTES.size)
    call = SCHED_GETATTR[platform.machine()]
    assert ctypes.CDLL(None).syscall(call, thread, told, ctypes.c_uint(ATTRIBUTES.size), ctypes.c_uint(0)) == 0
    runtime: int = ATTRIBUTES.unpack(told.raw)[5]
    return runtime


def kernel() -> tuple[int, int]:
    major, minor = platform.release().split("-")[0].split(".")[:2]
    return int(major), int(minor)


def own_nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def may_go_first() -> bool:
    """Whether the daemon has CAP_SYS_NICE, as this process has."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_NICE & 1)


def check_turns(daemon: Daemon, answering: int, python: int) -> None:
    """Two threads answer, each with a spare one, at one niceness and in the shortest turns; Python's main thread has
    another, and longer ones."""
    nice = nice_of_threads(daemon)
    assert nice[daemon.process.pid] == python
    turns = [turn_of(thread) for thread, each in nice.items() if each == answering]
    assert turns.count(TURN) == 4
    assert turn_of(daemon.process.pid) == EVENT_TURN


@pytest.mark.skipif(not may_go_first(), reason="takes CAP_SYS_NICE")
def test_threads_that_answer_go_first(manifests: str) -> None:
    with running("--manifests", manifests, "--set", "threads=2") as daemon:
        check_turns(daemon, own_nice() - AHEAD, own_nice())


@pytest.mark.skipif(own_nice() + AHEAD > 19, reason="this process is as nice as can be")
def test_without_the_right_to_that_python_steps_back(manifests: str) -> None:
    under: list[str] = []
    if may_go_first():
        if shutil.which("setpriv") is None:
            pytest.skip("there is no setpriv (Debian: util-linux) to take the right away with")
        under = ["setpriv", "--bounding-set", "-sys_nice"]
    with running("--manifests", manifests, "--set", "threads=2", under=under) as daemon:
        check_turns(daemon, own_nice(), own_nice() + AHEAD)


def test_without_such_a_thread_nothing_changes(manifests: str) -> None:
    with running("--manifests", manifests, "--set", "threads=0") as daemon:
        assert set(nice_of_threads(daemon).values()) == {own_nice()}
