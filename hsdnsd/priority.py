"""Which threads go first where a core has to do for several."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator

log = logging.getLogger(__name__)

# How far native threads that answer go before Python's, in niceness. On a core that has to do for both, a flood of
# questions leaves Python a tenth (the kernel weighs 110 against 1024), which takes in some hundred events a second.
# With 5, a thread that answers still waited for above 1 ms five times in 15,000; with 10, twice at most
# (docs/decisions.md).
_AHEAD = 10


@contextlib.contextmanager
def going_first(threads: int) -> Iterator[None]:
    """Let native threads that are begun within go before Python's.

    So 10,000 Services are listed beside 20,000 answers a second. A thread has the niceness of the one that begins it.
    To be less nice takes CAP_SYS_NICE; without, Python's threads step back instead, and then behind whatever else is
    in their group of the scheduler: in a container, nothing.
    """
    if not threads:
        yield
        return
    own = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, own - _AHEAD)
    except PermissionError:
        yield
        _step_back(own + _AHEAD)
        return
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, own)


def _step_back(nice: int) -> None:
    """Make Python's threads so nice, and those that they will begin."""
    for thread in threading.enumerate():
        if thread.native_id is None:
            continue
        try:
            os.setpriority(os.PRIO_PROCESS, thread.native_id, nice)
        except ProcessLookupError:  # it has ended
            continue
        except PermissionError as error:  # a filter of system calls
            log.warning("answers may wait for what else the daemon does, as setpriority is refused: %s", error)
            return
