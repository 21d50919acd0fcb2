"""How hard our messages to upstreams are to guess: ports and ids, and that there is only one to guess at a time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.config import Tcp
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.native import Table
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.wire.name import ROOT
from tests.support.liar import Asked, truth
from tests.support.net import UdpClient, at, readable, run
from tests.support.packets import query, question

MISSES = 1000
# Drawn at random from n values, k draws give n(1 - (1 - 1/n)^k) different ones: of the 28,232 ports that Linux gives
# to outgoing sockets 982, of the 65,536 ids 992, give or take 4.2 and 2.7. These are four such steps below.
DISTINCT_PORTS, DISTINCT_IDS = 965, 981
# What the kernel gives to outgoing sockets.
FIRST_PORT, LAST_PORT = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
# Chi-square of 16 bins is over this once in 100,000 runs.
CHI_SQUARE = 50.5


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

    def readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                wire, peer = self._sock.recvfrom(4096)
                self.ports.append(peer[1])
                self.ids.append(int.from_bytes(wire[:2]))
                self.waiting.append((wire, peer))
                if self.answers:
                    self.answer()

    def answer(self) -> None:
        for wire, peer in self.waiting:
            self._sock.sendto(truth(Asked(wire, False, 0)), peer)
        self.waiting.clear()


@contextlib.asynccontextmanager
async def forwarding() -> AsyncIterator[tuple[Listeners, Honest]]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        upstream = Honest(sock)
        loop = asyncio.get_running_loop()
        loop.add_reader(sock, upstream.readable)
        forwards = Forwards({ROOT: [Upstream(*sock.getsockname())]})
        engine = Engine(None, forwards, Cache(Limits()), table := Table(), Counters(), os.urandom)
        try:
            async with open_listeners(("127.0.0.1:0",), Tcp(), engine, table) as listeners:
                yield listeners, upstream
                assert len(listeners.exchanges) == 0
        finally:
            loop.remove_reader(sock)


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
    async def main() -> None:
        async with forwarding() as (listeners, upstream):
            with UdpClient() as client:
                for number in range(MISSES):
                    client.send(query(question(f"{number}.example.com"), id=number), at(listeners))
                    await client.receive()
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

    run(main())


def test_a_hundred_who_ask_at_once_leave_one_id_to_guess() -> None:
    async def main() -> None:
        async with forwarding() as (listeners, upstream):
            upstream.answers = False
            clients = [UdpClient() for _ in range(100)]
            for number, client in enumerate(clients):
                # 0x20 of the clients' own is no way to make them differ.
                name = "wWw.eXample.com" if number % 2 else "www.example.com"
                client.send(query(question(name), id=number), at(listeners))
            for _ in range(10_000):
                if listeners.driver.pending == 100:
                    break
                await asyncio.sleep(0)
            assert len(upstream.waiting) == 1
            upstream.answer()
            for number, client in enumerate(clients):
                wire, _ = await client.receive()
                assert wire[:2] == number.to_bytes(2)
                assert wire[12:20] == (b"\3wWw\7eXa" if number % 2 else b"\3www\7exa")
            # Nobody is answered twice.
            with UdpClient() as last:
                last.send(query(question("www.example.com")), at(listeners))
                await readable(last.sock)
            for client in clients:
                with pytest.raises(BlockingIOError):
                    client.sock.recv(4096)
                client.sock.close()
            assert len(upstream.ids) == 1

    run(main())
