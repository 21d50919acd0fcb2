"""What lists and watches of one resource say -> changes. Knows no connection and no clock."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from hsdnsd.errors import HsdnsdError
from hsdnsd.kube import objects
from hsdnsd.kube.convert import to_fact
from hsdnsd.kube.oneline import one_line
from hsdnsd.kube.source import Cause, Sink, WatchState
from hsdnsd.kube.union import Ledger
from hsdnsd.records.model import Change, Deleted, Key, Kind, Listed, Upserted

T = TypeVar("T")

log = logging.getLogger(__name__)

# Kubernetes' own controller of EndpointSlices.
_CONTROLLER = "endpointslice-controller.k8s.io"

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
        cause: what is logged once while it stays the same.
        lists_again: the version to go on from can't be trusted any more.
        wait: seconds that the server asked for.
    """

    def __init__(self, cause: Cause, problem: str, *, lists_again: bool = False, wait: float = 0.0) -> None:
        super().__init__(problem)
        self.cause = cause
        self.lists_again = lists_again
        self.wait = wait


class Intake:
    """Turns objects and events of one kind into changes, in the order in which they come.

    Events may be told twice, and deletions of what never was: a change says what is, so nothing follows from that.
    Objects of a list are delivered as they come, which takes none of them back in time: lists are consistent reads.

    Attributes:
        version: resourceVersion to watch from; "": there is none, list first.
    """

    def __init__(
        self,
        kind: Kind,
        state: WatchState,
        sink: Sink,
        *,
        ledger: Ledger | None = None,
        part: int = 0,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            ledger: shared with the other parts that the kind is watched in, of which this is number `part`.
            clock: measures work, in seconds. wall: Unix time.
        """
        self.version = ""
        self._kind = kind
        self._state = state
        self._sink = sink
        self._ledger = ledger
        self._part = part
        self._clock = clock
        self._wall = wall
        self._reason = Cause.START  # of the next list
        self._delivery = 0.0  # seconds
        self._decoder = msgspec.json.Decoder(objects.OBJECT_OF[kind])
        self._told: set[Key] | None = None  # what a list that has not ended holds
        self._odd: set[Key] = set()  # what the log was told of

    @property
    def listing(self) -> bool:
        """A list has begun and not ended: what it does not hold is still in force."""
        return self._told is not None

    def begin_list(self) -> None:
        self._told = set()

    def begin_watch(self) -> None:
        self._told = None

    def lose(self, cause: Cause) -> None:
        """There is no version to go on from any more."""
        if self.version:
            self._reason = cause
        self.version = ""

    def page(self, body: bytes) -> objects.Page:
        """
        Raises:
            EndedError: the body is no page of a list.
        """
        try:
            return self._timed(_PAGE.decode, body)
        except _DECODE_ERRORS as error:
            raise EndedError(Cause.JUNK, f"not a list: {one_line(str(error))}") from None

    def item(self, raw: msgspec.Raw) -> None:
        """One object of a page."""
        self._timed(self._upsert, raw)

    def end_list(self, version: str | None) -> None:
        """All objects of the list have been told: the others are gone.

        Raises:
            EndedError: it has no version to watch from.
        """
        if not version:
            raise EndedError(Cause.JUNK, "a list without resourceVersion")
        if self._state.synced:
            self._state.relists += 1
        self._state.synced = True
        self._state.lists[self._reason.value] += 1
        told, self._told = self._told or set(), None
        self.version = version
        if self._ledger is None:
            self._emit(Listed(self._kind, told))
        else:
            self._ledger.listed(self._part, told)
            if self._ledger.complete:
                self._emit(Listed(self._kind, self._ledger.keys))

    def take(self, line: bytes) -> None:
        """One line of a watch.

        Raises:
            EndedError: it says that the watch is over, or can't be understood.
        """
        self._timed(self._take, line)

    def _timed(self, work: Callable[[bytes], T], octets: bytes) -> T:
        begun, self._delivery = self._clock(), 0.0
        try:
            return work(octets)
        finally:
            self._state.decode_seconds += self._clock() - begun - self._delivery

    def _take(self, line: bytes) -> None:
        try:
            event = _EVENT.decode(line)
            if self._told is None and event.type in ("ADDED", "MODIFIED", "DELETED"):
                self._state.events += 1
            if event.type in ("ADDED", "MODIFIED"):
                self._upsert(event.object)
            elif event.type == "DELETED":
                self._delete(_HEAD.decode(event.object).metadata)
            elif event.type == "BOOKMARK":
                self._bookmark(_HEAD.decode(event.object).metadata)
            else:
                raise _error_of(event, line)
        except _DECODE_ERRORS as error:
            raise EndedError(Cause.JUNK, f"not a watch event: {one_line(str(error))}", lists_again=True) from None

    def _upsert(self, raw: msgspec.Raw | bytes) -> None:
        """An object as it is now. One that can't be understood is left out: its last good state stays until the next
        list, and all others are as they should be."""
        try:
            obj = self._decoder.decode(raw)
        except _DECODE_ERRORS as error:
            self._skip(raw, str(error))
            return
        fact = to_fact(obj)
        key = fact.key if fact is not None else self._key(obj.metadata)
        version = obj.metadata.resource_version or ""
        if self._told is None:
            self._advance(version)
        elif fact is None:
            self._told.discard(key)
        else:
            self._told.add(key)
        if fact is None:
            self._gone(key, version)
        elif self._ledger is None or self._ledger.upserted(self._part, key, version):
            self._emit(Upserted(fact))
            if self._told is None and isinstance(obj, objects.EndpointSlice):
                self._observe(obj.metadata)

    def _key(self, meta: objects.HeadMeta | objects.Meta) -> Key:
        return objects.key_of(self._kind, meta.namespace, meta.name or "")

    def _delete(self, meta: objects.HeadMeta) -> None:
        key = self._key(meta)
        if self._told is None:
            self._advance(meta.resource_version)
        else:
            self._told.discard(key)
        self._gone(key, meta.resource_version or "")

    def _gone(self, key: Key, version: str) -> None:
        if self._ledger is None or self._ledger.deleted(self._part, key, version):
            self._emit(Deleted(self._kind, key))

    def _observe(self, meta: objects.SliceMeta) -> None:
        """How long it took from what made Kubernetes change a slice until the change was in the answers. The clocks
        are the control plane's and ours."""
        labels, annotations = meta.labels, meta.annotations
        if labels is None or annotations is None or not annotations.changed:
            return
        if labels.headless is None or labels.manager != _CONTROLLER:
            return
        try:
            changed = datetime.datetime.fromisoformat(annotations.changed).timestamp()
        except (ValueError, OverflowError, OSError):  # anybody may write an annotation
            return
        self._state.programming.observe(self._wall() - changed)

    def _bookmark(self, meta: objects.HeadMeta) -> None:
        if self._told is None:
            self._advance(meta.resource_version)
        elif meta.annotations is not None and meta.annotations.initial_events_end == "true":
            self.end_list(meta.resource_version)

    def _skip(self, raw: msgspec.Raw | bytes, problem: str) -> None:
        self._state.skipped += 1
        try:
            meta = _HEAD.decode(raw).metadata
        except _DECODE_ERRORS:
            meta = objects.HeadMeta()
        if self._told is None:
            self._advance(meta.resource_version)
        key = self._key(meta)
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
                raise EndedError(Cause.BACKWARDS, problem, lists_again=True)
        self.version = version

    def _emit(self, change: Change) -> None:
        begun = self._clock()
        self._sink(change)
        self._delivery += self._clock() - begun


def _error_of(event: objects.Event, line: bytes) -> EndedError:
    """An ERROR event, or a bare Status in place of events (some servers send a 410 so)."""
    if event.type != "ERROR" and (event.type or event.kind != "Status"):
        return EndedError(Cause.JUNK, f"not a watch event: {one_line(event.type or event.kind)}", lists_again=True)
    status = _STATUS.decode(event.object if event.type else line)
    said = one_line(f"{status.code or ''} {status.message or status.reason or 'an error without a message'}")
    return EndedError(Cause.GONE if status.code == 410 else Cause.ERROR, said, lists_again=True)
