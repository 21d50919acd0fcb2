"""List, then watch, then list again: one resource of the API server, for as long as the daemon runs.

A list is asked for as a whole; where that breaks off or can't be read, as one stream with the watch; where that does
not do either, in pages (`hsdnsd.kube.ways`).

Lists never name a resourceVersion, so the API server answers them with a consistent read: however old the server's own
cache, a list never takes the zone back in time. A watch goes on from the version that the last event or bookmark told,
and whenever that is in doubt (410 in any of its forms, an ERROR event, junk, versions that run backwards) the resource
is listed again, and what is gone by then is deleted.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import msgspec

from hsdnsd.kube.backoff import HEALTHY, Backoff
from hsdnsd.kube.client import PIECE_OCTETS, Client, Response, TransportError
from hsdnsd.kube.intake import EndedError, Intake
from hsdnsd.kube.lines import LineTooLongError
from hsdnsd.kube.source import Cause, Held, Sink, WatchState
from hsdnsd.kube.union import Ledger
from hsdnsd.kube.ways import Way, Ways
from hsdnsd.records.model import Kind

log = logging.getLogger(__name__)

_chance = secrets.SystemRandom().random

PAGE_OBJECTS = 500  # as client-go asks for
LIST_TIMEOUT = 600.0  # seconds for a list; that of the API server is a minute, if nobody raised it
# Seconds without a line of a streaming list; there are servers that know the parameter but never say that the list is
# over (kubernetes/kubernetes#140890).
STREAMED_LIST_TIMEOUT = 60.0

WATCH_SECONDS = (240, 300)  # after which the server ends a watch; random, so that a fleet's don't end together
SHORT = 1.0  # seconds; a server that ends watches so soon would otherwise be asked without a pause

_CAUSES = {401: Cause.UNAUTHORIZED, 403: Cause.FORBIDDEN, 410: Cause.GONE}
# A list that ended so will end so again.
_UNFIT = (Cause.GONE, Cause.JUNK, Cause.LIST)
# The API server gives up an answer that is not over after a minute (--request-timeout), but no stream: with 504 where
# nothing of it has been sent yet.
_BEGUN = (200, 504)
_GRANT = "; it takes the right to list and watch (deploy/rbac.yaml)"


class Resource(msgspec.Struct, frozen=True):
    """What is watched: a collection of the API, and the part of it that is selected."""

    kind: Kind
    path: str
    label_selector: str = ""
    field_selector: str = ""

    def params(self) -> list[tuple[str, str]]:
        selectors = (("labelSelector", self.label_selector), ("fieldSelector", self.field_selector))
        return [(name, text) for name, text in selectors if text]


class Reflector:
    """Keeps `sink` told of one resource. Nothing that the API server does or fails to do ends it."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        state: WatchState,
        sink: Sink,
        held: Held,
        *,
        ledger: Ledger | None = None,
        part: int = 0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = _chance,
    ) -> None:
        """
        Args:
            held, ledger, part: see `Intake`.
            pause, clock, chance: what waiting, monotonic time and a random number from [0, 1) are (tests own them).
        """
        self._client = client
        self._resource = resource
        self._state = state
        self._intake = Intake(resource.kind, state, sink, held, ledger=ledger, part=part)
        self._backoff = Backoff(chance)
        self._pause = pause
        self._clock = clock
        self._chance = chance
        self._ways = Ways()
        self._begun = False  # the answer to a list, or the server gave it up before
        self._opened: float | None = None  # when the watch's answer began
        self._taken = 0  # octets since the event loop had its turn
        self._cause: Cause | None = None  # of the failure that the log was last told of; None when all is well

    async def run(self) -> NoReturn:
        while True:
            self._opened = None
            renewals = self._client.renewals
            end: EndedError | None = None
            try:
                await self._list_and_watch()
                if self._lived() < SHORT:
                    end = EndedError(Cause.SHORT, "the server ends the watch at once")
            except EndedError as error:
                end = error
            except TransportError as error:
                end = EndedError(Cause.TRANSPORT, str(error))
            except LineTooLongError as error:
                end = EndedError(Cause.JUNK, str(error), lists_again=True)
            self._state.connected = False
            self._backoff.lived(self._lived())
            if self._lived() >= HEALTHY:
                self._recovered()
            if end is not None:
                await self._recover(end, renewals)

    def _lived(self) -> float:
        """Seconds for which the watch that just ended was open; 0.0 if none was."""
        return 0.0 if self._opened is None else self._clock() - self._opened

    def _recovered(self) -> None:
        if self._cause:
            log.info("%s: watched again", self._resource.path)
            self._cause = None

    async def _recover(self, end: EndedError, renewals: int) -> None:
        """After a failure: count and log it, and let as much time pass as it calls for."""
        self._state.failures += 1
        if not self._intake.listing:
            self._ways.did()
        elif self._begun or end.cause in _UNFIT:
            self._ways.failed(unfit=end.cause in _UNFIT)
        if end.lists_again:
            self._intake.lose(end.cause)
        news = end.cause is not self._cause
        if news:
            self._cause = end.cause
            advice = _GRANT if end.cause is Cause.FORBIDDEN else ""
            log.warning("%s: %s; what is known stays in force%s", self._resource.path, end, advice)
        if end.cause is Cause.UNAUTHORIZED:
            # A token that was rotated: ask at once with the new one. If that is refused too, wait like anybody.
            try:
                await self._client.renew_credentials(renewals)
            except TransportError as error:
                if news:
                    log.warning("%s: %s", self._resource.path, error)
            else:
                if news:
                    return
        wait = self._backoff.after(end.cause, self._clock(), end.wait, self._state.synced)
        if wait > 0.0:
            await self._pause(wait)

    async def _list_and_watch(self) -> None:
        """Returns when the server ends the watch in good order."""
        self._begun = False
        if not self._intake.version and self._ways.now is Way.STREAM:
            if await self._watch():
                return
            self._ways.failed(unfit=True)
        if not self._intake.version:
            await self._list(PAGE_OBJECTS if self._ways.now is Way.PAGES else 0)
        await self._watch()

    async def _list(self, page_objects: int) -> None:
        """`page_objects`: the list comes in pages of so many; 0: as a whole."""
        self._intake.begin_list()
        limit = [("limit", str(page_objects))] if page_objects else []
        next_page = await self._page(limit)
        while next_page:
            next_page = await self._page([*limit, ("continue", next_page)])
        while self._intake.settle():
            await self._turn()

    async def _page(self, which: Sequence[tuple[str, str]]) -> str:
        """A list, or a page of one. Returns what the next is asked for by."""
        params = [*self._resource.params(), *which]
        async with self._client.get(self._resource.path, params, total=LIST_TIMEOUT) as response:
            self._begun = response.status in _BEGUN
            await _must_be_ok(response)
            while piece := await response.piece():
                self._state.last_alive = self._clock()
                self._intake.read(piece)
                await self._turn()
        return self._intake.read_end()

    async def _watch(self) -> bool:
        """Watch until the server ends it; without a version to go on from, the same stream lists everything first.

        Returns:
            False if the server does not stream lists.
        """
        streams_list = not self._intake.version
        if streams_list:
            self._intake.begin_list()
        else:
            self._intake.begin_watch()
        ends_at = asyncio.get_running_loop().time() + LIST_TIMEOUT
        try:
            async with (
                asyncio.timeout(STREAMED_LIST_TIMEOUT if streams_list else None) as limit,
                self._client.get(self._resource.path, self._watch_params()) as response,
            ):
                if streams_list and response.status in (400, 422):
                    return False
                self._begun = response.status in _BEGUN
                await _must_be_ok(response)
                self._opened = self._state.last_alive = self._clock()
                self._state.connected = not streams_list
                while (lines := await response.lines()) is not None:
                    self._state.last_alive = self._clock()
                    if self._intake.listing:
                        limit.reschedule(min(ends_at, asyncio.get_running_loop().time() + STREAMED_LIST_TIMEOUT))
                    for line in lines:
                        self._intake.take(line)
                        while self._intake.settle():
                            await self._turn()
                        if not self._intake.listing:
                            if not self._state.connected:
                                self._state.connected = True
                                limit.reschedule(None)
                            self._recovered()
                        await self._give_way(len(line))
        except TimeoutError:
            raise EndedError(Cause.LIST, "the streamed list does not end") from None
        if self._intake.listing:
            raise EndedError(Cause.LIST, "the streamed list broke off")
        return True

    def _watch_params(self) -> list[tuple[str, str]]:
        low, high = WATCH_SECONDS
        params = [
            *self._resource.params(),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(low + int((high - low + 1) * self._chance()))),
        ]
        if self._intake.version:
            return [*params, ("resourceVersion", self._intake.version)]
        return [*params, ("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]

    async def _give_way(self, octets: int) -> None:
        """Objects that are all there already would else keep the event loop from answering anybody."""
        self._taken += octets
        if self._taken >= PIECE_OCTETS:
            await self._turn()

    async def _turn(self) -> None:
        """Let the event loop do what else there is."""
        self._taken = 0
        await asyncio.sleep(0)


async def _must_be_ok(response: Response) -> None:
    if response.status == 200:
        return
    problem = await response.problem()
    # 504 with this text: the version is of another etcd, or this server lags far behind; it may never come.
    lost = response.status == 410 or (response.status == 504 and "Too large resource version" in problem)
    cause = Cause.BACKWARDS if lost and response.status == 504 else _cause_of(response.status)
    raise EndedError(cause, problem, lists_again=lost, wait=response.retry_after)


def _cause_of(status: int) -> Cause:
    if status == 429 or status >= 500:
        return Cause.BUSY
    return _CAUSES.get(status, Cause.REFUSED)
