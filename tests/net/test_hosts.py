"""hosts(5): what a text says, and how a file of it is followed."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.engine.static import StaticRecords, static_records
from hsdnsd.net.hosts import MAX_TOLD, POLL_INTERVAL, HostsFile, parse_hosts
from hsdnsd.wire.name import Name, from_text
from tests.support.facts import packed


def line(address: str, *names: str) -> tuple[bytes, tuple[Name, ...]]:
    return packed(address), tuple(map(from_text, names))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("# nothing\n\n   \n\t# here\n", []),
        ("10.0.0.1 db", [line("10.0.0.1", "db")]),
        ("10.0.0.1\tdb.example.\t DB  # the first\r\n", [line("10.0.0.1", "db.example", "DB")]),
        ("  fd00::1 db#comment\n10.0.0.1 db\n", [line("fd00::1", "db"), line("10.0.0.1", "db")]),
        ("FD00:0::1 a_b.example", [line("fd00::1", "a_b.example")]),
        ("::ffff:10.0.0.1 mapped", [line("::ffff:10.0.0.1", "mapped")]),
    ],
)
def test_lines(text: str, lines: list[tuple[bytes, tuple[Name, ...]]]) -> None:
    assert parse_hosts(text) == (lines, [])


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("10.0.0.256 db", "'10.0.0.256' is not a numeric IPv4 or IPv6 address"),
        ("db 10.0.0.1", "'db' is not"),
        ("10.0.0.1", "an address without a name"),
        ("10.0.0.1 # db", "an address without a name"),
        ("10.0.0.1 db..example", "has 0 octets"),
        ("10.0.0.1 db caf\xe9", "is not ASCII"),
        ("10.0.0.1 " + "x" * 64, "has 64 octets"),
        ("10.0.0.1 .", "the root is no host"),
        ("fe80::1%eth0 db", "a record holds no scope"),
        ("\x1b[31m db", "is not"),
    ],
)
def test_a_broken_line_is_left_out_and_told_with_its_number(broken: str, problem: str) -> None:
    hosts = parse_hosts(f"10.0.0.1 a\n{broken}\n10.0.0.2 b\n")
    assert hosts.lines == [line("10.0.0.1", "a"), line("10.0.0.2", "b")]
    [(number, told)] = hosts.faults
    assert number == 2
    assert problem in told
    assert told.isprintable()


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    hosts = parse_hosts(text)
    static_records(hosts.lines, 30)
    assert len(hosts.lines) + len(hosts.faults) <= text.count("\n") + 1


class Followed:
    """A hosts file and what was told of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes = 0
        self.file = HostsFile(str(path), 30)

    def write(self, text: str) -> None:
        self.writes += 1
        self.path.write_text(text)
        os.utime(self.path, (self.writes, self.writes))

    def poll(self) -> list[StaticRecords]:
        told: list[StaticRecords] = []
        asyncio.run(self.file.poll(told.append))
        return told


@pytest.fixture
def followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Followed:
    caplog.set_level(logging.INFO)
    return Followed(tmp_path / "hosts")


def test_a_file_is_read_and_read_again_when_it_changes(followed: Followed) -> None:
    followed.write("10.0.0.1 db")
    assert followed.poll() == [static_records([line("10.0.0.1", "db")], 30)]
    assert followed.poll() == []
    followed.write("10.0.0.2 db")
    assert followed.poll() == [static_records([line("10.0.0.2", "db")], 30)]
    followed.write("")
    assert followed.poll() == [{}]


def test_each_broken_line_is_told_once_with_file_and_line(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    followed.write("10.0.0.1 db\nnonsense x\n")
    assert len(followed.poll()) == 1
    assert followed.poll() == []
    assert caplog.messages == [
        f"hosts: {followed.path}, line 2 is left out: 'nonsense' is not a numeric IPv4 or IPv6 address",
        f"hosts: read {followed.path}: 2 names",
    ]


def test_a_file_of_nonsense_does_not_flood_the_log(followed: Followed, caplog: pytest.LogCaptureFixture) -> None:
    followed.write(("x" * 5000 + "\n") * 1000)
    assert followed.poll() == [{}]
    assert len(caplog.messages) == MAX_TOLD + 2
    assert f"{1000 - MAX_TOLD} more lines" in caplog.messages[-2]
    assert max(map(len, caplog.messages)) < 600


def test_while_it_cannot_be_read_nothing_changes_and_the_log_says_so_once(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert followed.poll() == []
    assert caplog.messages == [
        f"hosts: {followed.path}: No such file or directory; what was read before stays in force"
    ]
    followed.write("10.0.0.1 db")
    assert len(followed.poll()) == 1
    followed.path.unlink()
    assert followed.poll() == []
    assert len(caplog.messages) == 3


def test_it_is_polled_for_ever(tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    pauses: list[float] = []
    path = tmp_path / "hosts"

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        path.write_text(f"10.0.0.{len(pauses)} db")
        if len(pauses) == 3:
            raise EnoughError

    told: list[StaticRecords] = []
    with pytest.raises(EnoughError):
        asyncio.run(HostsFile(str(path), 30, pause=pause).run(told.append))
    assert told == [static_records([line(f"10.0.0.{number}", "db")], 30) for number in (1, 2)]
    assert pauses == [POLL_INTERVAL] * 3
