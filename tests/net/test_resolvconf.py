"""resolv.conf(5): nameserver lines, as glibc reads them, but all of them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hsdnsd.engine.upstreams import Upstream
from hsdnsd.net.resolvconf import parse_resolv_conf, read_resolv_conf


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


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(b"# \xff\nnameserver 10.0.0.2\n")
    assert read_resolv_conf(str(path)) == [Upstream("10.0.0.2", 53)]


def test_a_file_that_is_not_there_gives_nothing_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "resolv.conf")
    assert read_resolv_conf(path) == []
    assert caplog.messages == [f"no nameservers from {path}: No such file or directory"]
