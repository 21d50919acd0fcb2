"""The stand-in API server as the model uses it: faults that last, and the true history."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from tests.model.oracle import Key, Object
from tests.support.fake_apiserver import (
    COMPACT,
    KIND,
    PLURAL,
    Answer,
    FakeApiServer,
    Request,
    _selected,
    _Watch,
)

WATCHED = ("endpointslices", "namespaces", "services")
JUNK = b"<html>504 Gateway Timeout</html>\n"


class Version(NamedTuple):
    """What an object became, when, at which resourceVersion; None: deleted."""

    time: float
    version: int
    object: Object | None


class ModelServer(FakeApiServer):
    """
    Attributes:
        history: per resource and object, oldest first, without what every client must have heard of.
        breaks: per resource, how many of the next lists break off in their midst.
        ambushes: per resource, what happens before the next requests are answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, dict[Key, list[Version]]] = {plural: defaultdict(list) for plural in WATCHED}
        self.changes: dict[str, list[Version]] = {plural: [] for plural in WATCHED}
        self.breaks = dict.fromkeys(WATCHED, 0)
        self.ambushes: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def object(self, plural: str, key: Key) -> Object | None:
        return self._objects[plural].get(key)

    def objects(self, plural: str) -> dict[Key, Object]:
        return self._objects[plural]

    def put(self, obj: Object) -> None:
        super().put(obj)
        plural = PLURAL[obj["kind"]]
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        self._note(plural, key, self._objects[plural][key])

    def remove(self, plural: str, key: Key) -> None:
        """Delete an object, if it is there."""
        obj = self._objects[plural].get(key)
        if obj is not None:
            self.delete({"kind": KIND[plural], **obj})
            self._note(plural, key, None)

    def _note(self, plural: str, key: Key, obj: Object | None) -> None:
        version = Version(asyncio.get_running_loop().time(), self.version, obj)
        self.history[plural][key].append(version)
        self.changes[plural].append(version)

    # Faults

    def stall(self, plural: str) -> None:
        """The connections of the open watches are dead, and nobody has noticed."""
        for watch in self._of(plural):
            watch.send = lambda data: None  # type: ignore[method-assign]

    def junk(self, plural: str, data: bytes) -> None:
        """Send what ends the watches for any client that reads it."""
        self.send(plural, data)
        self.stall(plural)

    def again(self, plural: str, count: int) -> None:
        """Send the last events once more, in one piece."""
        for watch in self._of(plural):
            if "send" in watch.__dict__:
                continue
            lines: list[bytes] = []
            watch.send = lines.append  # type: ignore[method-assign, assignment]
            for _, kind, obj, old in self._history[plural][-count:]:
                self._send_event(watch, kind, obj, old)
            del watch.send
            if lines:
                watch.send(b"".join(lines))

    def reset(self) -> None:
        """Every connection is reset, as when the server dies."""
        self._watches.clear()
        for writer in list(self._connections.values()):
            writer.transport.abort()

    def told_by(self, plural: str) -> dict[str, int]:
        """The watches that are told everything: label selector -> which watch it is."""
        return {
            watch.request.params.get("labelSelector", ""): id(watch.request)
            for watch in self._of(plural)
            if "send" not in watch.__dict__ and not watch.writer.is_closing()
        }

    # HTTP

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if self.ambushes[request.plural]:
            self.ambushes[request.plural].pop(0)()
        return await super()._answer(request, reader, writer)

    def _list(self, request: Request) -> Answer:
        answer = super()._list(request)
        if not self.breaks[request.plural]:
            return answer
        self.breaks[request.plural] -= 1
        body = json.dumps(answer.body, separators=COMPACT).encode()
        return Answer(200, body[: len(body) // 2], cut=True)

    async def _watch(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.params.get("sendInitialEvents") == "true" and not self.ends_lists:
            # Nothing that is told there is in force: what the watch is told later does not count either.
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _, obj in sorted(self._objects[request.plural].items()):
                if _selected(request, obj):
                    line = json.dumps({"type": "ADDED", "object": obj}).encode() + b"\n"
                    _Watch(request, writer).send(line)
            await reader.read()
            return
        await super()._watch(request, reader, writer)
