"""The real engine on real sockets, with an upstream of the test's on the other side."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from bench.process import free_port
from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.config import Tcp
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.native import Table
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.wire.name import ROOT
from tests.support.net import UdpClient, at, connected, run

Address = tuple[str, int]
# What an upstream sends back to a query, one datagram after the other.
Script = Callable[[dns.message.Message], list[bytes]]


def reply_to(query: dns.message.Message, addresses: int = 1) -> dns.message.Message:
    reply = dns.message.make_response(query)
    name = query.question[0].name
    texts = [f"192.0.2.{number + 1}" for number in range(addresses)]
    reply.answer.append(dns.rrset.from_text_list(name, 60, "IN", "A", texts))
    return reply


def right(query: dns.message.Message) -> list[bytes]:
    return [reply_to(query).to_wire()]


class FakeUpstream(asyncio.DatagramProtocol):
    """A DNS server that does as its script says over UDP; over TCP it answers with so many addresses."""

    def __init__(self, script: Script, addresses: int) -> None:
        self.script = script
        self.addresses = addresses
        self.udp: list[Address] = []  # who asked
        self.tcp = 0
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: list[tuple[bytes, Address]] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.udp.append(addr)
        self.asked.set()
        self._waiting.append((data, addr))
        if self.may_answer.is_set():
            self.answer()

    def answer(self) -> None:
        assert self._transport is not None
        for data, address in self._waiting:
            for wire in self.script(dns.message.from_wire(data)):
                self._transport.sendto(wire, address)
        self._waiting.clear()

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tcp += 1
        wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        reply = reply_to(dns.message.from_wire(wire), self.addresses).to_wire(max_size=65535)
        writer.write(len(reply).to_bytes(2) + reply)
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def forwarding(script: Script, addresses: int = 1) -> AsyncIterator[tuple[Listeners, FakeUpstream]]:
    """The daemon's DNS side, forwarding everything to one upstream."""
    upstream = FakeUpstream(script, addresses)
    tcp = await asyncio.start_server(upstream.serve_tcp, "127.0.0.1", 0)
    address = tcp.sockets[0].getsockname()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: upstream, local_addr=address)
    engine = Engine(
        None, Forwards({ROOT: [Upstream(*address)]}), Cache(Limits()), table := Table(), Counters(), os.urandom
    )
    try:
        async with open_listeners(("127.0.0.1:0",), Tcp(), engine, table) as listeners:
            yield listeners, upstream
            assert len(listeners.exchanges) == len(listeners.exchanges.pool), (
                "the sockets of exchanges that are over are closed"
            )
            assert listeners.driver.pending == 0
            assert listeners.driver.crashes == 0
    finally:
        transport.close()
        tcp.close()
        await tcp.wait_closed()


async def ask(client: UdpClient, listeners: Listeners, name: str = "a.example.") -> dns.message.Message:
    query = dns.message.make_query(name, "A")
    client.send(query.to_wire(), at(listeners))
    wire, _ = await client.receive()
    reply = dns.message.from_wire(wire)
    assert query.is_response(reply)
    return reply


def test_a_name_is_asked_for_once_and_then_known() -> None:
    async def main() -> None:
        async with forwarding(right) as (listeners, upstream):
            with UdpClient() as client:
                for _ in range(3):
                    reply = await ask(client, listeners)
                    assert reply.answer[0][0].to_text() == "192.0.2.1"
            assert len(upstream.udp) == 1

    run(main())


def test_a_truncated_reply_is_fetched_over_tcp() -> None:
    def truncated(query: dns.message.Message) -> list[bytes]:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.TC
        return [reply.to_wire()]

    async def main() -> None:
        async with forwarding(truncated, 200) as (listeners, upstream):
            with UdpClient() as client:
                reply = await ask(client, listeners)
                assert reply.flags & dns.flags.TC
                assert reply.answer == []
            async with connected(at(listeners)) as tcp:
                query = dns.message.make_query("a.example.", "A")
                tcp.send(query.to_wire())
                full = dns.message.from_wire(await tcp.receive())
                assert len(full.answer[0]) == 200
            assert (len(upstream.udp), upstream.tcp) == (1, 1)

    run(main())


def test_a_hundred_who_ask_the_same_cost_one_query() -> None:
    async def main() -> None:
        async with forwarding(right) as (listeners, upstream):
            upstream.may_answer.clear()
            clients = [UdpClient() for _ in range(100)]
            asking = [asyncio.ensure_future(ask(client, listeners)) for client in clients]
            await upstream.asked.wait()
            for _ in range(1000):
                if listeners.driver.pending == 100:
                    break
                await asyncio.sleep(0)
            assert listeners.driver.pending == 100
            upstream.answer()
            replies = await asyncio.gather(*asking)
            assert {reply.answer[0][0].to_text() for reply in replies} == {"192.0.2.1"}
            assert len({reply.id for reply in replies}) > 90
            assert len(upstream.udp) == 1
            for client in clients:
                client.sock.close()

    run(main())


def test_lies_do_not_keep_the_truth_out() -> None:
    def lying(query: dns.message.Message) -> list[bytes]:
        truth = reply_to(query)
        wrong_id = bytearray(truth.to_wire())
        wrong_id[0] ^= 0xFF
        wrong_name = dns.message.make_response(dns.message.make_query("b.example.", "A", id=query.id))
        return [b"", b"\0" * 11, bytes(wrong_id), wrong_name.to_wire(), query.to_wire(), truth.to_wire()]

    async def main() -> None:
        async with forwarding(lying) as (listeners, upstream):
            with UdpClient() as client:
                reply = await ask(client, listeners)
                assert reply.answer[0][0].to_text() == "192.0.2.1"
            assert len(upstream.udp) + upstream.tcp <= 2

    run(main())


def test_ports_of_exchanges_differ() -> None:
    async def main() -> None:
        async with forwarding(right) as (listeners, upstream):
            with UdpClient() as client:
                for number in range(200):
                    await ask(client, listeners, f"{number}.example.")
            assert len(upstream.udp) == 200
            assert len({port for _, port in upstream.udp}) >= 190

    run(main())


def test_an_upstream_that_refuses_is_asked_six_times_at_most() -> None:
    async def main() -> None:
        nobody = Upstream("127.0.0.1", free_port())
        engine = Engine(None, Forwards({ROOT: [nobody]}), Cache(Limits()), table := Table(), Counters(), os.urandom)
        async with open_listeners(("127.0.0.1:0",), Tcp(), engine, table) as listeners:
            with UdpClient() as client:
                reply = await ask(client, listeners)
            assert reply.rcode() == dns.rcode.SERVFAIL
            assert 1 <= listeners.exchanges.opened <= 6
            assert listeners.exchanges.failed == listeners.exchanges.opened
            assert len(listeners.exchanges) == 0

    run(main())
