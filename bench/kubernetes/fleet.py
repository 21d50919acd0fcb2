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
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from bench.cluster import Cluster, Service, generate
from bench.errors import BenchError
from bench.kubernetes.api import Api, encoded, moved, slice_path
from bench.kubernetes.recorded import Asked
from bench.process import TICK
from tests.cluster.control_plane import API_PORT, ControlPlane

HEADLESS, CLUSTER_IPS = 200, 4800  # Services; ten pods and three behind each
SYNCED_WITHIN = 300.0  # seconds
QUIET = 1.0  # seconds after the last event's write until it is taken for delivered
LIST_END = b"k8s.io/initial-events-end"
HEAD_END = b"\r\n\r\n"
_CHUNK = re.compile(rb"\r\n[0-9a-f]+\r\n")
_CHUNKS_END = b"\r\n0\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_METADATA = re.compile(rb'"metadata":\{"resourceVersion":"(\d+)"(?:,"continue":"([^"]+)")?')
_BOOKMARKS = 4096  # octets of them that may come to a watch meanwhile
_FIRST = 3000  # octets of an answer; with its metadata they are fewer than half as many, compressed or not
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

    def __init__(
        self, plane: ControlPlane, requests: Sequence[Asked], watchers: int, *, streamed: bool = False
    ) -> None:
        """
        Args:
            streamed: lists come as one stream with the watch, not as a whole before it.
        """
        self._plane = plane
        self._requests = requests
        self._watchers = watchers
        self._streamed = streamed
        self._streams: list[_Stream] = []

    async def start(self) -> Started:
        """All at once, as after a restart of the API server.

        Raises:
            BenchError: the API server does not list as it is asked to, or not in time.
        """
        loop = asyncio.get_running_loop()
        tls = ssl.create_default_context(cafile=str(self._plane.authority))
        cpu, begun = self._cpu(), time.monotonic()
        try:
            async with asyncio.timeout(SYNCED_WITHIN):
                connecting = (
                    loop.create_connection(
                        functools.partial(self._new_stream, asked),
                        self._plane.host,
                        API_PORT,
                        ssl=tls,
                        ssl_handshake_timeout=SYNCED_WITHIN,
                    )
                    for _ in range(self._watchers)
                    for asked in self._requests
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
        came: dict[Asked, list[int]] = defaultdict(list)
        for stream, earlier in zip(self._streams, before, strict=True):
            came[stream.asked].append(stream.octets - earlier)
        if unequal := [each for each in came.values() if max(each) - min(each) > _BOOKMARKS + max(each) / 10]:
            raise BenchError(f"of the same events some watchers got {min(unequal[0])} octets, others {max(unequal[0])}")
        return sum(map(sum, came.values()))

    def _new_stream(self, asked: Asked) -> _Stream:
        self._streams.append(stream := _Stream(asked, self._streamed))
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
    """One resource: its list, whole or streamed, and then its watch, all on one connection.

    Attributes:
        synced: done when the list has ended and the watch is open. ended: the server has closed the connection.
    """

    def __init__(self, asked: Asked, streamed: bool) -> None:
        self.synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = False
        self.asked = asked
        self._streamed = streamed
        self._answer = _Answer()
        self._watches = streamed
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self.asked.streamed if self._streamed else self.asked.list)

    def data_received(self, data: bytes) -> None:
        if self.synced.done():
            return
        self._answer.feed(data)
        try:
            self._go_on()
        except (BenchError, zlib.error) as error:
            self.synced.set_exception(BenchError(f"the API server's answer: {error}"))

    def _go_on(self) -> None:
        """Ask for what comes next, if the answer is whole."""
        assert self._transport is not None
        if self._watches:
            if self._answer.has_begun and (not self._streamed or self._answer.ends_list):
                self.synced.set_result(None)
        elif self._answer.is_whole:
            version = self._answer.version()
            self._watches = True
            self._answer = _Answer()
            self._transport.write(self.asked.watch_from(version))

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


class _Answer:
    """As much as has to be known of an answer of HTTP. Nothing follows its end until something else is asked, so that
    is at the end of what came."""

    def __init__(self) -> None:
        self._size = 0
        self._first = b""
        self._last = b""

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        self._first += data[: _FIRST - len(self._first)]
        self._last = (self._last + data)[-_LAST:]

    @property
    def has_begun(self) -> bool:
        """
        Raises:
            BenchError: it is a refusal.
        """
        if self._first and not self._first.startswith(_GOOD[: len(self._first)]):
            raise BenchError(f"{self._first[:200]!r}")
        return HEAD_END in self._first

    @property
    def is_whole(self) -> bool:
        if not self.has_begun:
            return False
        head, _, _ = self._first.partition(HEAD_END)
        if length := _LENGTH.search(head):
            return self._size >= len(head) + len(HEAD_END) + int(length[1])
        return self._last.endswith(_CHUNKS_END)

    @property
    def ends_list(self) -> bool:
        """Of a streamed list: between chunks (RFC 9112 section 7.1), which may begin anywhere in it."""
        return LIST_END in _CHUNK.sub(b"", self._last)

    def version(self) -> str:
        """resourceVersion, which comes first in a list.

        Raises:
            BenchError: it is no list, or not all of it. zlib.error: nor compressed.
        """
        head, _, body = self._first.partition(HEAD_END)
        if not _LENGTH.search(head):
            body = _CHUNK.sub(b"", b"\r\n" + body)
        if b"content-encoding: gzip" in head.lower():
            body = zlib.decompressobj(31).decompress(body)
        found = _METADATA.search(body)
        if not found or found[2]:
            raise BenchError(f"no list, or a part of one: {body[:200]!r}")
        return found[1].decode()
