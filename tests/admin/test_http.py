from __future__ import annotations

import asyncio
import gzip
import select
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, TypeVar

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.address import Endpoint
from hsdnsd.admin.http import (
    BadRequestError,
    HttpServer,
    Limits,
    Request,
    accepts_gzip,
    open_http,
    parse_head,
)
from hsdnsd.admin.route import Response, Route
from hsdnsd.errors import StartError

T = TypeVar("T")

TEXT = "text/plain; charset=utf-8"
LONG = b"a line that repeats itself\n" * 1000
HUGE = bytes(32 << 20)
PATIENCE = 30.0  # nothing here takes that long unless it hangs
PATIENT = Limits(head_seconds=PATIENCE, write_seconds=PATIENCE)
LOOPBACK = Endpoint("127.0.0.1", 0)


def broken(_: Mapping[str, str]) -> Response:
    raise ZeroDivisionError


ROUTES: dict[str, Route] = {
    "/": lambda _: Response(200, TEXT, b"index\n"),
    "/long": lambda _: Response(200, TEXT, LONG),
    "/huge": lambda _: Response(200, TEXT, HUGE),
    "/unwell": lambda _: Response(503, TEXT, b"no\n"),
    "/echo": lambda headers: Response(200, TEXT, repr(sorted(headers.items())).encode()),
    "/broken": broken,
}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]

loops = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def run(
    test: Callable[[HttpServer], Awaitable[T]],
    limits: Limits | None = None,
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> T:
    """Run a test against a server of ROUTES."""

    async def main() -> T:
        async with asyncio.timeout(PATIENCE), open_http(LOOPBACK, ROUTES, limits or PATIENT) as server:
            return await test(server)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


async def connect(server: HttpServer) -> Client:
    return await asyncio.open_connection(server.endpoint.host, server.endpoint.port, limit=1 << 26)


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:-2])
    length = 0 if head_only else int(headers["content-length"])
    return Answer(int(lines[0].split()[1]), headers, await reader.readexactly(length))


async def ask(server: HttpServer, octets: bytes, *, head_only: bool = False) -> Answer:
    """One answer, on a connection of its own."""
    reader, writer = await connect(server)
    writer.write(octets)
    answer = await read_answer(reader, head_only=head_only)
    writer.close()
    return answer


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: hsdnsd", *fields, "", ""]).encode("latin-1")


@loops
def test_get(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    answer = run(lambda server: ask(server, get("/")), loop=loop)
    assert answer.status == 200
    assert answer.body == b"index\n"
    assert answer.headers["content-type"] == TEXT
    assert answer.headers["date"].endswith("gmt")
    assert "connection" not in answer.headers


def test_a_route_says_its_status() -> None:
    assert run(lambda server: ask(server, get("/unwell")))[::2] == (503, b"no\n")


@pytest.mark.parametrize("path", ["/?verbose=1", "http://other.example/", "HTTP://other.example", "/?a?b"])
def test_query_and_host_of_the_target_do_not_count(path: str) -> None:
    assert run(lambda server: ask(server, get(path))).body == b"index\n"


@loops
def test_head_is_get_without_the_body(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(server: HttpServer) -> None:
        reader, writer = await connect(server)
        for fields in ((), ("Accept-Encoding: gzip",)):
            writer.write(get("/long", *fields, method="HEAD"))
            head = await read_answer(reader, head_only=True)
            writer.write(get("/long", *fields))
            whole = await read_answer(reader)
            assert head.status == 200
            assert head.body == b""
            assert head.headers | {"date": ""} == whole.headers | {"date": ""}
        writer.close()

    run(test, loop=loop)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404),
        ("/LONG", "GET", 404),
        ("/../long", "GET", 404),
        ("/nothing", "POST", 404),
        ("/", "POST", 405),
        ("/", "DELETE", 405),
        ("/", "get", 405),
    ],
)
def test_what_is_not_there_and_what_can_not_be_done(path: str, method: str, status: int) -> None:
    answer = run(lambda server: ask(server, get(path, method=method)))
    assert answer.status == status
    assert answer.body.startswith(str(status).encode())
    assert answer.headers.get("allow") == ("get, head" if status == 405 else None)
    assert "connection" not in answer.headers


