"""The model itself: it plays the same game again for the same seed, and finds out those who answer wrongly."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec
import pytest

from hsdnsd.records.model import (
    Amended,
    Change,
    Deleted,
    EndpointSliceFact,
    Key,
    Kind,
    Listed,
    Replaced,
    ServiceFact,
    Upserted,
)
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.result import Owner
from hsdnsd.records.table import Table
from tests.model.history import WrongError
from tests.model.operations import operations
from tests.model.oracle import NODATA, NXDOMAIN, Answer, Object, Question, State, answers
from tests.model.play import Rules, judge, play

RULES = Rules()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_a_seed_plays_the_same_game_again() -> None:
    played = operations(7, 150)
    assert played == operations(7, 150) != operations(8, 150)
    assert play(7, played, RULES) == play(7, played, RULES)


class ForgetsDeletions(Table):
    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        return frozenset() if isinstance(change, Deleted) else super().apply(change, unix_time)


class KeepsWhatAListDoesNotHold(Table):
    """Ghosts: coredns/coredns#3879."""

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        if isinstance(change, Listed):
            change = Listed(change.kind, {*change.keys, *self._keys(change.kind)})
        elif isinstance(change, Amended):
            change = msgspec.structs.replace(change, gone=())
        return super().apply(change, unix_time)


class KeepsSlicesAtTheirFirstService(Table):
    def __init__(self, options: ZoneOptions) -> None:
        super().__init__(options)
        self._first: dict[Key, str] = {}

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        if isinstance(change, Upserted) and isinstance(change.fact, EndpointSliceFact):
            service = self._first.setdefault(change.fact.key, change.fact.service)
            change = Upserted(msgspec.structs.replace(change.fact, service=service))
        elif isinstance(change, Deleted):
            self._first.pop(change.key, None)
        return super().apply(change, unix_time)


class TakesOneSliceForAll(Table):
    """Of a Service the slice that was told last is the only one."""

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        touched: frozenset[Owner] = frozenset()
        if isinstance(change, Upserted) and isinstance(change.fact, EndpointSliceFact):
            service = self.service(change.fact.namespace, change.fact.service)
            for key in [key for key, held in self._slices.items() if held.service is service]:
                touched |= super().apply(Deleted(Kind.ENDPOINT_SLICE, key), unix_time)
        return touched | super().apply(change, unix_time)


class BelievesStaleLists(Table):
    """After each list it holds what the list before it said."""

    def __init__(self, options: ZoneOptions) -> None:
        super().__init__(options)
        self._told: dict[Kind, dict[Key, Upserted]] = {}
        self._before: dict[Kind, list[Upserted]] = {}

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        touched = super().apply(change, unix_time)
        told = change.told if isinstance(change, Amended) else (change.fact,) if isinstance(change, Upserted) else ()
        for fact in told:
            if isinstance(fact, ServiceFact):
                self._told.setdefault(Kind.SERVICE, {})[fact.key] = Upserted(fact)
        if isinstance(change, Listed | Replaced | Amended):
            for stale in self._before.get(change.kind, ()):
                touched |= super().apply(stale, unix_time)
            self._before[change.kind] = list(self._told.get(change.kind, {}).values())
        return touched


class TakesListsObjectByObject(Table):
    """What a list says of one object is in force before what it says of the next."""

    def portions(self, change: Amended) -> Iterator[Amended]:
        for memory in change.told:
            yield Amended(change.kind, (memory,), (), last=False)
        yield Amended(change.kind, (), change.gone)


class LosesAnEventNowAndThen(Table):
    def __init__(self, options: ZoneOptions) -> None:
        super().__init__(options)
        self._count = 0

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        self._count += 1
        lost = self._count % 25 == 0 and isinstance(change, Upserted)
        return frozenset() if lost else super().apply(change, unix_time)


class TellsEverybodyReady(Table):
    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        if isinstance(change, Upserted) and isinstance(change.fact, EndpointSliceFact):
            change = Upserted(msgspec.structs.replace(change.fact, ready=len(change.fact.addresses)))
        return super().apply(change, unix_time)


class EndsNoFinishedAnswer(Table):
    """Its own state is right, but what was finished before is given out for ever."""

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        super().apply(change, unix_time)
        return frozenset()


class EndsOnlyForwardAnswers(Table):
    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        return frozenset(owner for owner in super().apply(change, unix_time) if not owner.startswith(b"a"))


