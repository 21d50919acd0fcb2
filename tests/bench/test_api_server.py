"""The stand-in for the API server, with the daemon as its client."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from bench.api_server import Store, stride
from bench.cluster import Cluster, generate
from bench.errors import BenchError
from bench.scenarios import Question
from bench.standin import get, stand_in
from bench.tail import watch_counts
from tests.support.daemon import Daemon, running
from tests.support.told import told_by

LOOKS = 10_000  # over HTTP, some seconds


def test_a_change_is_an_event_and_stays_in_the_list() -> None:
    store = Store(generate(2, 0, 0))
    events = [json.loads(store.change_slice()) for _ in range(3)]
    assert [event["type"] for event in events] == ["MODIFIED"] * 3
    names = [event["object"]["metadata"]["name"] for event in events]
    assert names == ["db-000-x7k2p", "db-001-x7k2p", "db-000-x7k2p"]
    addresses = [event["object"]["endpoints"][0]["addresses"] for event in events]
    assert len({json.dumps(each) for each in addresses}) == 3
    listed = [json.loads(each) for each in store.items["EndpointSlice"]]
    assert [each["endpoints"][0]["addresses"] for each in listed] == [addresses[2], addresses[1]]
    assert list(store.since("EndpointSlice", store.version - 1)) == [
        json.dumps(events[2], separators=(",", ":")).encode() + b"\n"
    ]
    assert list(store.since("Service", 0)) == []


@pytest.mark.parametrize("count", [1, 2, 3, 10, 60, 9999, 10_000])
def test_changes_come_to_every_slice_and_to_neighbours_apart(count: int) -> None:
    each = stride(count)
    assert {change * each % count for change in range(count)} == set(range(count))
    if count > 60:
        first = [place for place in range(count) if place * each % count < 60]
        assert max(later - earlier for earlier, later in pairwise(first)) < count / 10


def test_what_has_expired_is_forgotten() -> None:
    store = Store(generate(1, 0, 0))
    store.change_slice()
    before = store.version
    store.expire()
    assert store.expired > before
    assert list(store.since("EndpointSlice", 0)) == []


def look_until(is_so: Callable[[], bool]) -> None:
    assert any(is_so() for _ in range(LOOKS))


def test_the_daemon_lists_watches_and_lists_again(tmp_path: Path, core: int, cluster: Cluster) -> None:
    pod = cluster.stateful[0].pods[0]
    question = Question(f"{pod.name}.{cluster.stateful[0].domain}", "A")

    def counts(daemon: Daemon) -> dict[str, float]:
        return watch_counts(daemon.get("/metrics")[1])

    with stand_in(tmp_path, core, "small") as api, running("--kubeconfig", str(api.kubeconfig(tmp_path))) as daemon:
        assert told_by(daemon.server[1], question) == (0, frozenset([pod.address]))
        before = counts(daemon)
        assert before["relists"] == 0

        api.tell("events?rate=1000")
        look_until(lambda: counts(daemon)["events"] > before["events"] + 320)  # a turn over all slices
        api.tell("events?rate=0")
        # What was sent before the stop may still be on its way: nothing new in a row of looks says that it is not.
        look_until(lambda: len({counts(daemon)["events"] for _ in range(20)}) == 1)
        [changed] = told_by(daemon.server[1], question)[1]
        assert changed.startswith("10.128.")

        api.tell("relist")
        look_until(lambda: counts(daemon)["relists"] >= 1)  # each of two watches lists anew
        assert told_by(daemon.server[1], question) == (0, frozenset([changed]))
        assert api.tell("stats")["lists"] > 3

        with pytest.raises(BenchError, match="404"):
            get(api.port, "/api/v1/nodes")


def test_metrics_without_the_counts_are_refused() -> None:
    with pytest.raises(BenchError, match="do not tell"):
        watch_counts('hsdnsd_watch_events_total{kind="EndpointSlice"} 1.0\n')
