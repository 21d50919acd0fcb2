from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsdnsd.config import Config, changed_while_running, load, parse
from hsdnsd.errors import ConfigError, StartError
from hsdnsd.reload import Reloader
from hsdnsd.schema_text import to_toml


class Taken:
    """Where configurations go."""

    def __init__(self) -> None:
        self.configs: list[Config] = []
        self.problem: Exception | None = None
        self.changed = asyncio.Event()

    async def apply(self, config: Config) -> None:
        if self.problem is not None:
            raise self.problem
        self.configs.append(config)
        self.changed.set()


def reloader(
    taken: Taken, read: Callable[[], Config], path: str | None = None, poll_interval: float = 3600
) -> Reloader:
    return Reloader(Config(), path, read, taken.apply, poll_interval=poll_interval, settled_after=0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of integers nobody says that they change
            await asyncio.sleep(0)


def test_what_was_changed_is_taken_and_told(caplog: pytest.LogCaptureFixture) -> None:
    wanted = parse({"drain": 1, "threads": 2, "cache": {"max_ttl": 60}})

    async def main() -> None:
        taken = Taken()
        follower = reloader(taken, lambda: wanted)
        for _ in range(2):
            await follower.reload(always=False)
        assert taken.configs == [parse({"drain": 1, "cache": {"max_ttl": 60}})], "once, and without what needs a start"
        assert (follower.applied, follower.failed, follower.good) == (1, 0, True)
        assert follower.waiting == ("threads",)
        await follower.reload(always=True)
        assert len(taken.configs) == 2

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert caplog.messages == [
        "configuration: taken; changed: drain, cache.max_ttl",
        "configuration: takes effect at the next start: threads",
        "configuration: taken; changed: nothing",
    ]


def test_what_waits_for_a_start_can_be_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    wanted = [parse({"threads": 2}), Config()]

    async def main() -> None:
        follower = reloader(Taken(), lambda: wanted.pop(0))
        await follower.reload(always=False)
        await follower.reload(always=False)
        assert (follower.waiting, follower.applied) == ((), 0)

    asyncio.run(main())
    assert caplog.messages[-1] == "configuration: takes effect at the next start: nothing any more"


def broken() -> Config:
    return load('listen = 1\n[cache]\nmax_tll = "x"')


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (broken, ["listen: expected an array", "cache.max_tll: unknown key"]),
        (lambda: load("[x"), ["line 1"]),
        (
            lambda: parse({"listen": ["127.0.0.1:5300"], "forward": {"upstreams": ["127.0.0.1:53"]}}),
            ["forward.upstreams[0]: 127.0.0.1:53 is this daemon's own listening address; as it is wanted"],
        ),
    ],
    ids=["faults", "no TOML", "what can't be without a start"],
)
def test_what_is_wrong_changes_nothing(
    read: Callable[[], Config], told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        taken = Taken()
        follower = reloader(taken, read)
        await follower.reload(always=True)
        assert taken.configs == []
        assert (follower.applied, follower.failed, follower.good) == (0, 1, False)

    asyncio.run(main())
    assert len(caplog.messages) == len(told) + 1
    for message, beginning in zip(caplog.messages, told, strict=False):
        assert message.startswith(f"configuration: {beginning}")


@pytest.mark.parametrize("problem", [ConfigError([("forward.resolv_conf", "is us")]), StartError("no authorities")])
def test_what_can_not_be_gone_by_is_not_taken(problem: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        taken = Taken()
        follower = reloader(taken, lambda: parse({"drain": 1}))
        taken.problem = problem
        await follower.reload(always=False)
        assert (follower.failed, follower.good) == (1, False)
        taken.problem = None
        await follower.reload(always=False)
        assert (follower.failed, follower.good, taken.configs) == (1, True, [parse({"drain": 1})])

    asyncio.run(main())
    assert str(problem) in caplog.messages[0]


def test_a_fault_that_nobody_foresaw_is_not_hidden() -> None:
    async def main() -> None:
        taken = Taken()
        taken.problem = KeyError("x")
        await reloader(taken, Config).reload(always=True)

    with pytest.raises(KeyError):
        asyncio.run(main())


def test_it_is_read_when_it_is_asked_for_and_once_more_if_that_comes_meanwhile() -> None:
    async def main() -> None:
        taken = Taken()
        follower = reloader(taken, Config)
        running = asyncio.create_task(follower.run())
        follower.ask()
        follower.ask()
        await until(lambda: follower.applied == 1)
        follower.ask()
        await until(lambda: follower.applied == 2)
        running.cancel()
        assert len(taken.configs) == 2

    asyncio.run(main())


def test_a_changed_file_is_noticed_and_one_that_is_gone_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "hsdnsd.toml"
    file.write_text("drain = 1")

    async def main() -> None:
        taken = Taken()
        follower = reloader(taken, lambda: load(file.read_text()), str(file), poll_interval=0)
        running = asyncio.create_task(follower.run())
        await until(lambda: follower.applied == 1)
        (tmp_path / "new").write_text("drain = 2")
        (tmp_path / "new").rename(file)
        await until(lambda: follower.applied == 2)
        file.unlink()
        await until(lambda: not follower.good)
        file.write_text("drain = 3")
        await until(lambda: follower.good)
        running.cancel()
        assert [config.drain for config in taken.configs] == [1, 2, 3]
        assert follower.failed == 1, "told once"

    asyncio.run(main())
    assert f"configuration: {file}: No such file or directory" in caplog.messages


def test_a_file_that_comes_back_as_it_was_is_good_again(tmp_path: Path) -> None:
    file = tmp_path / "hsdnsd.toml"
    file.write_text("drain = 1")

    async def main() -> None:
        follower = reloader(Taken(), lambda: load(file.read_text()), str(file), poll_interval=0)
        running = asyncio.create_task(follower.run())
        await until(lambda: follower.applied == 1)
        file.rename(tmp_path / "away")
        await until(lambda: not follower.good)
        (tmp_path / "away").rename(file)
        await until(lambda: follower.good)
        running.cancel()
        assert follower.applied == 1

    asyncio.run(main())


def test_a_file_that_is_written_bit_by_bit_is_read_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "hsdnsd.toml"
    whole = "drain = 1\n[cache]\nmax_ttl = 60\n"
    reads: list[str] = []

    def read() -> Config:
        reads.append(file.read_text())
        return load(reads[-1])

    async def main() -> None:
        file.write_text("")
        follower = reloader(Taken(), read, str(file))
        look, written = follower._look, 0

        def write_and_look() -> bool:
            nonlocal written
            written += 8
            file.write_text(whole[:written])
            return look()

        follower._look = write_and_look  # type: ignore[method-assign]
        assert await follower._has_changed()
        await follower.reload(always=False)
        assert not await follower._has_changed()

    asyncio.run(main())
    assert reads == [whole]


WHOLE = to_toml(parse({"forward": {"upstreams": ["192.0.2.1"], "stub_zones": {"corp.example": ["192.0.2.2"]}}}))


@settings(max_examples=200)
@given(
    st.integers(0, len(WHOLE) - 1),
    st.integers(0, 12),
    st.sampled_from(["", "=", "[", '"', "7", "zone", "\n", "\x00", "é"]),
)
def test_a_text_that_was_damaged_anywhere_is_taken_whole_or_not_at_all(at: int, cut: int, put: str) -> None:
    text = WHOLE[:at] + put + WHOLE[at + cut :]

    async def main() -> None:
        taken = Taken()
        follower = reloader(taken, lambda: load(text))
        await follower.reload(always=True)
        assert (follower.applied, follower.failed) == ((1, 0) if follower.good else (0, 1))
        assert len(taken.configs) == follower.applied
        if follower.good:
            assert taken.configs == [changed_while_running(Config(), load(text))]
        else:
            with pytest.raises(ConfigError):
                changed_while_running(Config(), load(text))

    asyncio.run(main())
