"""One client's question on its way to an answer that was not there at once."""

from __future__ import annotations

from collections.abc import Hashable

from hsdnsd.wire.const import MAX_MESSAGE
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query
from hsdnsd.wire.rrset import RRset

# Links of a chain that we follow by look-ups of our own, over own zones, cache and upstreams together.
MAX_LINKS = 8


class Lookup:
    """What has been found so far, and what it may still cost.

    Attributes:
        client: who gets the answer, opaque; source: address text, for limits and counters.
        start: folded name at which the chain begins: the question's, or what that is rewritten to.
        name: folded name at which the chain stands.
        answer: RRsets found along the chain.
        own: the chain begins in an own zone, so the answer is authoritative.
        links: links followed. budget: upstream messages that may still be sent. deadline: monotonic seconds.
        ede: what is to be said of an answer that is stale somewhere along the chain.
        truncated: an upstream's reply over UDP was truncated on the way.
    """

    __slots__ = (
        "answer", "budget", "client", "deadline", "ede", "links", "name", "own", "query", "source", "start",
        "started", "tcp", "truncated",
    )  # fmt: skip

    def __init__(
        self,
        query: Query,
        start: Name,
        client: Hashable,
        source: str,
        tcp: bool,
        started: float,
        deadline: float,
        budget: int,
    ) -> None:
        self.query = query
        self.client = client
        self.source = source
        self.tcp = tcp
        self.started = started
        self.deadline = deadline
        self.budget = budget
        self.start = start
        self.name = start
        self.answer: list[RRset] = []
        self.own = False
        self.links = 0
        self.truncated = False
        self.ede: int | None = None

    @property
    def limit(self) -> int:
        """Octets that the client takes."""
        return MAX_MESSAGE if self.tcp else self.query.udp_size

    def follow(self, target: Name) -> bool:
        """Go on at the target of a CNAME; False if the chain is too long or comes back to where it was."""
        self.links += 1
        if self.links > MAX_LINKS or target in {rrset.name.lower() for rrset in self.answer}:
            return False
        self.name = target
        return True
