"""The API server's stand-in (bench/api_server.py) seen from the bench: started, told what to do, asked what it did."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.process import LOOPBACK, Process, free_port, running

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60.0  # seconds; the large cluster takes some to encode


class StandIn:
    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self.port = port

    def tell(self, path: str) -> dict[str, int]:
        """GET a path below /bench/; its counts."""
        told: dict[str, int] = json.loads(get(self.port, f"/bench/{path}"))
        return told

    def kubeconfig(self, folder: Path) -> Path:
        """Write a kubeconfig for it."""
        path = folder / "kubeconfig"
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "clusters": [{"name": "bench", "cluster": {"server": f"http://{LOOPBACK}:{self.port}"}}],
            "users": [{"name": "bench", "user": {}}],
        }
        path.write_text(json.dumps(text))
        return path


@contextmanager
def stand_in(folder: Path, core: int, size: str) -> Iterator[StandIn]:
    """Run it on a core until the block ends; `size` is "small" or "large".

    Raises:
        BenchError: it does not start.
    """
    port = free_port()
    place = folder / f"api-server-{size}"
    place.mkdir()
    command = [sys.executable, "-m", "bench.api_server", str(port), size]
    with running(command, place, core, {"PYTHONPATH": str(ROOT)}) as process:
        server = StandIn(process, port)
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                server.tell("stats")
                break
            except OSError:
                if not process.running or time.monotonic() > end:
                    raise BenchError(f"the API server's stand-in does not start: {process.log}") from None
                time.sleep(0.05)
        yield server


def get(port: int, path: str, timeout: float = 10.0) -> bytes:
    """The body of an HTTP answer from 127.0.0.1.

    Raises:
        OSError: no connection. BenchError: another status than 200.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchError(f"http://{LOOPBACK}:{port}{path}: {response.status}")
    return body
