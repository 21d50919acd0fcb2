"""A bench that is told to stop in the midst of it takes along everything that it has started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "bench" / "run"
PATIENCE = 60.0  # seconds


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    if missing := [name for name in ("cc", "taskset", "dnsperf") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} needed")
    if len(cores := sorted(os.sched_getaffinity(0))) < 2:
        pytest.skip("two cores needed")
    words = ["--server", "floor", "--scenario", "pod-a", "--quick", "--seconds", "50"]
    words += ["--server-core", str(cores[0]), "--generator-core", str(cores[1])]
    with subprocess.Popen(
        [sys.executable, str(RUN), *words],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        yield running
        running.kill()


def children(pid: int) -> dict[int, str]:
    """All that a process has started, and what that has started, by name."""
    found: dict[int, str] = {}
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, listed.read_text().split()):
                found[child] = Path(f"/proc/{child}/comm").read_text().strip()
                found |= children(child)
    return found


def lives(pid: int, name: str) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    return False


def started_by(bench: subprocess.Popen[str]) -> dict[int, str]:
    """What runs when the first measurement does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and bench.poll() is None:
        if {"floor", "upstream", "dnsperf"} <= set((found := children(bench.pid)).values()):
            return found
    raise AssertionError(bench.communicate()[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_running(bench: subprocess.Popen[str], number: signal.Signals, tmp_path: Path) -> None:
    started = started_by(bench)
    bench.send_signal(number)
    bench.send_signal(number)
    told = bench.communicate(timeout=PATIENCE)[0]
    assert bench.returncode == 128 + number, told
    assert "Traceback" not in told
    assert [name for pid, name in started.items() if lives(pid, name)] == []
    assert list(tmp_path.iterdir()) == []
