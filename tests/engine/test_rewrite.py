"""Ends of names that stand for others, and the way back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.cache.store import Entry, Kind
from hsdnsd.engine.rewrite import Rewrites, renamed, restored
from hsdnsd.errors import WireError
from hsdnsd.wire.answer import build_answer, rrsets
from hsdnsd.wire.const import MAX_NAME, RRType
from hsdnsd.wire.name import ROOT, Name, from_labels, from_text
from hsdnsd.wire.rrset import RRset, srv_rdata

REWRITES = Rewrites(
    {
        from_text("old.example"): from_text("svc.cluster.local"),
        from_text("db.old.example"): from_text("new.example"),
        from_text("svc.cluster.local"): from_text("old.example"),
        from_text("flat"): ROOT,
    }
)
ASKED, FINAL = from_text("db.old.example"), from_text("db.svc.cluster.local")


@pytest.mark.parametrize(
    ("name", "final"),
    [
        ("a.b.old.example", "a.b.svc.cluster.local"),
        ("old.example", "svc.cluster.local"),
        ("x.db.old.example", "x.new.example"),
        ("a.svc.cluster.local", "a.old.example"),
        ("www.flat", "www"),
        ("flat", "."),
    ],
)
def test_the_longest_suffix_is_replaced_once(name: str, final: str) -> None:
    assert REWRITES.apply(from_text(name)) == from_text(final)


@pytest.mark.parametrize("name", ["example", "new.example", "bold.example", "old.example.org", "."])
def test_other_names_are_left_as_they_are(name: str) -> None:
    folded = from_text(name)
    assert REWRITES.apply(folded) is folded
    assert Rewrites({}).apply(folded) is folded


def test_a_label_that_only_looks_like_a_border_is_none() -> None:
    name = Name(b"\x0dx\x03old\x07example\0")
    assert REWRITES.apply(name) is name


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=8).filter(lambda parts: sum(map(len, parts)) < 230))
def test_a_name_that_would_be_too_long_is_none(parts: list[bytes]) -> None:
    name = from_labels((*(part.lower() for part in parts), b"old", b"example"))
    final = REWRITES.apply(name)
    longer = len(b"\x03svc\x07cluster\x05local\0") - len(b"\x03old\x07example\0")
    if name.endswith(from_text("db.old.example")):
        assert final is not None
    elif len(name) + longer > MAX_NAME:
        assert final is None
    else:
        assert final == name[: -len(from_text("old.example"))] + from_text("svc.cluster.local")


def test_records_of_the_final_name_come_back_as_the_asked_one() -> None:
    spelled = from_text("DB.svc.cluster.local")
    target = from_text("www.example.com")
    answer = [
        RRset(spelled, RRType.CNAME, 5, (target,)),
        RRset(target, RRType.A, 9, (b"\1\2\3\4",)),
    ]
    assert restored(answer, FINAL, ASKED) == (RRset(ASKED, RRType.CNAME, 5, (target,)), answer[1])


def test_targets_stay_as_they_are() -> None:
    rdata = srv_rdata(0, 100, 5432, from_text("pod-0.db.svc.cluster.local"))
    (rrset,) = restored([RRset(FINAL, RRType.SRV, 5, (rdata,))], FINAL, ASKED) or ()
    assert rrset.rdatas == (rdata,)


def test_a_chain_that_leads_back_to_the_asked_name_has_no_answer() -> None:
    back = RRset(FINAL, RRType.CNAME, 5, (from_text("DB.old.example"),))
    assert restored([back], FINAL, ASKED) is None
    assert restored([RRset(from_text("Db.Old.example"), RRType.A, 5, (bytes(4),))], FINAL, ASKED) is None


def test_what_is_cached_is_good_for_as_long_under_the_asked_name() -> None:
    cached = Entry(build_answer(FINAL, 0, [RRset(FINAL, RRType.A, 60, (bytes(4),))]), Kind.SUCCESS, 100.0, 160.0)
    entry = renamed(cached, FINAL, ASKED)
    assert entry is not None
    assert (entry.kind, entry.stored, entry.expires, entry.chase) == (Kind.SUCCESS, 100.0, 160.0, None)
    assert rrsets(entry.answer, ASKED, 10) == ((RRset(ASKED, RRType.A, 50, (bytes(4),)),), ())


def test_what_leads_back_or_becomes_too_large_is_not_renamed() -> None:
    back = build_answer(FINAL, 0, [RRset(FINAL, RRType.CNAME, 60, (ASKED,))])
    assert renamed(Entry(back, Kind.SUCCESS, 0.0, 60.0), FINAL, ASKED) is None
    longer = from_labels([b"x" * 60] * 3 + [b"old", b"example"])
    texts = [bytes((250,)) + number.to_bytes(2, "big") * 125 for number in range(248)]
    large = None
    for last in range(1, 250):
        with contextlib.suppress(WireError):
            text = bytes((last,)) + b"y" * last
            large = build_answer(FINAL, 0, [RRset(FINAL, RRType.TXT, 60, (*texts, text))])
    assert large is not None
    assert renamed(Entry(large, Kind.SUCCESS, 0.0, 60.0), FINAL, longer) is None
