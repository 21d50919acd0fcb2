"""hsdnsd.kube.keeper: the snapshot on disk beside a table; all clocks are the test's."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from hsdnsd.kube.keeper import CONFIRM_EVERY, TICK, WRITE_EVERY, Keeper
from hsdnsd.kube.source import WatchState
from hsdnsd.records.model import Fact, Kind, Listed, NamespaceFact, Replaced
from hsdnsd.records.result import EVERYTHING, Owner
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import EDE, Rcode, RRType
from tests.support.facts import absolute, endpoint, endpoint_slice, headless, of_kind, options, service

KINDS = (Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.NAMESPACE)
LIMITS = {Kind.SERVICE: 86400.0, Kind.NAMESPACE: 86400.0, Kind.ENDPOINT_SLICE: 600.0}
FACTS: tuple[Fact, ...] = (
    NamespaceFact("shop"),
    service("web", "10.96.0.1"),
    headless("db"),
    endpoint_slice("db", endpoint("10.0.0.1", host="db-0"), endpoint("10.0.0.2", host="db-1", ready=False)),
)


class Node:
    """A daemon's table and keeper at some time; the file is what outlives it."""

    def __init__(self, path: Path, wall: float = 1e9, origin: str = "here", **changes: object) -> None:
        self.wall = wall
        self.clock = 5000.0
        self.path = path
        self.options = options(expect=frozenset(KINDS), **changes)
        self.table = Table(self.options)
        self.zone = Zone(self.options, self.table)
        self.watches = [WatchState(kind.value) for kind in KINDS]
        self.ended: list[frozenset[Owner]] = []
        self.pauses: list[float] = []
        self.enough = asyncio.Event()
        self.keeper = Keeper(
            str(path),
            self.table,
            lambda: self.watches,
            LIMITS,
            "cluster.local",
            origin,
            wall=lambda: self.wall,
            clock=lambda: self.clock,
            pause=self._pause,
        )

    def hear(self, *facts: Fact) -> None:
        """The API server lists these."""
        for kind in KINDS:
            self.table.apply(Replaced(kind, of_kind(kind, facts)), int(self.wall))
        self.live()
        self.keeper.changed()

    def live(self) -> None:
        """The API server is heard now."""
        for watch in self.watches:
            watch.last_alive = self.clock

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.clock += seconds

    def end(self, owners: Iterable[Owner]) -> None:
        self.ended.append(frozenset(owners))

    def ask(self, name: str, rtype: RRType = RRType.A) -> tuple[int, int, int | None]:
        """RCODE, how many records, EDE."""
        result = self.zone.look_up(absolute(name), rtype)
        return result.rcode, sum(len(rrset.rdatas) for rrset in result.answer), result.ede

    async def _pause(self, seconds: float) -> None:
        """Time passes while the keeper waits, for as long as the test lets it."""
        self.pauses.append(seconds)
        if len(self.pauses) > 100:
            self.enough.set()
            await asyncio.Event().wait()
        self.wait(seconds)


def saved(path: Path) -> Node:
    """A node that wrote what it knew."""
    node = Node(path)
    node.hear(*FACTS)
    asyncio.run(node.keeper.write())
    assert (node.keeper.writes, node.keeper.failures, node.keeper.octets) == (1, 0, path.stat().st_size)
    return node


STALE = EDE.STALE_ANSWER


def test_f2_a_restart_without_the_api_server_answers_from_the_snapshot(tmp_path: Path) -> None:
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall + 60)
    assert again.keeper.recall()
    assert again.keeper.serving
    assert again.keeper.age == 60
    assert again.ask("web.shop.svc") == (Rcode.NOERROR, 1, STALE)
    assert again.ask("web.shop.svc", RRType.AAAA) == (Rcode.NOERROR, 0, STALE)
    assert again.ask("db.shop.svc") == (Rcode.NOERROR, 1, STALE)
    assert again.ask("db-0.db.shop.svc") == (Rcode.NOERROR, 1, STALE)
    assert again.ask("1.0.0.10.in-addr.arpa.", RRType.PTR) == (Rcode.NOERROR, 1, STALE)
    for name in ("nobody.shop.svc", "db-1.db.shop.svc", "9.0.0.10.in-addr.arpa.", "elsewhere.svc"):
        assert again.ask(name) == (Rcode.SERVFAIL, 0, EDE.NOT_READY), "never NXDOMAIN before the API server is heard"


