"""How hard the daemon's messages to upstreams are to guess: ports, ids, and that there is one of them at a time."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.support.daemon import Daemon, running
from tests.support.lies import Asked, truth
from tests.support.packets import query, question

MISSES = 1000
# Drawn at random from n values, k draws give n(1 - (1 - 1/n)^k) different ones: of the 65,536 ids 992, give or take
# 2.7; this is four such steps below. Of the 28,232 ports that Linux gives to outgoing sockets it would be 982, but
# one that was used lately is drawn again.
DISTINCT_PORTS, DISTINCT_IDS = 990, 981
# What the kernel gives to outgoing sockets.
FIRST_PORT, LAST_PORT = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
# Chi-square of 16 bins is over this once in 100,000 runs.
CHI_SQUARE = 50.5
PATIENCE = 20.0


class Honest:
    """An upstream that tells the truth, when it is let.

    Attributes:
        ports, ids: of all who asked, in order.
        waiting: what is asked and not answered.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.ports: list[int] = []
        self.ids: list[int] = []
        self.waiting: list[tuple[bytes, tuple[str, int]]] = []
        self.answers = True
        self._sock = sock

    def run(self) -> None:
        """Answer until an empty datagram comes."""
        while True:
            wire, peer = self._sock.recvfrom(4096)
            if not wire:
                return
            self.ports.append(peer[1])
            self.ids.append(int.from_bytes(wire[:2]))
            self.waiting.append((wire, peer))
            if self.answers:
                self.answer()

    def answer(self) -> None:
        for wire, peer in self.waiting:
            self._sock.sendto(truth(Asked(wire, False, 0)), peer)
        self.waiting.clear()


@contextlib.contextmanager
def forwarding() -> Iterator[tuple[Daemon, Honest]]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        upstream = Honest(sock)
        thread = threading.Thread(target=upstream.run)
        thread.start()
        host, port = sock.getsockname()
        try:
            # Nobody but clients makes it ask.
            with running("--upstream", f"{host}:{port}", settings=["forward.loop_probe_after=3600"]) as daemon:
                yield daemon, upstream
        finally:
            with socket.socket(type=socket.SOCK_DGRAM) as last:
                last.sendto(b"", (host, port))
            thread.join(10)


@contextlib.contextmanager
def asking(daemon: Daemon, count: int = 1) -> Iterator[list[socket.socket]]:
    """So many clients."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(count)]
        for client in clients:
            client.settimeout(PATIENCE)
            client.connect(daemon.server)
        yield clients


def wait_until_waiting(daemon: Daemon, count: int) -> None:
    """Wait until so many queries wait for an upstream."""
    end = time.monotonic() + PATIENCE
    while f"\nhsdnsd_waiting_queries {count}.0\n" not in daemon.get("/metrics")[1]:
        assert time.monotonic() < end


def plausible(values: Sequence[int], bin_of: Callable[[int], int]) -> bool:
    """Whether values fall into 16 bins as evenly as chance would have it, and not more evenly."""
    counts = Counter(map(bin_of, values))
    expected = len(values) / 16
    chi_square = sum((counts[place] - expected) ** 2 / expected for place in range(16))
    return 1.0 < chi_square < CHI_SQUARE


def without_pattern(values: Sequence[int], size: int) -> None:
    """Nothing tells one value from those before."""
    for apart in (1, 2, 3, 16, 256):
        steps = Counter((later - value) % size for value, later in zip(values, values[apart:], strict=False))
        assert steps.most_common(1)[0][1] <= 6, f"{apart} apart, one step is too common"
    rising = sum(later > value for value, later in itertools.pairwise(values))
    # Of random neighbours half rise, give or take 9 (the variance is n/12).
    assert abs(rising - len(values) / 2) < 50


def test_a_thousand_misses_leave_from_as_many_ports_with_as_many_ids_as_chance_would_have() -> None:
    with forwarding() as (daemon, upstream), asking(daemon) as (client,):
        for number in range(MISSES):
            client.send(query(question(f"{number}.example.com"), id=number))
            assert client.recv(4096)[:2] == number.to_bytes(2)
    ports, ids = upstream.ports, upstream.ids
    assert len(ports) == MISSES
    print(f"{len(set(ports))} ports, {len(set(ids))} ids")
    assert len(set(ports)) >= DISTINCT_PORTS
    assert len(set(ids)) >= DISTINCT_IDS
    assert plausible(ids, lambda drawn: drawn >> 12)
    assert plausible(ids, lambda drawn: drawn & 15)
    assert plausible(ports, lambda port: (port - FIRST_PORT) * 16 // (LAST_PORT + 1 - FIRST_PORT))
    without_pattern(ids, 65536)
    without_pattern(ports, 65536)
    # Knowing one does not help with the other.
    assert plausible([drawn ^ port for drawn, port in zip(ids, ports, strict=True)], lambda mixed: mixed >> 8 & 15)


def test_a_hundred_who_ask_at_once_leave_one_id_to_guess() -> None:
    with forwarding() as (daemon, upstream), asking(daemon, 100) as clients:
        upstream.answers = False
        for number, client in enumerate(clients):
            # 0x20 of the clients' own is no way to make them differ.
            name = "wWw.eXample.com" if number % 2 else "www.example.com"
            client.send(query(question(name), id=number))
        wait_until_waiting(daemon, 100)
        assert len(upstream.ids) == 1
        upstream.answer()
        for number, client in enumerate(clients):
            wire = client.recv(4096)
            assert wire[:2] == number.to_bytes(2)
            assert wire[12:20] == (b"\3wWw\7eXa" if number % 2 else b"\3www\7exa")
        # Nobody is answered twice, and nothing more was asked.
        clients[0].send(query(question("www.example.com"), id=4711))
        assert clients[0].recv(4096)[:2] == (4711).to_bytes(2)
        assert select.select(clients, [], [], 0)[0] == []
        assert len(upstream.ids) == 1
