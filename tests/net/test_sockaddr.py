"""Literal addresses as the kernel takes them."""

from __future__ import annotations

import socket

import pytest

from hsdnsd.net.sockaddr import to_sockaddr


def test_both_families() -> None:
    assert to_sockaddr("127.0.0.1", 53) == (socket.AF_INET, ("127.0.0.1", 53))
    assert to_sockaddr("::1", 53) == (socket.AF_INET6, ("::1", 53, 0, 0))


def test_a_scope_becomes_the_number_of_the_interface() -> None:
    family, address = to_sockaddr("fe80::1%lo", 53)
    assert (family, address[3]) == (socket.AF_INET6, socket.if_nametoindex("lo"))


@pytest.mark.parametrize("host", ["dns.example.org", "fe80::1%no-such-interface"])
def test_nobody_is_asked(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        to_sockaddr(host, 53)
