"""What hsdnsd asks the API server when it starts: recorded from the daemon itself, octet by octet."""

from __future__ import annotations

import json
import re
import socketserver
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from bench.errors import BenchError
from bench.kubernetes.lab import HSDNSD, Lab
from bench.process import LOOPBACK

LIMIT = 20.0  # seconds
QUIET = 1.5  # seconds without another request: there are no more
_VERSION = re.compile(rb"(?<=[?&])resourceVersion=[^& ]*")
_LIST = b'{"metadata":{"resourceVersion":"1"},"items":[]}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_LIST), _LIST)


class Asked(NamedTuple):
    """The heads of the requests for one resource."""

    list: bytes
    watch: bytes

    def watch_from(self, version: str) -> bytes:
        return _VERSION.sub(f"resourceVersion={version}".encode(), self.watch, count=1)

    @property
    def streamed(self) -> bytes:
        """Of the list and the watch as one stream, which is how hsdnsd lists where a list breaks off."""
        return _VERSION.sub(b"sendInitialEvents=true&resourceVersionMatch=NotOlderThan", self.watch, count=1)


def requests(lab: Lab, folder: Path, token: str, host: str, options: Sequence[str]) -> list[Asked]:
    """What it asks of each resource, made out to another host, under this token.

    Raises:
        BenchError: it does not list and then watch.
    """
    with _Recorder() as recorder:
        server = f"{LOOPBACK}:{recorder.server_address[1]}"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://{server}"}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }  # fmt: skip
        path = folder / "recorded.kubeconfig"
        path.write_text(json.dumps(config))
        threading.Thread(target=recorder.serve_forever, args=(0.05,), daemon=True).start()
        try:
            with lab.serving(HSDNSD, path, *options):
                heads = recorder.all_heads()
        finally:
            recorder.shutdown()
    if not _complete(heads):
        raise BenchError("hsdnsd does not list and then watch what it asks the API server for")
    made_out = [head.replace(f"Host: {server}".encode(), f"Host: {host}".encode()) for head in heads]
    return [Asked(both[False], both[True]) for both in _by_resource(made_out)]


def _by_resource(heads: Sequence[bytes]) -> list[dict[bool, bytes]]:
    """What was asked of each, and whether that was a watch."""
    found: dict[tuple[str, ...], dict[bool, bytes]] = {}
    for head in heads:
        url = urlsplit(head.split(b" ", 2)[1].decode())
        params = dict(parse_qsl(url.query))
        place = (url.path, params.get("labelSelector", ""), params.get("fieldSelector", ""))
        found.setdefault(place, {})[_watches(head)] = head
    return list(found.values())


def _complete(heads: Sequence[bytes]) -> bool:
    return bool(heads) and all(len(both) == 2 for both in _by_resource(heads))


def _watches(head: bytes) -> bool:
    return b"watch=true" in head.partition(b"\r\n")[0]


class _Recorder(socketserver.ThreadingTCPServer):
    """Says that there is nothing of anything; watches are not answered."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Connection)
        self.heads: list[bytes] = []
        self.over = threading.Event()
        self.last = time.monotonic()

    def all_heads(self) -> list[bytes]:
        """When there are no more, or it takes too long."""
        begun = time.monotonic()
        while time.monotonic() < begun + LIMIT:
            if time.monotonic() > self.last + QUIET and _complete(self.heads):
                break
            time.sleep(0.1)
        self.over.set()
        return self.heads


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Recorder)
        while head := b"".join(iter(self.rfile.readline, b"\r\n")):
            head += b"\r\n"
            self.server.heads.append(head)
            self.server.last = time.monotonic()
            if _watches(head):
                self.server.over.wait()
                return
            self.wfile.write(_ANSWER)
