"""A worker that has flights, between a client and an upstream that the test plays."""

from __future__ import annotations

import math
import os
import select
import socket
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic

from hsdnsd.native import _flights, _worker
from hsdnsd.native.contract import Table, Worker
from hsdnsd.native.flight_contract import Choice, Flights, HandedOver, Plan
from tests.support.lies import NAME, Asked, truth
from tests.support.packets import A, query, question
from tests.support.sockets import address_of, udp
from tests.support.twins import TWINS

CYTHON, _ = TWINS
# Nothing here takes a second; this is when a test that waits in vain gives up.
PATIENCE = 20.0
PLAN = Plan(math.inf, 10.0, Choice.FIRST, ((0, True),), 32, False, 100, 100, 100, (0, 86400, 0, 30))


class Sky:
    """A worker with flights, a client and an upstream that the test plays."""

    def __init__(self, opened: ExitStack, family: int = socket.AF_INET, most: int = 100) -> None:
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        self.table: Table = CYTHON.Table()
        self.flights: Flights = _flights.Flights(self.table, most)
        self.server = opened.enter_context(udp(host))
        self.upstream = opened.enter_context(udp(host))
        self.upstream.setblocking(True)
        self.upstream.settimeout(PATIENCE)
        packed = socket.inet_pton(family, host)
        self.flights.set_server(0, (packed, self.upstream.getsockname()[1], 0))
        self.worker: Worker = _worker.Worker(self.server, self.table, flights=self.flights)
        opened.callback(self.worker.close)
        self.opened = opened
        self.client = self.another()

    def another(self, server: socket.socket | None = None) -> socket.socket:
        """A further client."""
        client = self.opened.enter_context(socket.socket(self.server.family, socket.SOCK_DGRAM))
        client.settimeout(PATIENCE)
        client.connect(address_of(server or self.server))
        return client

    def ask(self, text: str = NAME, qtype: int = A, id: int = 0x1234, **how: object) -> None:
        self.client.send(query(question(text, qtype), id=id, **how))  # type: ignore[arg-type]

    def asked(self) -> tuple[Asked, object]:
        """What the upstream is asked next."""
        wire, peer = self.upstream.recvfrom(4096)
        return Asked(wire, False, 0), peer

    def say(self, make: Callable[[Asked], bytes] = truth) -> Asked:
        """Let the upstream answer the next question."""
        asked, peer = self.asked()
        self.upstream.sendto(make(asked), peer)  # type: ignore[arg-type]
        return asked

    def handed_over(self) -> HandedOver:
        """The next flight that is handed over, its socket closed."""
        assert select.select([self.flights], [], [], PATIENCE)[0]
        [flight] = self.flights.handed_over(10, math.inf)
        os.close(flight.fd)
        return flight

    def goes_up(self) -> bytes:
        """The next datagram that comes up to Python, which nobody else is asked for."""
        assert select.select([self.worker], [], [], PATIENCE)[0]
        [(wire, _, _)] = self.worker.receive(1.0)
        return wire

    def is_quiet(self) -> bool:
        return not select.select([self.upstream, self.client], [], [], 0)[0]


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end
        os.sched_yield()
