"""An engine with everything around it in memory: the test is the client, the upstream, the cluster and the clock."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Hashable, Iterable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.cache.policy import TtlLimits
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.exchange import ExchangeOptions, Send
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.route import LocalOptions
from hsdnsd.engine.upstreams import CLUSTER, Forwards, Policy, Upstream
from hsdnsd.records.model import Fact, Kind, Replaced, Upserted
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.answer import Answer
from hsdnsd.wire.name import ROOT, Name, from_text
from hsdnsd.wire.query import Question

FIRST = Upstream("192.0.2.1", 53)
SECOND = Upstream("192.0.2.2", 53)

_Key = tuple[Name, int, bool, bool]


class Finished:
    """Stands where the packet path's table stands, and remembers what it was given."""

    def __init__(self) -> None:
        self.held: dict[_Key, tuple[Answer, float, bytes | None]] = {}
        self.gave: Counter[_Key] = Counter()  # what tests say it has
        self.ready: dict[bytes, bytes] = {}
        self.cleared = 0
        self.wanted: list[tuple[Name, int, bool, bool, int]] = []

    def put(
        self,
        question: Question,
        answer: Answer,
        made: float,
        expires: float = float("inf"),
        *,
        owner: bytes | None = None,
        refresh_at: float = float("inf"),
    ) -> None:
        key = (question.name, question.qtype, question.do, question.cd)
        self.held[key] = (answer, expires, owner)
        del self.gave[key]

    def due(self) -> list[tuple[Name, int, bool, bool, int]]:
        due, self.wanted = self.wanted, []
        return due

    def drop(self, owner: bytes) -> None:
        self.held = {key: value for key, value in self.held.items() if value[2] != owner}

    def given(self, question: Question) -> int:
        return self.gave[question.name, question.qtype, question.do, question.cd]

    def answer(self, wire: bytes, now: float) -> bytes | None:
        """Whoever asks the engine is not answered from here, but where a test has put a reply."""
        return self.ready.get(wire)

    def clear(self) -> None:
        self.held.clear()
        self.cleared += 1


