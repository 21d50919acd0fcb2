"""hsdnsd.collector: when Python looks for cycles."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

from hsdnsd.collector import Collector


@pytest.fixture(autouse=True)
def own() -> Iterator[None]:
    """The collector is the process's, not the test's."""
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


def test_it_rests_until_all_is_there() -> None:
    async def main() -> None:
        collector = Collector()
        collector.rest(3600.0)
        assert not gc.isenabled()
        held = [[] for _ in range(1000)]
        collector.settle()
        assert gc.isenabled()
        assert gc.get_freeze_count() > len(held)

    asyncio.run(main())


def test_settled_once_it_is_left_alone() -> None:
    async def main() -> None:
        collector = Collector()
        collector.rest(0.0)
        collector.settle()
        gc.disable()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not gc.isenabled()

    asyncio.run(main())


def test_what_is_there_by_then_does_for_it() -> None:
    async def main() -> None:
        collector = Collector()
        collector.rest(0.0)
        assert not gc.isenabled()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert gc.isenabled()
        before = gc.get_freeze_count()
        held = [[] for _ in range(1000)]
        collector.settle()  # it came after all
        assert gc.get_freeze_count() >= before + len(held)

    asyncio.run(main())


def test_a_cycle_is_found_afterwards() -> None:
    async def main() -> None:
        collector = Collector()
        collector.rest(3600.0)
        collector.settle()
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1

    asyncio.run(main())
