"""The bench on a real API server, as far as it can be seen without one."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import json
import os
import random
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import cluster
from bench.errors import BenchError
from bench.kubernetes import fleet, fresh, start
from bench.kubernetes.api import bare, moved, slice_path
from bench.kubernetes.lab import HSDNSD, Running, find
from bench.kubernetes.measure import ALL, fresh_figures
from bench.kubernetes.recorded import Asked, requests
from bench.process import LOOPBACK, Process

TLS = Path(__file__).parents[1] / "support" / "tls"
RUN = Path(__file__).parents[2] / "bench" / "run"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """Some process of which CPU time can be read."""
    (tmp_path / "log").touch()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as popen:
        yield (made := Process(popen, tmp_path / "log"))
        made.stop()


class Dns(asyncio.DatagramProtocol):
    """Answers with the address that a Service was written, from the nth question on; it is the API server, too."""

    def __init__(self, nth: int, forgets: int = -1) -> None:
        self.written = 0
        self._nth = nth
        self._forgets = forgets  # the number of an update that never arrives
        self._now = self._next = b"\0\0\0\0"
        self._asked = 0

    async def put(self, path: str, body: bytes) -> None:
        assert path == "/apis/discovery.k8s.io/v1/namespaces/fresh/endpointslices/fresh-00-x7k2p"
        if self.written != self._forgets:
            self._next = ipaddress.IPv4Address(json.loads(body)["endpoints"][0]["addresses"][0]).packed
        self.written += 1
        self._asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, client: object) -> None:
        self._asked += 1
        if self._asked >= self._nth:
            self._now = self._next
        self._transport.sendto(data[:2] + bytes(20) + self._now, client)


def freshness(process: Process, dns: Dns, updates: int) -> fresh.Freshness:
    async def body() -> fresh.Freshness:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: dns, (LOOPBACK, 0))
        server = Running("some", process, transport.get_extra_info("sockname")[1], 0, 0.0)
        async with asyncio.timeout(60):
            found = await fresh.measure(dns, server, fresh.services()[:1], 10_000, updates)
        transport.close()
        return found

    return asyncio.run(body())


def test_freshness_counts_until_the_answer_is_the_new_address(process: Process) -> None:
    prompt = freshness(process, Dns(1), 20)
    late = freshness(process, Dns(5), 20)
    for found in (prompt, late):
        assert (len(found.late), found.lost, found.updates, len(found.replies)) == (20, 0, 20, 20)
    assert min(late.late) > 4 * fresh.PAUSE, "it pauses between stale answers"
    assert fresh_figures(late)["p50"] > fresh_figures(prompt)["p50"]


def test_an_update_that_never_comes_is_lost(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "LOST_AFTER", 1.0)
    found = freshness(process, Dns(1, forgets=5), 20)
    assert (len(found.late), found.lost, found.updates) == (19, 1, 20)


def test_freshness_in_milliseconds() -> None:
    found = fresh.Freshness([number / 1e3 for number in range(100, 0, -1)], 2, [0.5], 0.102, 102)
    figures = fresh_figures(found)
    assert (figures["p50"], figures["p99"], figures["max"], figures["lost"]) == pytest.approx((51, 100, 100, 2))
    assert (figures["api_p50"], figures["cpu"]) == pytest.approx((500, 1000))
    with pytest.raises(BenchError):
        fresh_figures(fresh.Freshness(updates=1))


def test_what_is_asked_after_a_start_is_spread_over_everything() -> None:
    services = cluster.large(1000).services
    wanted = start.sample(services)
    assert len(wanted) == start.SAMPLES
    assert wanted[0][0] == "ring-500-0.ring-500.team-00.svc.cluster.local"
    assert {name.split(".")[1] for name, _ in wanted} == {f"ring-{number:03}" for number in range(0, 1000, 10)}


def test_an_answer_is_right_if_it_is_the_address() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind((LOOPBACK, 0))
        client.connect(server.getsockname())
        client.settimeout(0.01)
        assert not start.is_right(client, "a.b", b"\x0a\0\0\1")
        asked = server.recv(512)
        assert asked[12:] == b"\x01a\x01b\0\0\1\0\1"
        for address, right in ((b"\x0a\0\0\2", False), (b"\x0a\0\0\1", True)):
            server.sendto(bytes(40) + address, client.getsockname())
            assert start.is_right(client, "a.b", b"\x0a\0\0\1") is right


def test_memory_and_its_peak() -> None:
    start.forget_peak(os.getpid())
    before = start.memory(os.getpid())
    held = bytearray(os.urandom(64 << 20))
    after = start.memory(os.getpid())
    assert after.resident - before.resident > 60
    assert after.peak >= after.resident > 60
    del held
    start.forget_peak(os.getpid())
    assert start.memory(os.getpid()).peak < after.peak


def test_objects_are_sent_as_somebody_who_makes_them_would() -> None:
    (service,) = cluster.large(1).services
    made = [bare(obj) for obj in cluster.objects(cluster.large(1))]
    assert not any({"uid", "managedFields", "creationTimestamp"} & obj["metadata"].keys() for obj in made)
    assert all("status" not in obj for obj in made)
    other = moved(service, *(f"10.9.9.{number}" for number in range(10)))
    assert other["metadata"] == made[2]["metadata"]
    assert [endpoint["addresses"] for endpoint in other["endpoints"]][:2] == [["10.9.9.0"], ["10.9.9.1"]]
    assert slice_path(service).endswith("/namespaces/team-00/endpointslices/ring-000-x7k2p")


@pytest.mark.parametrize(("options", "slices"), [((), 2), (ALL, 1)])
def test_what_hsdnsd_asks_is_heard_from_itself(tmp_path: Path, options: tuple[str, ...], slices: int) -> None:
    lab, _ = find(tmp_path)
    if HSDNSD not in lab.programs:
        pytest.skip("hsdnsd is not built")
    asked = requests(lab, tmp_path, "secret", "127.1.2.3:6443", options)
    paths = sorted(re.split(rb"[?]| HTTP", head)[0] for head, _ in asked)
    slice_path = b"GET /apis/discovery.k8s.io/v1/endpointslices"
    assert paths == [b"GET /api/v1/namespaces", b"GET /api/v1/services", *[slice_path] * slices]
    for each in asked:
        assert b"watch" not in each.list
        assert b"limit" not in each.list
        assert b"resourceVersion=77" in each.watch_from("77")
        assert b"sendInitialEvents=true" in each.streamed
        for head in each:
            assert b"Host: 127.1.2.3:6443\r\n" in head
            assert b"Bearer secret\r\n" in head
            assert head.endswith(b"\r\n\r\n")
    assert any(b"headless" in head for head, _ in asked) == (slices == 2)


ASKED = Asked(b"GET /x HTTP/1.1\r\n\r\n", b"GET /x?watch=true&resourceVersion=1 HTTP/1.1\r\n\r\n")
OK = b"HTTP/1.1 200 OK\r\n"
WATCH = OK + b"\r\n"
LIST = OK + b"\r\n" + b"x" * 100_000
# As it was seen: a chunk ends within the word.
MARK = b'{"metadata":{"annotations":{"k8s.io/init\r\n4a\r\nial-events-end":"true"}}}\n\r\n'
PART = b'{"kind":"ServiceList","metadata":{"resourceVersion":"77","continue":"abc","remainingItemCount":1},"items":['
WHOLE = b'{"kind":"ServiceList","metadata":{"resourceVersion":"78"},"items":['


def listed(body: bytes, *, compressed: bool) -> bytes:
    """As the API server sends it: compressed what is large, in chunks what it does not know the length of."""
    body += random.randbytes(20_000).hex().encode() + b"]}"
    if not compressed:
        return OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    body = gzip.compress(body)
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (1000, body[:1000], len(body) - 1000, body[1000:])
    return OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


@contextlib.asynccontextmanager
async def api_server(
    monkeypatch: pytest.MonkeyPatch, *answers: tuple[bytes, Sequence[bytes]], streamed: bool = False
) -> AsyncIterator[fleet.Fleet]:
    """Three watchers of a server that expects requests and answers each in segments of their own, and stays."""

    answering: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())
        for head, parts in answers:
            assert await reader.readuntil(b"\r\n\r\n") == head
            for part in parts:
                writer.write(part)
                await writer.drain()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "loopback.crt", TLS / "loopback.key")
    async with asyncio.timeout(20), await asyncio.start_server(answer, LOOPBACK, 0, ssl=context) as server:
        monkeypatch.setattr(fleet, "API_PORT", server.sockets[0].getsockname()[1])
        plane = SimpleNamespace(
            host=LOOPBACK, authority=TLS / "loopback.crt", api_server=SimpleNamespace(pid=os.getpid())
        )
        watching = fleet.Fleet(plane, [ASKED], 3, streamed=streamed)
        try:
            yield watching
        finally:
            watching.stop()
            await asyncio.gather(*filter(None, answering))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("cut", [5, 41, 300, 19_000, -1])
def test_a_fleet_has_started_when_all_lists_have_come_and_all_watches_are_open(
    monkeypatch: pytest.MonkeyPatch, cut: int, compressed: bool
) -> None:
    whole = listed(WHOLE, compressed=compressed)
    answers = ((ASKED.list, (whole[:cut], whole[cut:])), (ASKED.watch_from("78"), (WATCH,)))

    async def body() -> None:
        async with api_server(monkeypatch, *answers) as watching:
            started = await watching.start()
            assert 3 * 20_000 < started.octets < 3 * 50_000, "TLS and all"

    asyncio.run(body())


@pytest.mark.parametrize("cut", [5, 41, 44, 60])
def test_a_fleet_of_streaming_lists_has_started_when_all_have_ended(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    async def body() -> None:
        answer = (ASKED.streamed, (LIST, MARK[:cut], MARK[cut:]))
        async with api_server(monkeypatch, answer, streamed=True) as watching:
            started = await watching.start()
            assert 3 * 100_000 < started.octets < 3 * 120_000, "TLS and all"

    asyncio.run(body())


def test_a_list_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "SYNCED_WITHIN", 1.0)

    async def body() -> None:
        async with api_server(monkeypatch, (ASKED.list, (listed(WHOLE, compressed=True)[:-1],))) as watching:
            with pytest.raises(BenchError, match="0 of 3 lists"):
                await watching.start()

    asyncio.run(body())


def test_a_part_of_a_list_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with api_server(monkeypatch, (ASKED.list, (listed(PART, compressed=True),))) as watching:
            with pytest.raises(BenchError, match="a part of one"):
                await watching.start()

    asyncio.run(body())


def test_an_api_server_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        async with api_server(monkeypatch, (ASKED.list, (b"HTTP/1.1 403 Forbidden\r\n\r\n",))) as watching:
            with pytest.raises(BenchError, match="403"):
                await watching.start()

    asyncio.run(body())


def test_bench_run_leads_there() -> None:
    told = subprocess.run([RUN, "--kubernetes", "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("usage: bench/run --kubernetes")
