"""hsdnsd.records.portions: cut where nobody sees it."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.records.model import Amended, EndpointSliceFact, Key, Kind, SliceMemory
from hsdnsd.records.portions import portions
from hsdnsd.records.table import Table
from tests.support.facts import Cluster, endpoint, endpoint_slice, headless


def slices(said: Iterable[tuple[str, str, int]]) -> list[EndpointSliceFact]:
    """(name, Service, endpoints)"""
    return [
        endpoint_slice(service, *(endpoint(f"10.0.{ord(name)}.{host}") for host in range(count)), name=name)
        for name, service, count in said
    ]


def change(table: Table, after: Iterable[EndpointSliceFact]) -> Amended:
    facts = {fact.key: fact for fact in after}
    told = tuple(news for fact in facts.values() if (news := table.news(fact)) is not None)
    return Amended(Kind.ENDPOINT_SLICE, told, tuple(table.beyond(Kind.ENDPOINT_SLICE, facts.keys())))


def held_by(table: Table) -> dict[Key, SliceMemory]:
    memories = table.memories(Kind.ENDPOINT_SLICE)
    return {memory.key: memory for memory in memories if isinstance(memory, SliceMemory)}


def by_service(held: dict[Key, SliceMemory]) -> dict[str, set[Key]]:
    found: dict[str, set[Key]] = {}
    for key, memory in held.items():
        found.setdefault(memory.service, set()).add(key)
    return found


def test_a_little_is_one_portion() -> None:
    table = Cluster(headless("web"), *slices([("a", "web", 2), ("b", "db", 1)])).table
    whole = change(table, slices([("a", "web", 3), ("c", "web", 1)]))
    assert list(portions(whole, table)) == [whole]


def test_of_other_kinds_any_object_may_come_by_itself() -> None:
    table = Cluster(headless("x"), headless("y"), *slices([("x", "web", 200)])).table
    told = tuple(headless(name) for name in "abc")
    whole = Amended(Kind.SERVICE, told, (Key("shop", "x"), Key("shop", "y")))
    cut = [portion for portion in portions(whole, table, 2) if portion.told or portion.gone]
    assert [(len(portion.told), len(portion.gone), portion.last) for portion in cut] == [
        (2, 0, False),
        (1, 1, False),
        (0, 1, True),
    ]


names = st.sampled_from("abcdefgh")
services = st.sampled_from(("s", "t", "u", "v"))
clusters = st.lists(st.tuples(names, services, st.integers(0, 4)), max_size=8, unique_by=lambda said: said[0])


@given(clusters, clusters, st.integers(1, 12))
def test_a_service_is_as_it_was_or_as_it_will_be(
    before: list[tuple[str, str, int]], after: list[tuple[str, str, int]], most: int
) -> None:
    table = Cluster(*slices(before)).table
    old = held_by(table)
    whole = change(table, slices(after))
    wanted = Cluster(*slices(after)).table
    new = held_by(wanted)
    moved = [key for key in old.keys() & new.keys() if old[key].service != new[key].service]
    cut = list(portions(whole, table, most))
    assert [portion.last for portion in cut] == [False] * (len(cut) - 1) + [True]
    for portion in cut:
        table.apply(portion, 2)
        held = held_by(table)
        for service in {memory.service for memory in (*old.values(), *new.values(), *held.values())}:
            state = {key: held[key] for key in by_service(held).get(service, ())}
            assert state in (
                {key: old[key] for key in by_service(old).get(service, ())},
                {key: new[key] for key in by_service(new).get(service, ())},
            )
        for key in moved:
            assert key in held
    assert held_by(table) == new
    assert table.counts() == wanted.counts()


def test_no_portion_is_larger_than_a_service_makes_it() -> None:
    table = Cluster(*slices((name, name, 10) for name in "abcdefgh")).table
    whole = change(table, slices((name, name, 11) for name in "abcdefgh"))
    cut = [portion for portion in portions(whole, table, 30) if portion.told]
    assert [len(portion.told) for portion in cut] == [2, 2, 2, 2]
