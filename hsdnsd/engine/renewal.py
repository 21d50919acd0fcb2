"""Answers of the own zones that are made again with what they were made from, because they are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from hsdnsd.records.result import Owner
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query

# Owners whose questions are remembered, and questions of each: some hundred kilobytes.
MAX_OWNERS = 256
MAX_QUESTIONS = 8

_Asked = tuple[Name, int, bool, bool]


class Renewal:
    """Questions for own names by the owner of their answers, the last ones of the last owners.

    A change ends all answers of an owner. Those that are asked for are better made at once than when the next asker,
    and whoever comes while it is made, has to wait for that.
    """

    def __init__(self) -> None:
        self._owners: dict[Owner, dict[_Asked, tuple[Query, bool]]] = {}

    def note(self, owner: Owner, query: Query, asked: bool) -> None:
        """The answer to a query was made, and hangs on `owner`.

        Args:
            asked: somebody has asked; else the answer was made again with a change.
        """
        questions = self._owners.get(owner)
        if questions is None:
            if len(self._owners) == MAX_OWNERS:
                del self._owners[next(iter(self._owners))]
            questions = self._owners[owner] = {}
        key = (query.name, query.qtype, query.do, query.cd)
        if key not in questions and len(questions) == MAX_QUESTIONS:
            del questions[next(iter(questions))]
        questions[key] = (query, asked)

    def take(self, owner: Owner) -> Iterable[tuple[Query, bool]]:
        """The questions of an owner, which are not remembered any more, and whether they were asked last."""
        return self._owners.pop(owner, {}).values()

    def clear(self) -> None:
        self._owners.clear()
