"""The cache as people see it."""

from __future__ import annotations

from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.cache.contents import dump, flush
from hsdnsd.cache.store import Key
from hsdnsd.wire.answer import build_answer
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import ROOT, from_text
from hsdnsd.wire.rrset import RRset


def cache() -> Cache:
    held = Cache(Limits())
    www = from_text("www.example.com")
    data = build_answer(www, Rcode.NOERROR, [RRset(www, RRType.A, 60, (b"\1\2\3\4", b"\1\2\3\5"))])
    held.put(Key(www, RRType.A, True, False, ROOT), data, 60, 100.0)
    held.put(Key(from_text("example.org"), 65400, False, True, ROOT), data, 60, 100.0)
    gone = from_text("gone.example.com")
    held.put(Key(gone, RRType.AAAA, False, False, ROOT), build_answer(gone, Rcode.NXDOMAIN), 30, 100.0)
    held.put_failure(Key(from_text("notexample.com"), 1, False, False, ROOT), build_answer(gone, Rcode.SERVFAIL), 100.0)
    return held


def test_a_line_for_each_entry() -> None:
    assert list(dump(cache(), 110.0)) == [
        "www.example.com. A +do success NOERROR 2 50",
        "example.org. TYPE65400 +cd success NOERROR 2 50",
        "gone.example.com. AAAA - denial NXDOMAIN 0 20",
        "notexample.com. A - failure SERVFAIL 0 -9",
    ]


def test_a_name_is_forgotten_with_all_below_it_and_nothing_beside_it() -> None:
    held = cache()
    assert flush(held, from_text("example.com")) == 2
    assert [line.split()[0] for line in dump(held, 100.0)] == ["example.org.", "notexample.com."]


def test_all_is_forgotten_by_the_root() -> None:
    held = cache()
    assert flush(held, ROOT) == 4
    assert [store.bytes for store in held.stores.values()] == [0, 0, 0]
