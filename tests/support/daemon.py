"""The real daemon as a process of its own, on free ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.process import free_port

START_TIMEOUT = 30.0


class Daemon:
    """A running `hsdnsd serve`.

    Attributes:
        server: address and port for DNS. admin: port of the HTTP side.
    """

    def __init__(self, process: subprocess.Popen[bytes], server: tuple[str, int], admin: int, log: Path) -> None:
        self.process = process
        self.server = server
        self.admin = admin
        self._log = log

    @property
    def log(self) -> str:
        """What it has written so far, standard output and error together."""
        return self._log.read_text()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an HTTP GET on the admin side."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def wait_for(self, path: str, status: int = 200, timeout: float = START_TIMEOUT) -> None:
        """Wait until the admin side answers `path` with this status."""
        end = time.monotonic() + timeout
        last = ""
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"hsdnsd ended with {self.process.returncode}:\n{self.log}")
            try:
                got, last = self.get(path)
            except OSError as error:
                last = str(error)
            else:
                if got == status:
                    return
            time.sleep(0.02)
        raise AssertionError(f"{path} did not become {status} within {timeout} s; last: {last}\n{self.log}")

    def stop(self, timeout: float = 15.0) -> int:
        """SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)


@contextlib.contextmanager
def running(
    *arguments: str, settings: Sequence[str] = (), ready: str = "/readyz", under: Sequence[str] = ()
) -> Iterator[Daemon]:
    """`hsdnsd serve` with these arguments, from when `ready` answers 200 until the block ends.

    Args:
        under: a command that becomes the daemon (`setpriv ...`).
    """
    port, admin = free_port(), free_port()
    command = [
        *under, sys.executable, "-m", "hsdnsd", "serve",
        "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}",
        *arguments, *(part for setting in settings for part in ("--set", setting)),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            environment = os.environ | {"PYTHONUNBUFFERED": "1"}
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        daemon = Daemon(process, ("127.0.0.1", port), admin, log)
        try:
            daemon.wait_for(ready)
            yield daemon
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
