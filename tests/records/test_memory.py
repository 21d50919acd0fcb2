"""hsdnsd.records.memory: what a table recalls answers as what it was told."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.records.endpoints import boil_down
from hsdnsd.records.memory import remembered, slice_memory
from hsdnsd.records.model import Fact, Kind, NamespaceFact, Replaced, SliceMemory
from hsdnsd.records.options import Pods
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from tests.support.facts import absolute, endpoint, endpoint_slice, external, headless, options, pod, ports, service

HTTP = ports("http:tcp:80")
FACTS: tuple[Fact, ...] = (
    NamespaceFact("shop"),
    service("web", "10.96.0.1", "fd00::1", ports=HTTP),
    headless("db"),
    headless("raw", unready=True),
    external("mail", "mail.example.org"),
    endpoint_slice("db", endpoint("10.0.0.1", host="db-0"), endpoint("10.0.0.2", ready=False), ports=HTTP),
    endpoint_slice("db", endpoint("fd00:1::1"), name="db-2", ports=HTTP),
    endpoint_slice("raw", endpoint("10.0.0.3", ready=False)),
    endpoint_slice("gone", endpoint("10.0.0.4")),
    endpoint_slice("web", endpoint("10.0.0.1", host="Web-0"), ports=HTTP),
    pod("p", "10.0.0.9"),
)
NAMES = (
    "web.shop.svc", "_http._tcp.web.shop.svc", "web-0.web.shop.svc", "db.shop.svc", "db-0.db.shop.svc", "raw.shop.svc",
    "mail.shop.svc", "gone.shop.svc", "shop.svc", "10-0-0-9.shop.pod", "10-0-0-3.raw.shop.svc", "", "ns.dns",
    "1.0.0.10.in-addr.arpa.", "3.0.0.10.in-addr.arpa.", "4.0.0.10.in-addr.arpa.", "1.0.96.10.in-addr.arpa.",
    "0.10.in-addr.arpa.",
)  # fmt: skip


def table(*facts: Fact, recalled: bool = False, **changes: object) -> tuple[Table, Zone]:
    chosen = options(pods=Pods.VERIFIED, own_addresses=(b"\n\0\0\1",), **changes)
    made = Table(chosen)
    for kind in Kind:
        held = tuple(fact for fact in facts if type(fact) is KINDS[kind])
        made.apply(Replaced(kind, held), 1)
    return made, Zone(chosen, made)


KINDS = {
    Kind.SERVICE: type(FACTS[1]),
    Kind.NAMESPACE: NamespaceFact,
    Kind.ENDPOINT_SLICE: type(FACTS[5]),
    Kind.POD: type(FACTS[-1]),
}


@given(st.permutations(FACTS), st.permutations(list(Kind)), st.booleans())
def test_a_table_that_recalls_answers_as_the_one_that_remembers(
    facts: list[Fact], order: list[Kind], coredns: bool
) -> None:
    first, told = table(*facts, coredns=coredns)
    second = Table(options(pods=Pods.VERIFIED, own_addresses=(b"\n\0\0\1",), coredns=coredns))
    recalled = Zone(options(pods=Pods.VERIFIED, own_addresses=(b"\n\0\0\1",), coredns=coredns), second)
    for kind in order:
        second.recall(kind, first.memories(kind), 1)
    assert second.counts() == first.counts()
    for name in NAMES:
        for qtype in (1, 28, 12, 33, 5):
            before = told.look_up(absolute(name), qtype)
            after = recalled.look_up(absolute(name), qtype)
            if before.rcode == 0:
                assert [set(rrset.rdatas) for rrset in after.answer] == [set(rrset.rdatas) for rrset in before.answer]
            else:
                assert after.rcode == 2, "absence is not told from memory"


def test_it_survives_being_written() -> None:
    fact = endpoint_slice(
        "db", endpoint("10.0.0.1", host="Db-0"), endpoint("10.0.0.2"), endpoint("fd00::1"), ports=HTTP
    )
    boiled = boil_down(fact, fact.ports, False, False)
    memory = slice_memory(fact.key, "db", boiled)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=SliceMemory)
    assert again == memory
    assert again.key == fact.key
    assert remembered(again, again.ports) == boiled
