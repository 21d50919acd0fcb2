from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from hsdnsd.config import parse
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.named_files import NamedFile, open_hosts, open_resolv_conf
from hsdnsd.wire.name import from_text


def test_hosts_are_read_when_they_are_named(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("192.0.2.1 a.test\n")

    async def main() -> None:
        nothing = await open_hosts(parse({}), None)
        assert (nothing.value, nothing.key) == ({}, ("", 0))
        assert await open_hosts(parse({"local": {"hosts_ttl": 7}}), nothing) is nothing
        config = parse({"local": {"hosts_file": str(file)}})
        named = await open_hosts(config, nothing)
        assert from_text("a.test") in named.value
        assert await open_hosts(config, named) is named
        other = await open_hosts(parse({"local": {"hosts_file": str(file), "hosts_ttl": 7}}), named)
        assert other is not named
        assert other.value[from_text("a.test")][0].ttl == 7

    asyncio.run(main())


def test_a_hosts_file_that_is_not_there_holds_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = parse({"local": {"hosts_file": str(tmp_path / "hosts")}})
    assert asyncio.run(open_hosts(config, None)).value == {}
    assert "No such file" in caplog.text


def test_resolv_conf_is_read_where_no_other_servers_are_named(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 192.0.2.1\n")

    async def main() -> None:
        forward: dict[str, object] = {"resolv_conf": str(file)}
        named = await open_resolv_conf(parse({"forward": forward}), None)
        assert named.value == [Upstream("192.0.2.1", 53)]
        assert await open_resolv_conf(parse({"forward": forward | {"max_fails": 1}}), named) is named
        others = await open_resolv_conf(parse({"forward": forward | {"upstreams": ["192.0.2.9"]}}), named)
        assert (others.value, others.key) == ([], "")

    asyncio.run(main())


class Polled:
    """A file that changes when the test says so."""

    def __init__(self) -> None:
        self.value = "first"
        self.changed = asyncio.Event()
        self.runs = 0

    async def poll(self, sink: Callable[[str], None]) -> None:
        sink(self.value)

    async def run(self, sink: Callable[[str], None]) -> None:  # type: ignore[misc]
        self.runs += 1
        while True:
            await self.changed.wait()
            self.changed.clear()
            sink(self.value)


def test_it_is_followed_once_until_it_is_stopped() -> None:
    async def main() -> None:
        polled = Polled()
        file: NamedFile[str] = NamedFile("key", polled, "nothing")  # type: ignore[arg-type]
        assert file.value == "nothing"
        await file.read()
        taken: asyncio.Queue[str] = asyncio.Queue()
        async with asyncio.TaskGroup() as running:
            for _ in range(2):
                file.follow(running, taken.put_nowait)
            await asyncio.sleep(0)
            polled.value = "second"
            polled.changed.set()
            assert await taken.get() == "second"
            file.stop()
        assert (taken.empty(), file.value, polled.runs) == (True, "second", 1)

    asyncio.run(main())


def test_where_there_is_no_file_nothing_is_followed() -> None:
    async def main() -> None:
        file = NamedFile("", None, 0)
        async with asyncio.TaskGroup() as running:
            await file.read()
            file.follow(running, [].append)
            file.stop()
        assert file.value == 0

    asyncio.run(main())
