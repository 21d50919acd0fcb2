"""Who holds a port, out of /proc: for the one line that tells why the daemon can't start."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"  # TCP state, include/net/tcp_states.h
# Columns of /proc/net/{tcp,udp}[6], Documentation/networking/proc_net_tcp.rst.
_LOCAL_ADDRESS, _STATE, _INODE = 1, 3, 9
_MAPPED = bytes(10) + b"\xff\xff"  # IPv4 in IPv6, RFC 4291 section 2.5.5.2


def holder_of(tcp: bool, host: str, port: int, proc: Path = _PROC) -> str | None:
    """Name and pid of a process whose socket keeps us from binding this address, such as `dnsmasq (pid 812)`.

    None if there is none, it is another user's and we may not look, or /proc is not readable. Reads every process's
    table of descriptors: for start-up only.
    """
    address = ipaddress.ip_address(host.partition("%")[0]).packed
    table = "tcp" if tcp else "udp"
    # An IPv6 socket that is not IPV6_V6ONLY also has the IPv4 port.
    tables = [table, table + "6"] if len(address) == 4 else [table + "6"]
    inodes = {inode for name in tables for inode in _inodes(_read_lines(proc / "net" / name), address, port, tcp)}
    links = {f"socket:[{inode}]" for inode in inodes}
    if not links:
        return None
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if _holds(process / "fd", links):
            lines = _read_lines(process / "comm")
            return f"{lines[0] if lines else '?'} (pid {process.name})"
    return None


def _inodes(table: list[str], address: bytes, port: int, tcp: bool) -> set[str]:
    """Inodes of the sockets in a table of /proc/net that collide with an address; TCP: those that listen."""
    found = set()
    for line in table[1:]:
        columns = line.split()
        if len(columns) <= _INODE or (tcp and columns[_STATE] != _LISTEN):
            continue
        digits, _, port_digits = columns[_LOCAL_ADDRESS].partition(":")
        # The kernel prints the address as 32-bit words in its own byte order.
        words = struct.unpack(f">{len(digits) // 8}I", bytes.fromhex(digits))
        if int(port_digits, 16) == port and _collide(struct.pack(f"={len(words)}I", *words), address):
            found.add(columns[_INODE])
    return found


def _collide(theirs: bytes, ours: bytes) -> bool:
    if len(theirs) == len(ours):
        return theirs == ours or not any(theirs) or not any(ours)
    return not any(theirs) or theirs == _MAPPED + ours


def _holds(directory: Path, links: set[str]) -> bool:
    try:
        return any(str(descriptor.readlink()) in links for descriptor in directory.iterdir())
    except OSError:  # another user's process, or one that has just ended
        return False


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
