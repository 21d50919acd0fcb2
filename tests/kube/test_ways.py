"""hsdnsd.kube.ways: how the next list is asked for; by itself, and by a reflector over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hsdnsd.kube.reflector import STREAMED_LIST_TIMEOUT
from hsdnsd.kube.ways import Way, Ways
from tests.support.fake_apiserver import Answer, FakeApiServer, status_body
from tests.support.loop_clock import jump
from tests.support.reflected import Cluster, added, listed, only_streams, run, service

WHOLE, STREAM, PAGES = Way
GONE = status_body(410, "Expired", "too old")


def after(*told: str) -> Way:
    """What is next after lists that came to their end ("did"), broke off ("accident") or can't do ("unfit")."""
    ways = Ways()
    for each in told:
        if each == "did":
            ways.did()
        else:
            ways.failed(unfit=each == "unfit")
    return ways.now


@pytest.mark.parametrize("why", ["accident", "unfit"])
def test_each_is_tried_in_turn(why: str) -> None:
    assert [after(*[why] * count) for count in range(5)] == [WHOLE, STREAM, PAGES, WHOLE, STREAM]


def test_what_was_an_accident_is_tried_again() -> None:
    assert after("accident", "did") is WHOLE
    assert after("accident", "accident", "did") is WHOLE


def test_what_does_not_do_is_not() -> None:
    assert after("unfit", "did") is STREAM
    assert after("unfit", "did", "did") is STREAM
    assert after("unfit", "unfit", "did") is PAGES


def test_but_where_nothing_else_does_either() -> None:
    assert after("unfit", "unfit", "unfit", "did") is WHOLE


def test_a_way_that_was_only_a_substitute_is_none_of_the_usual() -> None:
    """It may not do, without anything being said of the usual one."""
    assert after("accident", "unfit") is PAGES
    assert after("accident", "unfit", "did") is WHOLE
    assert after("unfit", "accident") is PAGES
    assert after("unfit", "accident", "did") is STREAM


def test_a_streamed_list_that_does_not_end_is_asked_for_in_pages(tmp_path: Path) -> None:
    def endless(api: FakeApiServer) -> None:
        only_streams(api)
        api.ends_lists = False
        api.put(service("a"))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told() == [added("a")]
        jump(STREAMED_LIST_TIMEOUT + 1)
        assert await cluster.told_list() == listed("a")
        assert cluster.lists == [{}, {"limit": "500"}]
        await cluster.api.watched("services")
        cluster.api.put(service("b"))
        assert await cluster.told() == [added("b")]

    run(tmp_path, test, begin=endless, read_timeout=1000)


def endless(api: FakeApiServer) -> None:
    """A streamed list never ends by itself."""
    only_streams(api)
    api.ends_lists = False


