"""Messages for people. The only import of dnslib in the daemon; it sees only messages that we built ourselves."""

from __future__ import annotations


def dump(wire: bytes) -> str:
    """A response of ours in the layout of dig, for the log at level debug."""
    raise NotImplementedError
