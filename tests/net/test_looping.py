"""Forwarding loops over real sockets: however daemons point at each other, a question costs few messages."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from time import monotonic

import dns.message
import dns.rcode
import pytest

from bench.process import free_port
from hsdnsd.address import Endpoint
from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.config import Tcp
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.exchange import MAX_MESSAGES, ExchangeOptions
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.native import Table
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.wire.name import ROOT
from tests.support.net import UdpClient, run, watched

BOUNDS = Bounds(deadline=0.4)


class Node:
    """A daemon's DNS side that asks one upstream for everything."""

    def __init__(self, listeners: Listeners, engine: Engine, counters: Counters) -> None:
        self.listeners = listeners
        self.engine = engine
        self.counters = counters

    @property
    def sent(self) -> int:
        return self.listeners.exchanges.opened

    def watch(self) -> None:
        self.engine.watch_for_loops(monotonic())
        self.listeners.driver.settle(monotonic())


@contextlib.asynccontextmanager
async def node(port: int, upstream: int, force_tcp: bool = False) -> AsyncIterator[Node]:
    counters = Counters()
    options = ExchangeOptions(attempt_timeout=0.1, force_tcp=force_tcp)
    forwards = Forwards({ROOT: [Upstream("127.0.0.1", upstream)]})
    table = Table()
    engine = Engine(None, forwards, Cache(Limits()), table, counters, os.urandom, bounds=BOUNDS, exchange=options)
    async with (
        open_listeners((str(Endpoint("127.0.0.1", port)),), Tcp(), engine, table) as listeners,
        watched(listeners.run()),
    ):
        yield Node(listeners, engine, counters)


async def ask(port: int, name: str = "www.example.") -> dns.message.Message:
    with UdpClient() as client:
        query = dns.message.make_query(name, "A")
        client.send(query.to_wire(), ("127.0.0.1", port))
        wire, _ = await client.receive()
    reply = dns.message.from_wire(wire)
    assert query.is_response(reply)
    return reply


def test_a_daemon_that_asks_itself_sends_one_message() -> None:
    async def main() -> None:
        port = free_port()
        async with node(port, port) as itself:
            assert (await ask(port)).rcode() == dns.rcode.SERVFAIL
            assert itself.sent == 1
            assert itself.counters.upstream_loops == {f"127.0.0.1:{port}": 1}
            await ask(port, "other.example.")
            assert itself.sent == 1, "and nothing more for a while"

    run(main())


@pytest.mark.parametrize("force_tcp", [False, True])
def test_two_daemons_that_ask_each_other_send_six_messages_at_most(force_tcp: bool) -> None:
    async def main() -> None:
        one, two = free_port(), free_port()
        async with node(one, two, force_tcp) as first, node(two, one, force_tcp) as second:
            assert (await ask(one)).rcode() == dns.rcode.SERVFAIL
            counted = [node.counters.requests[0][force_tcp][0][0] for node in (first, second)]
            asked = sum(counted) - (0 if force_tcp else 1)
            assert 2 <= asked <= MAX_MESSAGES
            assert first.sent <= MAX_MESSAGES

    run(main())


@pytest.mark.parametrize("force_tcp", [False, True])
def test_two_daemons_that_ask_each_other_find_out_by_themselves(force_tcp: bool) -> None:
    async def main() -> None:
        one, two = free_port(), free_port()
        async with node(one, two, force_tcp) as first, node(two, one, force_tcp) as second:
            first.watch()
            with UdpClient() as client:
                # The probe goes from the first to the second and back: what is asked after it is answered after it.
                while not first.counters.upstream_loops:
                    client.send(dns.message.make_query("x.example.", "A").to_wire(), ("127.0.0.1", two))
                    await client.receive()
            sent = first.sent
            reply = await ask(one)
            assert reply.rcode() == dns.rcode.SERVFAIL
            assert first.sent == sent
            assert second.counters.upstream_loops == {}, "one end of the loop is enough"

    run(main())


def test_a_daemon_whose_upstream_ends_there_finds_nothing() -> None:
    async def main() -> None:
        port = free_port()
        with socket.socket(type=socket.SOCK_DGRAM) as upstream:
            upstream.bind(("127.0.0.1", 0))
            upstream.settimeout(5)
            async with node(port, upstream.getsockname()[1]) as daemon:
                daemon.watch()
                wire, client = upstream.recvfrom(4096)
                upstream.sendto(dns.message.make_response(dns.message.from_wire(wire)).to_wire(), client)
                reply = dns.message.from_wire(wire)
                assert reply.question[0].name.to_text().endswith(".hsdnsd-loop-probe.")
                assert daemon.counters.upstream_loops == {}

    run(main())
