"""The two packet paths are fed the same and must do the same: as each other, and as gate and renderer of the core."""

from __future__ import annotations

import math
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hsdnsd.native._gate_py import is_special, read_question
from hsdnsd.native.contract import Table
from hsdnsd.wire.answer import Answer, build_answer, render
from hsdnsd.wire.const import AD, CD, RD
from hsdnsd.wire.name import Name
from hsdnsd.wire.query import Query, read_query_untrusted
from hsdnsd.wire.rrset import RRset, soa_rdata
from tests.support.twins import TWINS, Question, folded, opt, option, query

NAMES = tuple(folded(name) for name in ("a.example", "b.example", "www.a.example", "_http._tcp.web.example", "."))
OWNERS = (b"one", b"two")
QTYPES = (1, 28, 33, 65, 257)
SOA = RRset(folded("example"), 6, 30, (soa_rdata(NAMES[0], NAMES[1], 1, 2, 3, 4, 5),))

names = st.sampled_from(NAMES)
qtypes = st.sampled_from(QTYPES)


@st.composite
def answers(draw: st.DrawFn, name: Name) -> Answer:
    """Finished answers for `name`: addresses, also behind a CNAME, or a negative; some too long for a datagram."""
    ttl = draw(st.sampled_from((0, 1, 5, 300, 0x7FFFFFFF)))
    count = draw(st.integers(0, 6) | st.integers(25, 95))
    aa, fixed = draw(st.booleans()), draw(st.booleans())
    ede = draw(st.none() | st.integers(0, 65535))
    if count == 0:
        soa = [SOA] if draw(st.booleans()) else []
        return build_answer(name, draw(st.integers(0, 15)), (), soa, aa=aa, fixed=fixed, ede=ede)
    target = Name(b"\6target" + NAMES[0]) if draw(st.booleans()) else name
    rdatas = tuple(bytes([10, 0, 0, number]) for number in range(count))
    chain = [RRset(name, 5, 60, (target,))] if target != name else []
    glue = [RRset(folded("ns.example"), 1, 7, (bytes(4),))] if draw(st.booleans()) else []
    return build_answer(name, 0, [*chain, RRset(target, 1, ttl, rdatas)], (), glue, aa=aa, fixed=fixed, ede=ede)


@st.composite
def spelled(draw: st.DrawFn, name: Name) -> bytes:
    """A name in any case."""
    upper = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    octets = zip(name, upper, strict=True)
    return bytes(octet - 32 if raised and 97 <= octet <= 122 else octet for octet, raised in octets)


codes = st.sampled_from((3, 8, 10, 12, 11, 15, 65001))
options = st.lists(st.builds(option, codes, st.binary(max_size=12)), max_size=4).map(b"".join)
opts = st.just(b"") | st.builds(opt, st.integers(0, 65535), do=st.booleans(), options=options)
plain_flags = st.sampled_from((RD, RD | CD, RD | AD, 0, CD))


