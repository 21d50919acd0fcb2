"""Whatever clients ask, upstreams say and time does, every client is answered once, and nothing is left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

import dns.message
import dns.rcode
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hsdnsd.cache.cache import Limits
from hsdnsd.engine.exchange import MAX_MESSAGES, ExchangeOptions, Send
from hsdnsd.engine.resolver import Bounds
from hsdnsd.engine.upstreams import Policy, Upstream
from hsdnsd.records.model import ServiceFact
from hsdnsd.wire.name import ROOT
from tests.support.lies import NAME, Asked
from tests.support.scripts import SCRIPTS
from tests.support.world import FIRST, SECOND, World, query, rcode, reply

OUTSIDE = (NAME, "b.example.com")
NAMES = (*OUTSIDE, "alias.db.svc.cluster.local", "postgres.db.svc.cluster.local")
# Few clients, and little room for them, so that limits are met too.
SOURCES = st.sampled_from(("192.0.2.100", "192.0.2.101"))
CODES = st.sampled_from(("SERVFAIL", "REFUSED", "FORMERR", "NXDOMAIN"))
LIES = sorted(SCRIPTS)
LEAST_LIMITS = Bounds(in_flight=3, waiters=3, per_client=4)


class Forwarding(RuleBasedStateMachine):
    """The model: how many clients wait, what upstreams have said of each name, and what each exchange has cost."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(
            [ServiceFact("db", "postgres", (bytes((10, 96, 0, 7)),)), ServiceFact("db", "alias", external_name=NAME)],
            upstreams=(FIRST, SECOND),
            bounds=LEAST_LIMITS,
            limits=Limits(success_bytes=2400, denial_bytes=1600, failure_bytes=1600),
            policy=Policy.ROUND_ROBIN,
            exchange=ExchangeOptions(),
        )
        self.asked: dict[Hashable, tuple[float, bytes]] = {}
        self.told = {"10.96.0.7", "10.96.0.8"}
        self.messages: Counter[int] = Counter()
        self.numbered = 0
        self.pending: list[Send] = []

    def collect(self) -> None:
        """What was sent since the last time."""
        for send in self.world.sent:
            self.messages[send.exchange] += 1
            self.pending.append(send)
        self.world.sent.clear()

    @rule(name=st.sampled_from(NAMES), upper=st.booleans(), source=SOURCES, tcp=st.booleans(), do=st.booleans())
    def ask(self, name: str, upper: bool, source: str, tcp: bool, do: bool = False) -> None:
        wire = query(name.upper() if upper else name, do=do)
        client = self.world.send(wire, source, tcp)
        self.asked[client] = self.world.now, wire
        self.collect()

    @precondition(lambda self: self.pending)
    @rule(which=st.integers(0), ttl=st.sampled_from((0, 1, 60)), keep=st.booleans())
    def answer(self, which: int, ttl: int, keep: bool) -> None:
        """The truth, which is another every time. `keep`: it may be said again."""
        send = self._take(which, keep)
        name = dns.message.from_wire(send.wire).question[0].name
        self.numbered = self.numbered % 250 + 1
        address = f"192.0.2.{self.numbered}"
        self.told.add(address)
        self.world.upstream(reply(send, f"{name} {ttl} A {address}"), send)
        self.collect()

    @precondition(lambda self: self.pending)
    @rule(which=st.integers(0), lie=st.sampled_from(LIES))
    def lie(self, which: int, lie: str) -> None:
        """Whatever a liar says at once."""
        send = self._take(which, True)
        wires = [said for said in SCRIPTS[lie].says(Asked(send.wire, send.tcp, 0)) if isinstance(said, bytes)]
        for wire in wires[:5]:
            self._remember(wire)
            self.world.upstream(wire, send)
        self.collect()

    @rule(name=st.sampled_from(OUTSIDE), source=SOURCES, lie=st.sampled_from(LIES))
    def lie_to_the_end(self, name: str, source: str, lie: str) -> None:
        """One question, and the same lie for as long as it is asked."""
        self.ask(name, False, source, False)
        for _ in range(2 * MAX_MESSAGES):
            if not self.pending:
                break
            self.lie(len(self.pending) - 1, lie)
            self.world.wait(0.1)
            self.collect()

    @rule(name=st.sampled_from(OUTSIDE), source=SOURCES, late=st.sampled_from((0.0, 0.5, 3.7)))
    def outlive(self, name: str, source: str, late: float) -> None:
        """What is known of a name is over, and it is asked again."""
        self.ask(name, False, source, False)
        if self.pending:
            self.answer(len(self.pending) - 1, 60, False)
        self.world.wait(61)
        self.ask(name, False, source, False)
        self.world.wait(late)
        self.collect()

    @precondition(lambda self: self.pending)
    @rule(which=st.integers(0), code=CODES, edns=st.booleans())
    def refuse(self, which: int, code: str, edns: bool) -> None:
        send = self._take(which, True)
        self.world.upstream(reply(send, rcode=code, edns=edns), send)
        self.collect()

    @precondition(lambda self: self.pending)
    @rule(which=st.integers(0))
    def unreachable(self, which: int) -> None:
        send = self._take(which, False)
        self.world.engine.upstream_failed(send.exchange, send.attempt, self.world.now)
        self.world._drain()
        self.collect()

    @rule(seconds=st.sampled_from((0.0, 0.01, 0.4, 1.2, 2.0, 61.0)))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)
        self.collect()

    @rule(last=st.sampled_from((7, 8)), goal=st.sampled_from((NAME, "b.example.com", "alias.db.svc.cluster.local")))
    def change(self, last: int, goal: str) -> None:
        """The cluster's records are others."""
        self.world.tell(ServiceFact("db", "postgres", (bytes((10, 96, 0, last)),)))
        self.world.tell(ServiceFact("db", "alias", external_name=goal))

    @rule(servers=st.sampled_from(((FIRST,), (SECOND,), (SECOND, FIRST))))
    def replace(self, servers: tuple[Upstream, ...]) -> None:
        """Other servers are asked from now on."""
        self.world.engine.replace_upstreams(ROOT, servers, self.world.now)

    @rule()
    def give_up(self) -> None:
        self.world.engine.give_up(self.world.now)
        self.world._drain()
        self.collect()
        assert not self.world.engine.in_flight
        assert set(self.world.replies) == set(self.asked)

    @invariant()
    def nobody_is_answered_twice_or_with_what_nobody_said(self) -> None:
        for client, replies in self.world.replies.items():
            (wire,) = replies
            _, asked = self.asked[client]
            message = dns.message.from_wire(wire)
            assert wire[:2] == asked[:2]
            assert wire[12:].startswith(asked[12 : asked.index(0, 12) + 5]), "spelled as it was asked"
            assert rcode(message) in ("NOERROR", "NXDOMAIN", "SERVFAIL")
            for rrset in message.answer:
                if rrset.rdtype == 1:
                    assert {rdata.to_text() for rdata in rrset} <= self.told

    @invariant()
    def nobody_waits_for_more_than_four_seconds(self) -> None:
        late = [began for client, (began, _) in self.asked.items() if client not in self.world.replies]
        assert all(self.world.now - began <= 4.0 + 1e-6 for began in late)

    @invariant()
    def an_exchange_costs_six_messages_at_most_and_is_closed_once(self) -> None:
        assert max(self.messages.values(), default=0) <= MAX_MESSAGES
        closed = Counter(self.world.closed)
        assert set(closed.values()) <= {1}
        assert set(closed) <= set(self.messages)
        assert len(self.messages) - len(closed) == self.world.engine.in_flight <= LEAST_LIMITS.in_flight

    @invariant()
    def caches_stay_within_their_budgets(self) -> None:
        for store in self.world.cache.stores.values():
            assert store.bytes <= store.limit

    def teardown(self) -> None:
        self.world.wait(5.0)
        self.collect()
        assert set(self.world.replies) == set(self.asked), "somebody was lost"
        assert self.world.engine.in_flight == 0
        assert set(self.world.closed) == set(self.messages)
        assert self.world.engine.next_deadline() is None
        assert not self.world.engine._resolver._per_source
        self.nobody_is_answered_twice_or_with_what_nobody_said()

    def _take(self, which: int, keep: bool) -> Send:
        place = which % len(self.pending)
        return self.pending[place] if keep else self.pending.pop(place)

    def _remember(self, wire: bytes) -> None:
        """Everything in it that is an address was said by an upstream of the name that it was asked for."""
        for address in ("192.0.2.53", "127.0.0.1", "10.96.0.7"):
            self.told.add(address)
        if wire[6:8] == b"\2\x58":  # the 600 records
            self.told |= {f"192.0.{number >> 8}.{number & 255}" for number in range(600)}


TestForwarding = Forwarding.TestCase
TestForwarding.settings = settings(max_examples=40, stateful_step_count=30)
