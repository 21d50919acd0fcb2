"""The table of finished answers: what it holds, for how long, and what leaves when it is full."""

from __future__ import annotations

import math
import subprocess
import sys
from array import array

import pytest

from hsdnsd.native import _table, contract
from hsdnsd.wire.answer import Answer
from hsdnsd.wire.const import CD, RD
from hsdnsd.wire.name import Name
from tests.support.twins import Question, Twin, folded, opt, query

NAME = folded("www.example")


def positive(mark: int = 0, size: int = 16, *, fixed: bool = False) -> Answer:
    return Answer(0, fixed, 1, 0, 0, bytes([mark]) * size, array("H", [6]).tobytes(), 0, fixed=fixed)


def negative(size: int = 16) -> Answer:
    return Answer(3, False, 0, 1, 0, bytes(size), array("H", [6]).tobytes(), 0)


def held(table: contract.Table, name: str, now: float = 1.0) -> bool:
    return table.answer(query(name), now) is not None


def weight(name: Name, answer: Answer) -> int:
    """Octets of malloc's for an entry: header, key, TTL offsets, body, and 8 for itself, in steps of 16."""
    whole = 88 + len(name) + 3 + len(answer.ttls) + len(answer.body) + 8
    return whole + -whole % 16


def bound_for(entries: int, answer: Answer, name: Name) -> int:
    """The bound that has room for so many entries of this weight, and for no more."""
    limit = entries * weight(name, answer)
    while limit - limit // 112 * 16 < entries * weight(name, answer) or limit // 112 * 3 // 4 < entries:
        limit += 1
    return limit


def test_an_answer_is_given_for_its_key_alone(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME, 1, True), positive(), 0.0, 10.0)
    assert table.answer(query(opt=opt(do=True)), 1.0) is not None
    assert table.answer(query("WWW.EXAMPLE", opt=opt(do=True)), 1.0) is not None
    assert table.answer(query(), 1.0) is None
    assert table.answer(query(opt=opt(do=True), flags=RD | CD), 1.0) is None
    assert table.answer(query(opt=opt(do=True), qtype=28), 1.0) is None
    assert table.answer(query("ww.example", opt=opt(do=True)), 1.0) is None
    assert table.answer(query("www.example.example", opt=opt(do=True)), 1.0) is None


def test_a_later_answer_takes_the_place_of_an_earlier(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME), positive(1, 16), 0.0, 10.0)
    table.put(Question(NAME), positive(2, 300), 0.0, 10.0)
    reply = table.answer(query(), 0.0)
    assert reply is not None
    assert reply.endswith(bytes([2]) * 290)
    assert table.entries == (1, 0)
    assert table.bytes_held == (weight(NAME, positive(2, 300)), 0)


def test_a_negative_takes_the_place_of_a_positive(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME), positive(), 0.0, 10.0)
    table.put(Question(NAME), negative(), 0.0, 10.0)
    assert table.entries == (0, 1)
    assert table.bytes_held == (0, weight(NAME, negative()))
    table.put(Question(NAME), positive(), 0.0, 10.0)
    assert table.entries == (1, 0)


def test_an_answer_runs_out(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME), positive(), 100.0, 105.0)
    assert held(table, "www.example", 104.999)
    assert not held(table, "www.example", 105.0)
    table.put(Question(NAME), positive(), 100.0)
    assert held(table, "www.example", 1e9)


def test_without_rd_only_own_zones_answer(twin: Twin) -> None:
    """RFC 1034 section 4.3.1; nobody looks into the cache of others."""
    table = twin.Table()
    table.put(Question(NAME), positive(), 0.0, 10.0)
    assert table.answer(query(flags=0), 1.0) is None
    table.put(Question(NAME), positive(fixed=True), 0.0, 10.0)
    assert table.answer(query(flags=0), 1.0) is not None


def test_a_dropped_owner_is_given_to_nobody(twin: Twin) -> None:
    table = twin.Table()
    for name, owner in (("a.example", b"one"), ("b.example", b"one"), ("c.example", b"two"), ("d.example", None)):
        table.put(Question(folded(name)), positive(), 0.0, owner=owner)
    table.drop(b"one")
    assert [held(table, name) for name in ("a.example", "b.example", "c.example", "d.example")] == [
        False,
        False,
        True,
        True,
    ]
    table.put(Question(folded("a.example")), positive(), 0.0, owner=b"one")
    assert held(table, "a.example")
    assert not held(table, "b.example")


def test_it_tells_how_often_the_present_answer_was_given(twin: Twin) -> None:
    table = twin.Table()
    question = Question(NAME, 1, True)
    assert table.given(question) == 0
    table.put(question, positive(), 0.0, 10.0, owner=b"owner")
    assert table.given(question) == 0
    for _ in range(3):
        assert table.answer(query(opt=opt(do=True)), 1.0) is not None
    assert table.given(question) == 3
    others = (Question(NAME), Question(NAME, 28, True), Question(folded("a")))
    assert [table.given(other) for other in others] == [0, 0, 0]
    table.drop(b"owner")
    assert table.given(question) == 3, "it is told after its end too"
    table.put(question, positive(), 2.0, 10.0, owner=b"owner")
    assert table.given(question) == 0