class DeniesBeforeItKnows(Table):
    """NXDOMAIN before everything has been listed."""

    @property
    def synced(self) -> bool:
        return True


MUTANTS = (
    ForgetsDeletions,
    KeepsWhatAListDoesNotHold,
    KeepsSlicesAtTheirFirstService,
    TakesOneSliceForAll,
    BelievesStaleLists,
    TakesListsObjectByObject,
    LosesAnEventNowAndThen,
    TellsEverybodyReady,
    EndsNoFinishedAnswer,
    EndsOnlyForwardAnswers,
    DeniesBeforeItKnows,
)


@pytest.mark.parametrize("table", MUTANTS)
def test_a_wrong_table_is_found_out(table: type[Table]) -> None:
    rules = Rules(table=table)
    scores = (play(seed, operations(seed, 300), rules) for seed in range(12))
    assert any(isinstance(score.wrong, WrongError) for score in scores)


def test_a_failure_tells_the_seed_and_few_operations() -> None:
    with pytest.raises(AssertionError, match="HSDNSD_MODEL_SEED=0 repeats it") as caught:
        judge(0, 60, Rules(table=ForgetsDeletions))
    assert "told" in str(caught.value)
    assert str(caught.value).count("  Operation(what=") <= 12


def service(name: str, **spec: object) -> dict[tuple[str, str], Object]:
    return {("n", name): {"spec": {"ports": [{"name": "http", "port": 80}], **spec}}}


def slice_of(name: str, *endpoints: Object) -> dict[tuple[str, str], Object]:
    labels = {"kubernetes.io/service-name": name}
    ports = [{"name": "web", "port": 8080}]
    return {
        ("n", f"{name}-1"): {
            "metadata": {"labels": labels},
            "addressType": "IPv4",
            "endpoints": list(endpoints),
            "ports": ports,
        }
    }


CLUSTER = State(
    services={
        **service("web", clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"]),
        **service("db", clusterIP="None"),
        **service("ext", type="ExternalName", externalName="web.n.svc.cluster.local"),
    },
    endpointslices=slice_of(
        "db",
        {"addresses": ["10.1.0.1"], "hostname": "db-0"},
        {"addresses": ["10.1.0.2"]},
        {"addresses": ["10.1.0.3"], "conditions": {"ready": False}},
    ),
)


@pytest.mark.parametrize(
    ("name", "rtype", "expected"),
    [
        ("web.n.svc", "A", "A 10.0.0.1"),
        ("_http._tcp.web.n.svc", "SRV", "SRV 0 100 80 web.n.svc.cluster.local."),
        ("web.n.svc", "AAAA", NODATA),
        ("db.n.svc", "A", "A 10.1.0.1|A 10.1.0.2"),
        ("_web._tcp.db-0.db.n.svc", "SRV", NXDOMAIN),
        ("db-0.db.n.svc", "SRV", "SRV 0 100 8080 db-0.db.n.svc.cluster.local."),
        ("ext.n.svc", "CNAME", "CNAME web.n.svc.cluster.local."),
        ("db-0.db.n.svc", "A", "A 10.1.0.1"),
        ("10-1-0-1.db.n.svc", "A", NXDOMAIN),
        ("10-1-0-2.db.n.svc", "A", "A 10.1.0.2"),
        ("10-1-0-3.db.n.svc", "A", NXDOMAIN),
        ("_tcp.web.n.svc", "A", NODATA),
        ("no.n.svc", "A", NXDOMAIN),
        ("n.svc", "A", NODATA),
        ("m.svc", "A", NXDOMAIN),
    ],
)  # fmt: skip
def test_the_oracle_knows_the_rules(name: str, rtype: str, expected: str | Answer) -> None:
    (told,) = answers(Question(f"{name}.cluster.local.", rtype), CLUSTER)
    if isinstance(expected, Answer):
        assert told == expected
    else:
        assert told.records == {f"{name}.cluster.local. {record}" for record in expected.split("|")}


def test_the_oracle_knows_the_way_back() -> None:
    def pointers(name: str) -> set[str]:
        return {
            record.split()[-1]
            for told in answers(Question(f"{name}.in-addr.arpa.", "PTR"), CLUSTER)
            for record in told.records
        }

    assert pointers("1.0.0.10") == {"web.n.svc.cluster.local."}
    assert pointers("1.0.1.10") == {"db-0.db.n.svc.cluster.local."}
    assert pointers("2.0.1.10") == {"10-1-0-2.db.n.svc.cluster.local."}
    assert pointers("3.0.1.10") == set()
