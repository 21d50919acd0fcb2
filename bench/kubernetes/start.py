"""From the start of a process to right answers, and what it then holds in memory."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from pathlib import Path
from typing import NamedTuple

from bench.cluster import Service
from bench.errors import BenchError
from bench.kubernetes.lab import Running
from bench.process import LOOPBACK
from bench.scenarios import Question
from bench.wire import query

LIMIT = 60.0  # seconds
PAUSE = 0.002
SETTLING = 5.0  # seconds from the last right answer until memory is read
SAMPLES = 100  # Services, evenly spread

MEBI = 1024  # KiB


class Started(NamedTuple):
    """Seconds from the start of the process.

    Attributes:
        first: until the first right answer. all: until a sample of all Services was answered right.
    """

    first: float
    all: float


class Memory(NamedTuple):
    """MiB: resident now, and the most since the start (or since `forget_peak`)."""

    resident: float
    peak: float


def sample(services: tuple[Service, ...]) -> list[tuple[str, bytes]]:
    """Names of pods and their addresses; the first one lies in the middle of what is listed."""
    chosen = services[:: max(1, len(services) // SAMPLES)]
    middle = len(chosen) // 2
    return [
        (f"{service.pods[0].name}.{service.domain}", ipaddress.IPv4Address(service.pods[0].address).packed)
        for service in (*chosen[middle:], *chosen[:middle])
    ]


def await_answers(server: Running, wanted: list[tuple[str, bytes]]) -> Started:
    """Ask until everything is answered right.

    Raises:
        BenchError: the server ended, or the time is over.
    """
    first = 0.0
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect((LOOPBACK, server.port))
        sock.settimeout(0.1)
        for name, address in wanted:
            while not is_right(sock, name, address):
                if not server.process.running:
                    raise BenchError(f"{server.name} ended: {server.process.log[-1500:]}")
                if time.monotonic() - server.begun > LIMIT:
                    raise BenchError(f"{server.name}: no right answer for {name} within {LIMIT:g} s")
                time.sleep(PAUSE)
            first = first or time.monotonic() - server.begun
    return Started(first, time.monotonic() - server.begun)


def is_right(sock: socket.socket, name: str, address: bytes) -> bool:
    """Whether a name has this one address now. False too where no reply comes in time."""
    with contextlib.suppress(OSError):
        sock.send(query(Question(name, "A"), 7))
        return sock.recv(4096).endswith(address)
    return False


def memory(pid: int) -> Memory:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return Memory(*(int(fields[name].split()[0]) / MEBI for name in ("VmRSS", "VmHWM")))


def forget_peak(pid: int) -> None:
    """The peak begins anew (proc(5): clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
