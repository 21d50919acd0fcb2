"""The bounded store: bytes are counted to the octet, and what is asked stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.cache.store import Entry, Key, Kind, Store, size_of
from hsdnsd.wire.answer import Answer
from hsdnsd.wire.name import ROOT, Name


def key(number: int) -> Key:
    return Key(Name(b"\x06n%05d\x04test\x00" % number), 1, False, False, ROOT)


def entry(size: int = 0) -> Entry:
    return Entry(Answer(0, False, 1, 0, 0, b"x" * size, b"", 60), Kind.SUCCESS, 0.0, 60.0)


ONE = size_of(key(0), entry())


def test_what_was_put_is_got() -> None:
    store = Store(10 * ONE)
    kept = entry()
    store.put(key(1), kept)
    assert store.get(key(1)) is kept
    assert store.get(key(2)) is None
    assert (len(store), store.bytes) == (1, ONE)


def test_an_entry_takes_the_place_of_the_one_before() -> None:
    store = Store(10 * ONE)
    store.put(key(1), entry(100))
    store.put(key(1), entry(7))
    assert (len(store), store.bytes) == (1, ONE + 7)


def test_the_oldest_goes_first() -> None:
    store = Store(3 * ONE)
    for number in range(4):
        store.put(key(number), entry())
    assert store.get(key(0)) is None
    assert store.get(key(3)) is not None
    assert store.evictions == 1


def test_what_was_asked_survives_a_flood_of_names_asked_once() -> None:
    store = Store(400 * ONE)
    hot = [key(number) for number in range(200)]
    for k in hot:
        store.put(k, entry())
    for number in range(1000, 61000):
        store.put(key(number), entry())
        store.get(hot[number % 200])
    assert all(store.get(k) is not None for k in hot)
    assert store.bytes <= store.limit


def test_an_entry_above_the_whole_budget_is_not_kept_and_pushes_nobody_out() -> None:
    store = Store(2 * ONE)
    store.put(key(1), entry())
    store.put(key(2), entry(5 * ONE))
    assert store.get(key(1)) is not None
    assert store.get(key(2)) is None


def test_no_budget_keeps_nothing() -> None:
    store = Store(0)
    store.put(key(1), entry())
    assert (len(store), store.bytes) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "remove"]), st.integers(0, 9), st.integers(0, 2000))))
def test_bytes_are_those_of_the_entries_held(operations: list[tuple[str, int, int]]) -> None:
    store = Store(4 * ONE)
    for verb, number, size in operations:
        if verb == "put":
            store.put(key(number), entry(size))
        elif verb == "get":
            store.get(key(number))
        else:
            store.remove(key(number))
        held = {k: store.get(k) for k in map(key, range(10))}
        assert store.bytes == sum(size_of(k, e) for k, e in held.items() if e is not None) <= store.limit
    store.clear()
    assert (len(store), store.bytes) == (0, 0)


def test_a_smaller_budget_lets_go_of_what_came_first() -> None:
    store = Store(1 << 20)
    for number in range(10):
        store.put(key(number), entry())
    size = store.bytes
    store.resize(size // 2)
    assert len(store) == 5
    assert store.bytes <= size // 2
    assert store.get(key(9)) is not None
    store.resize(0)
    assert (len(store), store.bytes) == (0, 0)
