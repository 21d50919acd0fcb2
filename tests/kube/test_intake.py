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
from hsdnsd.kube.objects import OBJECT_OCTETS
from hsdnsd.kube.source import Cause, WatchState
from hsdnsd.kube.union import Ledger
from hsdnsd.records.model import (
    Change,
    Deleted,
    EndpointSliceFact,
    Key,
    Kind,
    Listed,
    Listing,
    PodFact,
    ServiceFact,
    Upserted,
)
from tests.support.facts import nothing_held


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


def key(name: str) -> Key:
    return Key("n", name)


def end_of_list(*names: str, kind: Kind = Kind.SERVICE) -> Listed:
    return Listed(kind, set(map(key, names)))


class Told:
    """An `Intake`, what it delivered, and its state."""

    def __init__(self, kind: Kind = Kind.SERVICE, version: str = "10") -> None:
        self.changes: list[Change] = []
        self.state = WatchState(kind.value)
        self.intake = Intake(kind, self.state, self.changes.append, nothing_held())
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


def test_the_objects_of_a_streamed_list_are_told_as_they_come_and_its_end_says_which_they_were() -> None:
    told = Told(version="")
    told.intake.begin_list()
    assert told.intake.listing
    assert told.take(
        line("ADDED", service("a", 5)),
        line("ADDED", service("b", 3)),
        line("ADDED", service("c", 4)),
        bookmark("6"),
        line("MODIFIED", service("b", 7, clusterIP="None")),
        line("DELETED", service("c", 8)),
    ) == [
        *map(Upserted, map(fact, "abc")),
        Upserted(ServiceFact("n", "b", headless=True)),
        Deleted(Kind.SERVICE, key("c")),
    ]
    assert not told.state.synced
    assert told.take(bookmark("9", **END)) == [end_of_list("a", "b")]
    assert not told.intake.listing
    assert told.intake.version == "9"
    assert (told.state.synced, told.state.events, told.state.relists) == (True, 0, 0)
    assert told.take(line("ADDED", service("d", 10))) == [Upserted(fact("d"))]


def test_a_pod_that_ends_while_it_is_listed_is_not_in_the_list() -> None:
    told = Told(Kind.POD, "")
    told.intake.begin_list()
    pod = {"metadata": {"name": "p", "namespace": "n"}, "status": {"podIP": "10.0.0.1"}}
    ended = {**pod, "status": {"podIP": "10.0.0.1", "phase": "Succeeded"}}
    assert told.take(line("ADDED", pod), line("MODIFIED", ended), bookmark("9", **END))[1:] == [
        Deleted(Kind.POD, key("p")),
        end_of_list(kind=Kind.POD),
    ]


def test_lists_after_the_first_are_counted() -> None:
    told = Told()
    for _ in range(3):
        told.intake.begin_list()
        told.intake.end_list("20")
    assert told.state.relists == 2


def test_lists_are_counted_by_why_they_were_begun() -> None:
    told = Told(version="")
    told.intake.lose(Cause.JUNK)
    for cause in (Cause.GONE, Cause.ERROR, Cause.GONE, Cause.GONE):
        told.intake.begin_list()
        told.intake.end_list("20")
        told.intake.lose(cause)
        told.intake.lose(Cause.JUNK)  # of the list that it led to
    assert told.state.lists == {"start": 1, "gone": 2, "error": 1}


LIST = {"metadata": {"resourceVersion": "7"}, "items": [service("a"), {"spec": 1}, service("b"), service("c")]}


def test_the_objects_of_a_list_are_told_as_they_come() -> None:
    told = Told(version="")
    told.intake.begin_list()
    body = json.dumps(LIST, separators=(",", ":")).encode()
    cut = body.rindex(b"},{") + 20
    told.intake.read(body[:cut])
    first = Listing(Kind.SERVICE, (fact("a"), fact("b")))
    assert told.changes == [first]
    told.intake.read(body[cut:])
    assert told.changes == [first]
    told.intake.read_end()
    assert told.changes == [first, Listing(Kind.SERVICE, (fact("c"),)), end_of_list("a", "b", "c")]
    assert told.intake.version == "7"
    assert told.state.skipped == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"items": []}', b'{"metadata": {}, "items": {}}'])
def test_what_is_no_list_ends_it(body: bytes) -> None:
    told = Told()
    told.intake.begin_list()
    told.intake.read(body)
    with pytest.raises(EndedError, match="not a list") as raised:
        told.intake.read_end()
    assert raised.value.cause is Cause.JUNK


def test_an_object_without_end_ends_the_list() -> None:
    told = Told()
    told.intake.begin_list()
    with pytest.raises(EndedError, match="no end of an object is to be seen in 8388608 octets") as raised:
        told.intake.read(b"x" * (OBJECT_OCTETS + 1))
    assert raised.value.cause is Cause.JUNK


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
    assert caught.value.cause is Cause.JUNK
    assert told.changes == []


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}), Cause.GONE),
        (line("ERROR", {"kind": "Status", "code": 500, "message": "decode error"}), Cause.ERROR),
        (line("ERROR", {}), Cause.ERROR),
        (b'{"kind":"Status","code":410,"message":"too old"}', Cause.GONE),
        (
            b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Gone","code":410}',
            Cause.GONE,
        ),
    ],
)
def test_an_error_in_the_stream_lists_again(said: bytes, cause: Cause) -> None:
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