@loops
def test_pipelined_requests_are_answered_in_their_order(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(server: HttpServer) -> list[int]:
        reader, writer = await connect(server)
        writer.write(get("/") + get("/nothing") + get("/long") + get("/unwell", "Connection: Keep-Alive, Close"))
        answers = [await read_answer(reader) for _ in range(4)]
        assert await reader.read() == b""
        assert answers[2].body == LONG
        assert answers[3].headers["connection"] == "close"
        writer.close()
        return [answer.status for answer in answers]

    assert run(test, loop=loop) == [200, 404, 200, 503]


def test_a_connection_ends_after_its_share_of_requests() -> None:
    async def test(server: HttpServer) -> None:
        reader, writer = await connect(server)
        writer.write(get("/") * 5)
        first, second = await read_answer(reader), await read_answer(reader)
        assert "connection" not in first.headers
        assert second.headers["connection"] == "close"
        assert await reader.read() == b""
        writer.close()

    run(test, Limits(requests_per_connection=2, head_seconds=PATIENCE))


def test_http_1_0_gets_one_answer() -> None:
    async def test(server: HttpServer) -> None:
        reader, writer = await connect(server)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await read_answer(reader)).headers["connection"] == "close"
        assert await reader.read() == b""
        writer.close()

    run(test)


@loops
@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 5000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 60_000, 431),
        (b"a" * 5000, 431),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /", 405),
    ],
)
def test_after_what_is_not_understood_the_connection_is_closed(
    loop: Callable[[], asyncio.AbstractEventLoop], octets: bytes, status: int
) -> None:
    async def test(server: HttpServer) -> Answer:
        reader, writer = await connect(server)
        writer.write(octets)
        answer = await read_answer(reader)
        assert await reader.read() == b""
        writer.close()
        return answer

    answer = run(test, loop=loop)
    assert answer.status == status
    assert answer.headers["connection"] == "close"


@loops
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:", get("/") + b"GET"])
def test_a_slow_head_ends_the_connection(loop: Callable[[], asyncio.AbstractEventLoop], sent: bytes) -> None:
    async def test(server: HttpServer) -> bytes:
        reader, writer = await connect(server)
        writer.write(sent)
        everything = await reader.read()
        writer.close()
        return everything

    everything = run(test, Limits(head_seconds=0.02), loop)
    assert everything.count(b"HTTP/1.1") == sent.count(b"\r\n\r\n")


@loops
def test_who_does_not_take_the_answer_is_cut_off(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    def wait_for_the_end(sock: socket.socket) -> int:
        poll = select.poll()
        poll.register(sock, 0)  # nothing but POLLERR and POLLHUP
        return len(poll.poll(PATIENCE * 1000))

    async def test(server: HttpServer) -> int:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (server.endpoint.host, server.endpoint.port))
            await asyncio.get_running_loop().sock_sendall(sock, get("/huge"))
            return await asyncio.to_thread(wait_for_the_end, sock)

    assert run(test, Limits(write_seconds=0.05), loop) == 1


