from __future__ import annotations

from hsdnsd.records.result import EVERYTHING, Result
from hsdnsd.wire.const import Rcode


def test_a_result_says_nothing_that_it_was_not_given() -> None:
    assert Result() == Result(Rcode.NOERROR, (), (), (), chase=None, owner=None, elsewhere=False, ede=None)


def test_everything_is_an_owner_that_no_answer_has() -> None:
    assert isinstance(EVERYTHING, bytes)
    assert EVERYTHING
