"""hsdnsd.kube.reflector: whatever the API server does or fails to do, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from hsdnsd.kube.backoff import AT_ONCE, HEALTHY, MIN_BACKOFF, STEADY
from hsdnsd.kube.client import READ_TIMEOUT, open_client
from hsdnsd.kube.reflector import Reflector
from hsdnsd.records.model import Change
from tests.support.facts import nothing_held
from tests.support.fake_apiserver import Answer, FakeApiServer, status_body
from tests.support.loop_clock import jump
from tests.support.reflected import (
    SERVICES,
    Cluster,
    added,
    both_ways,
    listed,
    run,
    service,
)


@both_ways
def test_a_version_that_is_gone_lists_again_and_deletes_what_went(
    tmp_path: Path, begin: Callable[[FakeApiServer], None]
) -> None:
    def filled(api: FakeApiServer) -> None:
        begin(api)
        api.put(service("a"))
        api.put(service("b"))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed("a", "b")
        await cluster.api.watched("services")
        cluster.api.cut("services")
        cluster.api.delete(service("b"))
        cluster.api.put(service("c"))
        cluster.api.compact()
        assert await cluster.told_list() == listed("a", "c")
        assert cluster.state.relists == 1

    run(tmp_path, test, begin=filled)


GONE = status_body(410, "Expired", "too old")


@pytest.mark.parametrize("form", ["status", "event", "body"])
def test_gone_in_each_of_its_forms(tmp_path: Path, form: str) -> None:
    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        if form == "event":
            cluster.api.send("services", json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n")
        else:
            answer = Answer(410, GONE) if form == "status" else Answer(200, GONE)
            cluster.api.scripts["services"].append(answer)
            cluster.api.end("services")
        cluster.api.put(service("a"))
        # The list may have run before the object was made.
        changes = await cluster.told_list()
        assert changes in (listed("a"), listed())
        if changes == listed():
            assert await cluster.told() == [added("a")]
        assert cluster.state.relists == 1
        assert len(cluster.lists) == 2

    run(tmp_path, test)


def test_too_large_a_version_lists_again(tmp_path: Path) -> None:
    """etcd was restored from a backup, and the version never comes."""

    async def test(cluster: Cluster) -> None:
        await cluster.told()
        answer = Answer(504, status_body(504, "Timeout", "Too large resource version: 100, current: 7"))
        cluster.api.scripts["services"].append(answer)
        cluster.api.cut("services")
        assert await cluster.told_list() == listed()

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("last", "lists_again"),
    [
        pytest.param(b"", False, id="between lines"),
        pytest.param(b'{"type":"ADDED","object":{"meta', False, id="within a line"),
        pytest.param(b"<html>504 Gateway Timeout</html>\n", True, id="after junk"),
    ],
)
def test_a_watch_that_is_cut(tmp_path: Path, last: bytes, lists_again: bool) -> None:
    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        cluster.clock += HEALTHY
        cluster.api.put(service("a"))
        assert await cluster.told() == [added("a")]
        cluster.api.cut("services", last)
        await cluster.api.watched("services")
        cluster.api.put(service("b"))
        expected: list[Change] = [*listed("a"), added("b")] if lists_again else [added("b")]
        assert await cluster.told(len(expected)) == expected
        assert len(cluster.lists) == 1 + lists_again
        assert cluster.state.failures == 1
        assert len(cluster.pauses) == 1

    run(tmp_path, test)


def test_a_line_without_end_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor asked for again and again: what can't be streamed is listed as a whole."""
    monkeypatch.setattr("hsdnsd.kube.client.LINE_OCTETS", 1000)

    def filled(api: FakeApiServer) -> None:
        api.put(service("a"))
        api.put(service("big", padding="x" * 1000))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed("a", "big")
        assert cluster.lists == [{}]
        await cluster.api.watched("services")
        cluster.api.put(service("big", padding="y" * 1000))
        assert await cluster.told_list() == listed("a", "big")

    run(tmp_path, test, begin=filled)


def test_an_odd_object_does_not_stop_the_others(tmp_path: Path) -> None:
    def filled(api: FakeApiServer) -> None:
        api.put(service("a"))
        api.put(service("odd", ports=[{"port": "http"}]))
        api.put(service("z"))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed("a", "z")
        cluster.api.put(service("odd", ports="x"))
        cluster.api.put(service("b"))
        assert await cluster.told() == [added("b")]
        assert cluster.state.skipped == 2
        assert cluster.state.failures == 0

    run(tmp_path, test, begin=filled)


GROWING = [1.0, 1.5, 2.25, 3.375, 5.0625, 7.59375]