def test_clear_forgets_everything(twin: Twin) -> None:
    table = twin.Table()
    for name, owner in (("a.example", b"one"), ("b.example", None)):
        table.put(Question(folded(name)), positive(), 0.0, owner=owner)
    table.clear()
    assert not held(table, "a.example")
    assert not held(table, "b.example")
    table.put(Question(NAME), positive(), 0.0, owner=b"one")
    assert held(table, "www.example")


def test_owners_share_a_counter_seldom(twin: Twin) -> None:
    """Two owners that meet cost a rebuild; among 1,000 of them, dropping one must not drop many."""
    table = twin.Table()
    for number in range(1000):
        table.put(Question(folded(f"{number}.example")), positive(), 0.0, owner=b"%d" % number)
    for number in range(500):
        table.drop(b"%d" % number)
    kept = sum(held(table, f"{number}.example") for number in range(500, 1000))
    assert not any(held(table, f"{number}.example") for number in range(500))
    assert kept > 450


def test_what_cannot_be_copied_blindly_is_refused(twin: Twin) -> None:
    table = twin.Table()
    with pytest.raises(ValueError, match="TTL"):
        table.put(Question(NAME), Answer(0, False, 1, 0, 0, b"", array("H", [0]).tobytes(), 0), 0.0, 10.0)
    with pytest.raises(ValueError, match="name"):
        table.put(Question(Name(bytes(256))), positive(), 0.0, 10.0)
    assert table.entries == (0, 0)


def test_a_bound_below_zero_is_refused(twin: Twin) -> None:
    with pytest.raises(ValueError, match="bound"):
        twin.Table(-1, 0)
    with pytest.raises(ValueError, match="bound"):
        twin.Table(0, -1)


# Bounds.


def test_an_answer_that_nobody_can_be_given_is_held_without_its_records(twin: Twin) -> None:
    """Over UDP a reply has at most 1,232 octets: what is longer becomes TC for everybody."""
    table = twin.Table()
    table.put(Question(NAME), positive(size=60000), 0.0, 10.0)
    assert table.entries == (1, 0)
    assert table.bytes_held[0] < 150
    reply = table.answer(query(opt=opt(4096)), 1.0)
    assert reply is not None
    assert reply[2] & 2
    assert reply[6:12] == b"\0\0\0\0\0\1"


def test_a_table_of_nothing_holds_nothing(twin: Twin) -> None:
    table = twin.Table(0, 0)
    table.put(Question(NAME), positive(), 0.0, 10.0)
    table.put(Question(NAME, 28), negative(), 0.0, 10.0)
    assert table.entries == (0, 0)
    assert not held(table, "www.example")


def test_what_is_heavier_than_the_bound_is_not_kept(twin: Twin) -> None:
    table = twin.Table(1000, 1000)
    table.put(Question(NAME), positive(1, 100), 0.0, 10.0)
    table.put(Question(folded("a.example")), positive(1, 1000), 0.0, 10.0)
    assert held(table, "www.example")
    assert table.entries == (1, 0)
    table.put(Question(NAME), positive(1, 1000), 0.0, 10.0)
    assert table.entries == (0, 0)


@pytest.mark.parametrize("size", [0, 1, 16, 17, 100, 500])
def test_the_bound_is_kept_to_the_octet(twin: Twin, size: int) -> None:
    name = folded("0000.example")
    limit = bound_for(20, positive(size=max(size, 10)), name)
    table = twin.Table(limit, 0)
    for number in range(100):
        table.put(Question(folded(f"{number:04}.example")), positive(size=max(size, 10)), 0.0, 10.0)
        assert table.bytes_held == (table.entries[0] * weight(name, positive(size=max(size, 10))), 0)
    assert table.entries == (20, 0)
    assert table.evictions == (80, 0)


def test_negatives_push_out_only_negatives(twin: Twin) -> None:
    table = twin.Table(10_000, 10_000)
    for number in range(20):
        table.put(Question(folded(f"p{number}.example")), positive(), 0.0, 10.0)
    for number in range(10_000):
        table.put(Question(folded(f"n{number}.example")), negative(), 0.0, 10.0)
    assert all(held(table, f"p{number}.example") for number in range(20))
    assert table.evictions[0] == 0
    assert table.evictions[1] == 10_000 - table.entries[1]


def test_names_asked_once_do_not_push_out_those_asked_often(twin: Twin) -> None:
    """A scan: 200 names are asked for again and again while 20,000 others come by once."""
    table = twin.Table(100_000, 0)
    hot = [f"hot{number}.example" for number in range(200)]
    for name in hot:
        table.put(Question(folded(name)), positive(), 0.0, 10.0)
    for number in range(20_000):
        if number % 100 == 0:
            assert all(held(table, name) for name in hot)
        table.put(Question(folded(f"scan{number}.example")), positive(), 0.0, 10.0)
    assert table.evictions[0] > 19_000


