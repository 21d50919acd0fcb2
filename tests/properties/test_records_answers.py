"""The own zones' answers hang on the facts that hold, and on nothing else; each change says which of them it ends."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from hsdnsd.records.model import (
    KIND_OF,
    Change,
    Deleted,
    Fact,
    Key,
    Kind,
    NamespaceFact,
    Replaced,
    ServiceFact,
    Upserted,
)
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.result import EVERYTHING, Result
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import RRType
from hsdnsd.wire.name import Name, labels, to_text
from hsdnsd.wire.rrset import RRset
from tests.support.facts import Cluster, of_kind, packed, reverse_name
from tests.support.records_strategies import (
    ADDRESSES,
    NAMESPACES,
    QUESTIONS,
    changes,
    facts,
    services,
    slices,
    zone_options,
)

Asked = dict[tuple[Name, int], Result]


def ask_everything(zone: Zone) -> Asked:
    return {question: zone.look_up(*question) for question in QUESTIONS}


def meaning(result: Result) -> object:
    """What an asker learns, but for the order of records, and for the serial of an SOA that was not asked for."""

    def section(rrsets: tuple[RRset, ...]) -> object:
        return {(rrset.name, rrset.rtype, rrset.ttl, frozenset(rrset.rdatas)) for rrset in rrsets}

    denial = [(soa.name, soa.ttl) for soa in result.authority]
    return result.rcode, section(result.answer), denial, section(result.additional), result.chase, result.elsewhere


def final(history: list[Change]) -> dict[tuple[Kind, Key], Fact]:
    """What holds after all changes."""
    held: dict[tuple[Kind, Key], Fact] = {}
    for change in history:
        if isinstance(change, Upserted):
            held[KIND_OF[type(change.fact)], change.fact.key] = change.fact
        elif isinstance(change, Deleted):
            held.pop((change.kind, change.key), None)
        else:
            held = {at: fact for at, fact in held.items() if at[0] is not change.kind}
            held |= {(change.kind, fact.key): fact for fact in change.facts}
    return held


@settings(max_examples=60)
@given(zone_options, st.lists(changes, max_size=14))
def test_the_way_to_a_state_does_not_matter(options: ZoneOptions, history: list[Change]) -> None:
    walked = Table(options)
    for now, change in enumerate(history):
        walked.apply(change, unix_time=now)
    held = final(history).values()
    for kind in Kind:
        walked.apply(Replaced(kind, of_kind(kind, held)), unix_time=99)
    told = Table(options)
    for kind in reversed(Kind):
        told.apply(Replaced(kind, of_kind(kind, held)), unix_time=99)
    walked.serial = told.serial
    assert walked.counts() == told.counts()
    there, here = ask_everything(Zone(options, walked)), ask_everything(Zone(options, told))
    assert {question: meaning(result) for question, result in there.items()} == {
        question: meaning(result) for question, result in here.items()
    }


@settings(max_examples=60)
@given(zone_options, st.booleans(), st.lists(facts, max_size=12), st.lists(changes, min_size=1, max_size=6))
def test_a_change_ends_every_answer_that_it_makes_untrue(
    options: ZoneOptions, synced: bool, begun: list[Fact], history: list[Change]
) -> None:
    table = Table(options)
    zone = Zone(options, table)
    for kind in Kind if synced else ():
        table.apply(Replaced(kind, ()), unix_time=0)
    for fact in begun:
        table.apply(Upserted(fact), unix_time=0)
    before = ask_everything(zone)
    for now, change in enumerate(history, start=1):
        serial = table.serial
        owners = table.apply(change, unix_time=now)
        after = ask_everything(zone)
        for question, result in after.items():
            was = before[question]
            if meaning(was) == meaning(result) or EVERYTHING in owners:
                continue
            for owner in (was.owner, result.owner):
                assert owner is None or owner in owners, (to_text(question[0]), question[1], was, result)
        if not owners:
            assert table.serial == serial
        before = after


@settings(max_examples=60)
@given(zone_options, st.lists(facts, max_size=10))
def test_telling_the_same_again_ends_nothing(options: ZoneOptions, told: list[Fact]) -> None:
    table = Table(options)
    for fact in told:
        table.apply(Upserted(fact), unix_time=1)
        assert table.apply(Upserted(fact), unix_time=2) == frozenset()
    held = {(type(fact), fact.key): fact for fact in told}.values()
    for kind in Kind:
        table.apply(Replaced(kind, of_kind(kind, held)), unix_time=1)
        assert table.apply(Replaced(kind, of_kind(kind, held)), unix_time=2) == frozenset()
    assert table.serial <= 1


@settings(max_examples=80)
@given(st.booleans(), st.lists(st.one_of(services, slices), max_size=12))
def test_forward_and_reverse_names_agree(coredns: bool, told: list[Fact]) -> None:
    cluster = Cluster(*map(NamespaceFact, NAMESPACES), coredns=coredns)
    for fact in told:
        cluster.tell(fact)
    held = {fact.key: fact for fact in told if isinstance(fact, ServiceFact)}
    cluster_ips = {address for fact in held.values() for address in fact.cluster_ips}

    def pointers(address: bytes) -> set[bytes]:
        found = cluster.look_up(f"{reverse_name(str(ip_address(address)))}.", "PTR").answer
        return set(found[0].rdatas) if found else set()

    for address in set(map(packed, ADDRESSES)):
        for target in map(Name, pointers(address)):
            *_, service, namespace, _, _, _ = labels(target)
            fact = held.get(Key(namespace.decode(), service.decode()))
            if fact is not None and fact.external_name is None:
                (found,) = cluster.zone.look_up(Name(target.lower()), type_of(address)).answer
                assert address in found.rdatas
    for fact in held.values():
        for rrset in cluster.look_up(f"{fact.name}.{fact.namespace}.svc", "SRV").additional:
            for address in set(rrset.rdatas) - cluster_ips:
                # CoreDNS does not find an address again that the slice spells its own way (H7).
                assert rrset.name in pointers(address) or (coredns and len(address) == 16)


def type_of(address: bytes) -> RRType:
    return RRType.A if len(address) == 4 else RRType.AAAA