class World:
    """One daemon's core, and all that it can see.

    Time stands still until `wait` moves it. Messages to upstreams pile up in `sent` until the test answers them.
    """

    def __init__(
        self,
        facts: Iterable[Fact] = (),
        upstreams: Iterable[Upstream] = (FIRST,),
        stubs: dict[str, list[Upstream]] | None = None,
        options: ZoneOptions | None = None,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
        ttls: TtlLimits | None = None,
        exchange: ExchangeOptions | None = None,
        policy: Policy = Policy.SEQUENTIAL,
        max_fails: int = 3,
        local: LocalOptions | None = None,
        cluster_dns: Iterable[Upstream] = (),
    ) -> None:
        self.now = 1000.0
        options = options or ZoneOptions(zone=from_text("cluster.local"))
        self.table = Table(options)
        self.counters = Counters()
        self.finished = Finished()
        self.cache = Cache(limits or Limits())
        servers = list(upstreams)
        self.picks: list[int] = []
        cluster = {CLUSTER: list(cluster_dns)} if cluster_dns else {}
        zones = {from_text(name): asked for name, asked in (stubs or {}).items()}
        self.engine = Engine(
            Zone(options, self.table),
            Forwards({**({ROOT: servers} if servers else {}), **zones, **cluster}, policy, self._pick, max_fails),
            self.cache,
            self.finished,
            self.counters,
            self._entropy,
            bounds=bounds,
            ttls=ttls,
            exchange=exchange,
            local=local,
            coredns=options.coredns,
        )
        self.sent: list[Send] = []
        self.closed: list[int] = []
        self.deafened: list[int] = []
        self.replies: dict[Hashable, list[bytes]] = {}
        self._clients = itertools.count(1)
        self._blocks = itertools.count()
        for fact in facts:
            self.tell(fact)

    def _entropy(self, size: int) -> bytes:
        return hashlib.shake_128(next(self._blocks).to_bytes(8, "big")).digest(size)

    def _pick(self, below: int) -> int:
        return self.picks.pop(0) % below if self.picks else 0

    def tell(self, fact: Fact) -> None:
        """The cluster has this object."""
        self.engine.records_changed(self.table.apply(Upserted(fact), unix_time=int(self.now)), self.now)

    def sync(self, *kinds: Kind) -> None:
        """The cluster was listed, and has nothing of these kinds."""
        for kind in kinds:
            self.engine.records_changed(self.table.apply(Replaced(kind, ()), unix_time=int(self.now)), self.now)

    def send(self, wire: bytes, source: str = "192.0.2.100", tcp: bool = False) -> Hashable:
        """A client sends octets; its number is returned, its replies are in `replies`."""
        client = next(self._clients)
        reply = self.engine.query(wire, client, source, tcp, self.now)
        if reply is not None:
            self.replies.setdefault(client, []).append(reply)
        self._drain()
        return client

    def ask(
        self, name: str, rtype: str = "A", *, tcp: bool = False, source: str = "192.0.2.100", **how: object
    ) -> Hashable:
        """A client asks; keywords as of `query`."""
        return self.send(query(name, rtype, **how), source, tcp)

    def reply_to(self, client: Hashable) -> dns.message.Message:
        """The one reply that a client got."""
        (wire,) = self.replies[client]
        return dns.message.from_wire(wire)

    def answer(self, name: str, rtype: str = "A", **how: object) -> dns.message.Message:
        """Ask, and get the reply that comes at once."""
        return self.reply_to(self.ask(name, rtype, **how))

    def upstream(self, wire: bytes, send: Send) -> None:
        """Octets arrive on the socket of a message that was sent."""
        self.engine.upstream_reply(send.exchange, send.attempt, wire, self.now)
        self._drain()

    def upstream_says(self, text: str = "", *, send: Send | None = None, **how: object) -> None:
        """The upstream answers the oldest message not yet answered (or `send`); keywords as of `reply`."""
        send = send or self.sent.pop(0)
        self.upstream(reply(send, text, **how), send)

    def upstream_refuses(self) -> None:
        """The oldest message not yet answered comes back as unreachable."""
        send = self.sent.pop(0)
        self.engine.upstream_failed(send.exchange, send.attempt, self.now)
        self._drain()

    def wait(self, seconds: float) -> None:
        """Time goes by, with every deadline met on the way."""
        end = self.now + seconds
        while (deadline := self.engine.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.engine.deadline_passed(self.now)
            self._drain()
        self.now = end

    def _drain(self) -> None:
        self.sent += self.engine.sends
        self.engine.sends.clear()
        self.closed += self.engine.closes
        self.engine.closes.clear()
        self.deafened += self.engine.deafened
        self.engine.deafened.clear()
        for client, octets in self.engine.replies:
            self.replies.setdefault(client, []).append(octets)
        self.engine.replies.clear()


def query(
    name: str,
    rtype: str = "A",
    *,
    edns: bool = True,
    do: bool = False,
    rd: bool = True,
    cd: bool = False,
    size: int = 1232,
) -> bytes:
    """A client's query."""
    message = dns.message.make_query(name, rtype, use_edns=0 if edns else False, want_dnssec=do, payload=size)
    message.flags = (dns.flags.RD if rd else 0) | (dns.flags.CD if cd else 0)
    return message.to_wire()


def reply(
    send: Send,
    answer: str = "",
    *,
    authority: str = "",
    additional: str = "",
    rcode: str = "NOERROR",
    tc: bool = False,
    edns: bool = True,
    id: int | None = None,
    question: str | None = None,
) -> bytes:
    """An upstream's reply to a message of ours; sections are lines of zone-file text with absolute names."""
    asked = dns.message.from_wire(send.wire)
    message = dns.message.make_response(asked, recursion_available=True)
    message.use_edns(0 if edns and asked.edns >= 0 else False, payload=1232)
    if id is not None:
        message.id = id
    if question is not None:
        message.question = [dns.rrset.RRset(dns.name.from_text(question), 1, asked.question[0].rdtype)]
    message.set_rcode(dns.rcode.from_text(rcode))
    if tc:
        message.flags |= dns.flags.TC
    for section, text in ((message.answer, answer), (message.authority, authority), (message.additional, additional)):
        for line in filter(None, (line.strip() for line in text.splitlines())):
            name, ttl, rtype, rdata = line.split(None, 3)
            section.append(dns.rrset.from_text(name, int(ttl), "IN", rtype, rdata))
    return message.to_wire(max_size=65535)


def records(message: dns.message.Message, section: str = "answer") -> list[str]:
    """The records of a section as lines `name ttl type rdata`, in order."""
    return [
        f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}"
        for rrset in getattr(message, section)
        for rdata in rrset
    ]


def rcode(message: dns.message.Message) -> str:
    """The response code's name."""
    return dns.rcode.to_text(message.rcode())


def ede(message: dns.message.Message) -> int | None:
    """The info code of the Extended DNS Error, if there is one."""
    codes = [int(option.code) for option in message.options if option.otype == 15]
    return codes[0] if codes else None
