"""A bench that is told to end takes along all that it has started."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from bench.process import children, descendants

ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ended(SystemExit):
    """A signal asked for the end."""


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that goes with the block. A signal that asks for the end is raised in it as `Ended`, once.

    Python raises between any two instructions: also between the fork of a child and the `with` that would have ended
    it. What is still there once the block has been left is therefore killed.

    Raises:
        Ended: with the exit code of the signal, 128 and its number; whatever else went wrong on the way out.
    """
    asked: list[Ended] = []

    def end(number: int, _: object) -> NoReturn:
        # Whoever asks once more does not keep us from ending what was started.
        for each in ASKED:
            signal.signal(each, signal.SIG_IGN)
        asked.append(Ended(128 + number))
        raise asked[0]

    before = {number: signal.signal(number, end) for number in ASKED}
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            try:
                yield Path(name)
            finally:
                if asked:
                    _leave_nothing()
                    raise asked[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_nothing() -> None:
    own = os.getpid()
    for pid in [*descendants(own)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in children(own):
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
