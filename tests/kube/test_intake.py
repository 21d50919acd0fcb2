"""hsdnsd.kube.intake: what a watch says, line by line; no connection, no clock."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.intake import EndedError, Intake
from hsdnsd.kube.source import WatchState
from hsdnsd.records.model import Change, Deleted, Key, Kind, PodFact, Replaced, ServiceFact, Upserted


def service(name: str, version: int | str | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "resourceVersion": None if version is None else str(version)}
    return {"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": spec}


def line(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


def bookmark(version: int | str | None, **annotations: str) -> bytes:
    return line("BOOKMARK", {"metadata": {"resourceVersion": version, "annotations": annotations}})


END = {"k8s.io/initial-events-end": "true"}


def fact(name: str) -> ServiceFact:
    return ServiceFact("n", name)


class Told:
    """An `Intake`, what it delivered, and its state."""

    def __init__(self, kind: Kind = Kind.SERVICE, version: str = "10") -> None:
        self.changes: list[Change] = []
        self.state = WatchState(kind.value)
        self.intake = Intake(kind, self.state, self.changes.append)
        self.intake.version = version

    def take(self, *lines: bytes) -> list[Change]:
        self.changes.clear()
        for each in lines:
            self.intake.take(each)
        return list(self.changes)


def test_events_become_changes() -> None:
    told = Told()
    assert told.take(line("ADDED", service("a", 11))) == [Upserted(fact("a"))]
    assert told.take(line("MODIFIED", service("a", 12, clusterIP="None"))) == [
        Upserted(ServiceFact("n", "a", headless=True))
    ]
    assert told.take(line("DELETED", service("a", 13))) == [Deleted(Kind.SERVICE, Key("n", "a"))]
    assert told.intake.version == "13"
    assert told.state.events == 3


def test_a_bookmark_moves_the_version_and_tells_nothing() -> None:
    told = Told()
    assert told.take(bookmark("99")) == []
    assert told.intake.version == "99"
    assert told.state.events == 0


def test_events_may_come_twice() -> None:
    told = Told()
    again = line("MODIFIED", service("a", 11))
    assert told.take(again, again) == [Upserted(fact("a"))] * 2
    gone = line("DELETED", service("a", 12))
    assert told.take(gone, gone) == [Deleted(Kind.SERVICE, Key("n", "a"))] * 2


def test_an_object_that_dns_may_no_longer_tell_of_is_deleted() -> None:
    told = Told(Kind.POD)
    pod = {"metadata": {"name": "p", "namespace": "n", "resourceVersion": "11"}, "status": {"podIP": "10.0.0.1"}}
    assert told.take(line("ADDED", pod)) == [Upserted(PodFact("n", "p", (bytes([10, 0, 0, 1]),)))]
    pod["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    assert told.take(line("MODIFIED", pod)) == [Deleted(Kind.POD, Key("n", "p"))]


def test_a_streamed_list_is_told_at_its_end() -> None:
    told = Told(version="")
    told.intake.begin_list()
    assert told.intake.listing
    assert (
        told.take(
            line("ADDED", service("a", 5)),
            line("ADDED", service("b", 3)),
            line("ADDED", service("c", 4)),
            bookmark("6"),
            line("MODIFIED", service("b", 7, clusterIP="None")),
            line("DELETED", service("c", 8)),
            line("DELETED", service("never", 8)),
        )
        == []
    )
    assert not told.state.synced
    assert told.take(bookmark("9", **END)) == [
        Replaced(Kind.SERVICE, (fact("a"), ServiceFact("n", "b", headless=True)))
    ]
    assert not told.intake.listing
    assert told.intake.version == "9"
    assert (told.state.synced, told.state.events, told.state.relists) == (True, 1, 0)
    assert told.take(line("ADDED", service("d", 10))) == [Upserted(fact("d"))]


def test_a_pod_that_ends_while_it_is_listed_is_not_in_the_list() -> None:
    told = Told(Kind.POD, "")
    told.intake.begin_list()
    pod = {"metadata": {"name": "p", "namespace": "n"}, "status": {"podIP": "10.0.0.1"}}
    ended = {**pod, "status": {"podIP": "10.0.0.1", "phase": "Succeeded"}}
    assert told.take(line("ADDED", pod), line("MODIFIED", ended), bookmark("9", **END)) == [Replaced(Kind.POD, ())]


def test_lists_after_the_first_are_counted() -> None:
    told = Told()
    for _ in range(3):
        told.intake.begin_list()
        told.intake.end_list("20")
    assert told.state.relists == 2


def test_a_page_is_taken_object_by_object() -> None:
    told = Told(version="")
    told.intake.begin_list()
    body = {"metadata": {"resourceVersion": "7", "continue": ""}, "items": [service("a"), {"spec": 1}, service("b")]}
    page = told.intake.page(json.dumps(body).encode())
    for raw in page.items or ():
        told.intake.upsert(raw)
    told.intake.end_list(page.metadata.resource_version)
    assert told.changes == [Replaced(Kind.SERVICE, (fact("a"), fact("b")))]
    assert told.state.skipped == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"items": []}', b'{"metadata": {}, "items": {}}'])
def test_what_is_no_page_ends_the_list(body: bytes) -> None:
    with pytest.raises(EndedError, match="not a list"):
        Told().intake.page(body)


@pytest.mark.parametrize("version", ["", None])
def test_a_list_that_can_not_be_watched_from_is_not_believed(version: str | None) -> None:
    told = Told(version="")
    told.intake.begin_list()
    with pytest.raises(EndedError, match="without resourceVersion"):
        told.intake.end_list(version)
    assert told.changes == []


ODD = [
    pytest.param({"spec": {"ports": [{"port": "http"}]}}, id="wrong type"),
    pytest.param({"spec": {"ports": [{"port": 1 << 40}]}}, id="no port number"),
    pytest.param({"metadata": {"name": "", "namespace": "n", "resourceVersion": "12"}}, id="no name"),
    pytest.param({"metadata": {"name": "odd", "namespace": "n", "resourceVersion": 12}}, id="no version"),
    pytest.param({"metadata": []}, id="no metadata"),
]


@pytest.mark.parametrize("odd", ODD)
def test_an_object_that_can_not_be_understood_stops_no_other(odd: dict[str, Any]) -> None:
    told = Told()
    assert told.take(
        line("MODIFIED", service("a", 11)),
        line("MODIFIED", {**service("odd", 12), **odd}),
        line("ADDED", service("b", 13)),
    ) == [Upserted(fact("a")), Upserted(fact("b"))]
    assert told.state.skipped == 1


def test_strings_that_are_not_utf_8_are_left_out_too() -> None:
    told = Told()
    broken = line("ADDED", service("NAME", 11)).replace(b"NAME", b"\xff")
    unread = line("ADDED", {**service("b", 12), "status": "NAME"}).replace(b"NAME", b"\xff")
    assert told.take(broken, unread) == [Upserted(fact("b"))]
    assert told.state.skipped == 1


def test_an_odd_object_still_moves_the_version() -> None:
    told = Told()
    told.take(line("MODIFIED", {**service("odd", 12), "spec": 1}))
    assert told.intake.version == "12"


def test_an_odd_object_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    with caplog.at_level(logging.WARNING):
        for version in (11, 12, 13):
            told.take(line("MODIFIED", {**service("odd", version), "spec": 1}))
        told.take(line("MODIFIED", {**service("other", 14), "spec": 1}))
    assert [record.message.partition(": Expected")[0] for record in caplog.records] == [
        "Service left out: n/odd",
        "Service left out: n/other",
    ]
    assert told.state.skipped == 4


@pytest.mark.parametrize(
    "junk",
    [
        b"<html>502 Bad Gateway</html>",
        b'{"type":"ADDED","object":{"metad',
        b"[]",
        b"{}",
        b'"x"',
        b'{"type":"DELETED","object":{}}',
        b'{"type":"DELETED"}',
        b'{"type":"BOOKMARK","object":[]}',
        b'{"type":"SURPRISE","object":{}}',
        b'{"kind":"ServiceList"}',
        b'{"type":"ERROR"}',
        b'{"type":"ADDED","object":' + b"[" * 100_000,
    ],
)
def test_what_is_no_event_ends_the_watch_and_lists_again(junk: bytes) -> None:
    told = Told()
    with pytest.raises(EndedError) as caught:
        told.intake.take(junk)
    assert caught.value.lists_again
    assert caught.value.cause == "junk"
    assert told.changes == []


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}), "410"),
        (line("ERROR", {"kind": "Status", "code": 500, "message": "decode error"}), "500"),
        (line("ERROR", {}), "error"),
        (b'{"kind":"Status","code":410,"message":"too old"}', "410"),
        (b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Gone","code":410}', "410"),
    ],
)
def test_an_error_in_the_stream_lists_again(said: bytes, cause: str) -> None:
    with pytest.raises(EndedError) as caught:
        Told().intake.take(said)
    assert (caught.value.cause, caught.value.lists_again) == (cause, True)


@pytest.mark.parametrize(
    ("first", "second"), [("10", "9"), ("10", "0"), ("00010", "9"), ("1" + "0" * 5000, "9" * 5000), ("100", "99")]
)
def test_versions_that_run_backwards_list_again(first: str, second: str) -> None:
    for backwards in (line("ADDED", service("a", second)), line("DELETED", service("a", second)), bookmark(second)):
        told = Told(version=first)
        with pytest.raises(EndedError) as caught:
            told.intake.take(backwards)
        assert caught.value.lists_again
        assert told.changes == []
        assert told.intake.version == first


@pytest.mark.parametrize(("first", "second"), [("10", "10"), ("9", "10"), ("9", "0010"), ("abc", "abb"), ("10", "x")])
def test_versions_that_do_not_are_followed(first: str, second: str) -> None:
    told = Told(version=first)
    told.take(bookmark(second))
    assert told.intake.version == second


def test_an_event_without_a_version_changes_none() -> None:
    told = Told()
    assert told.take(line("ADDED", service("a"))) == [Upserted(fact("a"))]
    assert told.intake.version == "10"


states = st.dictionaries(st.sampled_from("abcde"), st.booleans(), max_size=5)


@given(
    states,
    st.lists(
        st.tuples(st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), st.sampled_from("abcde"), st.booleans()),
        max_size=20,
    ),
    st.data(),
)
def test_changes_add_up_to_what_the_cluster_is(
    listed: dict[str, bool], events: list[tuple[str, str, bool]], data: st.DataObject
) -> None:
    """However much of it comes in the streamed list or after it, and with events told twice."""
    told = Told(version="")
    told.intake.begin_list()
    cluster = dict(listed)
    lines = [line("ADDED", service(name, 1, **spec(headless))) for name, headless in listed.items()]
    for version, (kind, name, headless) in enumerate(events, 2):
        lines += [line(kind, service(name, version, **spec(headless)))] * data.draw(st.integers(1, 2))
        if kind == "DELETED":
            cluster.pop(name, None)
        else:
            cluster[name] = headless
    split = data.draw(st.integers(len(listed), len(lines)))
    told.take(*lines[:split])
    changes = told.take(bookmark("1", **END), *lines[split:])
    held: dict[Key, object] = {}
    for change in changes:
        if isinstance(change, Replaced):
            held = {fact.key: fact for fact in change.facts}
        elif isinstance(change, Upserted):
            held[change.fact.key] = change.fact
        else:
            held.pop(change.key, None)
    assert held == {Key("n", name): ServiceFact("n", name, headless=headless) for name, headless in cluster.items()}


def spec(headless: bool) -> dict[str, str]:
    return {"clusterIP": "None"} if headless else {}


@given(
    st.binary(max_size=60)
    | st.dictionaries(st.sampled_from(["type", "object", "kind"]), st.none() | st.text()).map(msgspec.json.encode)
)
def test_any_line_is_taken_or_ends_the_watch(junk: bytes) -> None:
    told = Told()
    with contextlib.suppress(EndedError):
        told.intake.take(junk)
    assert told.changes == []