def test_f2_the_api_server_ends_it(tmp_path: Path) -> None:
    """What is gone is gone, what is there stays, and no answer that says stale is kept."""
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall + 60)
    again.keeper.recall()
    for kind in KINDS:
        assert again.table.apply(Listed(kind, {fact.key for fact in FACTS[:2]}), 1) == {EVERYTHING}
    assert not again.keeper.serving
    assert again.ask("web.shop.svc") == (Rcode.NOERROR, 1, None)
    assert again.ask("db.shop.svc") == (Rcode.NXDOMAIN, 0, None)
    assert again.table.counts()["EndpointSlice"] == 0


def test_f2_stale_answers_are_short_lived(tmp_path: Path) -> None:
    node = saved(tmp_path / "s")
    ttls = node.options.ttls
    again = Node(tmp_path / "s", node.wall, ttls=type(ttls)(**dict.fromkeys(ttls.__struct_fields__, 300)))
    again.keeper.recall()
    result = again.zone.look_up(absolute("web.shop.svc"), RRType.A)
    assert [rrset.ttl for rrset in result.answer] == [5]


def test_f2_what_a_snapshot_recalls_is_what_was_told(tmp_path: Path) -> None:
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall)
    again.keeper.recall()
    assert again.table.counts() == node.table.counts()
    for kind in KINDS:
        assert again.table.memories(kind) == node.table.memories(kind)


@pytest.mark.parametrize("skew", [601.0, -601.0])
def test_f2_each_kind_has_its_own_age_limit(tmp_path: Path, skew: float, caplog: pytest.LogCaptureFixture) -> None:
    """A clock that runs behind says as little of the age as one that is ahead (F22)."""
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall + skew)
    assert not again.keeper.recall(), "not ready: pods' addresses are not known"
    assert again.ask("web.shop.svc") == (Rcode.NOERROR, 1, STALE)
    assert again.ask("db.shop.svc") == (Rcode.SERVFAIL, 0, EDE.NOT_READY)
    assert "EndpointSlice is too old: left out" in caplog.text


def test_f2_a_snapshot_grows_too_old_while_it_is_served(tmp_path: Path) -> None:
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall + 500)
    again.keeper.recall()
    again.wait(99)
    again.keeper.forget(again.end)
    assert again.ended == []
    again.wait(1)
    again.keeper.forget(again.end)
    assert again.ended == [{EVERYTHING}]
    assert again.ask("db.shop.svc") == (Rcode.SERVFAIL, 0, EDE.NOT_READY)
    assert again.ask("web.shop.svc") == (Rcode.NOERROR, 1, STALE)
    again.wait(86400)
    again.keeper.forget(again.end)
    assert again.ask("web.shop.svc") == (Rcode.SERVFAIL, 0, EDE.NOT_READY)
    assert not again.keeper.serving


def test_f2_what_was_told_since_is_not_forgotten(tmp_path: Path) -> None:
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall)
    again.keeper.recall()
    again.hear(*FACTS)
    again.wait(90000)
    again.keeper.forget(again.end)
    assert again.ended == []
    assert again.ask("db.shop.svc") == (Rcode.NOERROR, 1, None)


def test_f3_the_age_of_what_is_written_is_that_of_the_last_word_of_the_api_server(tmp_path: Path) -> None:
    """A daemon that ends after hours without the API server leaves no snapshot that looks fresh."""
    node = saved(tmp_path / "s")
    node.wait(7200)
    asyncio.run(node.keeper.write())
    again = Node(tmp_path / "s", node.wall)
    assert not again.keeper.recall()
    assert again.keeper.age == 7200


def test_f1_nothing_is_written_before_the_api_server_is_heard(tmp_path: Path) -> None:
    node = Node(tmp_path / "s")
    assert not node.keeper.recall()
    asyncio.run(node.keeper.write())
    assert node.keeper.age is None
    assert list(tmp_path.iterdir()) == []
    assert node.ask("web.shop.svc") == (Rcode.SERVFAIL, 0, EDE.NOT_READY)


