"""A Kubernetes API server for tests: lists, watches and faults over real HTTP on loopback, as a test scripts them.

It keeps objects (plain dicts) with resourceVersions and the history of their events, and answers GET as
kube-apiserver does: lists with selectors, `limit` and `continue`; watches from a version, 410 for one that is
compacted; bookmarks; streamed lists (`sendInitialEvents`). Time does not pass in it: a test says when a bookmark is
sent, a watch ends or a connection is cut.

    async with FakeApiServer() as api:
        api.put(service("web"))
        ...; await api.watched("services"); api.put(service("web", ...))
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import ssl
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Object = dict[str, Any]

PLURAL = {"Service": "services", "Namespace": "namespaces", "Pod": "pods", "EndpointSlice": "endpointslices"}
PREFIX = {"endpointslices": "/apis/discovery.k8s.io/v1"}
API_VERSION = {"endpointslices": "discovery.k8s.io/v1"}
KIND = {plural: kind for kind, plural in PLURAL.items()}
COMPACT = (",", ":")  # as Go writes JSON
COMPRESSED_FROM = 128 << 10  # octets of an answer, if the client takes gzip


@dataclass
class Request:
    """A request as it came."""

    plural: str
    params: dict[str, str]
    headers: dict[str, str]

    @property
    def is_watch(self) -> bool:
        return self.params.get("watch") == "true"


@dataclass
class Answer:
    """What a script answers instead of the truth.

    Attributes:
        body: sent as it is; a dict as JSON.
        cut: the connection is reset after the body, which was announced to be longer.
    """

    status: int = 200
    body: bytes | Object = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


def status_body(code: int, reason: str, message: str = "") -> Object:
    """meta/v1 Status."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message or reason,
    }


@dataclass
class _Watch:
    request: Request
    writer: asyncio.StreamWriter
    over: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False

    def send(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))


