"""A reflector beside a scripted API server. The test owns its clock, its luck and its waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import pytest

from hsdnsd.kube.client import READ_TIMEOUT, open_client
from hsdnsd.kube.reflector import Reflector, Resource
from hsdnsd.kube.source import WatchState
from hsdnsd.records.model import Change, Deleted, Key, Kind, Listed, ServiceFact, Upserted
from tests.support.facts import nothing_held, one_by_one
from tests.support.fake_apiserver import Answer, FakeApiServer, status_body

SERVICES = Resource(Kind.SERVICE, "/api/v1/services")


def service(name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "labels": labels or {}}
    return {"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": spec}


def fact(name: str, **fields: Any) -> ServiceFact:
    return ServiceFact("n", name, **fields)


def added(name: str, **fields: Any) -> Upserted:
    return Upserted(fact(name, **fields))


def deleted(name: str) -> Deleted:
    return Deleted(Kind.SERVICE, Key("n", name))


def listed(*names: str) -> list[Change]:
    """A list of Services, from its first object to its end."""
    return [*map(added, names), Listed(Kind.SERVICE, {Key("n", name) for name in names})]


async def until(condition: Callable[[], bool]) -> None:
    """Let others run for as long as this does not hold."""
    while True:
        if condition():
            return
        await asyncio.sleep(0)


class Turns:
    """Counts the turns of the event loop while the block runs.

    Attributes:
        now: how many there were.
    """

    def __init__(self) -> None:
        self.now = 0
        self._over = False

    def __enter__(self) -> Self:
        self._tick()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True

    def _tick(self) -> None:
        self.now += 1
        if not self._over:
            asyncio.get_running_loop().call_soon(self._tick)


class Cluster:
    """A reflector that follows a scripted API server, and what it told.

    Attributes:
        pauses: how long it wanted to wait, each time; it does not.
        clock: its clock. chance: its luck.
        each: what is called with each change before it is told.
    """

    def __init__(self, api: FakeApiServer) -> None:
        self.api = api
        self.state = WatchState("Service")
        self.pauses: list[float] = []
        self.clock = 1000.0
        self.chance = 0.5
        self.each: Callable[[Change], None] = lambda change: None
        self._changes: asyncio.Queue[Change] = asyncio.Queue()

    async def told(self, count: int = 1) -> list[Change]:
        """The next changes; waits for them."""
        return [await self._changes.get() for _ in range(count)]

    async def told_list(self) -> list[Change]:
        """The next changes up to the end of a list; returns when it is watched."""
        changes = await self.told()
        while not isinstance(changes[-1], Listed):
            changes += await self.told()
        await until(lambda: self.state.connected)
        return changes

    async def sees_the_watch_open(self) -> None:
        """Not only the server: what the test does next happens to an open watch."""
        await self.api.watched("services")
        self.api.put(service(f"s{self.api.version}"))
        await self.told()

    def lists_again(self) -> None:
        """The watch is cut, and there is no version to go on from."""
        self.api.version += 1
        self.api.compact()
        self.api.cut("services")

    def told_nothing_more(self) -> bool:
        return self._changes.empty()

    def sink(self, change: Change) -> None:
        self.each(change)
        for told in one_by_one(change):
            self._changes.put_nowait(told)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    @property
    def watches(self) -> list[dict[str, str]]:
        return [request.params for request in self.api.requests if request.is_watch]

    @property
    def lists(self) -> list[dict[str, str]]:
        return [request.params for request in self.api.requests if not request.is_watch]


Test = Callable[[Cluster], Awaitable[None]]


def run(
    folder: Path,
    test: Test,
    resource: Resource = SERVICES,
    begin: Callable[[FakeApiServer], None] = lambda api: None,
    read_timeout: float = READ_TIMEOUT,
    **user: str,
) -> None:
    """Play `test` beside a reflector; `begin` prepares the server before it starts."""

    async def body() -> None:
        async with asyncio.timeout(300), FakeApiServer() as api:
            begin(api)
            client = await open_client(api.kubeconfig(folder, **user), read_timeout=read_timeout)
            cluster = Cluster(api)
            running = asyncio.create_task(
                Reflector(
                    client,
                    resource,
                    cluster.state,
                    cluster.sink,
                    nothing_held(),
                    pause=cluster.pause,
                    clock=lambda: cluster.clock,
                    chance=lambda: cluster.chance,
                ).run()
            )
            try:
                await test(cluster)
                assert not running.done(), "a reflector never ends"
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await client.close()

    asyncio.run(body())


def only_streams(api: FakeApiServer) -> None:
    """The first list is gone before it has been told: it is asked for as a stream, and so is every other."""
    api.scripts["services"].append(Answer(410, status_body(410, "Expired")))


both_ways = pytest.mark.parametrize("begin", [lambda api: None, only_streams], ids=["whole", "streamed"])
