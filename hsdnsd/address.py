"""Addresses and ports in text: ADDR:PORT, [ADDR]:PORT. Numeric only: nothing here may ask a resolver."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

DNS_PORT = 53
DNS_OVER_TLS_PORT = 853  # RFC 7858 section 3.1


class Endpoint(msgspec.Struct, frozen=True):
    """A numeric address (with its scope, if it has one) in its canonical spelling, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str, default_port: int | None = None) -> Endpoint:
    """ADDR:PORT or [ADDR]:PORT; with a default port also ADDR and [ADDR]. Port 0 is understood.

    Raises:
        ValueError: what is wrong.
    """
    bracketed = text.startswith("[")
    if bracketed:
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address with a port is written [ADDR]:PORT")
        port = rest[1:] if rest else None
    elif text.count(":") > 1:
        host, port = text, None
    else:
        host, colon, number = text.partition(":")
        port = number if colon else None
    address = parse_address(host)
    if bracketed and address.version == 4:
        raise ValueError("only an IPv6 address is put in brackets")
    if port is not None:
        return Endpoint(str(address), parse_port(port))
    if default_port is None:
        raise ValueError("the port is missing" + (" ([ADDR]:PORT)" if address.version == 6 else ""))
    return Endpoint(str(address), default_port)


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """A numeric address.

    Raises:
        ValueError: it is none.
    """
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a numeric IPv4 or IPv6 address") from None


def is_own(upstream: Endpoint, listen: Endpoint) -> bool:
    """Whether what is sent to `upstream` would come back in at `listen` (as far as can be told without the kernel)."""
    if upstream.port != listen.port:
        return False
    there, here = _unmapped(upstream.host), _unmapped(listen.host)
    if there == here:
        return True
    return here.is_unspecified and here.version == there.version and (there.is_loopback or there.is_unspecified)


def _unmapped(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def parse_port(text: str) -> int:
    """A port, 0 included.

    Raises:
        ValueError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError(f"{text!r} is not a port (0 to 65535)")
    return int(text)
