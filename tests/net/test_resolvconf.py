"""resolv.conf(5): nameserver lines, as glibc reads them, but all of them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.resolvconf import POLL_INTERVAL, ResolvConf, parse_resolv_conf


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", []),
        ("nameserver 10.0.0.2\n", ["10.0.0.2"]),
        ("nameserver 10.0.0.2", ["10.0.0.2"]),
        ("nameserver\t10.0.0.2\t # the first\n", ["10.0.0.2"]),
        ("nameserver 2001:DB8::53\n", ["2001:db8::53"]),
        ("nameserver fe80::1%eth0\n", ["fe80::1%eth0"]),
        ("# nameserver 10.0.0.1\n;nameserver 10.0.0.2\n#nameserver 10.0.0.3\n", []),
        ("search example.org\noptions ndots:5\nnameserver 10.0.0.2\ndomain example.net\n", ["10.0.0.2"]),
        ("".join(f"nameserver 10.0.0.{n}\n" for n in range(1, 6)), [f"10.0.0.{n}" for n in range(1, 6)]),
        ("nameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.2\n", ["10.0.0.2", "10.0.0.3"]),
        ("nameservers 10.0.0.2\nnameserver\n nameserver 10.0.0.3\n", []),
        ("nameserver 10.0.0.2\r\nnameserver 10.0.0.3\r\n", ["10.0.0.2", "10.0.0.3"]),
    ],
)
def test_lines(text: str, hosts: list[str]) -> None:
    assert parse_resolv_conf(text) == [Upstream(host, 53) for host in hosts]


@pytest.mark.parametrize("word", ["dns.example.org", "10.0.0", "10.0.0.2:53", "\x1b[31m", "é"])
def test_what_is_no_address_is_left_out_and_told(word: str, caplog: pytest.LogCaptureFixture) -> None:
    assert parse_resolv_conf(f"nameserver {word}\nnameserver 10.0.0.2\n") == [Upstream("10.0.0.2", 53)]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "is not" in record.getMessage()
    assert "\x1b" not in record.getMessage()


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(b"# \xff\nnameserver 10.0.0.2\n")
    file = ResolvConf(str(path))
    assert file.read_if_changed() == [Upstream("10.0.0.2", 53)]
    assert file.read_if_changed() is None
    replacement = tmp_path / "new"
    replacement.write_text("nameserver 10.0.0.3\n")
    replacement.rename(path)
    assert file.read_if_changed() == [Upstream("10.0.0.3", 53)]


def test_a_file_that_says_nothing_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "resolv.conf"
    file = ResolvConf(str(path))
    assert (file.read_if_changed(), file.read_if_changed()) == (None, None)
    assert caplog.messages == [f"no nameservers from {path}: No such file or directory"]
    path.write_text("search example.org\n")
    assert (file.read_if_changed(), file.read_if_changed()) == (None, None)
    assert caplog.messages[1:] == [f"no nameservers in {path}"]
    path.write_text("nameserver 10.0.0.2\n")
    assert file.read_if_changed() == [Upstream("10.0.0.2", 53)]


def test_what_changed_goes_to_the_sink(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 10.0.0.2\n")
    told: list[list[Upstream]] = []
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            path.write_text("nameserver 10.0.0.3\nnameserver 10.0.0.4\n")
        if len(pauses) == 4:
            raise KeyboardInterrupt

    file = ResolvConf(str(path), pause=pause)
    assert file.read_if_changed() == [Upstream("10.0.0.2", 53)]
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(file.run(told.append))
    assert told == [[Upstream("10.0.0.3", 53), Upstream("10.0.0.4", 53)]]
    assert pauses == [POLL_INTERVAL] * 4


def test_what_was_changed_goes_where_it_is_wanted_once(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 192.0.2.1\n")
    taken: list[list[Upstream]] = []
    conf = ResolvConf(str(path))

    async def main() -> None:
        await conf.poll(taken.append)
        await conf.poll(taken.append)
        path.unlink()
        await conf.poll(taken.append)

    asyncio.run(main())
    assert taken == [[Upstream("192.0.2.1", 53)]]
