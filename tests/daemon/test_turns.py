"""Who goes first on a core: the thread that answers hits before Python's, where there is one."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, running

POD = """\
apiVersion: v1
kind: Namespace
metadata: {name: team}
"""
NICE = 10
TURN = 100_000  # nanoseconds
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


def test_python_steps_back_behind_the_thread_that_answers(manifests: str) -> None:
    with running("--manifests", manifests, "--set", "threads=2") as daemon:
        nice = nice_of_threads(daemon)
        prompt = [thread for thread, each in nice.items() if each == own_nice() and each < NICE]
        assert nice[daemon.process.pid] == max(NICE, own_nice())
        if own_nice() >= NICE:
            pytest.skip("this process is as nice as Python's threads get")
        turns = [turn_of(thread) for thread in prompt]
        assert turns.count(TURN) == 2
        assert turn_of(daemon.process.pid) > TURN


def test_without_such_a_thread_nothing_changes(manifests: str) -> None:
    with running("--manifests", manifests, "--set", "threads=0") as daemon:
        assert set(nice_of_threads(daemon).values()) == {own_nice()}
