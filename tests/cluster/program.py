"""A program that a test starts and that does not outlive it."""

from __future__ import annotations

import ctypes
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def loopback_address() -> str:
    """An address in 127.0.0.0/8 that nobody else is likely to use (one in 16 million).

    On it ports can be fixed: no race for a free one, and none of the ephemeral ones, where a client that calls while
    the server is down may be given the very port it calls.
    """
    return "127." + ".".join(str(1 + secrets.randbelow(254)) for _ in range(3))


class Program:
    """A child process whose output goes to a file. The kernel kills it when the test process dies, however that dies.

    Attributes:
        log: stdout and stderr of every start, one after the other.
    """

    def __init__(self, name: str, command: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [str(word) for word in command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self._process is None, f"{self.name} runs already"
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died between the fork and the call
                os._exit(1)

        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
                start_new_session=True,  # Ctrl-C reaches the tests alone, which then end this
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} does not run"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raises AssertionError with the end of the log if it ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise AssertionError(f"{self.name} ended with exit code {code}\n{self.tail()}")

    def kill(self) -> None:
        """End it without a chance to clean up; nothing happens if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self, within: float) -> int:
        """SIGTERM; return the exit code (negative: the signal that ended it).

        Raises:
            subprocess.TimeoutExpired: it still ran after `within` seconds.
        """
        assert self._process is not None, f"{self.name} does not run"
        self._process.terminate()
        code = self._process.wait(within)
        self._process = None
        return code

    def tail(self, lines: int = 40) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def until(
    what: str,
    probe: Callable[[], T | None],
    *,
    within: float,
    check: Callable[[], None] | None = None,
    pause: float = 0.01,
) -> T:
    """Call `probe` until it gives something true, and return that. OSError counts as "not yet".

    Args:
        within: seconds. pause: between two calls.
        check: called before every probe; raises where waiting on is of no use.

    Raises:
        AssertionError: it did not in time; says what the last attempt gave.
    """
    end = time.monotonic() + within
    while True:
        if check is not None:
            check()
        last: object
        try:
            if result := probe():
                return result
            last = result
        except OSError as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s: {what} (last: {last!r})")
        time.sleep(pause)