@st.composite
def queries(draw: st.DrawFn, name: Name | None = None) -> bytes:
    """Good queries for names that may be held."""
    wire = draw(spelled(draw(names) if name is None else name))
    return query(wire, draw(qtypes), id=draw(st.integers(0, 65535)), flags=draw(plain_flags), opt=draw(opts))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Queries with some octets changed, cut off, or put in."""
    wire = bytearray(draw(queries()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(wire) - 1))
        change = draw(st.sampled_from(("set", "bit", "cut", "insert", "append")))
        if change == "set":
            wire[at] = draw(st.integers(0, 255))
        elif change == "bit":
            wire[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del wire[max(at, 1) :]
        elif change == "insert":
            wire[at:at] = draw(st.binary(min_size=1, max_size=4))
        else:
            wire += draw(st.binary(min_size=1, max_size=4))
    return bytes(wire)


def full_tables() -> list[Table]:
    """Both twins, holding an answer for every name and type."""
    tables = [twin.Table() for twin in TWINS]
    for name in NAMES:
        for qtype in QTYPES:
            answer = build_answer(name, 0, [RRset(name, 1, 5, (bytes(4),))], aa=True, fixed=True)
            for key in range(4):
                for table in tables:
                    table.put(Question(name, qtype, bool(key & 1), bool(key & 2)), answer, 0.0)
    return tables


FULL = full_tables()


@settings(max_examples=800)
@given(damaged() | queries() | st.binary(max_size=80))
def test_nothing_is_answered_but_what_the_gate_lets_through(wire: bytes) -> None:
    compiled, pure = (table.answer(wire, 1.0) for table in FULL)
    assert compiled == pure
    plain = read_question(wire)
    if plain is None:
        assert compiled is None
    else:
        verdict = read_query_untrusted(wire)
        assert plain == verdict
        assert isinstance(verdict, Query)
        assert not is_special(verdict.qtype)
        assert not verdict.trailing
        assert not verdict.keepalive


class Key(NamedTuple):
    name: Name
    qtype: int
    do: bool
    cd: bool


class Held:
    """What the model knows of an entry."""

    def __init__(self, answer: Answer, made: float, expires: float, owner: bytes | None, refresh_at: float) -> None:
        self.answer = answer
        self.made = made
        self.expires = expires
        self.owner = owner
        self.refresh_at = refresh_at
        self.hits = 0


def distinct_owners(table: Table) -> bool:
    """Whether the owners of this test have a counter each in this table; they are hashed under a random key."""
    answer = build_answer(NAMES[0], 0)
    table.put(Question(NAMES[0]), answer, 0.0, 1.0, owner=OWNERS[0])
    table.drop(OWNERS[1])
    apart = table.answer(query(NAMES[0]), 0.5) is not None
    table.clear()
    return apart


class Model(RuleBasedStateMachine):
    """A table with room for everything, beside a dict and `render`."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[Table] = []
        for twin in TWINS:
            table = twin.Table()
            while not distinct_owners(table):
                table = twin.Table()
            self.tables.append(table)
        self.held: dict[Key, Held] = {}
        self.due: list[tuple[Name, int, bool, bool, int]] = []
        self.now = 1000.0

    @rule(
        data=st.data(),
        name=names,
        qtype=qtypes,
        do=st.booleans(),
        cd=st.booleans(),
        owner=st.sampled_from((None, *OWNERS)),
    )
    def put(self, data: st.DataObject, name: Name, qtype: int, do: bool, cd: bool, owner: bytes | None) -> None:
        answer = data.draw(answers(name))
        made = self.now - data.draw(st.sampled_from((0.0, 0.5, 20.0)))
        expires = made + data.draw(st.sampled_from((1.0, 30.0, math.inf)))
        refresh_at = data.draw(st.sampled_from((math.inf, made + 10.0)))
        for table in self.tables:
            table.put(Question(name, qtype, do, cd), answer, made, expires, owner=owner, refresh_at=refresh_at)
        self.held[Key(name, qtype, do, cd)] = Held(answer, made, expires, owner, refresh_at)

    @rule(owner=st.sampled_from(OWNERS))
    def drop(self, owner: bytes) -> None:
        for table in self.tables:
            table.drop(owner)
        self.held = {key: held for key, held in self.held.items() if held.owner != owner}

    @rule()
    def clear(self) -> None:
        for table in self.tables:
            table.clear()
        self.held.clear()

    @rule(seconds=st.floats(0.0, 15.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(wire=queries())
    def ask(self, wire: bytes) -> None:
        expected = self.expected(wire)
        assert [table.answer(wire, self.now) for table in self.tables] == [expected, expected]

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def ask_for_what_is_held(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        flags = RD | (CD if key.cd else 0)
        record = opt(data.draw(st.integers(0, 2000)), do=key.do) if key.do or data.draw(st.booleans()) else b""
        self.ask(query(data.draw(spelled(key.name)), key.qtype, flags=flags, opt=record))

    @rule()
    def take_due(self) -> None:
        for table in self.tables:
            assert table.due() == self.due[:64]
        del self.due[:]

    def expected(self, wire: bytes) -> bytes | None:
        asked = read_question(wire)
        if asked is None:
            return None
        key = Key(asked.name, asked.qtype, asked.do, asked.cd)
        held = self.held.get(key)
        if held is None or self.now >= held.expires:
            return None
        if not (asked.rd or held.answer.fixed):
            return None
        room = asked.udp_size - 12 - len(asked.question) - (11 if asked.has_opt else 0)
        if held.answer.ar and len(held.answer.body) > room:
            return None
        turn = held.hits
        held.hits += 1
        if self.now >= held.refresh_at and len(self.due) < 64:
            held.refresh_at = math.inf
            self.due.append((*key, held.hits))
        return render(held.answer, asked, asked.udp_size, int(self.now - held.made), turn)


class Crowded(RuleBasedStateMachine):
    """Tables with little room: what is pushed out must be the same, and the bounds be kept."""

    POSITIVE, NEGATIVE = 4000, 1500

    def __init__(self) -> None:
        super().__init__()
        self.tables = [twin.Table(self.POSITIVE, self.NEGATIVE) for twin in TWINS]
        self.now = 1000.0

    crowd = st.builds(lambda number: folded(f"{number}.example"), st.integers(0, 40))

    @rule(data=st.data(), name=crowd, lasts=st.sampled_from((1.0, 30.0, math.inf)), owned=st.booleans())
    def put(self, data: st.DataObject, name: Name, lasts: float, owned: bool) -> None:
        answer = data.draw(answers(name))
        for table in self.tables:
            table.put(Question(name), answer, self.now, self.now + lasts, owner=b"owner" if owned else None)

    @rule()
    def drop(self) -> None:
        for table in self.tables:
            table.drop(b"owner")

    @rule()
    def clear(self) -> None:
        for table in self.tables:
            table.clear()

    @rule(seconds=st.floats(0.0, 5.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=crowd)
    def ask(self, name: Name) -> None:
        compiled, pure = (table.answer(query(name, opt=opt()), self.now) for table in self.tables)
        assert compiled == pure

    @invariant()
    def same_and_bounded(self) -> None:
        compiled, pure = self.tables
        assert compiled.entries == pure.entries
        assert compiled.bytes_held == pure.bytes_held
        assert compiled.evictions == pure.evictions
        assert compiled.bytes_held[0] <= self.POSITIVE
        assert compiled.bytes_held[1] <= self.NEGATIVE


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, stateful_step_count=40)
TestCrowded = Crowded.TestCase
TestCrowded.settings = settings(max_examples=30, stateful_step_count=80)
