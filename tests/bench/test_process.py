"""Processes of a bench: on one core, accounted for with their children, and gone afterwards."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.measure import core_seconds, quantile
from bench.process import LOOPBACK, Cpu, free_port, running

WORK = 0.1  # seconds of CPU time

# It works, so does a child of it; both then say who they are and on which cores they may be, and stay.
PROGRAM = f"""
import os, signal, socket, sys, time
os.fork()
while time.process_time() < {WORK}: pass
with socket.create_connection(("{LOOPBACK}", int(sys.argv[1]))) as told:
    told.sendall(f"{{os.getpid()}} {{sorted(os.sched_getaffinity(0))}}\\n".encode())
    signal.pause()
"""


def test_a_family_is_pinned_counted_and_ended(tmp_path: Path, core: int) -> None:
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server((LOOPBACK, 0)))
        server.settimeout(30)
        words = [sys.executable, "-c", PROGRAM, str(server.getsockname()[1])]
        with running(words, tmp_path, core) as process:
            connections = [opened.enter_context(server.accept()[0]) for _ in range(2)]
            said = dict(connection.recv(100).decode().split(maxsplit=1) for connection in connections)
            assert set(said.values()) == {f"[{core}]\n"}
            assert str(process.popen.pid) in said
            cpu = process.cpu()
            assert cpu.total >= 2 * WORK * 0.8  # each of two figures of each process is cut to a clock tick
            assert cpu.user + cpu.system == pytest.approx(cpu.total, abs=0.05)
            assert 2**20 < process.memory() < 2**28
            assert process.running
        assert not process.running
        assert [connection.recv(1) for connection in connections] == [b"", b""]  # the child is gone, too


def test_a_difference_keeps_the_total_and_the_proportion() -> None:
    before, after = Cpu(1.0, 0.2, 0.7), Cpu(2.0, 0.5, 0.8)
    used = after.since(before)
    assert used.total == 1.0
    assert (used.user, used.system) == (pytest.approx(0.75), pytest.approx(0.25))


def test_a_thread_that_has_ended_takes_nothing_away() -> None:
    used = Cpu(2.0, 0.1, 0.9).since(Cpu(1.0, 0.5, 0.5))
    assert (used.total, used.user, used.system) == (1.0, 0.0, 1.0)
    assert Cpu(1.0, 0.0, 0.0).since(Cpu(1.0, 0.0, 0.0)) == Cpu(0.0, 0.0, 0.0)


def test_what_a_process_writes_can_be_read(tmp_path: Path, core: int) -> None:
    with running(["sh", "-c", "echo out; echo error >&2"], tmp_path, core) as process:
        process.popen.wait()
        assert process.log == "out\nerror\n"


def test_a_free_port_can_be_bound_and_is_not_one_of_the_kernels_own() -> None:
    port = free_port()
    first_own = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert 1024 < port < first_own
    with socket.create_server((LOOPBACK, port)):
        pass


def test_a_core_has_its_seconds(core: int) -> None:
    assert core_seconds(core) > 0
    with pytest.raises(BenchError, match="no core 9999"):
        core_seconds(9999)


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.5, 51), (0.99, 100), (1, 100)])
def test_quantiles_are_nearest_ranks(share: float, expected: int) -> None:
    assert quantile(range(1, 101), share) == expected