@pytest.mark.parametrize(
    ("status", "pauses"),
    [(403, [0.5, 0.75, 1.125, 1.6875, 2.0, 2.0]), *((status, GROWING) for status in (404, 429, 500, 503, 504))],
)
def test_refusals_are_waited_out_and_what_is_known_stays(
    tmp_path: Path, status: int, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        cluster.clock += HEALTHY
        cluster.api.scripts["services"] += [Answer(status, status_body(status, "No", f"not now\x1b ({status})"))] * 6
        cluster.chance = 1.0
        cluster.api.cut("services")
        await cluster.api.requested(8)
        await cluster.api.watched("services")
        assert cluster.told_nothing_more()
        cluster.api.put(service("a"))
        assert await cluster.told() == [added("a")]
        assert cluster.state.failures == 7
        assert cluster.pauses == [AT_ONCE, *pauses]

    with caplog.at_level(logging.INFO, "hsdnsd"):
        run(tmp_path, test)
    cut, refused, again = [record.getMessage() for record in caplog.records]
    closed = "the connection was closed in the midst of the answer"
    assert cut == f"/api/v1/services: {closed}; what is known stays in force"
    assert refused.startswith(f"/api/v1/services: {status} not now ({status}); what is known stays in force")
    assert ("right to list and watch" in refused) is (status == 403)
    assert again == "/api/v1/services: watched again"


@pytest.mark.parametrize(("chance", "pauses"), [(0.0, [MIN_BACKOFF] * 4), (0.5, [0.75, 1.0, 1.375, 1.9375])])
def test_back_off_is_jittered(tmp_path: Path, chance: float, pauses: list[float]) -> None:
    def failing(api: FakeApiServer) -> None:
        api.scripts["services"] += [Answer(500, b"")] * 4

    async def test(cluster: Cluster) -> None:
        cluster.chance = chance
        await cluster.told()
        assert cluster.pauses == pauses

    run(tmp_path, test, begin=failing)


def test_retry_after_is_honoured(tmp_path: Path) -> None:
    def busy(api: FakeApiServer) -> None:
        api.scripts["services"] += [
            Answer(429, status_body(429, "TooManyRequests"), {"Retry-After": "17"}),
            Answer(503, b"", {"Retry-After": "0"}),
        ]

    async def test(cluster: Cluster) -> None:
        await cluster.told()
        assert cluster.pauses == [17.0, 1.0]

    run(tmp_path, test, begin=busy)


def test_a_healthy_stream_ends_a_row_of_failures_and_a_steady_one_is_opened_again_at_once(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        cluster.chance = 1.0
        await cluster.told()
        for lived in (0.0, STEADY - 1, HEALTHY - 1, 0.0, HEALTHY, 0.0):
            await cluster.sees_the_watch_open()
            cluster.clock += lived
            cluster.api.cut("services")
        await cluster.api.watched("services")
        assert cluster.pauses == [1.0, 1.5, AT_ONCE, 2.25, AT_ONCE, 1.0]

    run(tmp_path, test)


def test_watches_that_end_at_once_are_not_asked_for_without_a_pause(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        cluster.chance = 1.0
        await cluster.told_list()
        for _ in range(3):
            cluster.api.end("services")
            await cluster.api.watched("services")
        assert cluster.pauses == [1.0, 1.5, 2.25]

    run(tmp_path, test)


def test_a_rotated_token_is_read_again_at_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")

    def guarded(api: FakeApiServer) -> None:
        api.token = "old"

    async def test(cluster: Cluster) -> None:
        await cluster.told()
        cluster.clock += HEALTHY
        cluster.api.token = "new"
        token.write_text("new")
        cluster.api.end("services")
        await cluster.api.watched("services")
        assert cluster.pauses == []
        cluster.api.put(service("a"))
        assert await cluster.told() == [added("a")]

    run(tmp_path, test, begin=guarded, tokenFile="token")


def test_a_token_that_stays_refused_is_retried_with_patience(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")

    def guarded(api: FakeApiServer) -> None:
        api.token = "right"

    async def test(cluster: Cluster) -> None:
        cluster.chance = 1.0
        await cluster.api.requested(5)
        assert cluster.pauses[:3] == [1.0, 1.5, 2.25]
        token.unlink()
        await cluster.api.requested(8)
        token.write_text("right")
        assert await cluster.told_list() == listed()

    run(tmp_path, test, begin=guarded, tokenFile="token")


def test_a_server_that_is_away_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        async with asyncio.timeout(10):
            async with FakeApiServer() as api:
                client = await open_client(api.kubeconfig(tmp_path))
            cluster = Cluster(api)
            many = asyncio.Event()

            async def pause(seconds: float) -> None:
                await cluster.pause(seconds)
                if len(cluster.pauses) == 5:
                    many.set()
                    await back.wait()

            back = asyncio.Event()
            running = asyncio.create_task(
                Reflector(
                    client, SERVICES, cluster.state, cluster.sink, nothing_held(), pause=pause, chance=lambda: 1.0
                ).run()
            )
            await many.wait()
            assert not cluster.state.synced
            assert cluster.told_nothing_more()
            assert cluster.pauses == [1.0, 1.5, 2.25, 3.375, 5.0625]
            async with api:
                back.set()
                assert await cluster.told_list() == listed()
                await cluster.sees_the_watch_open()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await client.close()

    with caplog.at_level(logging.INFO, "hsdnsd"):
        asyncio.run(body())
    first, second = [record.getMessage() for record in caplog.records]
    assert "Cannot connect" in first
    assert second == "/api/v1/services: watched again"


def test_a_silent_connection_is_given_up(tmp_path: Path) -> None:
    """Half open: the server forgot it, and says neither bookmark nor end."""

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        for _ in range(2):
            await cluster.sees_the_watch_open()
            jump(READ_TIMEOUT + 1)
            await cluster.api.requested(len(cluster.api.requests) + 1)
        assert [params.get("resourceVersion") for params in cluster.watches] == ["100", "101", "102"]
        assert cluster.state.failures == 2

    run(tmp_path, test)


def test_versions_that_run_backwards_list_again(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.told_list()
        cluster.api.put(service("a"))
        await cluster.told()
        cluster.api.version = 50
        cluster.api.compact()  # a server that went back has no events of what it does not know
        cluster.api.put(service("b"))
        assert await cluster.told_list() == listed("a", "b")
        cluster.api.put(service("c"))
        assert await cluster.told() == [added("c")]

    run(tmp_path, test)
