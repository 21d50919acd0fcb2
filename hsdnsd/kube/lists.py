"""The body of a list, in pieces as they come -> its objects. However long it is, what is held of it is not."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from hsdnsd.kube.objects import ListHead, ListMeta, Page
from hsdnsd.kube.oneline import one_line

_PAGE = msgspec.json.Decoder(Page)
_HEAD = msgspec.json.Decoder(ListHead)
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_DECODE_ERRORS = (ValueError, RecursionError)

_ITEMS = re.compile(rb'"items"\s*:\s*\[\s*')
_BEGIN = re.compile(rb'\{\s*"[^"\\]*"\s*:')
_BETWEEN = re.compile(rb",\s*\Z")
_SPACE = 64  # octets between two objects, at the most; Go writes none but the comma


class NotAListError(ValueError):
    """What was read is no list of Kubernetes objects, was cut, or can't be taken in piece by piece."""


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
        self._begin = b""  # what each object begins with
        self._held = bytearray()  # from the head, or an object, on
        self._enough = 0  # octets that have to be held for the next guess

    def feed(self, piece: bytes) -> list[Any]:
        """The objects that are known to have ended with this piece.

        Raises:
            NotAListError: more than `limit` octets, and no object is known to end in them.
        """
        self._held += piece
        found = None
        if len(self._held) >= self._enough:
            found = self._guess()
            # Next time there is half as much again: however small the pieces, no octet is looked at more often than
            # three times on average.
            self._enough = len(self._held) * 3 // 2 if found is None else 0
        if len(self._held) > self._limit:
            raise NotAListError(f"no end of an object is to be seen in {self._limit} octets")
        return found or []

    def end(self) -> tuple[ListMeta, Sequence[msgspec.Raw]]:
        """There are no more pieces: what the list says of itself, and its last objects.

        Raises:
            NotAListError: it is none, or was cut.
        """
        try:
            page = _PAGE.decode(self._head + self._held)
        except _DECODE_ERRORS as error:
            raise NotAListError(f"not a list: {one_line(str(error))}") from None
        return page.metadata, page.items or ()

    def _guess(self) -> list[Any] | None:
        """Take out the objects before the last place that looks like the beginning of one; None if it is none."""
        if not self._begin:
            self._look_for_the_first()
        place = len(self._held)
        while self._begin and (place := self._held.rfind(self._begin, 1, place)) > 0:
            if between := _BETWEEN.search(self._held, max(0, place - _SPACE), place):
                found = self._decoded(b"".join((b"[", memoryview(self._held)[: between.start()], b"]")))
                if found is not None:
                    del self._held[:place]
                return found
        return None

    def _decoded(self, guess: bytes) -> list[Any] | None:
        """None if it is no array: objects within objects may begin as they do."""
        with contextlib.suppress(*_DECODE_ERRORS):
            return self._decoder.decode(guess)
        with contextlib.suppress(*_DECODE_ERRORS):
            return _RAW.decode(guess)
        return None

    def _look_for_the_first(self) -> None:
        if not self._head and (items := _ITEMS.search(self._held)):
            head = bytes(self._held[: items.end()])
            try:
                _HEAD.decode(head + b"]}")
            except _DECODE_ERRORS:
                return  # not the list's own
            self._head = head
            del self._held[: items.end()]
        if self._head and (first := _BEGIN.match(self._held)):
            self._begin = bytes(first[0])