@loops
def test_too_many_connections_are_turned_away(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(server: HttpServer) -> None:
        held = [await connect(server) for _ in range(2)]
        for reader, writer in held:
            writer.write(get("/"))
            assert (await read_answer(reader)).status == 200
        reader, writer = await connect(server)
        assert (await read_answer(reader)).status == 503
        assert await reader.read() == b""
        writer.close()
        assert server.turned_away == 1
        first_reader, first_writer = held[0]
        first_writer.write(get("/", "Connection: close"))
        await first_reader.read()
        assert (await ask(server, get("/"))).status == 200
        assert server.turned_away == 1
        for _, writer in held:
            writer.close()

    run(test, Limits(connections=2, head_seconds=PATIENCE), loop)


def test_a_route_that_fails_costs_one_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def test(server: HttpServer) -> list[int]:
        reader, writer = await connect(server)
        writer.write(get("/broken") + get("/"))
        answers = [await read_answer(reader) for _ in range(2)]
        writer.close()
        return [answer.status for answer in answers]

    assert run(test) == [500, 200]
    assert "/broken failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_long_answers_are_compressed_for_those_who_take_it() -> None:
    async def test(server: HttpServer) -> tuple[Answer, Answer, Answer]:
        return (
            await ask(server, get("/long", "Accept-Encoding: deflate, gzip;q=0.5")),
            await ask(server, get("/long", "Accept-Encoding: gzip;q=0")),
            await ask(server, get("/", "Accept-Encoding: gzip")),
        )

    compressed, plain, short = run(test)
    assert compressed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == LONG
    assert len(compressed.body) < len(LONG) // 10
    assert compressed.headers["vary"] == "accept, accept-encoding"
    assert "content-encoding" not in plain.headers
    assert plain.body == LONG
    assert "content-encoding" not in short.headers


def test_a_route_sees_the_headers() -> None:
    answer = run(lambda server: ask(server, get("/echo", "ACCEPT:  text/plain ", "accept: */*")))
    assert answer.body == repr([("accept", "text/plain, */*"), ("host", "hsdnsd")]).encode()


@loops
def test_open_connections_end_with_the_server(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE):
            async with open_http(LOOPBACK, ROUTES) as server:
                reader, writer = await connect(server)
                writer.write(get("/"))
                assert (await read_answer(reader)).status == 200
                endpoint = server.endpoint
            with pytest.raises(OSError, match=r"Connect|refused"):
                await asyncio.open_connection(endpoint.host, endpoint.port)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


@loops
@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_client_that_goes_away_is_no_fault(loop: Callable[[], asyncio.AbstractEventLoop], end: str) -> None:
    faults: list[object] = []

    async def test(server: HttpServer) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        for octets in (b"", b"GET", get("/"), get("/huge"), b"a" * 5000, get("/") * 50):
            _, writer = await connect(server)
            writer.write(octets)
            if end == "close":
                writer.close()
            else:
                await writer.drain()
                writer.transport.abort()
        assert (await ask(server, get("/"))).status == 200

    run(test, Limits(head_seconds=0.05, write_seconds=0.05), loop)
    assert faults == []


@loops
def test_a_port_in_use_is_one_clear_line(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(server: HttpServer) -> None:
        async with open_http(server.endpoint, ROUTES):
            raise AssertionError

    with pytest.raises(
        StartError, match=r"^can't serve metrics and health on 127.0.0.1:\d+ \(TCP\): Address already in use$"
    ):
        run(test, loop=loop)


@loops
def test_an_address_of_another_machine_is_one_clear_line(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        async with open_http(Endpoint("192.0.2.1", 9253), ROUTES):
            raise AssertionError

    with (
        asyncio.Runner(loop_factory=loop) as runner,
        pytest.raises(StartError, match=r"on 192.0.2.1:9253 \(TCP\): Cannot assign requested address$"),
    ):
        runner.run(main())


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_a_request_head() -> None:
    octets = head("GET /metrics?name=a HTTP/1.1", "Host: a:9253", "Accept: text/plain", "X-Empty:", "Cookie: \xff")
    headers = {"host": "a:9253", "accept": "text/plain", "x-empty": "", "cookie": "\xff"}
    assert parse_head(octets) == Request("GET", "/metrics", headers, keep=True)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET / HTTP/1.1"], 400),
        (["GET / HTTP/1.1", "Host: a", "Host: a"], 400),
        (["GET / HTTP/1.1", "Host : a"], 400),
        (["GET / HTTP/1.1", "Host: a", " folded"], 400),
        (["GET / HTTP/1.1", "Host: a", "no colon"], 400),
        (["GET / HTTP/1.1", "Host: a", ": no name"], 400),
        (["GET / HTTP/1.1", "Host: a\0"], 400),
        (["GET / HTTP/1.1", "Host: a\n"], 400),
        (["GET  / HTTP/1.1", "Host: a"], 400),
        (["GET /a b HTTP/1.1", "Host: a"], 400),
        (["GET /\x80 HTTP/1.1", "Host: a"], 400),
        (["GET / HTTP/1.1 ", "Host: a"], 400),
        (["GET / http/1.1", "Host: a"], 400),
        (["GET /"], 400),
        (["GET / HTTP/0.9"], 505),
        (["GET / HTTP/2.0"], 505),
        (["GET / HTTP/1.1", "Host: a", "Content-Length: 1"], 400),
        (["GET / HTTP/1.1", "Host: a", "Content-Length: 0", "Content-Length: 1"], 400),
        (["GET / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"], 400),
        (["PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"], 405),
        ([""], 400),
    ],
)
def test_what_is_no_request_head(lines: list[str], status: int) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_head(head(*lines))
    assert caught.value.status == status


@given(st.binary(max_size=200))
def test_any_octets_are_a_request_or_a_bad_one(octets: bytes) -> None:
    try:
        request = parse_head(octets + b"\r\n\r\n")
    except BadRequestError:
        return
    assert request.method


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip ; q=0.1", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.001", True),
        ("xgzip", False),
    ],
)
def test_who_takes_gzip(accept: str, taken: bool) -> None:
    assert accepts_gzip(accept) is taken