def endpoint_slice(version: int, changed: str | None, **labels: str) -> dict[str, Any]:
    metadata = {
        "name": "a-1",
        "namespace": "n",
        "resourceVersion": str(version),
        "labels": {"kubernetes.io/service-name": "a", **labels},
        "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": changed} if changed else None,
    }
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": None}


HEADLESS = {
    "service.kubernetes.io/headless": "",
    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
}


def programmed(obj: dict[str, Any], *, listed: bool = False) -> tuple[int, float]:
    """How many durations were seen, and their sum, when it is 3 s past midnight."""
    state = WatchState("EndpointSlice")
    intake = Intake(Kind.ENDPOINT_SLICE, state, lambda _: None, nothing_held(), wall=lambda: 1704067203.0)
    intake.version = "1"
    if listed:
        intake.begin_list()
    intake.take(line("MODIFIED", obj))
    return sum(state.programming.counts), state.programming.seconds


def test_how_long_kubernetes_took_to_get_a_change_here() -> None:
    assert programmed(endpoint_slice(2, "2024-01-01T00:00:00Z", **HEADLESS)) == (1, 3.0)
    assert programmed(endpoint_slice(2, "2024-01-01T01:00:01.5+01:00", **HEADLESS)) == (1, 1.5)
    assert programmed(endpoint_slice(2, "2024-01-01T00:00:09.123456789Z", **HEADLESS)) == (1, 0.0)


@pytest.mark.parametrize("changed", [None, "", "soon", "9999999-01-01T00:00:00Z", "2024-01-01T25:00:00Z"])
def test_what_says_nothing_of_it_is_not_counted(changed: str | None) -> None:
    assert programmed(endpoint_slice(2, changed, **HEADLESS)) == (0, 0.0)


def test_neither_are_lists_nor_slices_of_others() -> None:
    changed = "2024-01-01T00:00:00Z"
    assert programmed(endpoint_slice(2, changed, **HEADLESS), listed=True) == (0, 0.0)
    for label in HEADLESS:
        rest = {name: value for name, value in HEADLESS.items() if name != label}
        assert programmed(endpoint_slice(2, changed, **rest)) == (0, 0.0)


def test_the_time_that_decoding_takes_is_not_that_of_delivery() -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0
        return now

    def sink(_: Change) -> None:
        nonlocal now
        now += 100.0

    state = WatchState("Service")
    intake = Intake(Kind.SERVICE, state, sink, nothing_held(), clock=clock)
    intake.version = "1"
    intake.take(line("ADDED", service("a", 2)))
    assert state.decode_seconds == 2.0


class Parts:
    """EndpointSlices watched in two parts that share a ledger."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        ledger = Ledger(2)
        self.parts = [
            Intake(
                Kind.ENDPOINT_SLICE,
                WatchState("EndpointSlice"),
                self.changes.append,
                nothing_held(),
                ledger=ledger,
                part=part,
            )
            for part in range(2)
        ]

    def list(self, part: int, version: int, *objects: dict[str, Any]) -> None:
        intake = self.parts[part]
        intake.begin_list()
        for each in objects:
            intake.take(line("ADDED", each))
        intake.take(bookmark(str(version), **END))


SLICE = EndpointSliceFact("n", "a-1", "a")


def test_a_kind_in_parts_is_listed_when_all_of_them_are() -> None:
    told = Parts()
    told.list(0, 10, endpoint_slice(5, None))
    assert told.changes == [Upserted(SLICE)]
    told.list(1, 11)
    assert told.changes[1:] == [Listed(Kind.ENDPOINT_SLICE, {key("a-1")})]


def test_a_slice_that_moves_from_one_part_to_the_other_stays() -> None:
    told = Parts()
    told.list(0, 10, endpoint_slice(5, None))
    told.list(1, 10)
    told.changes.clear()
    told.parts[1].take(line("ADDED", endpoint_slice(12, None)))
    told.parts[0].take(line("DELETED", endpoint_slice(12, None)))
    told.list(0, 13)
    assert told.changes == [Upserted(SLICE), Listed(Kind.ENDPOINT_SLICE, {key("a-1")})]
    told.parts[1].take(line("DELETED", endpoint_slice(15, None)))
    assert told.changes[-1] == Deleted(Kind.ENDPOINT_SLICE, key("a-1"))


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
    changes = told.take(*lines[:split], bookmark("1", **END), *lines[split:])
    held: dict[Key, object] = {}
    for change in changes:
        if isinstance(change, Listed):
            assert held.keys() == change.keys
        elif isinstance(change, Upserted):
            held[change.fact.key] = change.fact
        elif isinstance(change, Deleted):
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
