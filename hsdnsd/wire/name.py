"""Domain names in wire form: uncompressed labels with the root's zero octet at the end (RFC 1035 section 3.1).

Inside the daemon a name is always ``Name``. Length octets are below 64, so ``bytes.lower()`` folds the case
of letters and nothing else (RFC 4343): a folded name is just ``name.lower()``.
"""

from __future__ import annotations

from typing import NewType

Name = NewType("Name", bytes)

ROOT = Name(b"\0")


def from_text(text: str) -> Name:
    """The wire form of a name in presentation format, with or without the final dot; case is kept.

    ``\\.`` and ``\\DDD`` escapes are understood (RFC 1035 section 5.1); text that is not ASCII is refused: no IDNA.

    Raises:
        NameTextError: an empty label, a label over 63 octets, a name over 255, a bad escape.
    """
    raise NotImplementedError


def to_text(name: Name) -> str:
    """Presentation format with the final dot; every octet that is not printable ASCII is escaped. Cannot fail."""
    raise NotImplementedError


def labels(name: Name) -> tuple[bytes, ...]:
    """The labels from left to right, the root's left out. Cannot fail."""
    raise NotImplementedError


def from_labels(parts: tuple[bytes, ...]) -> Name:
    """The name made of these labels.

    Raises:
        NameTextError: see `from_text`.
    """
    raise NotImplementedError


def is_within(name: Name, zone: Name) -> bool:
    """Whether `name` is `zone` or lies below it, at a label's border; both folded. Cannot fail."""
    raise NotImplementedError
