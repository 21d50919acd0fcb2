"""Answers of the own zones that are made again with what they were made from, because many ask for them."""

from __future__ import annotations

from collections.abc import Sequence

from hsdnsd.records.result import Owner
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query

# Owners whose questions are remembered, and questions of each: some hundred kilobytes.
MAX_OWNERS = 256
MAX_QUESTIONS = 8

_Asked = tuple[Name, int, bool, bool]


class Renewal:
    """What the engine was asked last, by the owner of the answer.

    A change ends all answers of an owner. Those that the packet path gives over and over are better made at once than
    when the next asker, and whoever comes while it is made, has to wait for that.
    """

    def __init__(self) -> None:
        self._owners: dict[Owner, dict[_Asked, Query]] = {}

    def note(self, owner: Owner, query: Query) -> None:
        """The answer to a query was made, and hangs on `owner`."""
        questions = self._owners.get(owner)
        if questions is None:
            if len(self._owners) == MAX_OWNERS:
                del self._owners[next(iter(self._owners))]
            questions = self._owners[owner] = {}
        key = (query.name, query.qtype, query.do, query.cd)
        if key not in questions:
            if len(questions) == MAX_QUESTIONS:
                del questions[next(iter(questions))]
            questions[key] = query

    def take(self, owner: Owner) -> Sequence[Query]:
        """The questions of an owner, which are not remembered any more."""
        questions = self._owners.pop(owner, None)
        return () if questions is None else tuple(questions.values())

    def clear(self) -> None:
        self._owners.clear()
