"""hsdnsd.kube.reflector: list and watch in good weather, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hsdnsd.kube import reflector
from hsdnsd.kube.client import PIECE_OCTETS, open_client
from hsdnsd.kube.reflector import Reflector, Resource
from hsdnsd.kube.source import WatchState
from hsdnsd.records.model import Amended, Change, Kind, Upserted
from hsdnsd.records.portions import portions
from hsdnsd.records.table import Table
from tests.support.facts import one_by_one, options
from tests.support.fake_apiserver import COMPACT, Answer, FakeApiServer, status_body
from tests.support.reflected import (
    SERVICES,
    Cluster,
    Turns,
    added,
    both_ways,
    deleted,
    fact,
    listed,
    only_streams,
    run,
    service,
)


@both_ways
def test_list_then_watch(tmp_path: Path, begin: Callable[[FakeApiServer], None]) -> None:
    def filled(api: FakeApiServer) -> None:
        begin(api)
        api.put(service("b"))
        api.put(service("a"))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed("a", "b")
        assert cluster.state.synced
        await cluster.api.watched("services")
        cluster.api.put(service("c"))
        cluster.api.put(service("a", clusterIP="None"))
        cluster.api.delete(service("b"))
        assert await cluster.told(3) == [added("c"), added("a", headless=True), deleted("b")]
        assert cluster.state.connected
        assert (cluster.state.events, cluster.state.relists) == (3, 0)
        assert cluster.state.last_alive == 1000.0
        assert cluster.pauses == []

    run(tmp_path, test, begin=filled)


def test_what_a_server_is_asked(tmp_path: Path) -> None:
    """A list names no version (a consistent read), and may be compressed."""

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        list_, watch = cluster.api.requests
        assert (list_.params, watch.params) == (
            {},
            {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "270", "resourceVersion": "100"},
        )
        assert "gzip" in list_.headers["accept-encoding"]

    run(tmp_path, test)


def test_what_a_server_is_asked_whose_whole_lists_do_not_do(tmp_path: Path) -> None:
    """Once they did not, they are not asked for again."""
    streamed = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "270",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        cluster.lists_again()
        assert await cluster.told_list() == listed()
        first, gone, second = cluster.watches
        assert (first, second) == (streamed, streamed)
        assert gone["resourceVersion"] == "100"
        assert len(cluster.lists) == 1

    run(tmp_path, test, begin=only_streams)


@pytest.mark.parametrize("status", [400, 422])
def test_either_refusal_of_streamed_lists_is_understood(tmp_path: Path, status: int) -> None:
    def refusing(api: FakeApiServer) -> None:
        only_streams(api)
        api.scripts["services"].append(Answer(status, status_body(status, "Invalid")))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        assert len(cluster.lists) == 2
        assert cluster.state.failures == 1

    run(tmp_path, test, begin=refusing)


def page(token: str, *names: str) -> Answer:
    """Of a list of Services; `token`: what the next one is asked for by."""
    return Answer(200, {"metadata": {"resourceVersion": "100", "continue": token}, "items": [*map(service, names)]})


def test_where_lists_break_off_and_there_are_no_streams_they_come_in_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "PAGE_OBJECTS", 2)

    def filled(api: FakeApiServer) -> None:
        api.streams_lists = False
        api.scripts["services"].append(Answer(200, b'{"items":[', cut=True))
        for name in "abcde":
            api.put(service(name))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed(*"abcde")
        two = {"limit": "2"}
        assert cluster.lists == [{}, two, {**two, "continue": "2"}, {**two, "continue": "4"}]

    run(tmp_path, test, begin=filled)


def test_a_list_that_is_told_in_pages_unasked_is_asked_for_to_its_end(tmp_path: Path) -> None:
    def paging(api: FakeApiServer) -> None:
        api.scripts["services"] += [page("2", "a"), page("", "b")]

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed("a", "b")
        assert cluster.lists == [{}, {"continue": "2"}]

    run(tmp_path, test, begin=paging)


@both_ways
def test_selectors_are_the_server_s_work(tmp_path: Path, begin: Callable[[FakeApiServer], None]) -> None:
    def filled(api: FakeApiServer) -> None:
        begin(api)
        api.put(service("a", {"app": "web"}))
        api.put(service("b"))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed("a")
        await cluster.api.watched("services")
        cluster.api.put(service("b", {"app": "web"}))
        cluster.api.put(service("a"))
        assert await cluster.told(2) == [added("b"), deleted("a")]
        for params in cluster.watches + cluster.lists:
            assert params["labelSelector"] == "app=web"
            assert params["fieldSelector"] == "metadata.namespace=n"

    run(tmp_path, test, Resource(Kind.SERVICE, SERVICES.path, "app=web", "metadata.namespace=n"), filled)


def test_a_watch_that_ends_in_good_order_goes_on_where_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.told()
        cluster.api.put(service("a"))
        await cluster.told()
        cluster.clock += 280
        cluster.api.end("services")
        cluster.api.put(service("b"))
        assert await cluster.told() == [added("b")]
        assert cluster.watches[1]["resourceVersion"] == "101"
        assert cluster.pauses == []
        assert cluster.state.failures == 0
        assert cluster.state.relists == 0

    with caplog.at_level(logging.INFO, "hsdnsd"):
        run(tmp_path, test)
    assert caplog.records == []


def test_a_bookmark_saves_a_list(tmp_path: Path) -> None:
    """Other resources move the version on; without the bookmark it would have been compacted away."""

    async def test(cluster: Cluster) -> None:
        await cluster.told()
        cluster.api.version = 500
        cluster.api.bookmark("services")
        cluster.api.put(service("a"))
        assert await cluster.told() == [added("a")]
        cluster.api.version = 600
        cluster.api.bookmark("services")
        cluster.api.compact()
        cluster.api.end("services")
        await cluster.api.watched("services")
        assert cluster.watches[1]["resourceVersion"] == "600"
        cluster.api.put(service("b"))
        assert await cluster.told() == [added("b")]

    run(tmp_path, test)


def test_watches_of_a_fleet_end_at_different_times(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.told_list()
        for chance in (0.0, 0.999):
            cluster.chance = chance
            cluster.clock += 280
            cluster.api.end("services")
            await cluster.sees_the_watch_open()
        assert [params["timeoutSeconds"] for params in cluster.watches] == ["270", "240", "300"]

    run(tmp_path, test)


@both_ways
def test_f12_a_huge_list_leaves_others_their_turn(tmp_path: Path, begin: Callable[[FakeApiServer], None]) -> None:
    """Of an answer only the piece in hand is held, however long it is and however small it was compressed."""
    many = [service(f"s{number:04}", {"padding": "x" * 500}) for number in range(3000)]
    octets = len(json.dumps(many[0], separators=COMPACT))
    told: Counter[int] = Counter()  # octets of objects, in each turn of the loop

    def filled(api: FakeApiServer) -> None:
        begin(api)
        for each in many:
            api.put(each)

    async def test(cluster: Cluster) -> None:
        def weigh(change: Change) -> None:
            told[turns.now] += octets * sum(isinstance(each, Upserted) for each in one_by_one(change))

        with Turns() as turns:
            cluster.each = weigh
            assert len(await cluster.told_list()) == len(many) + 1

    run(tmp_path, test, begin=filled)
    assert sum(told.values()) == octets * len(many)
    assert max(told.values()) < 2 * PIECE_OCTETS < 200_000


@both_ways
def test_f12_between_the_portions_of_a_list_the_loop_has_its_turn(
    tmp_path: Path, begin: Callable[[FakeApiServer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much has changed, and however few octets say so."""
    monkeypatch.setattr(portions, "__defaults__", (10,))
    names = [f"s{number}" for number in range(100)]
    table = Table(options(expect=frozenset({Kind.SERVICE})))
    for change in listed(*names):
        table.apply(change, 1)
    seen: list[int] = []  # turns of the loop, at each change

    async def body() -> None:
        async with asyncio.timeout(20), FakeApiServer() as api:
            begin(api)
            for name in names:
                api.put(service(name, clusterIP="None"))
            client = await open_client(api.kubeconfig(tmp_path))
            over = asyncio.Event()

            def sink(change: Change) -> None:
                table.apply(change, 1)
                assert isinstance(change, Amended)
                assert len(change.told) <= 10
                seen.append(turns.now)
                if change.last:
                    over.set()

            with Turns() as turns:
                running = asyncio.create_task(Reflector(client, SERVICES, WatchState("Service"), sink, table).run())
                await over.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.close()

    asyncio.run(body())
    assert len(seen) == len(set(seen)) == 10
    assert all(table.news(fact(name, headless=True)) is None for name in names)