class FakeApiServer:
    """One API server. Everything that a test may want to know or to bend is an attribute.

    Attributes:
        requests: all that came, in order.
        scripts: per resource ("services", ...), answers for the next requests, before the truth is told again.
        streams_lists: whether `sendInitialEvents` is served; if not, it is refused with 422.
        ends_lists: whether a streamed list is told to be over.
        token: if set, requests without it get 401.
        silent: requests get no answer at all.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self.streams_lists = True
        self.ends_lists = True
        self.token = ""
        self.silent = False
        self.version = 100
        self._compacted = 0
        self._objects: dict[str, dict[tuple[str, str], Object]] = defaultdict(dict)
        self._history: dict[str, list[tuple[int, str, Object, Object | None]]] = defaultdict(list)
        self._watches: list[_Watch] = []
        self._changed = asyncio.Condition()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for watch in self._watches:
            watch.over.set()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections)

    def kubeconfig(self, directory: Path, **user: str) -> str:
        """Write a kubeconfig for this server, without its certificate, and return its path."""
        path = directory / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {"name": "c", "cluster": {"server": f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"}}
            ],
            "users": [{"name": "u", "user": user}],
        }
        path.write_text(json.dumps(config))
        return str(path)

    # What a cluster's users do

    def put(self, obj: Object) -> None:
        """Make or change an object; all watches that select it are told."""
        plural, key, stored = PLURAL[obj["kind"]], _key(obj), copy.deepcopy(obj)
        self.version += 1
        stored["metadata"]["resourceVersion"] = str(self.version)
        old = self._objects[plural].get(key)
        self._objects[plural][key] = stored
        self._tell(plural, "MODIFIED" if old else "ADDED", stored, old)

    def delete(self, obj: Object) -> None:
        """Delete an object, which must be there."""
        plural = PLURAL[obj["kind"]]
        old = self._objects[plural].pop(_key(obj))
        self.version += 1
        gone = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.version)}}
        self._tell(plural, "DELETED", gone, old)

    def compact(self) -> None:
        """Forget the history: watches from any version before now get 410."""
        self._compacted = self.version
        self._history.clear()

    # What happens to connections

    async def watched(self, plural: str, count: int = 1) -> None:
        """Wait until so many watches of a resource are open (their list told)."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._of(plural)) >= count)

    async def requested(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)

    def bookmark(self, plural: str, *, end: bool = False) -> None:
        """Tell the open watches the version; `end`: and that their list is over."""
        told = {"end": "true"} if end else {}
        for watch in self._of(plural):
            watch.send(_line("BOOKMARK", _bookmark_of(plural, self.version, **told)))

    def babble(self, plural: str) -> None:
        """What comes next in the open watches of a resource is no HTTP."""
        for watch in self._of(plural):
            watch.writer.write(b"zz\r\n")

    def send(self, plural: str, data: bytes) -> None:
        """Send octets as they are in all open watches of a resource."""
        for watch in self._of(plural):
            watch.send(data)

    def end(self, plural: str) -> None:
        """End the watches of a resource in good order."""
        for watch in self._of(plural):
            self._watches.remove(watch)
            watch.over.set()

    def cut(self, plural: str, data: bytes = b"") -> None:
        """Cut the watches of a resource off, after some last octets."""
        for watch in self._of(plural):
            self._watches.remove(watch)
            if data:
                watch.send(data)
            watch.cut = True
            watch.over.set()

    def _of(self, plural: str) -> list[_Watch]:
        return [watch for watch in self._watches if watch.request.plural == plural]

    def _tell(self, plural: str, kind: str, obj: Object, old: Object | None) -> None:
        self._history[plural].append((self.version, kind, obj, old))
        for watch in self._of(plural):
            self._send_event(watch, kind, obj, old)

    def _send_event(self, watch: _Watch, kind: str, obj: Object, old: Object | None) -> None:
        """What a watch with selectors is told: an object that comes to be selected is ADDED; one that ceases to be,
        DELETED."""
        was, now = old is not None and _selected(watch.request, old), _selected(watch.request, obj)
        if kind == "DELETED":
            now = False
        if now:
            watch.send(_line("MODIFIED" if was else "ADDED", obj))
        elif was:
            watch.send(_line("DELETED", obj))

    # HTTP

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                async with self._changed:
                    self._changed.notify_all()
                if self.silent:
                    await reader.read()
                    return
                if not await self._answer(request, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return  # the client's right
        finally:
            writer.close()
            del self._connections[task]

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False if the connection is used up."""
        if self.scripts[request.plural]:
            answer = self.scripts[request.plural].popleft()
        elif self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            answer = Answer(401, status_body(401, "Unauthorized"))
        elif request.plural not in KIND:
            answer = Answer(404, status_body(404, "NotFound"))
        elif not request.is_watch:
            answer = self._list(request)
        elif request.params.get("sendInitialEvents") == "true" and not self.streams_lists:
            answer = Answer(422, status_body(422, "Invalid", "sendInitialEvents is forbidden"))
        elif (version := int(request.params.get("resourceVersion") or 0)) and version < self._compacted:
            answer = Answer(410, status_body(410, "Expired", "too old resource version"))
        else:
            await self._watch(request, reader, writer)
            return False
        body = json.dumps(answer.body, separators=COMPACT).encode() if isinstance(answer.body, dict) else answer.body
        headers = {"Content-Type": "application/json", **answer.headers}
        if len(body) >= COMPRESSED_FROM and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 4)
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(body) + 1000 if answer.cut else len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status} Scripted\r\n{head}\r\n".encode() + body)
        await writer.drain()
        return not answer.cut

    def _list(self, request: Request) -> Answer:
        plural = request.plural
        selected = [obj for _, obj in sorted(self._objects[plural].items()) if _selected(request, obj)]
        start = int(request.params.get("continue") or 0)
        limit = int(request.params.get("limit") or 0) or len(selected)
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(selected):
            metadata["continue"] = str(start + limit)
        body = {
            "kind": f"{KIND[plural]}List",
            "apiVersion": API_VERSION.get(plural, "v1"),
            "metadata": metadata,
            "items": [_without_type(obj) for obj in selected[start : start + limit]] or None,
        }
        return Answer(200, body)

    async def _watch(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        watch = _Watch(request, writer)
        plural = request.plural
        if request.params.get("sendInitialEvents") == "true":
            for _, obj in sorted(self._objects[plural].items()):
                if _selected(request, obj):
                    watch.send(_line("ADDED", obj))
            if self.ends_lists:
                watch.send(_line("BOOKMARK", _bookmark_of(plural, self.version, end="true")))
        else:
            since = int(request.params.get("resourceVersion") or 0)
            for version, kind, obj, old in self._history[plural]:
                if version > since:
                    self._send_event(watch, kind, obj, old)
        self._watches.append(watch)
        async with self._changed:
            self._changed.notify_all()
        gone = asyncio.create_task(reader.read(1))
        gone.add_done_callback(lambda _: watch.over.set())
        await watch.over.wait()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        if watch in self._watches:
            self._watches.remove(watch)
        if not watch.cut:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _without_type(obj: Object) -> Object:
    """The items of a list do not repeat their kind."""
    return {name: value for name, value in obj.items() if name not in ("kind", "apiVersion")}


def _line(kind: str, obj: Object) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=COMPACT).encode() + b"\n"


def _bookmark_of(plural: str, version: int, end: str = "") -> Object:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if end:
        metadata["annotations"] = {"k8s.io/initial-events-end": end}
    return {"kind": KIND[plural], "apiVersion": API_VERSION.get(plural, "v1"), "metadata": metadata}


def _selected(request: Request, obj: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    if not all(_holds(term, labels.get) for term in _terms(request.params.get("labelSelector"))):
        return False

    def field_of(path: str) -> str | None:
        value: Any = obj
        for part in path.split("."):
            value = (value or {}).get(part)
        return value

    return all(_holds(term, field_of) for term in _terms(request.params.get("fieldSelector")))


def _terms(selector: str | None) -> list[str]:
    return [term.strip() for term in (selector or "").split(",") if term.strip()]


def _holds(term: str, value_of: Any) -> bool:
    """One term of a selector: a=b, a==b, a!=b, a, !a. Sets are not known here."""
    if "!=" in term:
        name, _, value = term.partition("!=")
        return value_of(name) != value
    if "=" in term:
        name, _, value = term.replace("==", "=").partition("=")
        return value_of(name) == value
    return value_of(term[1:]) is None if term.startswith("!") else value_of(term) is not None


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None at its end. Only GET without a body is known."""
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode().rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    assert method == "GET", method
    url = urlsplit(target)
    plural = url.path.rsplit("/", 1)[1]
    expected = f"{PREFIX.get(plural, '/api/v1')}/{plural}"
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(plural if url.path == expected else url.path, dict(parse_qsl(url.query)), headers)
