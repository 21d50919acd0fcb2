"""A small HTTP/1.1 server: GET and HEAD of a few fixed paths, everything bounded (RFC 9110, RFC 9112)."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http
import logging
import os
import re
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from typing import NamedTuple

import msgspec

from hsdnsd.address import Endpoint
from hsdnsd.admin.route import Response, Route
from hsdnsd.errors import StartError

log = logging.getLogger(__name__)

# Below this, gzip's own header and the work are not worth it.
_GZIP_FROM = 1024
# What a client may still send after an error reply before its connection is cut off, so that the reply reaches it: a
# close with unread octets becomes a reset, which may overtake what was sent.
_LINGER_OCTETS = 1 << 16
_END_OF_HEAD = b"\r\n\r\n"
_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(\d)\.(\d)")
_FIELD_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


class Limits(msgspec.Struct, frozen=True):
    """What a stranger can take: connections, octets, seconds.

    Attributes:
        head_octets: of one request line with its header fields.
        head_seconds: until a whole head has come, the wait for its first octet included.
        write_seconds: until the client has taken a whole response.
    """

    connections: int = 32
    head_octets: int = 4096
    head_seconds: float = 2.0
    write_seconds: float = 5.0
    requests_per_connection: int = 100


class Request(NamedTuple):
    """A well-formed request head.

    Attributes:
        path: without the query; case and escapes as they came.
        keep: whether the client wants to go on with this connection.
    """

    method: str
    path: str
    headers: dict[str, str]
    keep: bool


class BadRequestError(Exception):
    """A request that can't be served; after it nothing on the connection can be understood."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class HttpServer:
    """Serves routes. Use `open_http` to start and stop it.

    Attributes:
        endpoint: where it listens; the port is never 0.
        turned_away: connections that were closed because there were too many.
    """

    def __init__(self, routes: Mapping[str, Route], limits: Limits) -> None:
        self.endpoint = Endpoint("", 0)
        self.turned_away = 0
        self._routes = routes
        self._limits = limits
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its accept to its close."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has a task
        self._connections[task] = writer
        try:
            await self._serve(reader, writer)
        except OSError:
            # The client doesn't take what it asked for in time (TimeoutError is an OSError), or is gone.
            _reset(writer)
        finally:
            del self._connections[task]
            writer.close()

    async def close(self) -> None:
        """End all connections."""
        for writer in self._connections.values():
            _reset(writer)
        if self._connections:
            await asyncio.wait(self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _check_open(writer)
        # `drain` is to wait until the kernel has everything: for what a close leaves in our memory there is no limit.
        writer.transport.set_write_buffer_limits(0)
        if len(self._connections) > self._limits.connections:
            self.turned_away += 1
            await self._write(writer, _render(_plain(503), "GET", {}, keep=False))
            return
        for left in reversed(range(self._limits.requests_per_connection)):
            try:
                head = await self._read_head(reader)
                if not head:
                    return
                request = parse_head(head)
            except BadRequestError as error:
                await self._write(writer, _render(_plain(error.status), "GET", {}, keep=False))
                await self._linger(reader, writer)
                return
            response = self._respond(request)
            keep = request.keep and left > 0
            await self._write(writer, _render(response, request.method, request.headers, keep=keep))
            if not keep:
                return

    async def _read_head(self, reader: asyncio.StreamReader) -> bytes:
        """A request head with the empty line that ends it; b"" if the client says nothing more, or not in time."""
        head = b""
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                head = await reader.readuntil(_END_OF_HEAD)
        except (TimeoutError, asyncio.IncompleteReadError):
            return b""
        except asyncio.LimitOverrunError:
            raise BadRequestError(431) from None
        if len(head) > self._limits.head_octets:
            raise BadRequestError(431)
        return head

    def _respond(self, request: Request) -> Response:
        route = self._routes.get(request.path)
        if route is None:
            return _plain(404)
        if request.method not in ("GET", "HEAD"):
            return _plain(405)
        try:
            return route(request.headers)
        except Exception:
            # A mistake in a metric is no reason to stop answering DNS.
            log.exception("%s failed", request.path)
            return _plain(500)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        _check_open(writer)
        async with asyncio.timeout(self._limits.write_seconds):
            writer.write(data)
            await writer.drain()

    async def _linger(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _check_open(writer)
        writer.write_eof()
        async with asyncio.timeout(self._limits.head_seconds):
            left = _LINGER_OCTETS
            while left > 0 and (octets := await reader.read(left)):
                left -= len(octets)


@contextlib.asynccontextmanager
async def open_http(
    endpoint: Endpoint, routes: Mapping[str, Route], limits: Limits | None = None
) -> AsyncIterator[HttpServer]:
    """Serve these paths until the context is left.

    Raises:
        StartError: nobody can listen there, or somebody does.
    """
    limits = limits or Limits()
    server = HttpServer(routes, limits)
    try:
        listener = await asyncio.start_server(
            server.serve_connection, endpoint.host, endpoint.port, limit=limits.head_octets, backlog=limits.connections
        )
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise StartError(f"can't serve metrics and health on {endpoint} (TCP): {why}") from None
    server.endpoint = Endpoint(*listener.sockets[0].getsockname()[:2])
    try:
        yield server
    finally:
        listener.close()
        await server.close()
        await listener.wait_closed()


def parse_head(head: bytes) -> Request:
    """A request head, its last empty line included.

    Raises:
        BadRequestError: it is none, it announces a body, or it is of another version.
    """
    line, *field_lines = head[: -len(_END_OF_HEAD)].decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise BadRequestError(400)
    method, target, major, minor = match.groups()
    if major != "1":
        raise BadRequestError(505)
    headers: dict[str, str] = {}
    for field_line in field_lines:
        field = _FIELD_LINE.fullmatch(field_line)
        if field is None:
            raise BadRequestError(400)
        name, value = field[1].lower(), field[2].strip()
        if name == "host" and name in headers:
            raise BadRequestError(400)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    # RFC 9112 section 3.2: a request of HTTP/1.1 without Host, or with two, is to be answered 400.
    if minor != "0" and "host" not in headers:
        raise BadRequestError(400)
    # A body would be taken for the next request (RFC 9112 section 11.2); nothing here has a use for one.
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise BadRequestError(400 if method in ("GET", "HEAD") else 405)
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    return Request(method, _path(target), headers, keep=minor != "0" and "close" not in options)


def _check_open(writer: asyncio.StreamWriter) -> None:
    # uvloop raises RuntimeError where a transport is used whose other side has gone.
    if writer.is_closing():
        raise ConnectionResetError


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once: without linger the kernel would go on trying to bring the client what it does not take."""
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def _path(target: str) -> str:
    # RFC 9112 section 3.2.2: the absolute form is to be understood, whatever host it names.
    if target[:7].lower() == "http://":
        target = "/" + target[7:].partition("/")[2]
    return target.partition("?")[0]


def _plain(status: int) -> Response:
    return Response(status, "text/plain; charset=utf-8", f"{status} {http.HTTPStatus(status).phrase}\n".encode())


def _render(response: Response, method: str, headers: Mapping[str, str], *, keep: bool) -> bytes:
    status, content_type, body = response
    fields = [
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {content_type}",
        "Vary: Accept, Accept-Encoding",
    ]
    if len(body) >= _GZIP_FROM and accepts_gzip(headers.get("accept-encoding", "")):
        body = gzip.compress(body, 1, mtime=0)
        fields.append("Content-Encoding: gzip")
    fields.append(f"Content-Length: {len(body)}")
    if status == 405:
        fields.append("Allow: GET, HEAD")
    if not keep:
        fields.append("Connection: close")
    head = "\r\n".join(fields).encode("latin-1") + _END_OF_HEAD
    return head if method == "HEAD" else head + body


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client takes gzip (RFC 9110 section 12.5.3)."""
    for item in accept_encoding.lower().split(","):
        coding, _, weight = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False
