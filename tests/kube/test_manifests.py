"""hsdnsd.kube.manifests: the source, polled by hand."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hsdnsd.errors import ManifestError, StartError
from hsdnsd.kube.manifests import POLL_INTERVAL, Manifests
from hsdnsd.kube.source import OTHER_KINDS, WatchState
from hsdnsd.records.model import Change, Kind, NamespaceFact, Replaced, ServiceFact

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n"


def service(*names: str) -> str:
    return "---\n".join(f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n" for name in names)


class Followed:
    """A `Manifests` over one directory, and everything that it told."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.changes: list[Change] = []
        self.now = 100.0
        self.source = Manifests([str(folder)], clock=lambda: self.now, **options)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    async def start(self) -> list[Change]:
        return await self._told(self.source.start)

    async def poll(self) -> list[Change]:
        return await self._told(self.source.poll)

    async def _told(self, step: Callable[[Callable[[Change], None]], Awaitable[None]]) -> list[Change]:
        changes: list[Change] = []
        await step(changes.append)
        return changes

    def state(self, kind: str) -> WatchState:
        (state,) = [state for state in self.source.watches() if state.kind == kind]
        return state


def services(*names: str) -> Replaced:
    return Replaced(Kind.SERVICE, tuple(ServiceFact("default", name) for name in names))


def run(test: Callable[[Followed], Awaitable[None]], folder: Path, **options: str) -> None:
    async def body() -> None:
        await test(Followed(folder, **options))

    asyncio.run(body())


