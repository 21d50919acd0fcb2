"""The body of a list, in pieces as they come -> its objects. However long it is, what is held of it is not."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hsdnsd.kube.objects import ListMeta, Page
from hsdnsd.kube.oneline import one_line

_PAGE = msgspec.json.Decoder(Page)
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_DECODE_ERRORS = (ValueError, RecursionError)

_ITEMS = re.compile(rb'"items"\s*:\s*\[')
_FIRST_KEY = re.compile(rb'\s*\{\s*"[^"\\]*"\s*:')


class NotAListError(ValueError):
    """What was read is no list of Kubernetes objects, or was cut."""


class ListReader:
    """Feed it the pieces of a list's body; the objects that are whole come out: decoded, or raw where not all that
    come at once can be.

    JSON can't be cut without having been parsed, but a guess where an object ends can be proved: what lies between
    two places parses as an array of values only if both lie between objects. The guess is that objects begin alike, as
    the API server's do (`{"metadata":`). A list that does not bear that out is held until it does, or has ended.

    Args:
        decoder: of an array of objects.
        limit: octets of what is held; more than one object has.
    """

    def __init__(self, decoder: msgspec.json.Decoder[list[Any]], limit: int) -> None:
        self._decoder = decoder
        self._limit = limit
        self._head = b""  # up to the first object; "": it has not begun
        self._between = b""  # what lies between objects: a comma, and what each begins with
        self._rest = b""

    def feed(self, piece: bytes) -> list[Any]:
        """The objects that end in this piece.

        Raises:
            NotAListError: more than `limit` octets, and no object ends in them.
        """
        self._rest += piece
        if not self._between:
            self._begin()
        found = None
        if self._between and (end := self._rest.rfind(self._between)) > 0:
            found = self._decoded(b"[%b]" % self._rest[:end])
            if found is not None:
                self._rest = self._rest[end + 1 :]
        if len(self._rest) > self._limit:
            raise NotAListError(f"no end of an object in {self._limit} octets")
        return found or []

    def _decoded(self, guess: bytes) -> list[Any] | None:
        """None if it is no array: objects within objects may begin as they do."""
        with contextlib.suppress(*_DECODE_ERRORS):
            return self._decoder.decode(guess)
        with contextlib.suppress(*_DECODE_ERRORS):
            return _RAW.decode(guess)
        return None

    def end(self) -> tuple[ListMeta, Sequence[msgspec.Raw]]:
        """There are no more pieces: what the list says of itself, and its last objects.

        Raises:
            NotAListError: it is none, or was cut.
        """
        try:
            page = _PAGE.decode(self._head + self._rest)
        except _DECODE_ERRORS as error:
            raise NotAListError(f"not a list: {one_line(str(error))}") from None
        return page.metadata, page.items or ()

    def _begin(self) -> None:
        """Look for the first object."""
        if not self._head and (items := _ITEMS.search(self._rest)):
            head = self._rest[: items.end()]
            try:
                _PAGE.decode(head + b"]}")
            except _DECODE_ERRORS:
                return  # not the list's own; metadata may stand behind the objects
            self._head, self._rest = head, self._rest[items.end() :]
        if self._head and (first := _FIRST_KEY.match(self._rest)):
            self._between = b"," + first[0].lstrip()
