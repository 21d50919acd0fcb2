"""What lists and watches of one resource say -> changes. Knows no connection and no clock."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from hsdnsd.errors import HsdnsdError
from hsdnsd.kube import objects
from hsdnsd.kube.convert import to_fact
from hsdnsd.kube.in_force import InForce
from hsdnsd.kube.lists import ListReader, NotAListError
from hsdnsd.kube.oneline import one_line
from hsdnsd.kube.source import Cause, Held, Sink, WatchState
from hsdnsd.kube.union import Alone, Ledger
from hsdnsd.records.model import Change, Fact, Key, Kind, Listing, Upserted

S = TypeVar("S")
T = TypeVar("T")

log = logging.getLogger(__name__)

# Kubernetes' own controller of EndpointSlices.
_CONTROLLER = "endpointslice-controller.k8s.io"

_MAX_ODD = 1000  # objects left out that the log is told of by name


_EVENT = msgspec.json.Decoder(objects.Event)
_HEAD = msgspec.json.Decoder(objects.Head)
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
    """Turns objects and events of one kind into changes. (What one piece of a first list says is gone comes before what
    it says is there.)

    Attributes:
        version: resourceVersion to watch from; "": there is none, list first.
    """

    def __init__(
        self,
        kind: Kind,
        state: WatchState,
        sink: Sink,
        held: Held,
        *,
        ledger: Ledger | Alone | None = None,
        part: int = 0,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            held: what the sink is told ends up there.
            ledger: shared with the other parts that the kind is watched in, of which this is number `part`.
            clock: measures work, in seconds. wall: Unix time.
        """
        self.version = ""
        self._kind = kind
        self._state = state
        self._sink = sink
        self._in_force = InForce(kind, self._emit, held, ledger or Alone(), part)
        self._clock = clock
        self._wall = wall
        self._reason = Cause.START  # of the next list
        self._delivery = 0.0  # seconds
        self._decoder = msgspec.json.Decoder(objects.OBJECT_OF[kind])
        self._list_decoder = msgspec.json.Decoder(objects.list_type(kind))
        self._told_decoder = msgspec.json.Decoder(objects.told_type(kind))
        self._reader = ListReader(self._list_decoder, objects.OBJECT_OCTETS)
        self._next_version = ""  # of a list that has ended; "": of none that is not in force
        self._odd: set[Key] = set()  # what the log was told of

    @property
    def listing(self) -> bool:
        """A list has begun, and what it says is not in force."""
        return self._in_force.listing

    def begin_list(self) -> None:
        self._reader = ListReader(self._list_decoder, objects.OBJECT_OCTETS)
        self._in_force.begin_list()
        self._next_version = ""

    def begin_watch(self) -> None:
        self._in_force.begin_watch()

    def lose(self, cause: Cause) -> None:
        """There is no version to go on from any more."""
        if self.version:
            self._reason = cause
        self.version = ""

    def read(self, piece: bytes) -> None:
        """The next piece of a list's body.

        Raises:
            EndedError: it is no list.
        """
        self._take_objects(self._from_list(self._reader.feed, piece))

    def read_end(self) -> str:
        """The body of a list, or of a page of one, has ended; with the last one the list has, see `end_list`.

        Returns:
            What the next page is asked for by; "": there is none.

        Raises:
            EndedError: it is no list, or was cut.
        """
        metadata, last = self._from_list(lambda _: self._reader.end(), b"")
        self._take_objects(last)
        self._reader = ListReader(self._list_decoder, objects.OBJECT_OCTETS)
        if not metadata.next_page:
            self.end_list(metadata.resource_version)
        return metadata.next_page or ""

    def _from_list(self, read: Callable[[bytes], T], piece: bytes) -> T:
        try:
            return self._timed(read, piece)
        except NotAListError as error:
            raise EndedError(Cause.JUNK, str(error)) from None

    def end_list(self, version: str | None) -> None:
        """All objects of the list have been told: the others are gone. What that changes is in force now, or when
        `settle` has been called often enough.

        Raises:
            EndedError: it has no version to watch from.
        """
        if not version:
            raise EndedError(Cause.JUNK, "a list without resourceVersion")
        self._next_version = version
        self._in_force.end_list()
        self.settle()

    def settle(self) -> bool:
        """Put the next portion of what a list that has ended changes in force, if there is one.

        Returns:
            Whether more are left, and the event loop is to have its turn before the next.
        """
        if not self._next_version:
            return False
        if self._in_force.settle():
            return True
        self.version, self._next_version = self._next_version, ""
        if self._state.synced:
            self._state.relists += 1
        self._state.synced = True
        self._state.lists[self._reason.value] += 1
        return False

    def take(self, line: bytes) -> None:
        """One line of a watch.

        Raises:
            EndedError: it says that the watch is over, or can't be understood.
        """
        self._timed(self._take, line)

    def _timed(self, work: Callable[[S], T], octets: S) -> T:
        begun, self._delivery = self._clock(), 0.0
        try:
            return work(octets)
        finally:
            self._state.decode_seconds += self._clock() - begun - self._delivery

    def _take(self, line: bytes) -> None:
        try:
            told = self._told_decoder.decode(line)
        except _DECODE_ERRORS:  # something else than an object, or an odd one: look closer
            self._take_other(line)
            return
        if told.type in ("ADDED", "MODIFIED"):
            if not self.listing:
                self._state.events += 1
            self._upsert(told.object)
        else:
            self._take_other(line)

    def _take_other(self, line: bytes) -> None:
        try:
            event = _EVENT.decode(line)
            if not self.listing and event.type in ("ADDED", "MODIFIED", "DELETED"):
                self._state.events += 1
            if event.type in ("ADDED", "MODIFIED"):
                if (obj := self._decoded(event.object)) is not None:
                    self._upsert(obj)
            elif event.type == "DELETED":
                self._delete(_HEAD.decode(event.object).metadata)
            elif event.type == "BOOKMARK":
                self._bookmark(_HEAD.decode(event.object).metadata)
            else:
                raise _error_of(event, line)
        except _DECODE_ERRORS as error:
            raise EndedError(Cause.JUNK, f"not a watch event: {one_line(str(error))}", lists_again=True) from None

    def _take_objects(self, found: Sequence[objects.Object | msgspec.Raw]) -> None:
        """Of a list."""
        if fresh := self._timed(self._all_admitted, found):
            self._emit(Listing(self._kind, fresh))

    def _all_admitted(self, found: Sequence[objects.Object | msgspec.Raw]) -> tuple[Fact, ...]:
        facts = []
        for one in found:
            obj = self._decoded(one) if isinstance(one, msgspec.Raw) else one
            if obj is not None and (fact := self._admitted(obj)) is not None:
                facts.append(fact)
        return tuple(facts)

    def _decoded(self, raw: msgspec.Raw) -> objects.Object | None:
        """One that can't be understood is left out: its last good state stays until the next list, and all others are
        as they should be."""
        try:
            return self._decoder.decode(raw)
        except _DECODE_ERRORS as error:
            self._skip(raw, str(error))
            return None

    def _upsert(self, obj: objects.Object) -> None:
        """An object as it is now."""
        if (fact := self._admitted(obj)) is not None:
            self._emit(Upserted(fact))
            if not self.listing and isinstance(obj, objects.EndpointSlice):
                self._observe(obj.metadata)

    def _admitted(self, obj: objects.Object) -> Fact | None:
        """What an object says; None if that must not be in force yet, or is nothing."""
        version = obj.metadata.resource_version or ""
        if not self.listing:
            self._advance(version)
        if (fact := to_fact(obj)) is None:
            self._in_force.remove(self._key(obj.metadata), version)
            return None
        return fact if self._in_force.admit(fact, version) else None

    def _key(self, meta: objects.HeadMeta | objects.Meta) -> Key:
        return objects.key_of(self._kind, meta.namespace, meta.name or "")

    def _delete(self, meta: objects.HeadMeta) -> None:
        if not self.listing:
            self._advance(meta.resource_version)
        self._in_force.remove(self._key(meta), meta.resource_version or "")

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
        if not self.listing:
            self._advance(meta.resource_version)
        elif meta.annotations is not None and meta.annotations.initial_events_end == "true":
            self.end_list(meta.resource_version)

    def _skip(self, raw: msgspec.Raw, problem: str) -> None:
        self._state.skipped += 1
        try:
            meta = _HEAD.decode(raw).metadata
        except _DECODE_ERRORS:
            meta = objects.HeadMeta()
        if not self.listing:
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