def test_all_four_kinds_are_told_at_start_even_without_objects(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a"))
        told = await followed.start()
        assert {change.kind: change.facts for change in told if isinstance(change, Replaced)} == {
            Kind.SERVICE: (ServiceFact("default", "a"),),
            Kind.ENDPOINT_SLICE: (),
            Kind.NAMESPACE: (),
            Kind.POD: (),
        }
        for state in followed.source.watches():
            assert (state.synced, state.connected, state.failures, state.relists) == (True, True, 0, 0)
            assert state.last_alive == 100.0

    run(test, tmp_path)


def test_a_change_tells_the_kinds_that_differ(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a"))
        await followed.start()
        followed.write("b.yaml", service("b"))
        assert await followed.poll() == [services("a", "b")]
        followed.write("a.yaml", NAMESPACE)
        assert await followed.poll() == [services("b"), Replaced(Kind.NAMESPACE, (NamespaceFact("n"),))]
        (followed.folder / "b.yaml").unlink()
        assert await followed.poll() == [services()]
        assert (followed.state("Service").events, followed.state("Service").relists) == (4, 3)
        assert (followed.state("Pod").events, followed.state("Pod").relists) == (1, 0)

    run(test, tmp_path)


def test_a_change_of_nothing_that_dns_reads_tells_nothing(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a"))
        await followed.start()
        assert await followed.poll() == []
        followed.write("a.yaml", "# a comment\n" + service("a"))
        assert await followed.poll() == []

    run(test, tmp_path)


def test_a_look_that_finds_nothing_new_is_a_proof_of_life_unless_something_is_broken(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a"))
        os.utime(tmp_path / "a.yaml", ns=(1, 1))
        await followed.start()
        followed.now = 200.0
        await followed.poll()
        assert followed.state("Service").last_alive == 200.0
        followed.write("a.yaml", "a: [")
        os.utime(tmp_path / "a.yaml", ns=(1, 1))
        followed.now = 300.0
        for _ in range(2):
            await followed.poll()
        assert followed.state("Service").last_alive == 200.0

    run(test, tmp_path)


def test_two_writes_within_one_tick_of_the_clock_are_both_seen(tmp_path: Path) -> None:
    """Same size, same inode, and quite likely the same time of change."""

    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a"))
        await followed.start()
        for name in "bcdefgh":
            followed.write("a.yaml", service(name))
            assert await followed.poll() == [services(name)]

    run(test, tmp_path)


def test_a_broken_file_keeps_everything_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a", "b"))
        followed.write("b.yaml", service("c"))
        await followed.start()
        caplog.clear()
        followed.write("b.yaml", service("d") + "---\n" + service("e").replace("{name: e}", "[e]"))
        assert await followed.poll() == []
        assert await followed.poll() == []
        followed.write("a.yaml", service("z"))
        assert await followed.poll() == []
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert f"{followed.folder}/b.yaml, document 2, line 7: metadata: expected object, got array" in record.message
        for state in followed.source.watches():
            assert (state.synced, state.connected, state.failures) == (True, False, 1)

        followed.write("b.yaml", service("d"))
        assert await followed.poll() == [services("z", "d")]
        assert all(state.connected for state in followed.source.watches())
        assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.INFO]

    with caplog.at_level(logging.INFO):
        run(test, tmp_path)


def test_a_path_that_goes_keeps_everything_until_it_is_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "m"
    folder.mkdir()

    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a"))
        await followed.start()
        caplog.clear()
        folder.rename(tmp_path / "away")
        assert await followed.poll() == []
        assert await followed.poll() == []
        assert not followed.state("Service").connected
        assert [record.message for record in caplog.records] == [
            f"manifests: {folder}: No such file or directory; what was read before stays in force"
        ]
        (tmp_path / "away").rename(folder)
        assert await followed.poll() == []
        assert followed.state("Service").connected

    run(test, folder)


def test_a_config_map_s_turn_is_seen(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        for version in "12":
            (tmp_path / f"..{version}").mkdir()
            followed.write(f"..{version}/a.yaml", service(f"v{version}"))
        (tmp_path / "..data").symlink_to("..1")
        (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
        assert services("v1") in await followed.start()
        (tmp_path / "..next").symlink_to("..2")
        (tmp_path / "..next").rename(tmp_path / "..data")
        assert await followed.poll() == [services("v2")]

    run(test, tmp_path)


def test_what_is_skipped_is_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a") + "---\napiVersion: apps/v1\nkind: Deployment\n")
        await followed.start()
        assert followed.state(OTHER_KINDS).skipped == 1
        assert "1 Service" in caplog.text
        assert "skipped: 1 apps/v1 Deployment" in caplog.text
        await followed.poll()
        assert followed.state(OTHER_KINDS).skipped == 1
        followed.write("b.json", '{"apiVersion": "batch/v1", "kind": "Job"}')
        await followed.poll()
        assert followed.state(OTHER_KINDS).skipped == 3
        assert followed.state("Service").skipped == 0

    with caplog.at_level(logging.INFO):
        run(test, tmp_path)


def test_an_object_in_two_files_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a"))
        followed.write("b.yaml", service("a"))
        await followed.start()
        (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "Service default/a is in" in record.message

    run(test, tmp_path)


def test_selectors_are_applied(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", service("a") + "---\n" + NAMESPACE)
        told = await followed.start()
        assert services() in told
        assert Replaced(Kind.NAMESPACE, ()) in told

    run(test, tmp_path, labels="app", namespace_labels="env")


def test_a_broken_file_at_start_is_an_error(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        followed.write("a.yaml", "a: [")
        with pytest.raises(ManifestError, match=r"a\.yaml, document 1, line 1: "):
            await followed.start()

    run(test, tmp_path)


def test_a_missing_path_at_start_is_an_error(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        with pytest.raises(StartError) as caught:
            await followed.start()
        assert str(caught.value) == f"manifests: {tmp_path}/missing: No such file or directory"

    run(test, tmp_path / "missing")


def test_it_runs_until_cancelled_and_looks_twice_a_second(tmp_path: Path) -> None:
    changes: list[Change] = []
    pauses: list[float] = []
    third = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            third.set()
            await asyncio.Event().wait()
        (tmp_path / "a.yaml").write_text(service(f"a{len(pauses)}"))

    async def body() -> None:
        running = asyncio.create_task(Manifests([str(tmp_path)], pause=pause).run(changes.append))
        async with asyncio.timeout(10):
            await third.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(body())
    assert len(changes) == 6
    assert changes[4:] == [services("a1"), services("a2")]
    assert set(pauses) == {POLL_INTERVAL}
