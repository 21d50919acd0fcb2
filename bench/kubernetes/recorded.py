"""What hsdnsd asks the API server when it starts: recorded from the daemon itself, octet by octet."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.kubernetes.lab import HSDNSD, Lab
from bench.process import LOOPBACK

HEAD_END = b"\r\n\r\n"
LIMIT = 20.0  # seconds
QUIET = 1.5  # seconds without another request: there are no more


def requests(lab: Lab, folder: Path, token: str, host: str, options: Sequence[str]) -> list[bytes]:
    """The heads of its requests, made out to another host, under this token.

    Raises:
        BenchError: it asked nothing.
    """
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(0.1)
        server = f"{LOOPBACK}:{listener.getsockname()[1]}"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://{server}"}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }  # fmt: skip
        path = folder / "recorded.kubeconfig"
        path.write_text(json.dumps(config))
        with lab.serving(HSDNSD, path, *options):
            heads = _heads(listener)
    if not heads:
        raise BenchError("hsdnsd asked the API server for nothing")
    return [head.replace(f"Host: {server}".encode(), f"Host: {host}".encode()) for head in heads]


def _heads(listener: socket.socket) -> list[bytes]:
    """One from each connection; none of them is answered."""
    heads: list[bytes] = []
    connections: list[socket.socket] = []
    last = begun = time.monotonic()
    try:
        while time.monotonic() - begun < LIMIT and (not heads or time.monotonic() - last < QUIET):
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connections.append(connection)
            connection.settimeout(LIMIT)
            head = b""
            while not head.endswith(HEAD_END) and (octets := connection.recv(65536)):
                head += octets
            if head:
                heads.append(head)
                last = time.monotonic()
    finally:
        for connection in connections:
            connection.close()
    return heads
