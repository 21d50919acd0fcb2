"""Freshness: from the API server's reply to a slice update until DNS answers with it.

Headless Services with one endpoint each. Updates are written at a fixed rate, whatever became of those before, one
Service after the other; each gives a Service an address that nobody had. When the API server's reply has been read,
the name is asked over and over until the answer is that address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import time
from dataclasses import dataclass, field
from typing import Protocol, cast

from bench.cluster import Pod, Service
from bench.errors import BenchError
from bench.kubernetes.api import encoded, moved, slice_path
from bench.kubernetes.lab import Running
from bench.process import LOOPBACK
from bench.scenarios import Question
from bench.wire import query

SERVICES = 50
NAMESPACE = "fresh"
FIRST_ADDRESS = int(ipaddress.IPv4Address("10.200.0.0"))
PAUSE = 0.001  # seconds between a stale answer and the next question; of less, timers of uvloop make none
LOST_AFTER = 5.0
REPLY_TIMEOUT = 1.0
IDS = 65536

_addresses = itertools.count(FIRST_ADDRESS)


class Writer(Protocol):
    async def put(self, path: str, body: bytes) -> None:
        """Write an object to the API server; returns with its reply."""
        ...


@dataclass
class Freshness:
    """What came of some updates; times in seconds.

    Attributes:
        late: from the API server's reply until the answer, of each update that came.
        lost: updates that were not answered within LOST_AFTER.
        replies: from a request until the API server's reply.
        cpu: of the DNS server, polling included. updates: of which these are.
    """

    late: list[float] = field(default_factory=list)
    lost: int = 0
    replies: list[float] = field(default_factory=list)
    cpu: float = 0.0
    updates: int = 0


def services() -> tuple[Service, ...]:
    return tuple(
        Service(f"fresh-{number:02}", NAMESPACE, "", (Pod(f"fresh-{number:02}-0", _next_address()),))
        for number in range(SERVICES)
    )


async def measure(api: Writer, server: Running, asked: tuple[Service, ...], rate: float, updates: int) -> Freshness:
    """Updates at a rate.

    Raises:
        BenchError: the server does not answer at all.
    """
    loop = asyncio.get_running_loop()
    transport, dns = await loop.create_datagram_endpoint(_Dns, remote_addr=(LOOPBACK, server.port))
    try:
        await _follows(api, dns, asked)
        result = Freshness(updates=updates)
        locks = [asyncio.Lock() for _ in asked]
        before = server.process.cpu()
        start = loop.time()
        async with asyncio.TaskGroup() as running:
            for number in range(updates):
                place = number % len(asked)
                running.create_task(_update(api, dns, asked[place], locks[place], result))
                await asyncio.sleep(start + (number + 1) / rate - loop.time())
        result.cpu = server.process.cpu().since(before).total
        return result
    finally:
        transport.close()


async def _follows(api: Writer, dns: _Dns, asked: tuple[Service, ...]) -> None:
    """Wait until the server has listed, and follows: what comes in that time is no update."""
    async with asyncio.timeout(60):
        for service in asked[:3]:
            trial = Freshness(lost=1)
            while trial.lost:
                trial.lost = 0
                await _update(api, dns, service, asyncio.Lock(), trial)
    if not trial.late:
        raise BenchError("the server does not follow")


async def _update(api: Writer, dns: _Dns, service: Service, lock: asyncio.Lock, result: Freshness) -> None:
    address = _next_address()
    wanted = ipaddress.IPv4Address(address).packed
    path, body = slice_path(service), encoded(moved(service, address))
    async with lock:
        sent = time.perf_counter()
        await api.put(path, body)
        written = time.perf_counter()
        result.replies.append(written - sent)
        while True:
            reply = await dns.ask(service.domain)
            now = time.perf_counter()
            if reply.endswith(wanted):  # without EDNS the one address is the end of the reply
                result.late.append(now - written)
                return
            if now - written > LOST_AFTER:
                result.lost += 1
                return
            await asyncio.sleep(PAUSE)


class _Dns(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._ids = itertools.count()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _address: object) -> None:
        waiting = self._waiting.pop(int.from_bytes(data[:2], "big"), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens yet: the question is asked again when its time is over."""

    async def ask(self, name: str) -> bytes:
        """The reply; empty if none comes."""
        number = next(self._ids) % IDS
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._transport.sendto(query(Question(name, "A"), number))
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                return await waiting
        except TimeoutError:
            return b""
        finally:
            self._waiting.pop(number, None)


def _next_address() -> str:
    return str(ipaddress.IPv4Address(next(_addresses)))
