"""When an entry may be given out, and which of several is."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.cache.store import Key, Kind
from hsdnsd.wire.answer import Answer
from hsdnsd.wire.const import Rcode
from hsdnsd.wire.name import ROOT, Name

KEY = Key(Name(b"\x01a\x04test\x00"), 1, False, False, ROOT)
DATA = Answer(Rcode.NOERROR, False, 1, 0, 0, b"data", b"", 60)
DENIAL = Answer(Rcode.NXDOMAIN, False, 0, 1, 0, b"soa", b"", 60)
FAILURE = Answer(Rcode.SERVFAIL, False, 0, 0, 0, b"", b"", 0)


def test_an_answer_lives_for_its_ttl_and_not_a_moment_longer() -> None:
    cache = Cache(Limits())
    cache.put(KEY, DATA, 60, 100.0)
    entry = cache.get(KEY, 159.9)
    assert entry is not None
    assert (entry.answer, entry.stored) == (DATA, 100.0)
    assert cache.get(KEY, 160.0) is None


def test_ttl_0_is_given_back_and_not_kept() -> None:
    cache = Cache(Limits())
    assert cache.put(KEY, DATA, 0, 100.0).answer is DATA
    assert cache.get(KEY, 100.0) is None


@pytest.mark.parametrize(
    "other",
    [
        Key(Name(b"\x01b\x04test\x00"), 1, False, False, ROOT),
        replace(KEY, qtype=28),
        replace(KEY, do=True),
        replace(KEY, cd=True),
        replace(KEY, zone=Name(b"\x04test\x00")),
    ],
)
def test_keys_that_differ_in_one_field_never_share_an_entry(other: Key) -> None:
    cache = Cache(Limits())
    cache.put(KEY, DATA, 60, 100.0)
    assert cache.get(other, 100.0) is None


@pytest.mark.parametrize(("answer", "kind"), [(DATA, Kind.SUCCESS), (DENIAL, Kind.DENIAL)])
def test_data_and_denials_have_budgets_of_their_own(answer: Answer, kind: Kind) -> None:
    cache = Cache(Limits())
    cache.put(KEY, answer, 60, 100.0)
    assert {k: len(store) for k, store in cache.stores.items() if len(store)} == {kind: 1}


def test_a_chain_that_ends_in_nxdomain_is_a_denial() -> None:
    cache = Cache(Limits())
    cache.put(KEY, Answer(Rcode.NXDOMAIN, False, 1, 1, 0, b"cname soa", b"", 60), 60, 100.0)
    assert len(cache.stores[Kind.DENIAL]) == 1


def test_an_answer_of_one_kind_ends_those_of_the_others() -> None:
    cache = Cache(Limits())
    cache.put(KEY, DATA, 60, 100.0)
    cache.put(KEY, DENIAL, 60, 101.0)
    entry = cache.get(KEY, 102.0)
    assert entry is not None
    assert entry.answer is DENIAL


def test_a_failure_never_hides_data() -> None:
    cache = Cache(Limits())
    cache.put(KEY, DATA, 60, 100.0)
    cache.put_failure(KEY, FAILURE, 101.0)
    entry = cache.get(KEY, 101.0)
    assert entry is not None
    assert entry.answer is DATA


def test_failures_in_a_row_are_kept_twice_as_long_each_time_up_to_the_most() -> None:
    cache = Cache(Limits(failure_ttl=1.0, max_failure_ttl=30.0))
    now, kept = 100.0, []
    for _ in range(8):
        entry = cache.put_failure(KEY, FAILURE, now)
        kept.append(entry.expires - now)
        now = entry.expires
    assert kept == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_success_ends_the_row_of_failures() -> None:
    cache = Cache(Limits())
    cache.put_failure(KEY, FAILURE, 100.0)
    cache.put_failure(KEY, FAILURE, 101.0)
    cache.put(KEY, DATA, 1, 103.0)
    assert cache.put_failure(KEY, FAILURE, 105.0).expires == 106.0


def test_clear_forgets_all() -> None:
    cache = Cache(Limits())
    cache.put(KEY, DATA, 60, 100.0)
    cache.clear()
    assert cache.get(KEY, 100.0) is None


def test_other_limits_keep_what_fits_them() -> None:
    cache = Cache(Limits())
    cache.put(KEY, DENIAL, 60, 100.0)
    cache.resize(Limits(success_bytes=1, max_stale=0))
    assert cache.get(KEY, 101.0) is not None
    assert cache.stores[Kind.SUCCESS].limit == 1
    assert cache.stale(KEY, 161.0) is None
    cache.resize(Limits(denial_bytes=0))
    assert cache.get(KEY, 101.0) is None
