"""A stand-in for the API server, as a process of its own: lists, watches, and slice events at a rate.

`python -m bench.api_server PORT small|large` serves the generated cluster over HTTP on 127.0.0.1. Objects are encoded
once, so that it costs little beside what is measured, and as JSON, whatever a client would rather have. It is told what
to do over HTTP too:

    /bench/events?rate=N   from now on N changes of EndpointSlices a second, all over the cluster (0: none)
    /bench/relist          forget the history and end every watch with 410 Expired: clients list again
    /bench/stats           counts since the start, as JSON
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.cluster import Cluster, Object, generate, large, objects
from bench.process import LOOPBACK

PATHS = {
    "/api/v1/services": "Service",
    "/api/v1/namespaces": "Namespace",
    "/api/v1/pods": "Pod",
    "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice",
}
HISTORY = 50_000  # events that a watch may go on from
CHUNK = 64  # lines of a list that are written at once
TURN = 0.001  # seconds between two looks at how many events are due
# Of slices the label alone tells those of headless Services; what Kubernetes' controller does not keep, there is none.
HEADLESS = b'"service.kubernetes.io/headless"'
FIRST_CHANGED = int(ipaddress.IPv4Address("10.128.0.0"))  # addresses that changes bring


class Store:
    """The objects, encoded, and the events that changed them."""

    def __init__(self, cluster: Cluster) -> None:
        self.version = 1000
        self.expired = 0  # watches from a version before this one get 410
        self.items: dict[str, list[bytes]] = {kind: [] for kind in PATHS.values()}
        self.slices: list[Object] = []
        self.history: deque[tuple[int, str, bytes]] = deque(maxlen=HISTORY)
        self._changes = 0
        self._stride = 1
        for each in objects(cluster):
            each["metadata"]["resourceVersion"] = str(self.version)
            self.items[each["kind"]].append(_encoded(each))
            if each["kind"] == "EndpointSlice":
                self.slices.append(each)
        if self.slices:
            self._stride = stride(len(self.slices))

    def change_slice(self) -> bytes:
        """Give another slice's first endpoint another address; the event's line."""
        place = self._changes * self._stride % len(self.slices)
        self._changes += 1
        self.version += 1
        changed = self.slices[place]
        changed["metadata"]["resourceVersion"] = str(self.version)
        changed["metadata"]["generation"] += 1
        changed["endpoints"][0]["addresses"] = [str(ipaddress.IPv4Address(FIRST_CHANGED + self._changes % 2**22))]
        encoded = _encoded(changed)
        self.items["EndpointSlice"][place] = encoded
        line = _line("MODIFIED", encoded)
        self.history.append((self.version, "EndpointSlice", line))
        return line

    def since(self, kind: str, version: int) -> Iterator[bytes]:
        """The events of a kind after a version."""
        return (line for at, of, line in list(self.history) if at > version and of == kind)

    def expire(self) -> None:
        self.version += 1
        self.expired = self.version
        self.history.clear()


class ApiServer:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._watches: dict[asyncio.StreamWriter, tuple[str, str]] = {}  # with its kind and selector
        self._rate = 0.0
        self._stats = {"lists": 0, "events": 0, "watches": 0}

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._connection, LOOPBACK, port)
        async with server, asyncio.TaskGroup() as running:
            running.create_task(server.serve_forever())
            running.create_task(self._make_events())

    async def _make_events(self) -> None:
        due = time.monotonic()
        while True:
            await asyncio.sleep(TURN)
            if not self._rate:
                due = time.monotonic()
                continue
            while self._rate and due < time.monotonic():
                due += 1 / self._rate
                self._stats["events"] += 1
                self._tell("EndpointSlice", self._store.change_slice())
                await asyncio.sleep(0)  # also when late: whoever asks something is heard

    def _tell(self, kind: str, line: bytes) -> None:
        for writer, (watched, selector) in self._watches.items():
            if watched == kind and _selected(line, selector):
                writer.write(_chunk(line))

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # a client that goes is the usual end
            while await self._answer((await reader.readuntil(b"\r\n\r\n")).split()[1].decode(), reader, writer):
                await writer.drain()
        self._watches.pop(writer, None)
        writer.close()

    async def _answer(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False when the connection is used up."""
        url = urlsplit(target)
        params = {name: values[-1] for name, values in parse_qs(url.query).items()}
        kind = PATHS.get(url.path)
        if kind is None:
            writer.write(self._other(url.path, params))
        elif params.get("watch") not in ("true", "1"):
            writer.write(_response(200, self._list(kind, url.path, params)))
        else:
            await self._watch(kind, params, reader, writer)
            return False
        return True

    def _other(self, path: str, params: dict[str, str]) -> bytes:
        match path:
            case "/bench/events":
                self._rate = float(params["rate"])
            case "/bench/relist":
                self._expire()
            case "/bench/stats":
                pass
            case _:
                return _response(404, _status(404, "NotFound"))
        return _response(200, json.dumps(self._stats).encode())

    def _expire(self) -> None:
        self._store.expire()
        for writer in list(self._watches):
            writer.write(_chunk(_line("ERROR", _status(410, "Expired"))) + b"0\r\n\r\n")
            writer.close()
        self._watches.clear()

    def _list(self, kind: str, path: str, params: dict[str, str]) -> bytes:
        self._stats["lists"] += 1
        items = self._selected(kind, params.get("labelSelector", ""))
        group = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
        head = {"kind": f"{kind}List", "apiVersion": group, "metadata": {"resourceVersion": str(self._store.version)}}
        return json.dumps(head).encode()[:-1] + b', "items": [' + b",".join(items) + b"]}"

    def _selected(self, kind: str, selector: str) -> list[bytes]:
        return [item for item in self._store.items[kind] if _selected(item, selector)]

    async def _watch(
        self, kind: str, params: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        version = int(params.get("resourceVersion") or 0)
        streams_list = params.get("sendInitialEvents") == "true"
        selector = params.get("labelSelector", "")
        if version < self._store.expired and not streams_list:
            writer.write(_response(410, _status(410, "Expired")))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        if streams_list:
            self._stats["lists"] += 1
            version = self._store.version
            # As it is now: what changes while it is written follows as events.
            items = self._selected(kind, selector)
            for at in range(0, len(items), CHUNK):
                writer.write(_chunk(b"".join(_line("ADDED", item) for item in items[at : at + CHUNK])))
                await writer.drain()
            writer.write(_chunk(_line("BOOKMARK", _bookmark(kind, version))))
        for line in self._store.since(kind, version):
            if _selected(line, selector):
                writer.write(_chunk(line))
        self._stats["watches"] += 1
        self._watches[writer] = kind, selector
        await reader.read()  # a client says nothing more until it goes


def stride(count: int) -> int:
    """How far apart slices lie that change one after the other, so that all do, and neighbours at different times."""
    wanted = round(count * 0.618)
    return next(each for each in range(max(1, wanted), 2 * count + 1) if math.gcd(each, count) == 1)


def _selected(item: bytes, selector: str) -> bool:
    """Whether an object is of a scope: "headless label there", "not there, and ..."; other selectors are not known."""
    if selector.startswith("!"):
        return False
    return not selector or HEADLESS in item


def _encoded(each: Object) -> bytes:
    return json.dumps(each, separators=(",", ":")).encode()


def _line(sort: str, encoded: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (sort.encode(), encoded)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _bookmark(kind: str, version: int) -> bytes:
    group = "discovery.k8s.io/v1" if kind == "EndpointSlice" else "v1"
    metadata: dict[str, Any] = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return _encoded({"kind": kind, "apiVersion": group, "metadata": metadata})


def _status(code: int, reason: str) -> bytes:
    head = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return _encoded({**head, "code": code, "reason": reason, "message": reason})


def _response(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def main(arguments: list[str]) -> None:
    port, size = arguments
    asyncio.run(ApiServer(Store(large() if size == "large" else generate())).serve(int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
