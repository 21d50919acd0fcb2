"""UDP over loopback, through the native batch."""

from __future__ import annotations

import asyncio
import itertools
from time import monotonic

import pytest

from hsdnsd.net import udp
from hsdnsd.wire.const import MAX_UDP_QUERY
from tests.support.net import ScriptedEngine, UdpClient, answered, at, message, run, serving, udp_send


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_query_and_its_reply(host: str) -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        listen = f"[{host}]:0" if ":" in host else f"{host}:0"
        async with serving(engine, (listen,)) as listeners:
            with UdpClient(host) as client:
                client.send(message(b"now"), at(listeners))
                assert await client.receive() == (answered(message(b"now")), at(listeners))
        assert (engine.sources, engine.transports, engine.truncated) == ([host], [False], [False])

    run(main())


@pytest.mark.parametrize(
    ("wildcard", "asked", "source"),
    [("0.0.0.0", "127.0.0.2", "127.0.0.3"), ("0.0.0.0", "127.0.0.1", "127.0.0.1"), ("::", "::1", "::1")],
)
def test_the_reply_leaves_from_the_address_that_was_asked(wildcard: str, asked: str, source: str) -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, (f"[{wildcard}]:0" if ":" in wildcard else f"{wildcard}:0",)) as listeners:
            server = (asked, at(listeners)[1])
            with UdpClient(source) as client:
                client.send(message(b"now"), server)
                assert await client.receive() == (answered(message(b"now")), server)
                client.send(message(b"later"), server)
                await engine.until(lambda engine: bool(engine.waiting))
                engine.answer(0)
                listeners.driver.settle(monotonic())
                assert await client.receive() == (answered(message(b"later")), server)
        assert set(engine.sources) == {source}

    run(main())


def test_replies_in_any_order_to_many_clients() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        clients = [UdpClient(f"127.0.0.{n}") for n in range(1, 21)]
        async with serving(engine) as listeners:
            for number, client in enumerate(clients):
                client.send(message(b"later", number), at(listeners))
            await engine.until(lambda engine: len(engine.waiting) == 20)
            assert listeners.driver.pending == 20
            for _ in range(20):
                engine.answer(-1)
            listeners.driver.settle(monotonic())
            for number, client in enumerate(clients):
                assert (await client.receive())[0] == answered(message(b"later", number))
                client.sock.close()

    run(main())


def test_after_a_batch_what_is_about_to_run_out_is_fetched() -> None:
    async def main() -> None:
        engine = ScriptedEngine()

        def react(engine: ScriptedEngine, event: str) -> None:
            if event == "refresh":
                engine.sends.append(udp_send(1, 0, upstream.sock.getsockname(), b"what is due"))

        engine.reaction = react
        with UdpClient() as upstream, UdpClient() as client:
            async with serving(engine) as listeners:
                client.send(message(b"now"), at(listeners))
                assert (await upstream.receive())[0] == b"what is due"

    run(main())


def test_silence() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners:
            with UdpClient() as client:
                client.send(message(b"silent"), at(listeners))
                client.send(message(b"later", 2), at(listeners))
                await engine.until(lambda engine: len(engine.queries) == 2)
                engine.answer(0, b"")
                listeners.driver.settle(monotonic())
                client.send(message(b"now", 3), at(listeners))
                assert (await client.receive())[0] == answered(message(b"now", 3))

    run(main())


def test_a_bug_costs_one_servfail() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine()) as listeners:
            with UdpClient() as client:
                client.send(message(b"bug", 0xABCD), at(listeners))
                assert (await client.receive())[0] == bytes.fromhex("abcd 8102 0000 0000 0000 0000")
                client.send(message(b"now"), at(listeners))
                assert (await client.receive())[0] == answered(message(b"now"))
            assert listeners.driver.crashes == 1

    run(main())


def test_a_datagram_that_is_too_long_is_told_as_cut_off() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners:
            with UdpClient() as client:
                client.send(message(b"now").ljust(MAX_UDP_QUERY, b"\0"), at(listeners))
                client.send(message(b"now").ljust(MAX_UDP_QUERY + 1, b"\0"), at(listeners))
                await engine.until(lambda engine: len(engine.queries) == 2)
        assert engine.truncated == [False, True]

    run(main())


def test_a_flood_leaves_everybody_else_a_turn() -> None:
    """However much waits in the socket, a wake reads one batch of it."""

    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners:
            with UdpClient() as client:
                for number in range(1000):
                    client.send(message(b"silent", number), at(listeners))
                turns = []
                while len(engine.queries) < 1000:
                    await asyncio.sleep(0)
                    turns.append(len(engine.queries))
        most = max(later - earlier for earlier, later in itertools.pairwise([0, *turns]))
        assert 0 < most <= 128

    run(main())


def test_what_goes_on_arriving_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MAX_WAITING", 100)

    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine) as listeners:
            with UdpClient() as client:
                for number in range(200):
                    client.send(message(b"silent", number), at(listeners))
                listeners.udp[0].read_all()
                assert 100 <= len(engine.queries) < 200
                listeners.udp[0].read_all()
                assert len(engine.queries) == 200

    run(main())


def test_addresses_are_served_apart() -> None:
    async def main() -> None:
        async with serving(ScriptedEngine(), ("127.0.0.1:0", "127.0.0.2:0", "[::1]:0")) as listeners:
            for place, host in enumerate(("127.0.0.1", "127.0.0.2", "::1")):
                with UdpClient(host) as client:
                    client.send(message(b"now"), at(listeners, place))
                    assert await client.receive() == (answered(message(b"now")), at(listeners, place))

    run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_message_of_our_own_that_comes_in_is_a_loop_and_no_query(host: str) -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with serving(engine, (f"[{host}]:0" if ":" in host else f"{host}:0",)) as listeners:
            exchanges = listeners.exchanges
            engine.sends.append(udp_send(5, 2, at(listeners), message(b"later", 0x0101)))
            listeners.driver.settle(monotonic())
            await engine.until(lambda engine: engine.loops == [(5, 2)])
            with UdpClient(host) as client:
                client.send(message(b"now", 0x0101), at(listeners))
                await client.receive()
            assert engine.queries == [message(b"now", 0x0101)], "the same id from elsewhere is a client's"
            assert len(exchanges) == 1

    run(main())
