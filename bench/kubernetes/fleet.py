"""What a fleet costs the API server: light watchers that send what hsdnsd sends, and count what comes."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import itertools
import re
import socket
import ssl
import struct
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from bench.cluster import Cluster, Service, generate
from bench.errors import BenchError
from bench.kubernetes.api import Api, encoded, moved, slice_path
from bench.process import TICK
from tests.cluster.control_plane import API_PORT, ControlPlane

HEADLESS, CLUSTER_IPS = 200, 4800  # Services; ten pods and three behind each
SYNCED_WITHIN = 300.0  # seconds
QUIET = 1.0  # seconds after the last event's write until it is taken for delivered
LIST_END = b"k8s.io/initial-events-end"
_CHUNK = re.compile(rb"\r\n[0-9a-f]+\r\n")
_BOOKMARKS = 4096  # octets of them that may come to a watch meanwhile
_LAST = 600  # octets; a bookmark has half as many
_GOOD = b"HTTP/1.1 200 "
# None is used twice: an object that is written as it was is no event.
_addresses = itertools.count(int(ipaddress.IPv4Address("10.128.0.0")))
_BYTES_RECEIVED = 128  # offset of tcpi_bytes_received in struct tcp_info (linux/tcp.h)


class Started(NamedTuple):
    """A fleet that started at once.

    Attributes:
        seconds: until the last watcher had everything. cpu: of the API server, in seconds. octets: on the wire.
        resident: the API server's peak, in MiB.
    """

    seconds: float
    cpu: float
    octets: int
    resident: float


class Followed(NamedTuple):
    """Events: how many were written, the API server's CPU time for all in seconds, octets that went to the fleet."""

    events: int
    cpu: float
    octets: int


def cluster() -> Cluster:
    return generate(0, HEADLESS, CLUSTER_IPS)


class Fleet:
    """Watchers, each with as many connections as the daemon opens."""

    def __init__(self, plane: ControlPlane, requests: Sequence[bytes], watchers: int) -> None:
        self._plane = plane
        self._requests = requests
        self._watchers = watchers
        self._streams: list[_Stream] = []

    async def start(self) -> Started:
        """All at once, as after a restart of the API server.

        Raises:
            BenchError: the API server does not give lists as streams, or not in time.
        """
        loop = asyncio.get_running_loop()
        tls = ssl.create_default_context(cafile=str(self._plane.authority))
        cpu, begun = self._cpu(), time.monotonic()
        try:
            async with asyncio.timeout(SYNCED_WITHIN):
                connecting = (
                    loop.create_connection(
                        functools.partial(self._new_stream, head),
                        self._plane.host,
                        API_PORT,
                        ssl=tls,
                        ssl_handshake_timeout=SYNCED_WITHIN,
                    )
                    for _ in range(self._watchers)
                    for head in self._requests
                )
                await asyncio.gather(*connecting)
                await asyncio.gather(*(stream.synced for stream in self._streams))
        except TimeoutError:
            ended = sum(stream.synced.done() and not stream.synced.cancelled() for stream in self._streams)
            every = self._watchers * len(self._requests)
            raise BenchError(f"{ended} of {every} lists have ended in {SYNCED_WITHIN:g} s") from None
        seconds = time.monotonic() - begun
        return Started(seconds, self._cpu() - cpu, self._octets(), self._peak())

    async def follow(self, api: Api, services: Sequence[Service], rate: float, count: int) -> Followed:
        """Changes of these Services' slices, in turn, at a rate."""
        cpu, before = self._cpu(), [stream.octets for stream in self._streams]
        start = time.monotonic()
        async with asyncio.TaskGroup() as writing:
            for number in range(count):
                service = services[number % len(services)]
                addresses = (str(ipaddress.IPv4Address(next(_addresses))) for _ in service.pods)
                body = encoded(moved(service, *addresses))
                writing.create_task(api.put(slice_path(service), body))
                await asyncio.sleep(start + (number + 1) / rate - time.monotonic())
        octets = await self._delivered(before)
        return Followed(count, self._cpu() - cpu, octets)

    async def _delivered(self, before: Sequence[int]) -> int:
        """Wait until nothing comes any more; the octets since then.

        Raises:
            BenchError: a watch ended, or some watchers were sent less than others that asked for the same.
        """
        last = -1
        while last < self._octets():
            last = self._octets()
            await asyncio.sleep(QUIET)
        if any(stream.ended for stream in self._streams):
            raise BenchError("a watch ended before its time")
        came: dict[bytes, list[int]] = defaultdict(list)
        for stream, earlier in zip(self._streams, before, strict=True):
            came[stream.head].append(stream.octets - earlier)
        if unequal := [each for each in came.values() if max(each) - min(each) > _BOOKMARKS + max(each) / 10]:
            raise BenchError(f"of the same events some watchers got {min(unequal[0])} octets, others {max(unequal[0])}")
        return sum(map(sum, came.values()))

    def _new_stream(self, head: bytes) -> _Stream:
        self._streams.append(stream := _Stream(head))
        return stream

    def stop(self) -> None:
        for stream in self._streams:
            stream.close()

    def _octets(self) -> int:
        return sum(stream.octets for stream in self._streams)

    def _cpu(self) -> float:
        """CPU time of the API server, in seconds (proc_pid_stat(5), utime and stime)."""
        fields = Path(f"/proc/{self._plane.api_server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def _peak(self) -> float:
        status = Path(f"/proc/{self._plane.api_server.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


class _Stream(asyncio.Protocol):
    """One request, and the end of its list.

    Attributes:
        synced: done when the list has ended. ended: the server has closed the connection.
    """

    def __init__(self, head: bytes) -> None:
        self.synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = False
        self.head = head
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self.head)

    def data_received(self, data: bytes) -> None:
        if self.synced.done():
            return
        if not self._rest and not data.startswith(_GOOD):
            self.synced.set_exception(BenchError(f"the API server says {data[:200]!r}"))
            return
        # Nothing follows the end of a list until somebody writes, so it is at the end of what came; between chunks
        # of HTTP (RFC 9112 section 7.1), which may begin anywhere in it.
        self._rest = (self._rest + data)[-_LAST:]
        if LIST_END in _CHUNK.sub(b"", self._rest):
            self.synced.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if not self.synced.done():
            self.synced.set_exception(BenchError(f"a watch was cut: {exc}"))

    @property
    def octets(self) -> int:
        """Received from the server so far, TLS included (tcp(7), TCP_INFO)."""
        assert self._transport is not None
        connection: socket.socket = self._transport.get_extra_info("socket")
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        received: int = struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0]
        return received

    def close(self) -> None:
        self.synced.cancel()
        if self._transport is not None:
            self._transport.abort()
