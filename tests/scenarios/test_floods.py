"""A flood of names that nobody asks for twice costs nobody their answers, and no memory."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.daemon import Daemon, running
from tests.support.lies import TRUE, Asked, reply, soa, truth
from tests.support.packets import A, query, question
from tests.support.scripts import NXDOMAIN

FLOOD, HOT = 60_000, 200
# Questions of ours that wait at a time.
WINDOW = 50
MIB = 1 << 20
FINISHED, POSITIVE, NEGATIVE, FAILURE = 4 * MIB, 4 * MIB, 4 * MIB, 1 * MIB
# Answers without data get an eighth more of the first (docs/configuration.md).
BUDGET = FINISHED + FINISHED // 8 + POSITIVE + NEGATIVE + FAILURE


class Upstream:
    """Names that begin with `hot` have an address, no other name exists.

    Attributes:
        asked: for how many of either.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.asked = {"hot": 0, "cold": 0}
        self._sock = sock

    def run(self) -> None:
        """Answer until the socket is shut down."""
        while True:
            wire, peer = self._sock.recvfrom(4096)
            if not wire:
                return
            asked = Asked(wire, False, 0)
            if wire.startswith(b"hot", 13):
                self.asked["hot"] += 1
                self._sock.sendto(truth(asked), peer)
            else:
                # The daemon asks a name of its own now and then, to find loops; that is not for an address.
                self.asked["cold"] += asked.qtype == A
                self._sock.sendto(reply(asked, rcode=NXDOMAIN, authority=[soa("example.com")]), peer)


@contextmanager
def serving() -> Iterator[tuple[Daemon, Upstream]]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        upstream = Upstream(sock)
        thread = threading.Thread(target=upstream.run)
        thread.start()
        host, port = sock.getsockname()
        settings = [
            "forward.attempt_timeout=20",  # a machine that stands still is no reason to ask again, or to fail
            "forward.deadline=30",
            f"cache.finished_bytes={FINISHED}",
            f"cache.positive_bytes={POSITIVE}",
            f"cache.negative_bytes={NEGATIVE}",
            f"cache.failure_bytes={FAILURE}",
        ]
        try:
            with running("--upstream", f"{host}:{port}", settings=settings) as daemon:
                yield daemon, upstream
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as last:
                last.sendto(b"", (host, port))
            thread.join(10)


def ask_all(server: tuple[str, int], names: Sequence[str]) -> list[bytes]:
    """Ask for all of them; the replies, in whatever order."""
    replies = []
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(40)
        sock.connect(server)
        waiting = 0
        for number, name in enumerate(names):
            if waiting == WINDOW:
                replies.append(sock.recv(4096))
                waiting -= 1
            sock.send(query(question(name), id=number % 65536))
            waiting += 1
        replies += [sock.recv(4096) for _ in range(waiting)]
    return replies


def resident(pid: int) -> int:
    """Octets of memory that a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def flood(count: int) -> list[str]:
    return [f"{secrets.token_hex(6)}.example.com" for _ in range(count)]


def test_hot_names_outlive_sixty_thousand_that_do_not_exist_and_memory_stays_within_its_budget() -> None:
    hot = [f"hot{number}.example.com" for number in range(HOT)]
    with serving() as (daemon, upstream):
        for _ in range(3):
            assert all(TRUE in wire for wire in ask_all(daemon.server, hot))
        assert upstream.asked == {"hot": HOT, "cold": 0}
        before = resident(daemon.process.pid)
        replies = ask_all(daemon.server, flood(FLOOD))
        assert len(replies) == FLOOD
        assert {wire[3] & 15 for wire in replies} == {NXDOMAIN}
        assert upstream.asked["cold"] == FLOOD
        grown = resident(daemon.process.pid) - before
        assert all(TRUE in wire for wire in ask_all(daemon.server, hot))
        print(f"{upstream.asked['hot'] - HOT} of {HOT} asked again, {grown / MIB:.1f} of {BUDGET / MIB:.1f} MiB more")
        assert upstream.asked["hot"] - HOT <= HOT // 100
        assert grown <= 1.1 * BUDGET
        # And it stays there.
        for _ in range(2):
            ask_all(daemon.server, flood(FLOOD // 10))
        assert resident(daemon.process.pid) - before <= grown + MIB
