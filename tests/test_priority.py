"""hsdnsd.priority: what is asked of the kernel, and what follows from its refusals (tests/daemon/test_turns.py: that it
is so)."""

from __future__ import annotations

import os
import threading

import pytest

from hsdnsd.priority import going_first

OWN = 3


class Kernel:
    """What getpriority(2) and setpriority(2) tell and take.

    Attributes:
        nice: as set, by thread; 0 is the one that sets it.
        refused: threads that may not be changed, and what is raised instead.
    """

    def __init__(self) -> None:
        self.nice = {0: OWN}
        self.refused: dict[int, type[OSError]] = {}

    def get(self, which: int, thread: int) -> int:
        assert which == os.PRIO_PROCESS
        return self.nice[thread]

    def set(self, which: int, thread: int, nice: int) -> None:
        assert which == os.PRIO_PROCESS
        if thread in self.refused:
            raise self.refused[thread]
        self.nice[thread] = nice


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(os, "getpriority", made.get)
    monkeypatch.setattr(os, "setpriority", made.set)
    return made


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Python's, by their numbers in the kernel; and one that has not begun."""
    numbers: list[int | None] = [101, None, 102, 103]
    listed = [threading.Thread() for _ in numbers]
    for thread, number in zip(listed, numbers, strict=True):
        thread._native_id = number  # type: ignore[attr-defined]
    monkeypatch.setattr(threading, "enumerate", lambda: listed)
    return [number for number in numbers if number is not None]


def test_what_is_begun_within_goes_first(kernel: Kernel) -> None:
    with going_first(2):
        assert kernel.nice == {0: OWN - 10}
    assert kernel.nice == {0: OWN}


def test_also_where_that_fails(kernel: Kernel) -> None:
    with pytest.raises(LookupError), going_first(2):
        raise LookupError
    assert kernel.nice == {0: OWN}


def test_where_nothing_is_begun_all_stays(kernel: Kernel) -> None:
    with going_first(0):
        assert kernel.nice == {0: OWN}
    assert kernel.nice == {0: OWN}


def test_without_the_right_python_steps_back(kernel: Kernel, threads: list[int]) -> None:
    kernel.refused = {0: PermissionError, threads[1]: ProcessLookupError}
    with going_first(2):
        assert kernel.nice == {0: OWN}
    assert kernel.nice == {0: OWN, threads[0]: OWN + 10, threads[2]: OWN + 10}


def test_without_any_right_it_is_told_once(
    kernel: Kernel, threads: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    kernel.refused = dict.fromkeys([0, *threads], PermissionError)
    with going_first(2):
        pass
    assert kernel.nice == {0: OWN}
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "answers may wait for what else the daemon does, as setpriority is refused"
    ]
