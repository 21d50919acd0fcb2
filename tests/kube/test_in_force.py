"""A list is compared with what is held, and changes it where nobody sees the half of it."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from hsdnsd.kube.intake import Intake
from hsdnsd.kube.source import WatchState
from hsdnsd.kube.union import Ledger
from hsdnsd.records.endpoints import Endpoints
from hsdnsd.records.memory import slice_memory
from hsdnsd.records.model import Amended, Change, Key, Kind, ServiceFact, Upserted
from hsdnsd.records.portions import portions
from tests.support.facts import Cluster

END = {"k8s.io/initial-events-end": "true"}


def key(name: str) -> Key:
    return Key("n", name)


def line(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


def bookmark(version: str, **annotations: str) -> bytes:
    return line("BOOKMARK", {"metadata": {"resourceVersion": version, "annotations": annotations}})


class Held:
    """A table, and the intakes of EndpointSlices (in one part or two) that keep it; what they told it."""

    def __init__(self, parts: int = 1, *, recalled: bool = False) -> None:
        self.cluster = Cluster(synced=False, expect=frozenset({Kind.ENDPOINT_SLICE}))
        self.table = self.cluster.table
        self.changes: list[Change] = []
        self.answers: list[set[str]] = []  # of the Service `a`, after each change
        ledger = Ledger(parts) if parts > 1 else None
        self.states = [WatchState("EndpointSlice") for _ in range(parts)]
        self.parts = [
            Intake(Kind.ENDPOINT_SLICE, state, self._take, self.table, ledger=ledger, part=part)
            for part, state in enumerate(self.states)
        ]
        self.table.apply(Upserted(ServiceFact("n", "a", headless=True)), 1)
        if recalled:
            self.table.recall(Kind.ENDPOINT_SLICE, [slice_memory(key("one"), "a", boiled("10.0.0.1"))], 1)

    def list(self, part: int, version: int, *objects: dict[str, Any]) -> None:
        self.begin(part, *objects)
        self.take(part, bookmark(str(version), **END))

    def begin(self, part: int, *objects: dict[str, Any]) -> None:
        self.parts[part].begin_list()
        self.take(part, *(line("ADDED", each) for each in objects))

    def take(self, part: int, *lines: bytes) -> None:
        for each in lines:
            self.parts[part].take(each)

    def told(self) -> list[Change]:
        changes, self.changes = self.changes, []
        return changes

    @property
    def addresses(self) -> set[str]:
        return self.cluster.addresses("a.n.svc")

    def _take(self, change: Change) -> None:
        self.table.apply(change, 1)
        self.changes.append(change)
        self.answers.append(self.addresses)


def boiled(*addresses: str) -> Endpoints:
    packed = tuple(map(socket.inet_aton, addresses))
    return Endpoints(addresses=packed, ready=len(packed))


def slice_of(name: str, version: int, *addresses: str, service: str = "a") -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "n",
        "resourceVersion": str(version),
        "labels": {"kubernetes.io/service-name": service},
    }
    endpoints = [{"addresses": [address]} for address in addresses]
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints}


def test_f4_an_endpoint_that_moved_while_nobody_watched_is_never_missed() -> None:
    held = Held()
    held.list(0, 9, slice_of("one", 5, "10.0.0.1", "10.0.0.2"), slice_of("two", 6, "10.0.0.3"))
    held.told()
    held.answers.clear()
    held.begin(0, slice_of("one", 12, "10.0.0.2"), slice_of("two", 13, "10.0.0.3", "10.0.0.1"))
    assert held.told() == []
    held.take(0, bookmark("14", **END))
    assert held.answers == [{"10.0.0.1", "10.0.0.2", "10.0.0.3"}]
    assert len(held.told()) == 1
    assert held.parts[0].version == "14"


def test_a_list_that_says_nothing_new_ends_nothing() -> None:
    held = Held()
    held.list(0, 9, slice_of("one", 5, "10.0.0.1"))
    held.told()
    held.list(0, 10, slice_of("one", 8, "10.0.0.1"))
    assert held.told() == [Amended(Kind.ENDPOINT_SLICE, (), ())]


def test_what_a_list_that_broke_off_said_does_not_count() -> None:
    held = Held()
    held.list(0, 9, slice_of("one", 5, "10.0.0.1"))
    held.begin(0, slice_of("one", 11, "10.0.0.9"), slice_of("two", 12, "10.0.0.8"))
    held.list(0, 20, slice_of("one", 15, "10.0.0.2"))
    assert held.answers[-1] == {"10.0.0.2"}
    assert {"10.0.0.8", "10.0.0.9"}.isdisjoint(set().union(*held.answers))


def test_what_a_streamed_list_takes_back_does_not_count() -> None:
    held = Held()
    held.list(0, 9, slice_of("one", 5, "10.0.0.1"))
    held.told()
    held.begin(0, slice_of("one", 5, "10.0.0.1"), slice_of("two", 11, "10.0.0.2"))
    held.take(0, line("DELETED", slice_of("two", 12)), line("DELETED", slice_of("one", 13)), bookmark("14", **END))
    assert held.told() == [Amended(Kind.ENDPOINT_SLICE, (), (key("one"),))]
    assert held.addresses == set()


def test_a_list_that_changes_much_is_in_force_portion_by_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "__defaults__", (3,))
    held = Held()
    held.list(0, 9, slice_of("one", 5, "10.0.0.1"), slice_of("gone", 5, "10.0.0.2"))
    held.told()
    objects = [slice_of(f"{name}1", 11, "10.0.0.3", service=name) for name in "bcd"]
    held.list(0, 20, *objects, slice_of("two", 12, "10.0.0.1"))
    intake = held.parts[0]
    assert intake.listing
    assert intake.version == "9"
    assert held.states[0].relists == 0
    while intake.settle():
        assert intake.listing
    assert not intake.listing
    assert not intake.settle()
    assert intake.version == "20"
    assert held.states[0].relists == 1
    told = held.told()
    assert len(told) > 2
    assert [change.last for change in told if isinstance(change, Amended)] == [False] * (len(told) - 1) + [True]
    assert set(map(frozenset, held.answers[-len(told) :])) == {
        frozenset({"10.0.0.1", "10.0.0.2"}),
        frozenset({"10.0.0.1"}),
    }


def test_what_another_part_tells_meanwhile_is_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "__defaults__", (1,))
    held = Held(2)
    held.list(0, 9, slice_of("one", 5, "10.0.0.1"), slice_of("two", 5, "10.0.0.2"), slice_of("out", 5, "10.0.0.4"))
    held.list(1, 9)
    held.begin(0, slice_of("one", 11, "10.0.0.5"), slice_of("two", 12, "10.0.0.6"))
    held.take(1, line("ADDED", slice_of("one", 21, "10.0.0.7")))
    assert held.addresses == {"10.0.0.7", "10.0.0.2", "10.0.0.4"}
    held.take(0, bookmark("20", **END))
    held.take(1, line("ADDED", slice_of("two", 22, "10.0.0.8")), line("ADDED", slice_of("out", 23, "10.0.0.9")))
    while held.parts[0].settle():
        assert "10.0.0.6" not in held.addresses
    assert held.addresses == {"10.0.0.7", "10.0.0.8", "10.0.0.9"}


def test_what_moves_into_a_part_that_is_being_listed_stays() -> None:
    held = Held(2)
    held.list(0, 9)
    held.list(1, 9, slice_of("one", 5, "10.0.0.1"), slice_of("two", 5, "10.0.0.2"))
    held.begin(0, slice_of("one", 11, "10.0.0.1"), slice_of("two", 11, "10.0.0.3"))
    held.take(1, line("DELETED", slice_of("one", 11)), line("DELETED", slice_of("two", 11)))
    assert held.addresses == {"10.0.0.1", "10.0.0.2"}
    held.take(0, bookmark("14", **END))
    assert held.addresses == {"10.0.0.1", "10.0.0.3"}


def test_first_lists_amend_what_was_recalled() -> None:
    held = Held(recalled=True)
    assert held.addresses == {"10.0.0.1"}
    held.begin(0, slice_of("two", 5, "10.0.0.1", "10.0.0.2"))
    assert held.addresses == {"10.0.0.1"}
    held.take(0, bookmark("9", **END))
    assert held.addresses == {"10.0.0.1", "10.0.0.2"}
    assert held.table.synced
    assert held.table.counts()["EndpointSlice"] == 1


def test_first_lists_of_parts_amend_what_was_recalled_together() -> None:
    held = Held(2, recalled=True)
    held.list(0, 9, slice_of("two", 5, "10.0.0.2"), slice_of("three", 5, "10.0.0.3"))
    held.take(0, line("MODIFIED", slice_of("two", 11, "10.0.0.4")), line("DELETED", slice_of("three", 12)))
    assert held.told() == []
    held.list(1, 10, slice_of("four", 6, "10.0.0.5"))
    assert held.addresses == {"10.0.0.4", "10.0.0.5"}
    assert len(held.told()) == 1
    assert held.table.synced
    held.take(0, line("MODIFIED", slice_of("two", 13, "10.0.0.6")))
    assert held.addresses == {"10.0.0.6", "10.0.0.5"}


def test_what_was_recalled_may_be_forgotten_in_the_midst_of_a_list() -> None:
    held = Held(recalled=True)
    held.begin(0, slice_of("one", 5, "10.0.0.1"), slice_of("two", 5, "10.0.0.2"))
    held.table.forget(Kind.ENDPOINT_SLICE)
    held.take(0, line("ADDED", slice_of("three", 6, "10.0.0.3")), bookmark("9", **END))
    assert held.addresses == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    assert held.table.synced
