"""hsdnsd.records.table: lists, their ends, and what they change."""

from __future__ import annotations

import pytest

from hsdnsd.records.model import (
    Amended,
    Deleted,
    EndpointSliceFact,
    Fact,
    Kind,
    Listed,
    Listing,
    NamespaceFact,
    Replaced,
    SliceMemory,
    Upserted,
)
from hsdnsd.records.options import Pods
from hsdnsd.records.result import EVERYTHING
from tests.support.facts import (
    HTTP,
    SHOP,
    WEB,
    WEB_ENDPOINTS,
    WEB_SLICE,
    Cluster,
    endpoint,
    endpoint_slice,
    headless,
    of_address,
    of_namespace,
    of_service,
    pod,
    ports,
    service,
)


class TestLists:
    def test_what_a_list_does_not_hold_is_gone(self) -> None:
        facts = (SHOP, WEB, WEB_SLICE, service("api", "10.96.0.1"), pod("web-0", "10.1.0.1"))
        cluster = Cluster(*facts, pods=Pods.VERIFIED)
        assert cluster.table.apply(Replaced(Kind.ENDPOINT_SLICE, ()), 2) == {of_service("web"), of_address("10.1.0.1")}
        assert cluster.table.apply(Replaced(Kind.POD, ()), 2) == {of_namespace()}
        assert cluster.table.apply(Replaced(Kind.SERVICE, (WEB,)), 2) == {of_service("api"), of_address("10.96.0.1")}
        assert cluster.table.apply(Replaced(Kind.NAMESPACE, ()), 2) == set()
        assert cluster.table.apply(Replaced(Kind.SERVICE, ()), 2) == {of_namespace()}
        assert cluster.table.counts() == dict.fromkeys(cluster.table.counts(), 0)

    def test_the_first_list_ends_everything(self) -> None:
        cluster = Cluster(synced=False, expect=frozenset({Kind.SERVICE}))
        assert cluster.table.apply(Replaced(Kind.ENDPOINT_SLICE, (WEB_SLICE,)), 2) == {EVERYTHING}
        assert cluster.table.apply(Replaced(Kind.NAMESPACE, ()), 2) == set()
        assert cluster.table.apply(Replaced(Kind.SERVICE, ()), 2) == {EVERYTHING}

    def test_the_first_list_forgets_what_it_does_not_hold(self) -> None:
        cluster = Cluster(synced=False)
        cluster.tell(WEB)
        cluster.tell(WEB_SLICE)
        assert cluster.table.apply(Replaced(Kind.ENDPOINT_SLICE, ()), 2) == {EVERYTHING}
        assert cluster.ask("web.shop.svc").data == "SERVFAIL"


def test_a_change_takes_the_time_but_never_turns_it_back() -> None:
    cluster = Cluster()
    cluster.table.apply(Upserted(SHOP), unix_time=50)
    cluster.table.apply(Deleted(Kind.NAMESPACE, SHOP.key), unix_time=40)
    assert cluster.table.serial == 50


