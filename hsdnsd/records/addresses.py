"""Addresses in names: dashed labels, and the names of reverse zones."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final

import msgspec

from hsdnsd.wire.name import Name, from_labels

_DASHED: Final = b"0123456789abcdef-"
_IPV4_TREE: Final = (b"in-addr", b"arpa")
_IPV6_TREE: Final = (b"ip6", b"arpa")
_OCTETS: Final = {b"%d" % octet: octet for octet in range(256)}
_NIBBLES: Final = {b"%x" % nibble: nibble for nibble in range(16)}


def canonical_text(address: bytes) -> str:
    """The one spelling of a packed address that RFC 5952 recommends (IPv4: dotted decimal)."""
    if len(address) == 4:
        return "{}.{}.{}.{}".format(*address)
    return str(IPv6Address(address))


def dashed(text: str) -> bytes:
    """The label that an address gives an endpoint: its text with dashes, but for a last one (docs/names.md, H7)."""
    if "." in text:
        return text.replace(".", "-").encode("ascii", "replace")
    label = text.replace(":", "-").encode("ascii", "replace")
    return label + b"0" if label.endswith(b"-") else label


def dashed_address(label: bytes) -> bytes | None:
    """The packed address that a folded label spells, in any spelling: three single dashes make it IPv4, else IPv6."""
    if label.count(b"-") < 2 or label.strip(_DASHED):  # the shortest address is `--`; most labels are none
        return None
    text = label.decode("ascii")
    try:
        if text.count("-") == 3 and "--" not in text:
            return IPv4Address(text.replace("-", ".")).packed
        return IPv6Address(text.replace("-", ":")).packed
    except ValueError:
        return None


def reverse_name(address: bytes) -> Name:
    """The name that a packed address has in its reverse tree (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    if len(address) == 4:
        return from_labels((*(b"%d" % octet for octet in reversed(address)), *_IPV4_TREE))
    return from_labels((*(b"%c" % nibble for nibble in reversed(address.hex().encode())), *_IPV6_TREE))


class AddressRange(msgspec.Struct, frozen=True):
    """The addresses whose reverse names lie at or below a name; `first == last` for a complete name."""

    first: bytes
    last: bytes


def reverse_range(labels: tuple[bytes, ...]) -> AddressRange | None:
    """What addresses a folded name in a reverse tree stands for (RFC 1035 section 3.5, RFC 3596 section 2.5).

    None if no address has a name at or below it: a label that is no octet or nibble in its one spelling, too many of
    them, or another tree.
    """
    tree, digits = labels[-2:], labels[-3::-1]
    if tree == _IPV4_TREE and len(digits) <= 4:
        octets = [_OCTETS.get(label, -1) for label in digits]
        if -1 in octets:
            return None
        missing = 4 - len(octets)
        return AddressRange(bytes(octets) + bytes(missing), bytes(octets) + b"\xff" * missing)
    if tree == _IPV6_TREE and len(digits) <= 32:
        if any(label not in _NIBBLES for label in digits):
            return None
        nibbles = b"".join(digits).decode("ascii")
        return AddressRange(bytes.fromhex(nibbles.ljust(32, "0")), bytes.fromhex(nibbles.ljust(32, "f")))
    return None