def run_for_a_while(node: Node) -> None:
    async def body() -> None:
        running = asyncio.create_task(node.keeper.run(node.end))
        await node.enough.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(body())


def test_it_is_written_soon_after_a_change_and_now_and_then_without(tmp_path: Path) -> None:
    node = Node(tmp_path / "s")
    node.hear(*FACTS)
    run_for_a_while(node)
    assert node.keeper.writes == 1 + int((100 - 1) * TICK // CONFIRM_EVERY)
    assert WRITE_EVERY < CONFIRM_EVERY


@pytest.mark.parametrize("octets", [b"", b"hsdnsd snapshot\n", b"\x7fELF" * 100])
def test_f25_a_broken_file_is_put_aside(tmp_path: Path, octets: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "s"
    path.write_bytes(octets)
    node = Node(path)
    assert not node.keeper.recall()
    assert not node.keeper.serving
    assert (tmp_path / "s.bad").read_bytes() == octets
    assert not path.exists()
    assert len(caplog.records) == 1
    node.hear(*FACTS)
    asyncio.run(node.keeper.write())
    assert Node(path, node.wall).keeper.recall()


def test_f25_another_cluster_s_file_is_put_aside(tmp_path: Path) -> None:
    saved(tmp_path / "s")
    assert not Node(tmp_path / "s", origin="elsewhere").keeper.recall()
    assert (tmp_path / "s.bad").exists()


@pytest.mark.parametrize("call", ["fsync", "mkdir", "replace"])
def test_f24_a_disk_that_fails_costs_a_counter_and_one_line(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    node = saved(tmp_path / "s")
    before = (tmp_path / "s").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if call == "fsync" else Path, call, full)
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            asyncio.run(node.keeper.write())
    assert (node.keeper.writes, node.keeper.failures) == (1, 50)
    assert [record.getMessage() for record in caplog.records] == [
        f"snapshot {tmp_path / 's'}: can't be written: [Errno 28] No space left on device"
    ]
    assert (tmp_path / "s").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    node.wait(600)
    asyncio.run(node.keeper.write())
    assert len(caplog.records) == 2


def test_f24_the_loop_is_not_held_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path / "s")
    node.hear(*FACTS)
    turns = 0

    async def body() -> None:
        nonlocal turns
        loop = asyncio.get_running_loop()
        served = asyncio.Event()
        monkeypatch.setattr(os, "fsync", lambda _: asyncio.run_coroutine_threadsafe(served.wait(), loop).result(10))
        writing = asyncio.create_task(node.keeper.write())
        for _ in range(10):
            await asyncio.sleep(0)
            turns += 1
        assert not writing.done()
        served.set()
        await writing

    asyncio.run(body())
    assert turns == 10
    assert node.keeper.writes == 1


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_f22_a_clock_that_is_put_forward_or_back_ends_nothing_and_keeps_nothing(tmp_path: Path, jump: float) -> None:
    """What is served from the snapshot grows old by the monotonic clock alone."""
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall + 60)
    assert again.keeper.recall()
    again.wall += jump
    again.keeper.forget(again.end)
    assert again.ask("db.shop.svc") == (Rcode.NOERROR, 1, STALE)
    again.clock += LIMITS[Kind.ENDPOINT_SLICE] - 60
    again.keeper.forget(again.end)
    assert again.ask("db.shop.svc") == (Rcode.SERVFAIL, 0, EDE.NOT_READY)
    assert again.ask("web.shop.svc") == (Rcode.NOERROR, 1, STALE)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_f22_a_snapshot_from_before_the_clock_was_put_right_is_not_believed(tmp_path: Path, jump: float) -> None:
    """Its age can't be told: minutes' worth of addresses are left out, hours' worth of ClusterIPs are not."""
    node = saved(tmp_path / "s")
    again = Node(tmp_path / "s", node.wall + jump)
    assert not again.keeper.recall()
    assert again.ask("db.shop.svc") == (Rcode.SERVFAIL, 0, EDE.NOT_READY)
    assert again.ask("web.shop.svc") == (Rcode.NOERROR, 1, STALE)
