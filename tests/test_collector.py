"""hsdnsd.collector: when Python looks for cycles."""

from __future__ import annotations

import asyncio
import gc
import weakref
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


class Cyclic:
    def __init__(self) -> None:
        self.self = self


def test_cycles_are_found_afterwards_and_only_then() -> None:
    """Without being looked for: by the collector's own count of what is made."""
    enough = 2 * gc.get_threshold()[0]

    async def main() -> None:
        collector = Collector()
        collector.rest(3600.0)
        early = weakref.ref(Cyclic())
        held = [[] for _ in range(enough)]
        assert early() is not None
        collector.settle()
        late = weakref.ref(Cyclic())
        held += [[] for _ in range(enough)]
        assert late() is None
        assert early() is not None  # it is taken for what is held

    asyncio.run(main())
