"""The ways in which a list can be asked for, and which comes next when one did not do."""

from __future__ import annotations

import enum


class Way(enum.Enum):
    """In the order in which they are tried; after the last the first."""

    # The API server makes it from its cache, compresses it, and sends it as it makes it.
    WHOLE = enum.auto()
    # As one stream with the watch (`sendInitialEvents`): takes the API server up to two and a half times the work and
    # fifteen times the octets (docs/decisions.md), but no time limit of a request ends it.
    STREAM = enum.auto()
    # Those after the first are read from etcd as soon as the cache does not remember the version that they are of,
    # which is five minutes after the last change.
    PAGES = enum.auto()


_AFTER = {Way.WHOLE: Way.STREAM, Way.STREAM: Way.PAGES, Way.PAGES: Way.WHOLE}


class Ways:
    """How lists of one resource are asked for.

    Attributes:
        now: the next one.
    """

    def __init__(self) -> None:
        self.now = Way.WHOLE
        self._usual = Way.WHOLE

    def failed(self, *, unfit: bool) -> None:
        """A list that was asked for so did not come to its end: the next one is asked for otherwise.

        Args:
            unfit: not by an accident: this way is not tried again where another does.
        """
        after = _AFTER[self.now]
        if unfit and self.now is self._usual:
            self._usual = after
        self.now = after

    def did(self) -> None:
        """A list came to its end."""
        self.now = self._usual
