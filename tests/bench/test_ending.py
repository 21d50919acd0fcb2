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

from bench.ending import ASKED, workplace

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds

# It is told to end after it has started something, and before anything of its own knows of that; and what it does on
# the way out fails.
UNKNOWN = """
import os, signal, subprocess
from bench.ending import workplace
from bench.process import descendants

with workplace() as folder:
    (folder / "kept").touch()
    subprocess.Popen(["sh", "-c", "sleep 100 & wait"])
    while len(family := [*descendants(os.getpid())]) < 2: pass
    print(*family, flush=True)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        raise OSError
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    if missing := [name for name in ("cc", "taskset", "dnsperf") if shutil.which(name) is None]:
        pytest.skip(f"{' and '.join(missing)} needed")
    if len(cores := sorted(os.sched_getaffinity(0))) < 2:
        pytest.skip("two cores needed")
    words = ["--server", "floor", "--scenario", "pod-a", "--quick", "--seconds", "50"]
    words += ["--server-core", str(cores[0]), "--generator-core", str(cores[1])]
    with subprocess.Popen(
        [sys.executable, str(ROOT / "bench" / "run"), *words],
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


def test_what_nothing_knows_of_ends_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNKNOWN],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGHUP, "")
    shell, _sleep = map(int, done.stdout.split())  # that one held the pipe, whose end we have read
    assert not lives(shell, "sh")
    assert list(tmp_path.iterdir()) == []


def test_signals_are_as_before_once_a_bench_is_over() -> None:
    before = [signal.getsignal(number) for number in ASKED]
    with workplace() as folder:
        assert folder.is_dir()
        assert not {signal.getsignal(number) for number in ASKED} & set(before)
    assert not folder.exists()
    assert [signal.getsignal(number) for number in ASKED] == before
