"""Processes of a bench: each on one core, with its CPU time and memory read from /proc, and ended by its own id."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

TICK = os.sysconf("SC_CLK_TCK")
LOOPBACK = "127.0.0.1"
STOP_TIMEOUT = 10.0  # seconds between SIGTERM and SIGKILL
_PORTS = iter(random.SystemRandom().sample(range(10000, 30000), 20000))


class Cpu(NamedTuple):
    """CPU time in seconds, to a clock tick (10 ms on most machines).

    Attributes:
        total: exact. user, system: of the threads that live. The kernel splits each thread's time by what it saw at
            its own ticks, all through the thread's life; these are good for a proportion, over a while.
    """

    total: float
    user: float
    system: float

    def since(self, before: Cpu) -> Cpu:
        """What was used in between, with user and system brought to their total."""
        total = self.total - before.total
        user, system = max(0.0, self.user - before.user), max(0.0, self.system - before.system)
        share = system / (user + system) if user + system else 0.0
        return Cpu(total, total * (1 - share), total * share)


class Process:
    """A running process and the children that it has made."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.popen = popen
        self._log = log

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def cpu(self) -> Cpu:
        """CPU time so far: of all its threads, of its living children and of those it has waited for."""
        total = user = system = 0
        for pid in self._family():
            total += sum(_times(Path(f"/proc/{pid}/stat")))
            for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
                utime, stime, *_ = _times(thread)
                user += utime
                system += stime
        return Cpu(total / TICK, user / TICK, system / TICK)

    def memory(self) -> int:
        """Resident octets. What several processes share counts once (the proportional set size of each); a single one
        counts whole."""
        family = self._family()
        if len(family) == 1:
            return _kilobytes(f"/proc/{family[0]}/status", "VmRSS:")
        return sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in family)

    def _family(self) -> list[int]:
        return [self.popen.pid, *descendants(self.popen.pid)]

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to its own process group when that does not help."""
        if self.running:
            self.popen.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(STOP_TIMEOUT)
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@contextmanager
def running(
    command: Sequence[str], folder: Path, core: int | None, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """A process pinned to one core (None: to none), in its folder, until the block ends. It leads a process group of
    its own."""
    log = folder / "log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            pinned(command, core),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        process.stop()


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """The command, on one core (None: on any)."""
    return list(command) if core is None else ["taskset", "--cpu-list", str(core), *command]


def children(pid: int) -> list[int]:
    """The processes that a process has started, those among them that wait to be reaped; none if it is gone."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, listed.read_text().split())
    return found


def descendants(pid: int) -> Iterator[int]:
    """The children of a process, each followed by its own."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def free_port() -> int:
    """A port of 127.0.0.1 that is free for UDP and TCP, below those that the kernel gives to outgoing connections; not
    the same one twice.

    Raises:
        LookupError: all of them were given.
    """
    for port in _PORTS:
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp, suppress(OSError):
            udp.bind((LOOPBACK, port))
            tcp.bind((LOOPBACK, port))
            return port
    raise LookupError("no free port is left of 10000 to 29999")


def _times(stat: Path) -> list[int]:
    """utime, stime, cutime and cstime (proc_pid_stat(5), fields 14 to 17) in ticks; zeros for what has just ended."""
    try:
        return list(map(int, stat.read_text().rpartition(")")[2].split()[11:15]))
    except (FileNotFoundError, ProcessLookupError):
        return [0, 0, 0, 0]


def _kilobytes(path: str, field: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(f"{path} has no {field}")
