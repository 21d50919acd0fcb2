"""The twin of `_worker.pyx`: there is none. A thread of Python's would wait for the interpreter like all else."""

from __future__ import annotations

from hsdnsd.native.contract import NativeMissingError


class Worker:
    """Stands where `hsdnsd.native.contract.Worker` is asked for, and can't be made."""

    def __init__(self, *_: object, **__: object) -> None:
        """
        Raises:
            NativeMissingError: always.
        """
        raise NativeMissingError("worker threads need the compiled packet path: build it, or set no workers")


def be_prompt() -> None:
    """Have the calling thread run soon after it is woken, where that is known how to ask for."""
