"""Warm connections to upstreams: kept open for the next query, shared by many, given up when they are of no use.

What is sent over TCP costs a handshake once and not for each query. A connection that has been open may have died
unnoticed, though; what was on it is then sent once more, over a new one, and nobody is blamed.
"""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable, Collection
from typing import Final

from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.errors import WireError
from hsdnsd.net.sockaddr import to_sockaddr
from hsdnsd.net.stream import Query, Stream
from hsdnsd.net.tls import Clear, Tls, explain

# Exchange, attempt, and the octets that came; or None, and from whom and why nothing will come any more.
Arrival = tuple[int, int, bytes | None, str]

TOO_MANY: Final = "sockets: too many are open"

# Connections to one upstream, and how many wait on one before another is made: some servers answer one after the other.
MAX_STREAMS: Final = 4
SPREAD: Final = 32
# Ids taken on one connection, those included for which nobody waits any more.
MAX_OUTSTANDING: Final = 1024
# Seconds without a query after which a connection is closed, and after which none is put on it any more.
IDLE_TIMEOUT: Final = 10.0
MAX_AGE: Final = 60.0


class Pool:
    """The connections to all upstreams.

    Attributes:
        opened: connections begun. resent: queries sent once more. unmatched: replies that belonged to no query.
        failed: queries that came to nothing.
    """

    def __init__(
        self,
        epoll: select.epoll,
        *,
        patience: float,
        context: ssl.SSLContext | None,
        may_open: Callable[[], bool],
        spend: Callable[[int], bool],
    ) -> None:
        """
        Args:
            patience: seconds for a connection to be made, and after which one that is silent is not trusted with more.
            context: for upstreams over TLS; None: there are none.
            may_open: whether there is room for one more socket.
            spend: whether one more message may be sent for an exchange.
        """
        self.opened = self.resent = self.unmatched = self.failed = 0
        self._epoll = epoll
        self._patience = patience
        self._context = context
        self._may_open = may_open
        self._spend = spend
        self._streams: dict[int, Stream] = {}  # by descriptor
        self._of_upstream: dict[Upstream, list[Stream]] = {}
        self._queries: dict[int, list[Query]] = {}  # by exchange
        self._sessions: dict[Upstream, ssl.SSLSession] = {}
        self._unflushed: set[Stream] = set()
        self._lost: list[Query] = []
        self._arrivals: list[Arrival] = []

    def reconfigure(self, patience: float, context: ssl.SSLContext | None) -> None:
        """Make connections by these rules from now on; those that are open stay. Arguments as of the constructor."""
        self._patience = patience
        self._context = context
        # A session says nothing of who vouched for it.
        self._sessions.clear()

    def __len__(self) -> int:
        """Connections open now."""
        return len(self._streams)

    @property
    def streams(self) -> Collection[Stream]:
        """The connections themselves."""
        return self._streams.values()

    def open(self, send: Send, now: float) -> str | None:
        """Put a message on a connection, to leave with the next `flush`. Returns why it could not be done, or None."""
        query = Query(send)
        try:
            self._place(query, False, now)
        except OSError as error:
            self.failed += 1
            return describe(send.upstream, error)
        self._queries.setdefault(send.exchange, []).append(query)
        return None

    def close(self, exchange: int) -> None:
        """Nobody waits for the replies to an exchange's messages any more."""
        for query in self._queries.pop(exchange, ()):
            if query.stream is not None:
                query.stream.abandon(query)

    def flush(self) -> None:
        """Send what was put on connections since the last time."""
        for stream in self._unflushed:
            stream.flush()
            self._watch(stream)
        self._unflushed.clear()

    def ready(self, descriptor: int, now: float) -> None:
        """A connection can be read or written; no other descriptor does harm. `take_arrivals` has what came."""
        stream = self._streams.get(descriptor)
        if stream is None:
            return
        replies: list[tuple[Query, bytes]] = []
        first = not stream.answered
        problem: OSError | WireError | None = None
        try:
            stream.ready(now, replies)
        except (OSError, WireError) as error:
            problem = error
        self._arrivals += [(query.send.exchange, query.send.attempt, wire, "") for query, wire in replies]
        if first and stream.answered and (session := stream.session) is not None:
            self._sessions[stream.upstream] = session
        if problem is None:
            self._watch(stream)
        else:
            self._fail(stream, problem)

    def expire(self, now: float) -> None:
        """Give up connections that were not made in time, and close those that are idle or old."""
        for stream in list(self._streams.values()):
            if not stream.established and now - stream.opened_at >= self._patience:
                self._fail(stream, TimeoutError("no connection in time"))
                continue
            if now - stream.opened_at >= MAX_AGE:
                stream.retired = True
            if not stream.waiting and (
                stream.retired or now - stream.used_at >= IDLE_TIMEOUT or self._stalled(stream, now)
            ):
                self._remove(stream)

    def take_arrivals(self, now: float) -> list[Arrival]:
        """What has come since the last time. What was lost is sent again first, where that is right."""
        lost, self._lost = self._lost, []
        for query in lost:
            self._send_again(query, now)
        self.flush()
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def close_all(self) -> None:
        """Close every connection, for good."""
        for stream in list(self._streams.values()):
            self._remove(stream)

    def _place(self, query: Query, fresh: bool, now: float) -> None:
        """Put a query on a connection; `fresh`: one that is not made yet.

        Raises:
            OSError: there is none, and none can be made.
        """
        streams = self._of_upstream.get(query.send.upstream, [])
        usable = [stream for stream in streams if self._takes(stream, query, now) and not (fresh and stream.connected)]
        best = min(usable, key=lambda stream: stream.waiting, default=None)
        if best is None or (best.waiting >= SPREAD and len(streams) < MAX_STREAMS):
            if len(streams) >= MAX_STREAMS:
                self._give_one_up(streams, now)
            try:
                best = self._connect(query.send.upstream, now)
            except OSError:
                if best is None:
                    raise
        best.put(query, now)
        self._unflushed.add(best)

    def _takes(self, stream: Stream, query: Query, now: float) -> bool:
        return (
            not stream.retired
            and query.id not in stream.outstanding
            and len(stream.outstanding) < MAX_OUTSTANDING
            and now - stream.opened_at < MAX_AGE
            and not self._stalled(stream, now)
        )

    def _stalled(self, stream: Stream, now: float) -> bool:
        return bool(stream.outstanding) and now - stream.silent_since >= self._patience

    def _give_one_up(self, streams: list[Stream], now: float) -> None:
        """Make room for a new connection, if one of these is silent and owes something."""
        stalled = [stream for stream in streams if self._stalled(stream, now)]
        if not stalled:
            raise OSError(TOO_MANY)
        self._fail(min(stalled, key=lambda stream: stream.silent_since), TimeoutError("connection is silent"))

    def _connect(self, upstream: Upstream, now: float) -> Stream:
        if not self._may_open():
            raise OSError(TOO_MANY)
        channel: Clear | Tls = Clear()
        if upstream.tls_name is not None:
            if self._context is None:
                raise OSError("TLS is not set up")
            channel = Tls(self._context, upstream.tls_name, self._sessions.get(upstream))
        stream = Stream(upstream, *to_sockaddr(upstream.host, upstream.port), channel, now)
        self.opened += 1
        self._streams[stream.fileno()] = stream
        self._of_upstream.setdefault(upstream, []).append(stream)
        stream.events = select.EPOLLIN | select.EPOLLOUT
        self._epoll.register(stream, stream.events)
        return stream

    def _watch(self, stream: Stream) -> None:
        events = select.EPOLLIN | (select.EPOLLOUT if stream.wants_to_write else 0)
        if events != stream.events:
            stream.events = events
            self._epoll.modify(stream, events)

    def _fail(self, stream: Stream, error: OSError | WireError) -> None:
        self._remove(stream)
        for query in stream.take_waiting():
            if not query.resent and (query.reused or stream.answered):
                self._lost.append(query)
            else:
                self._report(query, error)

    def _report(self, query: Query, error: OSError | WireError) -> None:
        self.failed += 1
        send = query.send
        self._arrivals.append((send.exchange, send.attempt, None, describe(send.upstream, error)))

    def _send_again(self, query: Query, now: float) -> None:
        if query.send.exchange not in self._queries:
            return  # it is over since
        if not self._spend(query.send.exchange):
            self._report(query, ConnectionError("connection lost"))
            return
        query.resent = True
        try:
            self._place(query, True, now)
        except OSError as error:
            self._report(query, error)
        else:
            self.resent += 1

    def _remove(self, stream: Stream) -> None:
        del self._streams[stream.fileno()]
        others = self._of_upstream[stream.upstream]
        others.remove(stream)
        if not others:
            del self._of_upstream[stream.upstream]
        self._unflushed.discard(stream)
        self.unmatched += stream.unmatched
        stream.close()  # which takes it off the epoll instance too


def describe(upstream: Upstream, error: OSError | WireError) -> str:
    """Who failed and why, for a log line."""
    return f"{upstream}: {explain(error) if isinstance(error, OSError) else error}"
