"""A cluster followed from a scripted API server into a table and its zones. The test owns clock, luck and waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hsdnsd.kube.apiserver import resources_of
from hsdnsd.kube.client import open_client
from hsdnsd.kube.reflector import Reflector
from hsdnsd.kube.source import WatchState
from hsdnsd.kube.union import Ledger
from hsdnsd.records.model import Change, Kind
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.const import Rcode, RRType
from tests.support.facts import CLUSTER, IN_ADDR, absolute, unpacked
from tests.support.fake_apiserver import FakeApiServer, Object

KINDS = (Kind.SERVICE, Kind.ENDPOINT_SLICE)
PLURALS = ("services", "endpointslices")
CONTROLLER = "endpointslice-controller.k8s.io"


class Followed:
    """What a daemon knows of the cluster.

    Attributes:
        pauses: how long it wanted to wait, each time; it does not.
        clock: its clock, in seconds.
    """

    def __init__(self, api: FakeApiServer, path: str, *, scoped: bool = False, read_timeout: float = 90.0) -> None:
        self.api = api
        self.options = ZoneOptions(CLUSTER, reverse_zones=(IN_ADDR,), expect=frozenset(KINDS), scoped=scoped)
        self.table = Table(self.options)
        self.zone = Zone(self.options, self.table)
        self.states: dict[Kind, list[WatchState]] = {kind: [] for kind in KINDS}
        self.pauses: list[float] = []
        self.clock = 1000.0
        self._path = path
        self._read_timeout = read_timeout
        self._scoped = scoped
        self._told = asyncio.Event()

    async def run(self) -> None:
        client = await open_client(self._path, read_timeout=self._read_timeout)
        try:
            async with asyncio.TaskGroup() as running:
                for kind in KINDS:
                    parts = resources_of(kind, "", "", self._scoped)
                    ledger = Ledger(len(parts)) if len(parts) > 1 else None
                    for part, resource in enumerate(parts):
                        state = WatchState(kind.value)
                        self.states[kind].append(state)
                        reflector = Reflector(
                            client,
                            resource,
                            state,
                            self._take,
                            self.table,
                            ledger=ledger,
                            part=part,
                            pause=self._pause,
                            clock=lambda: self.clock,
                            chance=lambda: 1.0,
                        )
                        running.create_task(reflector.run())
        finally:
            await client.close()

    def ask(self, name: str, rtype: RRType = RRType.A) -> str | set[str]:
        """Addresses or names, or how their absence is told."""
        result = self.zone.look_up(absolute(name), rtype)
        data = {unpacked(rdata) for rrset in result.answer for rdata in rrset.rdatas}
        return data or ("NODATA" if result.rcode == Rcode.NOERROR else Rcode(result.rcode).name)

    async def becomes(self, name: str, data: str | set[str], rtype: RRType = RRType.A) -> None:
        """Wait until this is what is said."""
        while self.ask(name, rtype) != data:
            self._told.clear()
            await self._told.wait()

    async def synced(self) -> None:
        """Wait until every kind has been listed."""
        while not self.table.synced:
            self._told.clear()
            await self._told.wait()

    def _take(self, change: Change) -> None:
        self.table.apply(change, 1)
        self._told.set()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock += seconds
        await asyncio.sleep(0)


def service(name: str, **spec: Any) -> Object:
    """A Service; headless if nothing else is said."""
    metadata = {"name": name, "namespace": "n"}
    return {"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": {"clusterIP": "None", **spec}}


def endpoint_slice(service_name: str, *addresses: str, name: str = "", **labels: str) -> Object:
    """A slice, as Kubernetes' controller makes it for a headless Service."""
    made = {"service.kubernetes.io/headless": "", "endpointslice.kubernetes.io/managed-by": CONTROLLER}
    metadata = {
        "name": name or f"{service_name}-1",
        "namespace": "n",
        "labels": {"kubernetes.io/service-name": service_name, **made, **labels},
    }
    endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
    return {"kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4", "endpoints": endpoints}


def play(
    folder: Path,
    test: Callable[[Followed], Awaitable[None]],
    begin: Callable[[FakeApiServer], None] = lambda api: None,
    **how: Any,
) -> None:
    """Play `test` beside a daemon's half that follows; `begin` prepares the server before it starts."""

    async def body() -> None:
        async with asyncio.timeout(300), FakeApiServer() as api:
            begin(api)
            followed = Followed(api, api.kubeconfig(folder), **how)
            running = asyncio.create_task(followed.run())
            try:
                await test(followed)
                assert not running.done(), "following never ends"
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    asyncio.run(body())