def test_a_streamed_list_may_last_while_it_goes_on(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.api.watched("services")
        for name in "abc":
            jump(STREAMED_LIST_TIMEOUT - 1)
            cluster.api.put(service(name))
            assert await cluster.told() == [added(name)]
        cluster.api.bookmark("services", end=True)
        assert await cluster.told_list() == listed("a", "b", "c")[-1:]
        assert len(cluster.watches) == 1

    run(tmp_path, test, begin=endless, read_timeout=1000)


def test_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsdnsd.kube.reflector.LIST_TIMEOUT", 2.5 * STREAMED_LIST_TIMEOUT)

    async def test(cluster: Cluster) -> None:
        await cluster.api.watched("services")
        for name in "abc":
            assert len(cluster.lists) == 1
            cluster.api.put(service(name))
            await cluster.told()
            jump(STREAMED_LIST_TIMEOUT - 1)
        assert await cluster.told_list() == listed("a", "b", "c")
        assert len(cluster.lists) == 2

    run(tmp_path, test, begin=endless, read_timeout=1000)


def test_a_list_that_broke_off_is_streamed_once(tmp_path: Path) -> None:
    def broken(api: FakeApiServer) -> None:
        api.scripts["services"].append(Answer(200, b'{"items":[', cut=True))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        cluster.lists_again()
        assert await cluster.told_list() == listed()
        assert len(cluster.lists) == 2
        assert ["sendInitialEvents" in params for params in cluster.watches] == [True, False, False]

    run(tmp_path, test, begin=broken)


def test_the_list_s_time_limit_ends_with_the_list(tmp_path: Path) -> None:
    async def test(cluster: Cluster) -> None:
        await cluster.told()
        jump(STREAMED_LIST_TIMEOUT + 1)
        cluster.api.put(service("a"))
        assert await cluster.told() == [added("a")]
        assert len(cluster.watches) == 1

    run(tmp_path, test, read_timeout=1000)


@pytest.mark.parametrize("cut", [False, True])
def test_a_streamed_list_that_breaks_off_says_nothing_of_what_is_gone(tmp_path: Path, cut: bool) -> None:
    def half(api: FakeApiServer) -> None:
        api.put(service("a"))
        only_streams(api)
        lines = json.dumps({"type": "ADDED", "object": service("ghost")}).encode() + b"\n"
        api.scripts["services"].append(Answer(200, lines, cut=cut))

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == [added("ghost"), *listed("a")]
        assert cluster.state.failures == 2
        assert len(cluster.pauses) == 1
        assert cluster.lists == [{}, {"limit": "500"}]

    run(tmp_path, test, begin=half)


def test_f5_where_streams_are_cut_too_a_list_is_asked_for_in_pages(tmp_path: Path) -> None:
    """A proxy that ends every answer after a while: only short ones come through."""
    cut = Answer(200, b'{"items":[', cut=True)

    def cutting(api: FakeApiServer) -> None:
        api.scripts["services"] += [cut, cut]

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed()
        assert cluster.lists == [{}, {"limit": "500"}]
        assert ["sendInitialEvents" in params for params in cluster.watches] == [True, False]
        cluster.api.scripts["services"].append(Answer(410, GONE))
        cluster.api.cut("services")
        assert await cluster.told_list() == listed()
        assert cluster.lists[2:] == [{}]

    run(tmp_path, test, begin=cutting)


def test_a_stream_that_was_only_a_substitute_and_does_not_end_is_not_asked_for_again(tmp_path: Path) -> None:
    def broken(api: FakeApiServer) -> None:
        api.ends_lists = False
        api.scripts["services"].append(Answer(200, b'{"items":[', cut=True))

    async def test(cluster: Cluster) -> None:
        await cluster.api.watched("services")
        jump(STREAMED_LIST_TIMEOUT + 1)
        assert await cluster.told_list() == listed()
        cluster.lists_again()
        assert await cluster.told_list() == listed()
        assert cluster.lists == [{}, {"limit": "500"}, {}]
        assert ["sendInitialEvents" in params for params in cluster.watches[:2]] == [True, False]

    run(tmp_path, test, begin=broken, read_timeout=1000)


@pytest.mark.parametrize(
    ("page", "otherwise"),
    [
        (Answer(200, b"<html>"), True),
        (Answer(200, {"metadata": {}, "items": []}), True),
        (Answer(200, b'{"items":[', cut=True), True),
        (Answer(200, b"", cut=True), True),
        (Answer(500, b""), False),
        (Answer(503, status_body(503, "ServiceUnavailable")), False),
        (Answer(504, status_body(504, "Timeout", "request did not complete within the allotted timeout")), True),
        (Answer(410, GONE), True),
    ],
)
def test_a_list_that_fails_is_asked_for_again(tmp_path: Path, page: Answer, otherwise: bool) -> None:
    """As a stream, where a whole one may not do: a server gives up an answer that takes it long."""

    def failing(api: FakeApiServer) -> None:
        api.put(service("a"))
        api.scripts["services"].append(page)

    async def test(cluster: Cluster) -> None:
        assert await cluster.told_list() == listed("a")
        assert len(cluster.lists) == (1 if otherwise else 2)
        assert ("sendInitialEvents" in cluster.watches[0]) is otherwise
        assert cluster.state.failures == 1

    run(tmp_path, test, begin=failing)
