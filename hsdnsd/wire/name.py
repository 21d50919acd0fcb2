"""Domain names in wire form: uncompressed labels with the root's zero octet at the end (RFC 1035 section 3.1).

Inside the daemon a name is always ``Name``. Length octets are below 64, so ``bytes.lower()`` folds the case
of letters and nothing else (RFC 4343): a folded name is just ``name.lower()``.
"""

from __future__ import annotations

import re
from typing import Final, NewType

from hsdnsd.errors import NameTextError
from hsdnsd.wire.const import MAX_LABEL, MAX_NAME

Name = NewType("Name", bytes)

ROOT = Name(b"\0")

# One octet of a label in text: an escape (RFC 1035 section 5.1) or any one character.
_ESCAPED: Final = re.compile(r"\\(?:([0-9]{3})|([^0-9]))|([^\\])", re.DOTALL)
# Labels without these octets are their own presentation: letters, digits and marks that no zone file gives a meaning.
_NEEDS_ESCAPE: Final = re.compile(rb"[^!#%&\'*+,\-/0-9:<=>?A-Z\[\]^_`a-z{|}~]")
_SPECIAL: Final = frozenset(b'"$().;@\\')


def from_text(text: str) -> Name:
    """The wire form of a name in presentation format, with or without the final dot; case is kept.

    ``\\.`` and ``\\DDD`` escapes are understood (RFC 1035 section 5.1); text that is not ASCII is refused: no IDNA.

    Raises:
        NameTextError: an empty label, a label over 63 octets, a name over 255, a bad escape.
    """
    if text == ".":
        return ROOT
    if not text.isascii():
        raise NameTextError(f"name {text!r} is not ASCII")
    if "\\" in text:
        return from_labels(_escaped_labels(text))
    return from_labels(tuple(text.removesuffix(".").encode("ascii").split(b".")))


def to_text(name: Name) -> str:
    """Presentation format with the final dot; every octet that is not printable ASCII is escaped. Cannot fail."""
    if name == ROOT:
        return "."
    return "".join(f"{_label_text(label)}." for label in labels(name))


def labels(name: Name) -> tuple[bytes, ...]:
    """The labels from left to right, the root's left out. Cannot fail."""
    found = []
    start = 1
    while length := name[start - 1]:
        found.append(name[start : start + length])
        start += length + 1
    return tuple(found)


def from_labels(parts: tuple[bytes, ...]) -> Name:
    """The name made of these labels.

    Raises:
        NameTextError: see `from_text`.
    """
    octets = bytearray()
    for part in parts:
        if not 0 < len(part) <= MAX_LABEL:
            raise NameTextError(f"label {part!r} has {len(part)} octets, not 1 to {MAX_LABEL}")
        octets.append(len(part))
        octets += part
    octets.append(0)
    if len(octets) > MAX_NAME:
        raise NameTextError(f"name has {len(octets)} octets, more than {MAX_NAME}")
    return Name(bytes(octets))


def is_within(name: Name, zone: Name) -> bool:
    """Whether `name` is `zone` or lies below it, at a label's border; both folded. Cannot fail."""
    if not name.endswith(zone):
        return False
    # A label may hold any octets, so the tail that looks like the zone may begin in the middle of a label.
    border = len(name) - len(zone)
    start = 0
    while start < border:
        start += name[start] + 1
    return start == border


def _escaped_labels(text: str) -> tuple[bytes, ...]:
    """The labels of a name in text that has escapes in it."""
    found = [bytearray()]
    end = 0
    for match in _ESCAPED.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        number, escaped, plain = match.groups()
        if plain == ".":
            found.append(bytearray())
        elif number is None:
            found[-1].append(ord(plain or escaped))
        elif int(number) > 255:
            raise NameTextError(f"name {text!r}: \\{number} is not an octet")
        else:
            found[-1].append(int(number))
    if end != len(text):
        raise NameTextError(f"name {text!r}: bad escape at character {end + 1}")
    if not found[-1]:
        found.pop()
    return tuple(bytes(label) for label in found)


def _label_text(label: bytes) -> str:
    if not _NEEDS_ESCAPE.search(label):
        return label.decode("ascii")
    return "".join(
        f"\\{chr(octet)}" if octet in _SPECIAL else chr(octet) if 0x20 < octet < 0x7F else f"\\{octet:03}"
        for octet in label
    )
