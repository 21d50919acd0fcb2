"""Hits at a fixed rate while the API server is killed, comes back and is listed again."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

from bench import generator, wire
from bench.cluster import Service
from bench.errors import BenchError
from bench.kubernetes import start
from bench.kubernetes.api import moved
from bench.kubernetes.lab import Running
from bench.process import LOOPBACK
from bench.scenarios import Question
from tests.cluster.control_plane import ControlPlane

RATE = 1000  # hits a second
KILLED_AFTER, AWAY = 3.0, 3.0  # seconds
FOLLOWS_WITHIN = 60.0  # seconds, from when the API server is ready
CHECKS = 100  # answers a second that are looked at


class Outage(NamedTuple):
    """
    Attributes:
        quiet, load: before, and during.
        wrong: replies that were no answer, or not the right one.
        checked: replies whose address was looked at.
        followed: seconds from when the API server was ready again until a change was answered.
        in_load: whether that was while the load ran.
        after: memory five seconds later, with the peak of the re-list.
    """

    quiet: generator.Load
    load: generator.Load
    wrong: int
    checked: int
    followed: float
    in_load: bool
    after: start.Memory


def measure(server: Running, plane: ControlPlane, asked: tuple[Service, ...], marker: Service, programs: Path,
            quiet: float, seconds: float) -> Outage:  # fmt: skip
    """One outage.

    Args:
        asked: the Services of whose pods the hits are. marker: another one, which is changed when the API server is
            back.
        programs: the folder of the compiled generator. quiet, seconds: of load before, and in all of the outage.

    Raises:
        BenchError: the server does not follow any more.
    """
    names = [(f"{pod.name}.{service.domain}", ipaddress.IPv4Address(pod.address).packed)
             for service in asked for pod in service.pods]  # fmt: skip
    queries = programs / f"outage-{server.port}"
    queries.write_bytes(wire.query_file([Question(name, "A") for name, _ in names], edns=False))
    before = generator.run(_load(programs, server.port, queries, quiet))
    start.forget_peak(server.process.popen.pid)
    checker = _Checker(server.port, names)
    with subprocess.Popen(
        _load(programs, server.port, queries, seconds), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as load:
        checker.start()
        try:
            time.sleep(KILLED_AFTER)
            plane.kill_api_server()
            time.sleep(AWAY)
            plane.start_api_server()
            followed = _follow(server, plane, marker)
            in_load = load.poll() is None
            output = load.stdout.read() if load.stdout else ""
        finally:
            checker.end()
            load.kill()  # only where something failed is it still there
    during = generator.parse(output)
    time.sleep(start.SETTLING)
    wrong = checker.wrong + during.answered - during.rcodes[0]
    return Outage(before, during, wrong, checker.checked, followed, in_load, start.memory(server.process.popen.pid))


def _load(programs: Path, port: int, queries: Path, seconds: float) -> list[str]:
    return generator.command(programs, port, queries, None, seconds, rate=RATE)


def _follow(server: Running, plane: ControlPlane, marker: Service) -> float:
    """Change a Service and wait until that is answered."""
    ready = time.monotonic()
    address = "10.255.0.1"
    other = (f"10.255.0.{2 + number}" for number in range(len(marker.pods) - 1))
    plane.api.replace(moved(marker, address, *other))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect((LOOPBACK, server.port))
        sock.settimeout(0.1)
        name = f"{marker.pods[0].name}.{marker.domain}"
        while not start.is_right(sock, name, ipaddress.IPv4Address(address).packed):
            if time.monotonic() - ready > FOLLOWS_WITHIN:
                raise BenchError(f"{server.name} does not follow the API server that came back")
            time.sleep(0.01)
    return time.monotonic() - ready


class _Checker(threading.Thread):
    """Looks at what is answered, some hundred times a second, in a thread."""

    def __init__(self, port: int, names: list[tuple[str, bytes]]) -> None:
        super().__init__(name="checker", daemon=True)
        self.checked = self.wrong = 0
        self._port = port
        self._names = names
        self._over = threading.Event()

    def run(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.connect((LOOPBACK, self._port))
            sock.settimeout(2.0)
            while not self._over.wait(1 / CHECKS):
                name, address = self._names[self.checked % len(self._names)]
                self.checked += 1
                self.wrong += not start.is_right(sock, name, address)

    def end(self) -> None:
        self._over.set()
        self.join()