class TestEndsOfLists:
    """Objects that are told one by one, up to the end of their list."""

    def test_the_end_of_a_list_deletes_what_it_does_not_name(self) -> None:
        cluster = Cluster(service("web", "10.96.0.1"), service("old", "10.96.0.2"))
        ended = cluster.table.apply(Listed(Kind.SERVICE, {service("web").key}), 2)
        assert len(ended) >= 1
        assert EVERYTHING not in ended
        assert cluster.ask("old.shop.svc").data == "NXDOMAIN"
        assert cluster.ask("web.shop.svc").data == ["10.96.0.1"]
        assert cluster.table.apply(Listed(Kind.SERVICE, {service("web").key}), 3) == frozenset()

    def test_before_that_nothing_is_kept_so_nothing_ends(self) -> None:
        cluster = Cluster(synced=False)
        assert cluster.tell(service("web", "10.96.0.1"), now=7) == frozenset()
        assert cluster.look_up("web.shop.svc").owner is None
        assert cluster.tell(service("web", "10.96.0.2"), now=8) == frozenset()
        assert cluster.ask("web.shop.svc").data == ["10.96.0.2"]
        assert cluster.ask("1.0.96.10.in-addr.arpa.", "PTR").data == "SERVFAIL"
        cluster.table.apply(Listed(Kind.SERVICE, {service("web").key}), 9)
        assert cluster.table.serial == 9

    def test_the_first_one_of_each_kind_ends_everything_and_all_of_them_mean_synced(self) -> None:
        cluster = Cluster(synced=False)
        for kind in Kind:
            assert not cluster.table.synced
            assert cluster.table.apply(Listed(kind, ()), 2) == {EVERYTHING}
        assert cluster.table.synced

    def test_some_of_a_headless_service_s_endpoints_are_no_answer(self) -> None:
        cluster = Cluster(synced=False)
        facts = (service("web", "10.96.0.1"), headless("db"), endpoint_slice("db", endpoint("10.0.0.1", host="a")))
        for fact in facts:
            cluster.tell(fact)
        assert cluster.ask("web.shop.svc").data == ["10.96.0.1"]
        assert cluster.ask("db.shop.svc").data == "SERVFAIL"
        assert cluster.ask("a.db.shop.svc").data == "SERVFAIL"
        cluster.table.apply(Listed(Kind.ENDPOINT_SLICE, {facts[2].key}), 2)
        assert cluster.ask("db.shop.svc").data == ["10.0.0.1"]
        assert cluster.ask("a.db.shop.svc").data == ["10.0.0.1"]
        assert cluster.ask("b.db.shop.svc").data == "SERVFAIL"

    def test_some_of_an_address_s_names_are_no_answer(self) -> None:
        cluster = Cluster(synced=False)
        one, other = (endpoint_slice("db", endpoint("10.0.0.1", host=host), name=host) for host in ("a", "b"))
        cluster.table.apply(Listed(Kind.SERVICE, ()), 1)
        cluster.tell(one)
        assert cluster.ask("1.0.0.10.in-addr.arpa.", "PTR").data == "SERVFAIL"
        cluster.tell(other)
        cluster.table.apply(Listed(Kind.ENDPOINT_SLICE, {one.key, other.key}), 2)
        assert len(cluster.ask("1.0.0.10.in-addr.arpa.", "PTR").data) == 2

    def test_objects_told_together_are_as_those_told_one_by_one(self) -> None:
        """Even where one of them is told twice, or an address is in two slices."""
        port = ports("http:tcp:80")
        slices = (
            endpoint_slice("db", endpoint("10.0.0.1", host="a"), endpoint("10.0.0.2", host="b"), ports=port),
            endpoint_slice("db", endpoint("10.0.0.2", host="b"), name="db-2", ports=port),
            endpoint_slice("db", endpoint("10.0.0.3", host="a"), ports=port),
        )
        told: dict[Kind, tuple[Fact, ...]] = {
            Kind.NAMESPACE: (SHOP,),
            Kind.SERVICE: (headless("db", ports=port), service("web", "10.96.0.1"), service("web", "10.96.0.2")),
            Kind.ENDPOINT_SLICE: slices,
            Kind.POD: (),
        }
        clusters = [Cluster(synced=False), Cluster(synced=False)]
        for kind, facts in told.items():
            for fact in facts:
                assert clusters[0].table.apply(Upserted(fact), 1) == frozenset()
            assert clusters[1].table.apply(Listing(kind, facts), 1) == frozenset()
            for cluster in clusters:
                cluster.table.apply(Listed(kind, {fact.key for fact in facts}), 2)
        one, other = clusters
        assert one.table.counts() == other.table.counts()
        for kind in Kind:
            assert one.table.memories(kind) == other.table.memories(kind)
        for name in ("db.shop.svc", "a.db.shop.svc", "b.db.shop.svc", "web.shop.svc"):
            assert one.ask(name).data == other.ask(name).data != "NXDOMAIN"
        for number in (1, 2, 3):
            name = f"{number}.0.0.10.in-addr.arpa."
            assert one.ask(name, "PTR").data == other.ask(name, "PTR").data
        assert other.ask("1.0.0.10.in-addr.arpa.", "PTR").data == "NXDOMAIN"

    def test_of_what_was_listed_before_they_end_answers_at_once(self) -> None:
        cluster = Cluster(service("web", "10.96.0.1"))
        ended = cluster.table.apply(Listing(Kind.SERVICE, (service("web", "10.96.0.2"),)), 2)
        assert of_service("web") in ended
        assert cluster.ask("web.shop.svc").data == ["10.96.0.2"]


