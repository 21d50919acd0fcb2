"""What can go wrong in a bench, for the person who runs it."""

from __future__ import annotations


class BenchError(Exception):
    """A bench that can't be run, or a figure that can't be believed; the message is for people."""


class AbsentError(BenchError):
    """A server that is not on this machine; the message says what would bring it."""
