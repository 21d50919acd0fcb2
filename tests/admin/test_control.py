"""Commands over the Unix socket: who may, what is understood, what comes back."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Iterator, Sequence

import pytest

from hsdnsd.admin import control
from hsdnsd.admin.control import CommandError, ControlServer, open_control
from hsdnsd.admin.control_client import command, running_daemons
from hsdnsd.errors import StartError


def name() -> str:
    return f"test-{os.getpid()}-{secrets.token_hex(4)}"


def count(words: Sequence[str]) -> Iterator[str]:
    return (f"line {number}" for number in range(int(words[0])))


def fail(words: Sequence[str]) -> list[str]:
    raise CommandError(f"not like this: {' '.join(words)}")


COMMANDS = {"count": count, "fail": fail}


async def give(words: list[str], where: str) -> list[str]:
    return await asyncio.to_thread(lambda: list(command(words, where)))


def test_the_lines_of_the_answer_come_in_order() -> None:
    async def main() -> list[str]:
        async with open_control(where := name(), COMMANDS):
            assert where in running_daemons()
            return await give(["count", "2000"], where)

    assert asyncio.run(main()) == [f"line {number}" for number in range(2000)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fail", "a", "b"], "not like this: a b"),
        (["dance"], "unknown command; there are: count, fail"),
        ([], "unknown"),
    ],
)
def test_what_can_not_be_done_is_said(words: list[str], said: str) -> None:
    async def main() -> None:
        async with open_control(where := name(), COMMANDS):
            with pytest.raises(StartError, match=said):
                await give(words, where)

    asyncio.run(main())


def test_nobody_else_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_may_command", lambda _: False)

    async def main() -> ControlServer:
        async with open_control(where := name(), COMMANDS) as server:
            with pytest.raises(StartError):
                await give(["count", "1"], where)
            return server

    assert asyncio.run(main()).refused == 1


def test_root_and_the_own_user_may_command() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert control._may_command(ours)


def test_a_line_without_end_is_cut_off_and_the_next_is_served() -> None:
    async def main() -> list[str]:
        async with open_control(where := name(), COMMANDS):
            reader, writer = await asyncio.open_unix_connection(control.PREFIX + where)
            writer.write(b"x" * 100_000)
            assert await reader.read() == b""
            writer.close()
            return await give(["count", "1"], where)

    assert asyncio.run(main()) == ["line 0"]


def test_a_name_is_taken_once() -> None:
    async def main() -> None:
        async with open_control(where := name(), COMMANDS):
            with pytest.raises(StartError, match="in use"):
                async with open_control(where, COMMANDS):
                    raise AssertionError

    asyncio.run(main())


def test_a_daemon_that_is_not_there() -> None:
    with pytest.raises(StartError, match="no daemon takes commands as nowhere"):
        list(command(["count", "1"], "nowhere"))
