"""hsdnsd.kube.union: a kind that is watched in parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.source import WatchState
from hsdnsd.kube.union import Alone, Ledger, Together
from hsdnsd.records.model import Key, ServiceFact

A, B = Key("n", "a"), Key("n", "b")


def test_it_is_complete_when_every_part_has_been_listed() -> None:
    ledger = Ledger(2)
    ledger.listed(1, set(), {})
    ledger.listed(1, set(), {})
    assert not ledger.complete
    ledger.listed(0, set(), {})
    assert ledger.complete


def test_the_list_of_one_part_deletes_nothing_of_the_other() -> None:
    ledger = Ledger(2)
    assert ledger.upserted(0, A, "5")
    assert ledger.upserted(1, B, "6")
    ledger.listed(0, {A}, {})
    assert set(ledger.listed(1, set(), {})) == {A}


def test_an_object_that_moves_is_where_it_was_last_said_to_be() -> None:
    ledger = Ledger(2)
    ledger.upserted(0, A, "5")
    assert ledger.upserted(1, A, "9")
    assert not ledger.deleted(0, A, "9"), "it has only moved"
    assert not ledger.upserted(0, A, "8"), "older than what is known"
    there = ledger.listed(0, set(), {})
    assert set(there) == {A}
    assert ledger.deleted(1, A, "12")
    assert set(there) == set()


def test_an_object_that_both_tell_of_in_lists_is_there_once() -> None:
    ledger = Ledger(2)
    assert ledger.upserted(0, A, "5")
    assert ledger.upserted(1, A, "5")
    ledger.listed(0, {A}, {})
    assert set(ledger.listed(1, {A}, {})) == {A}


def test_news_waits_unless_another_part_has_newer() -> None:
    ledger = Ledger(2)
    a, b = ServiceFact("n", "a"), ServiceFact("n", "b")
    for key in (A, B):
        assert ledger.upserted(0, key, "5")
    assert ledger.upserted(1, B, "6")
    ledger.listed(0, {A, B}, {A: a, B: b})
    assert ledger.waiting == {A: a}
    ledger.listed(0, set(), {})
    assert ledger.waiting == {}, "the next list does not hold it"


def test_a_part_that_is_alone_contradicts_nobody() -> None:
    alone = Alone()
    assert not alone.complete
    assert alone.upserted(0, A, "5")
    assert alone.deleted(0, A, "4")
    news = {A: ServiceFact("n", "a")}
    assert alone.listed(0, {A}, news) == {A}
    assert alone.complete
    assert alone.waiting == news
    alone.listed(0, set(), {})
    assert alone.waiting == {}


def test_versions_that_are_no_numbers_let_the_last_word_count() -> None:
    ledger = Ledger(2)
    assert ledger.upserted(0, A, "x")
    assert ledger.upserted(1, A, "y")
    assert not ledger.deleted(0, A, "z")


@given(st.lists(st.sampled_from([0, 1, None]), min_size=1, max_size=8), st.data())
def test_however_two_watches_interleave_the_end_is_the_truth(places: list[int | None], data: st.DataObject) -> None:
    """An object's way through the parts (None: it is deleted), told by two watches that are each in order."""
    told: list[list[tuple[str, int]]] = [[], []]
    before: int | None = None
    for version, place in enumerate(places, 1):
        if before is not None and before != place:
            told[before].append(("DELETED", version))
        if place is not None:
            told[place].append(("UPSERTED", version))
        before = place
    ledger = Ledger(2)
    held = False
    while told[0] or told[1]:
        part = data.draw(st.sampled_from([part for part in (0, 1) if told[part]]))
        event, version = told[part].pop(0)
        if event == "UPSERTED":
            held = ledger.upserted(part, A, str(version)) or held
        elif ledger.deleted(part, A, str(version)):
            held = False
    assert held is (places[-1] is not None)
    where = places[-1] or 0
    assert (A in ledger.listed(where, {A} if held else set(), {})) is held


def test_states_together() -> None:
    one, other = WatchState("EndpointSlice"), WatchState("EndpointSlice")
    both = Together([one, other])
    one.synced = one.connected = True
    one.last_alive, other.last_alive = 7.0, 5.0
    for state in (one, other):
        state.events = state.relists = state.failures = state.skipped = 2
        state.lists["start"] = 1
        state.decode_seconds = 0.5
        state.programming.observe(0.25)
    assert (both.kind, both.synced, both.connected, both.last_alive) == ("EndpointSlice", False, False, 5.0)
    assert (both.events, both.relists, both.failures, both.skipped) == (4, 4, 4, 4)
    assert (both.lists, both.decode_seconds) == ({"start": 2}, 1.0)
    assert (sum(both.programming.counts), both.programming.seconds) == (2, 0.5)
    other.synced = other.connected = True
    assert both.synced
    assert both.connected
