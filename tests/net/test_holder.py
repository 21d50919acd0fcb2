"""Who holds a port: against the real /proc, and against one that is made up."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from hsdnsd.net.holder import holder_of

COMM = Path("/proc/self/comm").read_text().strip()
ME = f"{COMM} (pid {os.getpid()})"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.77", "::1"])
@pytest.mark.parametrize("tcp", [False, True])
def test_ourselves(host: str, tcp: bool) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        if tcp:
            sock.listen()
        port = sock.getsockname()[1]
        assert holder_of(tcp, host, port) == ME
        assert holder_of(tcp, "::" if ":" in host else "0.0.0.0", port) == ME
        assert holder_of(not tcp, host, port) is None
        assert holder_of(tcp, "::2" if ":" in host else "127.0.0.3", port) is None
    assert holder_of(tcp, host, port) is None


def test_a_dual_stack_socket_has_the_ipv4_port_too() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0))
        assert holder_of(False, "127.0.0.1", sock.getsockname()[1]) == ME


HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = "   0: {address}:0035 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc in which `dnsmasq` holds the socket of inode 4711."""
    (tmp_path / "net").mkdir()
    for name, directory in (("init", "1"), ("dnsmasq", "812")):
        (tmp_path / directory / "fd").mkdir(parents=True)
        (tmp_path / directory / "comm").write_text(name + "\n")
    (tmp_path / "812" / "fd" / "4").symlink_to("socket:[4711]")
    (tmp_path / "1" / "fd" / "4").symlink_to("socket:[47]")
    return tmp_path


@pytest.mark.parametrize(
    ("state", "holder"),
    [("0A", "dnsmasq (pid 812)"), ("01", None)],
)
def test_over_tcp_it_is_who_listens(proc: Path, state: str, holder: str | None) -> None:
    address = socket.inet_aton("127.0.0.1")[:: -1 if sys.byteorder == "little" else 1].hex().upper()
    (proc / "net" / "tcp").write_text(HEADER + LINE.format(address=address, state=state))
    assert holder_of(True, "127.0.0.1", 53, proc) == holder
    assert holder_of(True, "127.0.0.1", 54, proc) is None


def test_another_users_process_is_not_named(proc: Path) -> None:
    (proc / "net" / "udp").write_text(HEADER + LINE.format(address="00000000", state="07"))
    assert holder_of(False, "127.0.0.1", 53, proc) == "dnsmasq (pid 812)"
    (proc / "812" / "fd" / "4").unlink()
    (proc / "812" / "fd").rmdir()
    assert holder_of(False, "127.0.0.1", 53, proc) is None


def test_no_proc_at_all(tmp_path: Path) -> None:
    assert holder_of(False, "127.0.0.1", 53, tmp_path) is None
