"""What lists and watches of one resource say -> changes. Knows no connection and no clock."""

from __future__ import annotations

import logging

import msgspec

from hsdnsd.errors import HsdnsdError
from hsdnsd.kube import objects
from hsdnsd.kube.convert import to_fact
from hsdnsd.kube.oneline import one_line
from hsdnsd.kube.source import Sink, WatchState
from hsdnsd.records.model import Change, Deleted, Fact, Key, Kind, Replaced, Upserted

log = logging.getLogger(__name__)

_MAX_ODD = 1000  # objects left out that the log is told of by name

_EVENT = msgspec.json.Decoder(objects.Event)
_HEAD = msgspec.json.Decoder(objects.Head)
_PAGE = msgspec.json.Decoder(objects.Page)
_STATUS = msgspec.json.Decoder(objects.Status)

# Of a decoder: no JSON or another type; strings that are not UTF-8; nested too deeply.
_DECODE_ERRORS = (ValueError, RecursionError)


class EndedError(HsdnsdError):
    """A list or a watch ended otherwise than it should.

    Attributes:
        cause: what is logged once while it stays the same: an HTTP status, or a word.
        lists_again: the version to go on from can't be trusted any more.
        wait: seconds that the server asked for.
    """

    def __init__(self, cause: str, problem: str, *, lists_again: bool = False, wait: float = 0.0) -> None:
        super().__init__(problem)
        self.cause = cause
        self.lists_again = lists_again
        self.wait = wait


class Intake:
    """Turns objects and events of one kind into changes, in the order in which they come.

    Events may be told twice, and deletions of what never was: a change says what is, so nothing follows from that.

    Attributes:
        version: resourceVersion to watch from; "": there is none, list first.
    """

    def __init__(self, kind: Kind, state: WatchState, sink: Sink) -> None:
        self.version = ""
        self._kind = kind
        self._state = state
        self._sink = sink
        self._decoder = msgspec.json.Decoder(objects.OBJECT_OF[kind])
        self._found: dict[Key, Fact] | None = None  # what a list that has not ended holds
        self._odd: set[Key] = set()  # what the log was told of

    @property
    def listing(self) -> bool:
        """A list has begun and not ended: nothing of it has been delivered yet."""
        return self._found is not None

    def begin_list(self) -> None:
        self._found = {}

    def begin_watch(self) -> None:
        self._found = None

    def page(self, body: bytes) -> objects.Page:
        """
        Raises:
            EndedError: the body is no page of a list.
        """
        try:
            return _PAGE.decode(body)
        except _DECODE_ERRORS as error:
            raise EndedError("junk", f"not a list: {one_line(str(error))}") from None

    def end_list(self, version: str | None) -> None:
        """Deliver what the list holds.

        Raises:
            EndedError: it has no version to watch from.
        """
        if not version:
            raise EndedError("junk", "a list without resourceVersion")
        if self._state.synced:
            self._state.relists += 1
        self._state.synced = True
        found, self._found = self._found or {}, None
        self.version = version
        self._emit(Replaced(self._kind, tuple(found.values())))

    def take(self, line: bytes) -> None:
        """One line of a watch.

        Raises:
            EndedError: it says that the watch is over, or can't be understood.
        """
        try:
            event = _EVENT.decode(line)
            if event.type in ("ADDED", "MODIFIED"):
                self.upsert(event.object)
            elif event.type == "DELETED":
                self._delete(_HEAD.decode(event.object).metadata)
            elif event.type == "BOOKMARK":
                self._bookmark(_HEAD.decode(event.object).metadata)
            else:
                raise _error_of(event, line)
        except _DECODE_ERRORS as error:
            raise EndedError("junk", f"not a watch event: {one_line(str(error))}", lists_again=True) from None

    def upsert(self, raw: msgspec.Raw) -> None:
        """An object as it is now. One that can't be understood is left out: its last good state stays until the next
        list, and all others are as they should be."""
        try:
            obj = self._decoder.decode(raw)
        except _DECODE_ERRORS as error:
            self._skip(raw, str(error))
            return
        fact = to_fact(obj)
        key = objects.key_of(self._kind, obj.metadata.namespace, obj.metadata.name)
        if self._found is None:
            self._advance(obj.metadata.resource_version)
            self._emit(Deleted(self._kind, key) if fact is None else Upserted(fact))
        elif fact is None:
            self._found.pop(key, None)
        else:
            self._found[key] = fact

    def _delete(self, meta: objects.HeadMeta) -> None:
        key = objects.key_of(self._kind, meta.namespace, meta.name or "")
        if self._found is None:
            self._advance(meta.resource_version)
            self._emit(Deleted(self._kind, key))
        else:
            self._found.pop(key, None)

    def _bookmark(self, meta: objects.HeadMeta) -> None:
        if self._found is None:
            self._advance(meta.resource_version)
        elif meta.annotations is not None and meta.annotations.initial_events_end == "true":
            self.end_list(meta.resource_version)

    def _skip(self, raw: msgspec.Raw, problem: str) -> None:
        self._state.skipped += 1
        try:
            meta = _HEAD.decode(raw).metadata
        except _DECODE_ERRORS:
            meta = objects.HeadMeta()
        if self._found is None:
            self._advance(meta.resource_version)
        key = objects.key_of(self._kind, meta.namespace, meta.name or "")
        if key not in self._odd and len(self._odd) < _MAX_ODD:
            self._odd.add(key)
            log.warning("%s left out: %s", self._kind.value, one_line(f"{key.namespace}/{key.name}: {problem}"))

    def _advance(self, version: str | None) -> None:
        """Events of one watch never run backwards: where they do, another API server answers (a backup was restored,
        a peer lags), and only a list tells what holds."""
        if not version:
            return
        if version.isdecimal() and self.version.isdecimal():
            # As numbers, whatever their length.
            new, old = version.lstrip("0"), self.version.lstrip("0")
            if (len(new), new) < (len(old), old):
                problem = f"version {one_line(version)} came after {one_line(self.version)}"
                raise EndedError("backwards", problem, lists_again=True)
        self.version = version

    def _emit(self, change: Change) -> None:
        self._state.events += 1
        self._sink(change)


def _error_of(event: objects.Event, line: bytes) -> EndedError:
    """An ERROR event, or a bare Status in place of events (some servers send a 410 so)."""
    if event.type != "ERROR" and (event.type or event.kind != "Status"):
        return EndedError("junk", f"not a watch event: {one_line(event.type or event.kind)}", lists_again=True)
    status = _STATUS.decode(event.object if event.type else line)
    said = one_line(f"{status.code or ''} {status.message or status.reason or 'an error without a message'}")
    return EndedError(str(status.code or "error"), said, lists_again=True)
