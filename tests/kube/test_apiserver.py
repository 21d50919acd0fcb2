"""hsdnsd.kube.apiserver: the source over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import pytest

from hsdnsd.errors import StartError
from hsdnsd.kube.apiserver import ApiServer, resources_of
from hsdnsd.records.model import Change, Deleted, EndpointSliceFact, Key, Kind, Listed, NamespaceFact, PodFact, Upserted
from tests.support.facts import nothing_held, one_by_one
from tests.support.fake_apiserver import FakeApiServer
from tests.support.reflected import until

PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"


def pod(name: str, phase: str, address: str = "10.0.0.1") -> dict[str, Any]:
    status = {"phase": phase, "podIP": address}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "n", "labels": {"app": "web"}}, "status": status}


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@pytest.mark.parametrize(
    ("kind", "path", "labels", "fields"),
    [
        (Kind.SERVICE, "/api/v1/services", "app=web", ""),
        (Kind.ENDPOINT_SLICE, "/apis/discovery.k8s.io/v1/endpointslices", "app=web", ""),
        (Kind.POD, "/api/v1/pods", "app=web", PODS),
        (Kind.NAMESPACE, "/api/v1/namespaces", "env=prod", ""),
    ],
)
def test_where_each_kind_is_watched(kind: Kind, path: str, labels: str, fields: str) -> None:
    (resource,) = resources_of(kind, "app=web", "env=prod", scoped=False)
    assert (resource.kind, resource.path, resource.label_selector, resource.field_selector) == (
        kind,
        path,
        labels,
        fields,
    )


class Following:
    """An `ApiServer` that runs beside a test."""

    def __init__(self, kubeconfig: str, kinds: Iterable[Kind], **how: Any) -> None:
        self.source = ApiServer(kubeconfig, kinds, nothing_held(), **how)
        self.changes: asyncio.Queue[Change] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.source.run(self._take))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self._running.done()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    def _take(self, change: Change) -> None:
        for told in one_by_one(change):
            self.changes.put_nowait(told)

    async def told(self, count: int) -> list[Change]:
        return [await self.changes.get() for _ in range(count)]

    async def told_lists(self, count: int) -> list[Change]:
        """The next changes, up to the end of so many lists."""
        changes: list[Change] = []
        while sum(isinstance(change, Listed) for change in changes) < count:
            changes += await self.told(1)
        return changes


def test_each_kind_is_listed_and_then_followed(tmp_path: Path) -> None:
    async def body() -> None:
        async with asyncio.timeout(10), FakeApiServer() as api:
            api.put(namespace("n"))
            async with Following(api.kubeconfig(tmp_path), Kind) as following:
                told = await following.told_lists(4)
                assert [change for change in told if isinstance(change, Upserted)] == [Upserted(NamespaceFact("n"))]
                assert {change.kind: change.keys for change in told if isinstance(change, Listed)} == {
                    Kind.NAMESPACE: {Key("", "n")},
                    **{kind: set() for kind in (Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD)},
                }
                api.put(namespace("m"))
                assert await following.told(1) == [Upserted(NamespaceFact("m"))]
                watches = following.source.watches()
                await until(lambda: all(watch.connected for watch in watches))
                assert {watch.kind for watch in watches} == {kind.value for kind in Kind}
                assert all(watch.synced and watch.last_alive > 0 for watch in watches)

    asyncio.run(body())


def test_only_what_is_needed_is_watched(tmp_path: Path) -> None:
    async def body() -> None:
        async with (
            asyncio.timeout(10),
            FakeApiServer() as api,
            Following(api.kubeconfig(tmp_path), [Kind.SERVICE, Kind.NAMESPACE]) as following,
        ):
            await following.told(2)
            assert {request.plural for request in api.requests} == {"services", "namespaces"}
            assert {watch.kind for watch in following.source.watches()} == {"Service", "Namespace"}

    asyncio.run(body())


def test_selectors_go_to_the_server(tmp_path: Path) -> None:
    async def body() -> None:
        async with asyncio.timeout(10), FakeApiServer() as api:
            api.put(namespace("n", env="prod"))
            api.put(namespace("m"))
            selectors = {"labels": "app in (web, db)", "namespace_labels": "env=prod"}
            kinds = [Kind.NAMESPACE, Kind.ENDPOINT_SLICE]
            async with Following(api.kubeconfig(tmp_path), kinds, **selectors) as following:
                assert Listed(Kind.NAMESPACE, {Key("", "n")}) in await following.told_lists(2)
                asked = {request.plural: request.params["labelSelector"] for request in api.requests}
                assert asked == {"namespaces": "env=prod", "endpointslices": "app in (web, db)"}

    asyncio.run(body())


MANAGED = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
HEADLESS = {"service.kubernetes.io/headless": ""}


def endpoint_slice(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "labels": {"kubernetes.io/service-name": "a", **labels}}
    return {"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4"}


def upserted(name: str) -> Upserted:
    return Upserted(EndpointSliceFact("n", name, "a"))


def test_of_endpoint_slices_those_are_watched_that_headless_services_may_need(tmp_path: Path) -> None:
    async def body() -> None:
        async with asyncio.timeout(10), FakeApiServer() as api:
            for each in (
                endpoint_slice("headless", **HEADLESS, **MANAGED),
                endpoint_slice("cluster-ip", **MANAGED),
                endpoint_slice("mine"),
                endpoint_slice("mirrored", **{**MANAGED, "endpointslice.kubernetes.io/managed-by": "mirror"}),
                endpoint_slice("headless-mine", **HEADLESS),
            ):
                api.put(each)
            async with Following(api.kubeconfig(tmp_path), [Kind.ENDPOINT_SLICE], scoped=True) as following:
                (watch,) = following.source.watches()
                told = await following.told_lists(1)
                names = ("headless", "headless-mine", "mine", "mirrored")
                assert sorted(change.fact.name for change in told if isinstance(change, Upserted)) == sorted(names)
                assert told[-1] == Listed(Kind.ENDPOINT_SLICE, {Key("n", name) for name in names})
                await api.watched("endpointslices", 2)
                assert watch.synced
                api.put(endpoint_slice("cluster-ip-2", **MANAGED))
                api.put(endpoint_slice("headless-2", **HEADLESS, **MANAGED))
                assert await following.told(1) == [upserted("headless-2")]
                api.put(endpoint_slice("cluster-ip", **HEADLESS, **MANAGED))
                assert await following.told(1) == [upserted("cluster-ip")]
                api.put(endpoint_slice("cluster-ip", **MANAGED))
                assert await following.told(1) == [Deleted(Kind.ENDPOINT_SLICE, Key("n", "cluster-ip"))]

    asyncio.run(body())


def test_the_scope_goes_with_selectors() -> None:
    first, second = resources_of(Kind.ENDPOINT_SLICE, "app=web", "", scoped=True)
    assert first.label_selector == "service.kubernetes.io/headless,app=web"
    assert second.label_selector.endswith("!=endpointslice-controller.k8s.io,app=web")
    assert [part.label_selector for part in resources_of(Kind.SERVICE, "app=web", "", scoped=True)] == ["app=web"]


def test_a_pod_that_ends_is_deleted(tmp_path: Path) -> None:
    async def body() -> None:
        async with asyncio.timeout(10), FakeApiServer() as api:
            api.put(pod("done", "Succeeded"))
            api.put(pod("job", "Running"))
            async with Following(api.kubeconfig(tmp_path), [Kind.POD]) as following:
                fact = PodFact("n", "job", (bytes([10, 0, 0, 1]),))
                assert await following.told_lists(1) == [Upserted(fact), Listed(Kind.POD, {fact.key})]
                api.put(pod("job", "Succeeded"))
                assert await following.told(1) == [Deleted(Kind.POD, Key("n", "job"))]

    asyncio.run(body())


def test_a_kubeconfig_that_can_not_be_used_is_told_at_start(tmp_path: Path) -> None:
    source = ApiServer(str(tmp_path / "missing"), Kind, nothing_held())
    with pytest.raises(StartError, match="missing: No such file"):
        asyncio.run(source.run(lambda change: None))


def test_a_part_that_fails_is_not_hidden(tmp_path: Path) -> None:
    """A fault of our own ends the source, and with it the daemon, instead of leaving a zone that no longer moves."""

    def sink(change: Change) -> None:
        raise ZeroDivisionError

    async def body() -> None:
        async with asyncio.timeout(10), FakeApiServer() as api:
            with pytest.raises(ExceptionGroup) as caught:
                await ApiServer(api.kubeconfig(tmp_path), [Kind.SERVICE], nothing_held()).run(sink)
            assert caught.group_contains(ZeroDivisionError)

    asyncio.run(body())