def test_what_is_not_asked_for_leaves_in_order_of_age(twin: Twin) -> None:
    limit = bound_for(3, positive(), folded("0.example"))
    table = twin.Table(limit, 0)
    for number in range(3):
        table.put(Question(folded(f"{number}.example")), positive(), 0.0, 10.0)
    assert held(table, "0.example")
    table.put(Question(folded("3.example")), positive(), 0.0, 10.0)
    assert [held(table, f"{number}.example") for number in range(4)] == [True, False, True, True]


def test_the_dead_leave_before_the_living(twin: Twin) -> None:
    """An answer that was asked for but has run out, or whose owner changed, gets no second chance."""
    limit = bound_for(3, positive(), folded("0.example"))
    for expires, owner in ((2.0, None), (math.inf, b"owner")):
        table = twin.Table(limit, 0)
        table.put(Question(folded("0.example")), positive(), 0.0)
        table.put(Question(folded("1.example")), positive(), 0.0, expires, owner=owner)
        table.put(Question(folded("2.example")), positive(), 0.0)
        assert all(held(table, f"{number}.example") for number in range(3))
        table.drop(b"owner")
        table.put(Question(folded("3.example")), positive(), 3.0)
        assert [held(table, f"{number}.example", 3.0) for number in range(4)] == [True, False, True, True]


def test_an_eviction_gives_few_second_chances(twin: Twin) -> None:
    """Where everybody is in demand, a put must not walk through everybody."""
    count = 10 * contract.SECOND_CHANCES
    table = twin.Table(bound_for(count, positive(), folded("0000.example")), 0)
    names = [f"{number:04}.example" for number in range(count)]
    for name in names:
        table.put(Question(folded(name)), positive(), 0.0, 10.0)
    assert all(held(table, name) for name in names)
    table.put(Question(folded("next.example")), positive(), 0.0, 10.0)
    assert [name for name in names if not held(table, name)] == [names[contract.SECOND_CHANCES]]


# Refreshing.


def test_who_asks_shortly_before_the_end_makes_it_due(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME, 28, True, True), positive(), 0.0, 100.0, refresh_at=90.0)
    wire = query(qtype=28, flags=RD | CD, opt=opt(do=True))
    for now in (1.0, 50.0, 89.9):
        assert table.answer(wire, now) is not None
    assert table.due() == []
    assert table.answer(wire, 90.0) is not None
    assert table.answer(wire, 91.0) is not None
    assert table.due() == [(NAME, 28, True, True, 4)]
    assert table.due() == []
    assert table.answer(wire, 99.0) is not None
    assert table.due() == []
    table.put(Question(NAME, 28, True, True), positive(), 95.0, 195.0, refresh_at=185.0)
    assert table.answer(wire, 186.0) is not None
    assert table.due() == [(NAME, 28, True, True, 1)]


def test_what_nobody_asks_for_is_not_due(twin: Twin) -> None:
    table = twin.Table()
    table.put(Question(NAME), positive(), 0.0, 100.0, refresh_at=90.0)
    table.put(Question(folded("a.example")), positive(), 0.0, 100.0)
    assert held(table, "a.example", 99.0)
    assert table.due() == []


def test_the_list_of_what_is_due_is_bounded(twin: Twin) -> None:
    table = twin.Table()
    names = [f"{number}.example" for number in range(contract.MAX_DUE + 10)]
    for name in names:
        table.put(Question(folded(name)), positive(), 0.0, 100.0, refresh_at=90.0)
    assert all(held(table, name, 95.0) for name in names)
    assert [due[0] for due in table.due()] == [folded(name) for name in names[: contract.MAX_DUE]]
    assert all(held(table, name, 96.0) for name in names)
    assert [due[0] for due in table.due()] == [folded(name) for name in names[contract.MAX_DUE :]]


# The hash.


def test_siphash_is_pythons_own() -> None:
    """CPython hashes octets with SipHash-1-3; with PYTHONHASHSEED=0 under a key of zeros."""
    samples = [bytes(range(size)) for size in range(1, 70)]
    script = f"import sys; assert sys.hash_info.algorithm == 'siphash13'; print([hash(s) for s in {samples}])"
    run = subprocess.run([sys.executable, "-c", script], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True)
    theirs = [int(number) % (1 << 64) for number in run.stdout.decode().strip("[]\n").split(",")]
    ours = [_table.siphash13(bytes(16), sample) for sample in samples]
    assert ours == theirs
    assert (
        _table.siphash13(bytes(15) + b"\1", b"a")
        != _table.siphash13(bytes(16), b"a")
        != _table.siphash13(b"\1" + bytes(15), b"a")
    )
