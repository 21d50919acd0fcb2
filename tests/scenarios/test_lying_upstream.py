"""What comes of each lie of an upstream: for the client, for the upstream, and for whoever asks next.

`TABLE` is the verdict on every script of `tests.support.liar`. Each is tried on real sockets with time-outs made short,
and in a world with a clock of its own with those that the daemon has; by a client over UDP and one over TCP, over UDP
and over TCP towards the upstream, with nothing in the cache and with an answer whose time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.cache.store import Key
from hsdnsd.config import Tcp
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.exchange import MAX_MESSAGES, ExchangeOptions, Send
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.upstreams import Forwards, Upstream
from hsdnsd.native import Table as Finished
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.net.upstream import Exchanges
from hsdnsd.records.model import ServiceFact, Upserted
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.answer import build_answer
from hsdnsd.wire.name import ROOT, from_text
from hsdnsd.wire.rrset import RRset
from tests.support.liar import (
    FALSE,
    LOCAL,
    LOCAL_ADDRESS,
    NAME,
    SCRIPTS,
    TTL,
    VICTIM,
    Action,
    Asked,
    Elsewhere,
    End,
    Liar,
    Script,
    Stream,
    Wait,
    framed,
    lying,
    silent,
)
from tests.support.net import UdpClient, at, connected, run
from tests.support.world import World, query, reply

# What was known before, in the tests with something stale.
OLD: Final = bytes((192, 0, 2, 99))
# Octets that are read of a datagram.
DATAGRAM: Final = 4096


class Said(NamedTuple):
    """What a client is told: `name type rdata` of the answer section, or how many records, in whatever order.

    Attributes:
        large: a client over UDP is told that it is truncated instead.
    """

    rcode: str
    records: tuple[str, ...] | int = ()
    large: bool = False


@dataclass(frozen=True)
class Row:
    """The verdict on a script.

    Attributes:
        cold: with nothing in the cache. stale: with an answer whose time is over.
        udp, tcp: messages for the one question, at most.
        kept: whether who asks next is answered without the upstream; None: it is a failure, or there is more to say.
        stream: what a client is told if the upstream is asked over TCP alone, with nothing in the cache and with
            something stale; None: the same.
    """

    cold: Said
    stale: Said
    udp: int
    tcp: int = 0
    kept: bool | None = None
    stream: tuple[Said, Said] | None = None


def _chain(links: int, spelled: str = "link{}.example.com.") -> Said:
    names = ["www.example.com.", *(spelled.format(number) for number in range(links))]
    aliases = [f"{owner} CNAME {target}" for owner, target in itertools.pairwise(names)]
    return Said("NOERROR", (*aliases, f"{names[-1]} A 192.0.2.53"))


TRUTH = Said("NOERROR", ("www.example.com. A 192.0.2.53",))
FAILED = Said("SERVFAIL")
KNOWN = Said("NOERROR", ("www.example.com. A 192.0.2.99",))
NODATA = Said("NOERROR")
NXDOMAIN = Said("NXDOMAIN")


def good(said: Said = TRUTH, udp: int = 1, tcp: int = 0, *, kept: bool = True) -> Row:
    """The answer, whatever was known before."""
    return Row(said, said, udp, tcp, kept)


def failed(udp: int, tcp: int = 0) -> Row:
    """No answer but what was known before."""
    return Row(FAILED, KNOWN, udp, tcp)


def waited_for(stream: tuple[Said, Said] | None = (FAILED, KNOWN)) -> Row:
    """The right answer that comes after something else. It may come over TCP as well, where it is asked for then.

    On a stream nobody from outside can say anything: there it is the server that has gone wrong, and nothing is waited
    for (but what has another message's id is).
    """
    return Row(TRUTH, TRUTH, 2, 1, True, stream)


def late(udp: int, tcp: int = 0) -> Row:
    """The answer, but not in time for whoever can have something older."""
    return Row(TRUTH, KNOWN, udp, tcp)


# Against section 2.5 of the note on reliability, and the `must` rows of its section 1.1 that are about replies.
TABLE: Final[dict[str, Row]] = {
    "honest": good(),
    # A reply that doesn't match source, id and question is dropped, and the wait goes on.
    "wrong id": waited_for(None),
    "wrong qname": waited_for(),
    "shorter qname": waited_for(),
    "wrong qtype": waited_for(),
    "wrong qclass": waited_for(),
    "no question": waited_for(),
    "two questions": waited_for(),
    "QR is 0": waited_for(),
    "opcode 2": waited_for(),
    "four octets": waited_for(),
    "nothing": waited_for(),
    "header only": waited_for(),
    "header only, SERVFAIL": waited_for(),
    "header that promises a question": waited_for(),
    "from another port": good(),
    "wrong id for ever, right over TCP": good(TRUTH, 1, 1),
    "wrong id for ever, TCP silent": failed(3, 1),
    "wrong id for ever, TCP refused": failed(3, 1),
    "hundred wrong ids": waited_for(None),
    "qname in capitals": good(),
    # Malformed behind the right question: SERVFAIL, three messages at most.
    "RDLENGTH 3 for A": failed(3),
    "RDLENGTH 5 for A": failed(3),
    "RDLENGTH past the end": failed(3),
    "pointer to itself": failed(3),
    "pointer loop": failed(3),
    "pointer forward": failed(3),
    "pointer into the header": failed(3),
    "ANCOUNT 5, one record": failed(3),
    "ANCOUNT 65535": failed(3),
    "OPT in the answer": failed(3),
    "OPT in the authority": failed(3),
    "two OPT": failed(3),
    "OPT with an owner": failed(3),
    "name of 256 octets": failed(3),
    "label type 0x40": failed(3),
    "CNAME cut off by RDLENGTH": failed(3),
    "CNAME shorter than RDLENGTH": failed(3),
    # No answer to this question.
    "owned by another name": failed(1),
    "another type": failed(1),
    "class CH": failed(1),
    "referral": failed(1),
    "CNAME to itself": failed(1),
    "CNAME loop": failed(1),
    "17 CNAMEs": failed(1),
    # Bailiwick: nothing but the answer is believed, given to anybody, or kept.
    "victim in the answer": good(),
    "victim before the answer": good(),
    "victim in the authority": good(),
    "victim in the additional": good(),
    "answer of class CH beside": good(),
    "cluster's name in the additional": good(),
    "trailing octets": good(),
    "trailing answer": good(),
    # What the cluster answers is answered by the cluster, wherever a chain comes from.
    "CNAME into the cluster": good(
        Said("NOERROR", ("www.example.com. CNAME postgres.db.svc.cluster.local.", f"{LOCAL}. A 10.96.0.7"))
    ),
    "CNAME to what the cluster has not": good(Said("NXDOMAIN", ("www.example.com. CNAME gone.db.svc.cluster.local.",))),
    # Header bits and OPT are hop by hop.
    "Z": good(),
    "AA": good(),
    "AD": good(),
    "every bit": good(),
    "options in the OPT": good(),
    "unasked OPT": good(),
    "private address": good(Said("NOERROR", ("www.example.com. A 127.0.0.1",))),
    # TTLs; see `TTLS` too.
    "TTL with the high bit": good(kept=False),
    "TTL 0": good(kept=False),
    "mixed TTLs": good(Said("NOERROR", ("www.example.com. A 10.96.0.7", "www.example.com. A 192.0.2.53"))),
    "TTL of 68 years": good(),
    # Chains: 16 links in one message, 8 that are looked up.
    "16 CNAMEs": good(_chain(16)),
    "CNAMEs packed backwards": good(_chain(5)),
    "CNAME only": good(Said("NOERROR", ("www.example.com. CNAME b.example.com.", "b.example.com. A 192.0.2.53")), 2),
    "CNAME only, without end": Row(FAILED, FAILED, 6),
    "name of 255 octets": good(Said("NOERROR", 2), 2),
    # Denials. One without SOA is passed on and not kept.
    "NXDOMAIN": good(NXDOMAIN),
    "NXDOMAIN without SOA": good(NXDOMAIN, kept=False),
    "NXDOMAIN with another zone's SOA": good(NXDOMAIN, kept=False),
    "NXDOMAIN with data": good(),
    "NODATA": good(NODATA),
    "NODATA without SOA": good(NODATA, kept=False),
    "NODATA with two SOA": good(NODATA),
    # Refusals: the same server is not asked again.
    "SERVFAIL": failed(1),
    "SERVFAIL with an answer": failed(1),
    "REFUSED": failed(1),
    "NOTIMP": failed(1),
    "YXDOMAIN": failed(1),
    "rcode 15": failed(1),
    "FORMERR to EDNS": good(TRUTH, 2),
    "NOTIMP to EDNS": good(TRUTH, 2),
    "FORMERR to everything": failed(2),
    "FORMERR with an OPT": failed(1),
    "BADVERS": failed(1),
    "silent to EDNS": failed(3),
    # Silence.
    "silent": failed(3),
    "silent, TCP refused": failed(3),
    "first message lost": late(2),
    "slow by 0.7 s": late(1),
    "slow by 1.4 s": late(2),
    "twice": good(),
    "false after the truth": good(),
    # Truncation: one try over TCP.
    "TC": good(TRUTH, 1, 1),
    "TC with a false body": good(TRUTH, 1, 1),
    "TC, TCP refused": failed(3, 1),
    "TC, TCP silent": failed(3, 1),
    "TC over TCP too": failed(3, 1),
    # Size. More over UDP than we said that we take is asked for over TCP (no fragment is believed).
    "1400 octets": good(Said("NOERROR", 6, large=True), 1, 1),
    "4000 octets": good(Said("NOERROR", 18, large=True), 1, 1),
    "5000 octets over UDP": good(Said("NOERROR", 23, large=True), 1, 1),
    "60000 octets over TCP": good(Said("NOERROR", 281, large=True), 1, 1),
    "600 records": good(Said("NOERROR", 600, large=True), 1, 1),
    "unknown type": good(Said("NOERROR", 1)),
    "binary labels": good(
        Said("NOERROR", ("www.example.com. CNAME \\000\\255\\.\\\\.", "\\000\\255\\.\\\\. A 192.0.2.53"))
    ),
    # Streams.
    "reset in the middle": failed(3, 2),
    "closed in the middle": failed(3, 2),
    "closed at once": failed(3, 2),
    "silent in the middle": failed(3, 1),
    "octet by octet": good(TRUTH, 1, 1),
    "another question's reply first": good(TRUTH, 1, 1),
    "empty message first": failed(3, 2),
}

# Seconds for which the answer is said to be good, by script.
TTLS: Final = {"TTL with the high bit": 0, "TTL 0": 0, "mixed TTLs": 60, "TTL of 68 years": 86400, "honest": TTL}

# On real sockets a second of the scripts, and of the daemon's time-outs, takes so long.
PACE = 0.35
DEADLINE, ATTEMPT_TIMEOUT, STALE_AFTER = 4.0 * PACE, 1.2 * PACE, 0.4 * PACE


class Way(NamedTuple):
    """How a case is tried."""

    client_tcp: bool
    upstream_tcp: bool
    stale: bool

    def __str__(self) -> str:
        client, upstream = ("over TCP" if tcp else "over UDP" for tcp in (self.client_tcp, self.upstream_tcp))
        return f"client {client}, upstream {upstream}, " + ("something stale" if self.stale else "nothing known")

    def verdict(self, row: Row) -> Said:
        cold, stale = (row.stream if self.upstream_tcp else None) or (row.cold, row.stale)
        return stale if self.stale else cold


WAYS: Final = [
    Way(client_tcp, upstream_tcp, stale)
    for upstream_tcp, client_tcp, stale in itertools.product((False, True), repeat=3)
]


def test_every_script_has_its_verdict() -> None:
    assert set(TABLE) == set(SCRIPTS)


# On real sockets.


class Case:
    """A daemon's DNS side, and a liar as its only upstream."""

    def __init__(self, script: Script, way: Way, liar: Liar, where: tuple[str, int]) -> None:
        self.way = way
        self.liar = liar
        self.qtype = dns.rdatatype.RdataType.make(script.qtype)
        options = ZoneOptions(zone=from_text("cluster.local"))
        records = Table(options)
        records.apply(Upserted(ServiceFact("db", "postgres", (LOCAL_ADDRESS,))), unix_time=1)
        self.cache = Cache(Limits())
        if way.stale:
            remember(self.cache, monotonic() - 60)
        self.finished = Finished()
        self.engine = Engine(
            Zone(options, records),
            Forwards({ROOT: [Upstream(*where)]}),
            self.cache,
            self.finished,
            Counters(),
            os.urandom,
            bounds=Bounds(deadline=DEADLINE, stale_after=STALE_AFTER),
            exchange=ExchangeOptions(attempt_timeout=ATTEMPT_TIMEOUT, force_tcp=way.upstream_tcp),
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Listeners]:
        exchanges = Exchanges(connect_timeout=ATTEMPT_TIMEOUT, spend=self.engine.spend)
        async with open_listeners(
            ("127.0.0.1:0",), Tcp(), self.engine, self.finished, exchanges=exchanges
        ) as self.listeners:
            yield self.listeners
            assert self.listeners.driver.crashes == 0
            assert self.listeners.driver.pending == 0

    async def ask(self, name: str, qtype: str = "A", *, own: bool = False) -> dns.message.Message:
        """Ask as this case's client does; the reply has been found to be one. `own`: it is the cluster's."""
        asked = dns.message.make_query(name, qtype, use_edns=0, payload=1232)
        async with asyncio.timeout(4):
            if self.way.client_tcp:
                async with connected(at(self.listeners)) as client:
                    client.send(asked.to_wire())
                    wire = await client.receive()
            else:
                with UdpClient() as client:
                    client.send(asked.to_wire(), at(self.listeners))
                    wire, _ = await client.receive()
        return checked(asked, wire, own=own)

    async def settled(self) -> None:
        """Wait until nothing is in flight; then no socket but warm connections may be open."""
        for _ in range(200):
            if not self.engine.in_flight:
                break
            await asyncio.sleep(DEADLINE / 50)
        exchanges = self.listeners.exchanges
        assert self.engine.in_flight == 0
        assert len(exchanges) == len(exchanges.pool)
        assert exchanges.by_id == {}


def remember(cache: Cache, now: float) -> None:
    """NAME has had an address for a second."""
    for qtype in {script.qtype for script in SCRIPTS.values()}:
        records = [RRset(from_text(NAME), qtype, 1, (OLD if qtype == 1 else b"\3old",))]
        cache.put(Key(from_text(NAME), qtype, False, False, 0), build_answer(from_text(NAME), 0, records), 1, now)


def checked(asked: dns.message.Message, wire: bytes, *, own: bool = False) -> dns.message.Message:
    """The reply to a query: there is nothing of the upstream's header or OPT in it."""
    reply = dns.message.from_wire(wire)
    assert asked.is_response(reply)
    authoritative = dns.flags.AA if own else 0
    assert reply.flags & ~dns.flags.TC & 0xFFF0 == dns.flags.QR | dns.flags.RD | dns.flags.RA | authoritative
    assert {option.otype for option in reply.options} <= {15}, "nothing but EDE"
    assert reply.payload == 1232
    assert FALSE not in wire
    return reply


def records(message: dns.message.Message) -> tuple[str, ...]:
    return tuple(
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {text}"
        for rrset in message.answer
        for text in sorted(rdata.to_text() for rdata in rrset)
    )


def expect(message: dns.message.Message, said: Said, client_tcp: bool) -> None:
    """The reply tells a client just this."""
    got = records(message)
    assert dns.rcode.to_text(message.rcode()) == said.rcode, str(got)[:200]
    truncated = bool(message.flags & dns.flags.TC)
    assert truncated == (said.large and not client_tcp)
    if not truncated:
        assert said.records in (got, len(got)), str(got)[:200]


def stale_said(said: Said, qtype: int) -> Said:
    """KNOWN, for a type other than A."""
    return Said("NOERROR", 1) if said is KNOWN and qtype != 1 else said


def sent_by_us(asked: list[Asked]) -> None:
    """Every message to the upstream is ours from header to OPT, whatever the client's was, and has an id of its own."""
    for message in asked:
        assert message.wire[2:10] == bytes.fromhex("0100000100000000")
        rest = message.wire[12 + len(message.question) :]
        assert rest in (b"", bytes.fromhex("00002904d0000000000000"))


async def try_on_sockets(script: Script, row: Row, way: Way) -> None:
    async with lying(script, PACE) as (liar, where):
        case = Case(script, way, liar, where)
        async with case.serving():
            began = monotonic()
            message = await case.ask(NAME, case.qtype.name if script.qtype in (1, 16) else f"TYPE{script.qtype}")
            took = monotonic() - began
            said = stale_said(way.verdict(row), script.qtype)
            expect(message, said, way.client_tcp)
            assert took < 2 * DEADLINE, f"{took:.3f} s"
            if way.verdict(row) is not FAILED:
                assert took < DEADLINE, f"{took:.3f} s"
            await case.settled()
            asked = list(liar.asked)
            sent_by_us(asked)
            assert len(asked) <= MAX_MESSAGES
            if not way.upstream_tcp:
                assert sum(not each.tcp for each in asked) <= row.udp
                assert sum(each.tcp for each in asked) <= row.tcp

            # Whatever it was, nothing false of it is left, and the daemon goes on.
            for store in case.cache.stores.values():
                for key, entry in store.items():
                    assert key.name != from_text(VICTIM)
                    assert FALSE not in entry.answer.body
            liar.repent()
            again = await case.ask(NAME, case.qtype.name if script.qtype in (1, 16) else f"TYPE{script.qtype}")
            if row.kept is not None and way.verdict(row) in (row.cold, row.stale):
                assert (len(liar.asked) == len(asked)) is row.kept
                if row.kept:
                    expect(again, said, way.client_tcp)
            local = await case.ask(LOCAL, own=True)
            assert records(local) == (f"{LOCAL}. A 10.96.0.7",)
            if script.tcp or not way.upstream_tcp:
                victim = await case.ask(VICTIM)
                assert records(victim) == (f"{VICTIM}. A 192.0.2.53",)
            await case.settled()


@pytest.mark.parametrize("script", SCRIPTS)
def test_on_real_sockets(script: str) -> None:
    async def main() -> None:
        ends = await asyncio.gather(
            *(try_on_sockets(SCRIPTS[script], TABLE[script], way) for way in WAYS), return_exceptions=True
        )
        problems = {way: end for way, end in zip(WAYS, ends, strict=True) if end is not None}
        for way, problem in problems.items():
            problem.add_note(str(way))
        if problems:
            raise ExceptionGroup(script, [problem for problem in problems.values() if isinstance(problem, Exception)])

    run(main())


# With a clock of its own.


def play(world: World, script: Script, seconds: float) -> list[Asked]:
    """Let the upstream do as the script says to every message, for so long; the messages."""
    asked: list[Asked] = []
    events: list[tuple[float, int, Send, Action]] = []
    order = itertools.count()
    streams: dict[tuple[int, int], bytearray] = {}
    ended: set[tuple[int, int]] = set()
    end = world.now + seconds
    while True:
        while world.sent:
            send = world.sent.pop(0)
            if send.tcp and not script.tcp:
                world.engine.upstream_failed(send.exchange, send.attempt, world.now)
                world._drain()
                asked.append(Asked(send.wire, True, len(asked)))
                continue
            asked.append(Asked(send.wire, send.tcp, len(asked)))
            when = world.now
            for action in script.says(asked[-1]):
                if isinstance(action, Wait):
                    when += action.seconds
                else:
                    heapq.heappush(events, (when, next(order), send, action))
        when = events[0][0] if events else end
        deadline = world.engine.next_deadline()
        if deadline is not None and deadline < when:
            when = deadline
        if when >= end:
            break
        world.wait(max(0.0, when - world.now))
        while events and events[0][0] <= world.now:
            _, _, send, action = heapq.heappop(events)
            attempt = send.exchange, send.attempt
            if not send.tcp and isinstance(action, bytes):
                world.upstream(action[:DATAGRAM], send)
            if not send.tcp or attempt in ended or isinstance(action, Elsewhere | Wait):
                continue
            stream = streams.setdefault(attempt, bytearray())
            if isinstance(action, bytes | Stream):
                stream += framed(action) if isinstance(action, bytes) else action.octets
            while len(stream) >= 2 and attempt not in ended:
                size = int.from_bytes(stream[:2])
                if not size:
                    ended.add(attempt)
                if len(stream) < 2 + size:
                    break
                wire = bytes(stream[2 : 2 + size])
                del stream[: 2 + size]
                if wire[:2] == send.wire[:2]:
                    world.upstream(wire, send)
            if isinstance(action, End) or attempt in ended:
                ended.add(attempt)
                world.engine.upstream_failed(*attempt, world.now)
                world._drain()
    world.wait(max(0.0, end - world.now))
    return asked


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("script", SCRIPTS)
def test_with_the_time_outs_that_the_daemon_has(script: str, way: Way) -> None:
    row, lie = TABLE[script], SCRIPTS[script]
    world = World(
        [ServiceFact("db", "postgres", (LOCAL_ADDRESS,))], exchange=ExchangeOptions(force_tcp=way.upstream_tcp)
    )
    if way.stale:
        remember(world.cache, world.now - 60)
    rtype = {1: "A", 16: "TXT"}.get(lie.qtype, f"TYPE{lie.qtype}")
    asked = dns.message.from_wire(query(NAME, rtype))
    client = world.send(asked.to_wire(), tcp=way.client_tcp)
    messages = play(world, lie, 4.01)
    (wire,) = world.replies[client]
    reply = checked(asked, wire)
    said = stale_said(way.verdict(row), lie.qtype)
    expect(reply, said, way.client_tcp)
    sent_by_us(messages)
    assert len(messages) <= MAX_MESSAGES
    assert world.engine.in_flight == 0
    assert len(world.closed) == len(set(world.closed))
    world.wait(30)
    assert not world.sent
    assert world.engine.next_deadline() is None
    for store in world.cache.stores.values():
        assert all(FALSE not in entry.answer.body for _, entry in store.items())


@pytest.mark.parametrize(("script", "ttl"), TTLS.items())
def test_how_long_an_answer_is_said_to_be_good(script: str, ttl: int) -> None:
    world = World()
    client = world.ask(NAME)
    play(world, SCRIPTS[script], 1)
    assert {rrset.ttl for rrset in world.reply_to(client).answer} == {ttl}


def test_the_wait_ends_while_tcp_is_being_tried() -> None:
    world = World()
    client = world.ask(NAME)
    play(world, SCRIPTS["TC, TCP silent"], 3)
    assert dns.rcode.to_text(world.reply_to(client).rcode()) == "SERVFAIL"


def test_a_silent_upstream_is_waited_for_for_four_seconds_at_most_and_something_stale_comes_after_400_ms() -> None:
    world = World()
    remember(world.cache, world.now - 60)
    stale, cold = world.ask(NAME), world.ask(VICTIM)
    play(world, Script(silent), 0.41)
    assert list(world.replies) == [stale]
    play(world, Script(silent), 3.59)
    assert cold in world.replies


@pytest.mark.xfail(strict=True, reason="the wait for an exchange that began later has no end of its own")
def test_four_seconds_hold_along_a_chain_that_joins_who_asked_later() -> None:
    world = World()
    first = world.ask("a.example.com")
    (asked,) = world.sent
    world.wait(3.4)
    world.ask("b.example.com")
    world.wait(0.1)
    world.upstream_says("a.example.com. 60 CNAME b.example.com.", send=asked)
    world.wait(0.5)
    assert first in world.replies


@pytest.mark.xfail(strict=True, reason="what matches over UDP is believed though somebody is guessing")
def test_once_somebody_guesses_tcp_has_the_say() -> None:
    world = World()
    client = world.ask(NAME)
    udp = world.sent.pop()
    world.upstream(reply(udp, id=0x4242), udp)
    (tcp,) = world.sent
    world.upstream(reply(udp, f"{NAME}. 300 A 203.0.113.66"), udp)
    world.upstream_says(f"{NAME}. 300 A 192.0.2.53", send=tcp)
    assert records(world.reply_to(client)) == TRUTH.records
