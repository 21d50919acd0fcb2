from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hsdnsd.admin import sources
from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.config import Config, Tcp
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.upstreams import Forwards
from hsdnsd.kube.keeper import Keeper
from hsdnsd.kube.source import WatchState
from hsdnsd.kube.union import Together
from hsdnsd.net.driver import Driver
from hsdnsd.net.tcp import TcpServer
from hsdnsd.net.upstream import Exchanges
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.reload import Reloader
from hsdnsd.wire.name import from_text
from tests.support.world import Finished


def members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_") or name == "__len__"}


def lacking(protocol: type, real: Any) -> set[str]:
    return {name for name in members(protocol) if not hasattr(real, name)}


def test_a_watch_is_what_the_sources_of_objects_tell() -> None:
    assert len(members(sources.Watch)) == 11
    assert lacking(sources.Watch, WatchState("Service")) == set()
    assert lacking(sources.Watch, Together([WatchState("Service")])) == set()
    assert lacking(sources.Durations, WatchState("Service").programming) == set()


def test_a_snapshot_is_what_its_keeper_tells() -> None:
    keeper = Keeper("snapshot", Table(ZoneOptions(from_text("cluster.local"))), tuple, {}, "cluster.local", "")
    assert len(members(sources.Snapshot)) == 5
    assert lacking(sources.Snapshot, keeper) == set()


def test_the_follower_of_the_configuration_has_what_is_read_of_it() -> None:
    async def apply(config: Config) -> None: ...

    assert len(members(sources.Reloader)) == 4
    assert lacking(sources.Reloader, Reloader(Config(), None, Config, apply)) == set()


@pytest.mark.parametrize("part", ["driver", "upstreams", "pool", "tcp"])
def test_the_sockets_have_what_is_read_of_them(part: str) -> None:
    async def main() -> set[str]:
        loop = asyncio.get_running_loop()
        exchanges = Exchanges()
        engine = Engine(None, Forwards({}), Cache(Limits()), Finished(), Counters(), bytes)
        driver = Driver(engine, exchanges, loop)
        server = TcpServer(driver, Tcp(), loop)
        real, protocol = {
            "driver": (driver, sources.Driver),
            "upstreams": (exchanges, sources.UpstreamSockets),
            "pool": (exchanges.pool, sources.Pool),
            "tcp": (server, sources.TcpServer),
        }[part]
        found = lacking(protocol, real)
        server.close()
        driver.close()
        exchanges.close_all()
        return found

    assert asyncio.run(main()) == set()
