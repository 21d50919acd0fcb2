"""The pump: what the engine wants done is done, one timer stands, and no packet ends the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Hashable, Iterator
from time import monotonic

import pytest

from hsdnsd.net.driver import Driver, servfail
from hsdnsd.net.framing import framed
from hsdnsd.net.pool import TOO_MANY
from hsdnsd.net.upstream import Exchanges
from tests.support import packets
from tests.support.net import ScriptedEngine, given_up, message, readable, run, tcp_send, udp_send, watched
from tests.support.world import FIRST, SECOND


class Recorder:
    """Somebody who asked; keeps what it is given."""

    def __init__(self) -> None:
        self.replies: list[tuple[Hashable, bytes]] = []
        self.flushed: list[list[tuple[Hashable, bytes]]] = []

    def reply(self, token: Hashable, octets: bytes) -> None:
        self.replies.append((token, octets))

    def flush(self, now: float) -> None:
        self.flushed.append(self.replies[:])


@contextlib.asynccontextmanager
async def driving(
    engine: ScriptedEngine, max_sockets: int = 512, connect_timeout: float = 1.2
) -> AsyncIterator[tuple[Driver, Exchanges]]:
    exchanges = Exchanges(max_sockets, connect_timeout=connect_timeout)
    driver = Driver(engine, exchanges, asyncio.get_running_loop())
    try:
        async with watched(driver.run()):
            yield driver, exchanges
    finally:
        driver.close()
        exchanges.close_all()


@contextlib.contextmanager
def upstream() -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


def test_replies_go_to_who_asked_in_one_flush() -> None:
    async def main() -> None:
        engine, one, two = ScriptedEngine(), Recorder(), Recorder()
        async with driving(engine) as (driver, _):
            now = monotonic()
            assert driver.query(message(b"now"), (one, 1), "192.0.2.1", False, now) is not None
            for asked, token in ((one, 2), (two, 3), (one, 4)):
                assert driver.query(message(b"later"), (asked, token), "192.0.2.1", False, now) is None
            assert driver.pending == 3
            for _ in range(3):
                engine.answer(0, b"x")
            driver.settle(now)
            assert driver.pending == 0
            assert engine.replies == []
        assert one.flushed == [[(2, b"x"), (4, b"x")]]
        assert two.flushed == [[(3, b"x")]]

    run(main())


def test_an_exchange_from_send_to_close() -> None:
    async def main() -> None:
        engine, asked = ScriptedEngine(), Recorder()

        def react(engine: ScriptedEngine, event: str) -> None:
            if event == "upstream_reply":
                engine.answer(0, engine.upstream_replies[-1][2])
                engine.closes.append(1)

        engine.reaction = react
        with upstream() as server:
            async with driving(engine) as (driver, exchanges):
                driver.query(message(b"later"), (asked, 1), "192.0.2.1", False, monotonic())
                engine.sends.append(udp_send(1, 0, server.getsockname(), b"the question"))
                driver.settle(monotonic())
                await readable(server)
                wire, client = server.recvfrom(4096)
                assert wire == b"the question"
                server.sendto(b"the reply", client)
                await engine.until(lambda engine: bool(engine.upstream_replies))
                await driver.answered()
                assert engine.upstream_replies == [(1, 0, b"the reply")]
                assert asked.flushed == [[(1, b"the reply")]]
                assert len(exchanges) == 0
                assert engine.closes == []

    run(main())


def test_what_fails_at_once_leads_to_what_the_engine_wants_next(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        engine, asked = ScriptedEngine(), Recorder()

        def react(engine: ScriptedEngine, event: str) -> None:
            if event == "upstream_failed" and len(engine.failures) < 6:
                engine.sends.append(udp_send(1, len(engine.failures), ("127.0.0.1", 53)))
            elif event == "upstream_failed":
                engine.closes.append(1)
                engine.answer(0, b"servfail")

        engine.reaction = react
        async with driving(engine, max_sockets=0) as (driver, _):
            driver.query(message(b"later"), (asked, 1), "192.0.2.1", False, monotonic())
            engine.sends.append(udp_send(1, 0, ("127.0.0.1", 53)))
            driver.settle(monotonic())
        assert engine.failures == [(1, attempt) for attempt in range(6)]
        assert asked.flushed == [[(1, b"servfail")]]

    with caplog.at_level(logging.WARNING):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [f"upstream {TOO_MANY}"]


def test_what_is_over_is_not_opened() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        with upstream() as server:
            async with driving(engine) as (driver, exchanges):
                engine.sends.append(udp_send(1, 0, server.getsockname()))
                engine.closes.append(1)
                driver.settle(monotonic())
                assert (len(exchanges), exchanges.opened) == (0, 0)

    run(main())


def test_what_hears_nothing_over_udp_any_more_has_its_sockets_for_that_closed() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        with upstream() as server:
            async with driving(engine) as (driver, exchanges):
                engine.sends += [udp_send(1, 0, server.getsockname()), udp_send(2, 0, server.getsockname())]
                driver.settle(monotonic())
                engine.deafened.append(1)
                driver.settle(monotonic())
                assert len(exchanges) == 1
                assert engine.deafened == []

    run(main())


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_whoever_debugs_sees_every_answer_that_comes_out_of_the_engine(
    level: int, caplog: pytest.LogCaptureFixture
) -> None:
    text = packets.message(
        packets.question("a.test"), [packets.record(packets.pointer(12), packets.TXT, b"\7a\nERROR")]
    )

    async def main() -> None:
        engine, asked = ScriptedEngine(), Recorder()
        async with driving(engine) as (driver, _):
            driver.query(message(b"now"), (asked, 1), "192.0.2.1", False, monotonic())
            driver.query(message(b"silent"), (asked, 2), "192.0.2.1", False, monotonic())
            driver.query(message(b"later"), (asked, 3), "192.0.2.1", False, monotonic())
            engine.answer(0, text)
            driver.settle(monotonic())

    with caplog.at_level(level):
        run(main())
    told = [entry.getMessage() for entry in caplog.records if entry.name == "hsdnsd.net.driver"]
    if level == logging.INFO:
        assert told == []
        return
    assert len(told) == 2
    lines = told[1].splitlines()
    assert lines[0] == "answer:"
    assert all(line.startswith("  ") for line in lines[1:])
    assert any("a.test." in line and "TXT" in line for line in lines)


def test_the_timer_calls_at_the_deadline_and_not_before() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with driving(engine) as (driver, _):
            engine.deadline = due = monotonic() + 0.02
            driver.settle(monotonic())
            await engine.until(lambda engine: bool(engine.passed))
            assert len(engine.passed) == 1
            assert due <= engine.passed[0] < due + 5

    run(main())


def test_one_timer_stands_however_the_deadline_moves() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        dues: list[float] = []

        def react(engine: ScriptedEngine, event: str) -> None:
            if event == "deadline_passed" and dues:
                engine.deadline = dues.pop(0)

        engine.reaction = react
        async with driving(engine) as (driver, _):
            start = monotonic()
            for after in (60.0, 0.03, 0.01, 0.02):  # later, earlier, earlier still, later again
                engine.deadline = start + after
                driver.settle(start)
            dues += [start + 0.02, start + 0.03]
            await engine.until(lambda engine: len(engine.passed) == 3)
            assert [passed >= start + due for passed, due in zip(engine.passed, (0.01, 0.02, 0.03), strict=True)] == [
                True
            ] * 3
            assert engine.deadline is None

    run(main())


def test_a_deadline_that_has_passed_already_is_called_from_the_loop() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with driving(engine) as (driver, _):
            engine.deadline = monotonic() - 1
            driver.settle(monotonic())
            assert engine.passed == []
            await engine.until(lambda engine: bool(engine.passed))

    run(main())


def test_a_bug_met_by_a_query_costs_one_servfail_and_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        engine, asked = ScriptedEngine(), Recorder()
        async with driving(engine) as (driver, _):
            now = monotonic()
            for _ in range(3):
                reply = driver.query(message(b"bug"), (asked, 1), "192.0.2.1", False, now)
                assert reply == bytes.fromhex("1234 8102 0000 0000 0000 0000")
            assert driver.query(message(b"now"), (asked, 1), "192.0.2.1", False, now) is not None
            assert (driver.crashes, driver.pending) == (3, 0)

    run(main())
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


def test_a_bug_met_by_an_upstreams_reply_costs_that_reply() -> None:
    async def main() -> None:
        engine = ScriptedEngine()

        def react(engine: ScriptedEngine, event: str) -> None:
            if event == "upstream_reply" and len(engine.upstream_replies) == 1:
                raise IndexError("a bug")

        engine.reaction = react
        with upstream() as server:
            async with driving(engine) as (driver, _):
                engine.sends.append(udp_send(1, 0, server.getsockname()))
                driver.settle(monotonic())
                await readable(server)
                _, client = server.recvfrom(4096)
                server.sendto(b"one", client)
                server.sendto(b"two", client)
                await engine.until(lambda engine: len(engine.upstream_replies) == 2)
                assert driver.crashes == 1

    run(main())


def test_a_bug_anywhere_else_comes_out_of_run() -> None:
    async def main() -> None:
        engine = ScriptedEngine()

        def react(engine: ScriptedEngine, event: str) -> None:
            raise ZeroDivisionError("a bug")

        engine.reaction = react
        exchanges = Exchanges()
        driver = Driver(engine, exchanges, asyncio.get_running_loop())
        try:
            engine.deadline = monotonic()
            driver.settle(monotonic())
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await driver.run()
        finally:
            driver.close()
            exchanges.close_all()

    run(main())


def test_a_bug_met_while_fetching_ahead_costs_that() -> None:
    async def main() -> None:
        engine = ScriptedEngine()

        def react(engine: ScriptedEngine, event: str) -> None:
            raise IndexError("a bug")

        engine.reaction = react
        async with driving(engine) as (driver, _):
            driver.refresh(monotonic())
            assert driver.crashes == 1

    run(main())


def test_giving_up_answers_who_waits() -> None:
    async def main() -> None:
        engine, asked = ScriptedEngine(), Recorder()
        async with driving(engine) as (driver, _):
            driver.query(message(b"later"), (asked, 1), "192.0.2.1", False, monotonic())
            driver.give_up()
            assert driver.pending == 0
            assert asked.flushed == [[(1, given_up(message(b"later")))]]

    run(main())


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        ("1234 0100 0001 0000 0000 0000", "1234 8102 0000 0000 0000 0000"),  # RD is copied
        ("1234 0030 0001 0000 0000 0000", "1234 8002 0000 0000 0000 0000"),  # AD and CD are not
        ("1234 2700 0001 0000 0000 0000", "1234 a002 0000 0000 0000 0000"),  # another opcode: nor is RD
        ("1234 0100 0001 0000 0000 0000 0161", "1234 8102 0000 0000 0000 0000"),
        ("1234 8100 0001 0000 0000 0000", ""),  # a response: whoever answers it may start a loop (CVE-2024-2169)
        ("1234 0100 0001 0000 0000 00", ""),
        ("", ""),
    ],
)
def test_servfail_from_a_header(query: str, reply: str) -> None:
    assert servfail(bytes.fromhex(query)) == bytes.fromhex(reply)


def test_an_upstream_that_leads_back_is_told_and_not_each_time(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        async with driving(engine) as (driver, _):
            for upstream in (FIRST, FIRST, SECOND):
                engine.looping.append(upstream)
                driver.settle(monotonic())
            assert engine.looping == []

    run(main())
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "upstream 192.0.2.1:53 leads back to this daemon, and is asked nothing for 60 s" in caplog.messages[0]
    assert "192.0.2.2:53" in caplog.messages[1]


def test_connections_to_upstreams_are_looked_after() -> None:
    """Nothing but time ends an attempt on a connection that is never made."""

    async def main() -> None:
        engine = ScriptedEngine()
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as opened:
            for _ in range(2):
                filler = opened.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            async with driving(engine, connect_timeout=0.05) as (driver, exchanges):
                engine.sends.append(tcp_send(3, 1, full.getsockname()))
                driver.settle(monotonic())
                await engine.until(lambda engine: engine.failures == [(3, 1)])
                assert len(exchanges) == 0

    run(main())


def test_messages_over_tcp_leave_together() -> None:
    async def main() -> None:
        engine = ScriptedEngine()
        with socket.create_server(("127.0.0.1", 0)) as server:
            async with driving(engine) as (driver, exchanges):
                for number in range(3):
                    engine.sends.append(tcp_send(number, 0, server.getsockname(), message(b"query", number)))
                driver.settle(monotonic())
                server.setblocking(False)
                await readable(server)
                with server.accept()[0] as connection:
                    connection.setblocking(False)
                    await readable(connection)
                    expected = b"".join(framed(message(b"query", number)) for number in range(3))
                    assert connection.recv(4096) == expected
                    connection.sendall(framed(message(b"reply", 1)))
                    await engine.until(lambda engine: engine.upstream_replies == [(1, 0, message(b"reply", 1))])
                assert exchanges.opened == 1

    run(main())