class TestNews:
    """What a list says is compared with what is held."""

    FACTS = (SHOP, WEB, WEB_SLICE, pod("web-0", "10.1.0.1"))

    @pytest.mark.parametrize("fact", FACTS)
    def test_what_is_held_is_none(self, fact: Fact) -> None:
        assert Cluster(*self.FACTS, pods=Pods.VERIFIED).table.news(fact) is None

    @pytest.mark.parametrize(
        "fact",
        [
            NamespaceFact("attic"),
            headless("web"),
            headless("db", ports=HTTP),
            pod("web-0", "10.1.0.9"),
            pod("web-1", "10.1.0.1"),
        ],
    )
    def test_anything_else_is_told_as_it_is(self, fact: Fact) -> None:
        assert Cluster(*self.FACTS, pods=Pods.VERIFIED).table.news(fact) == fact

    @pytest.mark.parametrize(
        "fact",
        [
            endpoint_slice("web", endpoint("10.1.0.1", host="web-0"), ports=HTTP),
            endpoint_slice("web", *WEB_ENDPOINTS),
            endpoint_slice("db", *WEB_ENDPOINTS, name=WEB_SLICE.name, ports=HTTP),
            endpoint_slice("web", *WEB_ENDPOINTS, name="another", ports=HTTP),
        ],
    )
    def test_a_slice_is_told_as_it_will_be_held(self, fact: EndpointSliceFact) -> None:
        cluster = Cluster(*self.FACTS)
        news = cluster.table.news(fact)
        assert isinstance(news, SliceMemory)
        assert (news.key, news.service) == (fact.key, fact.service)
        cluster.table.apply(Amended(Kind.ENDPOINT_SLICE, (news,), ()), 2)
        assert cluster.table.news(fact) is None
        assert cluster.tell(fact) == frozenset()

    def test_what_nobody_can_ask_for_is_none_unless_it_was_held(self) -> None:
        cluster = Cluster(*self.FACTS)
        nonsense = "x" * 64
        assert cluster.table.news(endpoint_slice(nonsense, name="other")) is None
        lost = cluster.table.news(endpoint_slice(nonsense, *WEB_ENDPOINTS, name=WEB_SLICE.name))
        assert lost is not None
        cluster.table.apply(Amended(Kind.ENDPOINT_SLICE, (lost,), ()), 2)
        assert cluster.ask("web.shop.svc").data == "NXDOMAIN"
        assert cluster.table.counts()["EndpointSlice"] == 0

    def test_what_is_held_and_not_told_of_is_beyond(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE, headless("db"))
        assert cluster.table.beyond(Kind.SERVICE, {WEB.key}) == [headless("db").key]


class TestAmendments:
    def test_all_of_it_holds_at_once(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE)
        moved = cluster.table.news(
            endpoint_slice("web", endpoint("10.1.0.1", host="web-0"), name="another", ports=HTTP)
        )
        assert moved is not None
        ended = cluster.table.apply(Amended(Kind.ENDPOINT_SLICE, (moved,), (WEB_SLICE.key,)), 7)
        assert ended == {of_service("web"), of_address("10.1.0.1")}
        assert cluster.table.serial == 7
        assert cluster.ask("web.shop.svc").data == ["10.1.0.1"]
        assert cluster.table.counts()["EndpointSlice"] == 1

    def test_a_list_that_changes_nothing_ends_nothing(self) -> None:
        cluster = Cluster(SHOP, WEB, WEB_SLICE)
        assert cluster.table.apply(Amended(Kind.ENDPOINT_SLICE, (), ()), 7) == frozenset()
        assert cluster.table.serial == 1

    def test_what_was_recalled_counts_as_that_until_the_last(self) -> None:
        cluster = Cluster(synced=False, expect=frozenset({Kind.SERVICE}))
        cluster.table.recall(Kind.SERVICE, [service("a", "10.96.0.1"), service("b", "10.96.0.2")], 1)
        changed = service("a", "10.96.0.3")
        cluster.table.apply(Amended(Kind.SERVICE, (changed,), (), last=False), 2)
        assert cluster.table.stale
        assert not cluster.table.synced
        assert cluster.table.apply(Amended(Kind.SERVICE, (), (service("b").key,)), 3) >= {EVERYTHING}
        assert cluster.table.synced
        assert not cluster.table.stale
        assert cluster.ask("a.shop.svc").data == ["10.96.0.3"]
        assert cluster.ask("b.shop.svc").data == "NXDOMAIN"

    def test_what_a_list_has_confirmed_is_not_forgotten_with_the_rest(self) -> None:
        cluster = Cluster(synced=False, expect=frozenset({Kind.SERVICE}))
        confirmed, amended, other = (service(name, "10.96.0.1") for name in "abc")
        cluster.table.recall(Kind.SERVICE, [confirmed, amended, other], 1)
        assert cluster.table.news(confirmed) is None
        cluster.table.apply(Amended(Kind.SERVICE, (service("b", "10.96.0.9"),), (), last=False), 2)
        assert cluster.table.forget(Kind.SERVICE) == {EVERYTHING}
        assert cluster.table.counts()["Service"] == 2
        assert cluster.table.beyond(Kind.SERVICE, {confirmed.key, amended.key}) == []
