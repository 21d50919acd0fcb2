"""What somebody else says, made fit for a log."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Printable, without line ends, at most 300 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:1000]).split())[:300]
