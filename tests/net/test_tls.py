"""TLS between octets, and DNS over TLS against a real server on loopback."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsdnsd.engine.exchange import Send
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.errors import StartError
from hsdnsd.net.framing import Frames, framed
from hsdnsd.net.tls import Clear, Tls, client_context, explain
from hsdnsd.net.upstream import Exchanges
from tests.support.net import PATIENCE, message

CERTIFICATES = Path(__file__).parent.parent / "support" / "tls"
AUTHORITY = str(CERTIFICATES / "loopback.crt")  # of itself, for 127.0.0.1, ::1 and localhost


def server_context(**settings: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(AUTHORITY, str(CERTIFICATES / "loopback.key"))
    for name, value in settings.items():
        setattr(context, name, value)
    return context


class TlsServer:
    """Answers each message with its id and `reply`, over any number of connections, one after the other."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.address = self.listener.getsockname()
        self.queries: list[bytes] = []
        self.versions: list[str | None] = []
        self.resumed: list[bool | None] = []
        self.errors: list[Exception] = []
        self.closing: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._context = context
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as sock:
                    self._talk(sock)
            except (OSError, ssl.SSLError) as error:
                self.errors.append(error)

    def _talk(self, sock: ssl.SSLSocket) -> None:
        self.versions.append(sock.version())
        self.resumed.append(sock.session_reused)
        frames = Frames()
        while data := sock.recv(4096):
            frames.feed(data)
            while (wire := frames.take_untrusted()) is not None:
                self.queries.append(wire)
                sock.sendall(framed(message(b"reply", int.from_bytes(wire[:2]))))

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[TlsServer]:
    server = TlsServer(context or server_context())
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def asking(ca_file: str = AUTHORITY) -> Iterator[Exchanges]:
    exchanges = Exchanges(context=client_context(ca_file), connect_timeout=PATIENCE)
    try:
        yield exchanges
    finally:
        exchanges.close_all()


def ask(exchanges: Exchanges, server: TlsServer, id: int, name: str = "localhost") -> object:
    """What comes of one query: the reply, or why there is none."""
    upstream = Upstream(*server.address, name)
    assert exchanges.open(Send(id, 0, upstream, True, message(b"query", id))) is None
    exchanges.flush()
    while True:
        assert select.select([exchanges], [], [], PATIENCE)[0]
        for exchange, _, wire, problem in exchanges.receive():
            assert exchange == id
            exchanges.close(id)
            return problem if wire is None else wire


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_queries_over_one_connection(version: ssl.TLSVersion) -> None:
    with serving(server_context(maximum_version=version)) as server, asking() as exchanges:
        for number in range(1, 6):
            assert ask(exchanges, server, number) == message(b"reply", number)
        assert server.queries == [message(b"query", number) for number in range(1, 6)]
        assert exchanges.pool.opened == 1
        assert server.versions == [version.name.replace("_", ".")]


def test_a_session_is_taken_up_again() -> None:
    with serving() as server, asking() as exchanges:
        assert ask(exchanges, server, 1) == message(b"reply", 1)
        exchanges.pool.close_all()
        assert ask(exchanges, server, 2) == message(b"reply", 2)
        assert server.resumed == [False, True]


@pytest.mark.parametrize("name", ["dns.example", "localhost.example", "127.0.0.2"])
def test_a_certificate_for_another_name(name: str) -> None:
    with serving() as server, asking() as exchanges:
        problem = ask(exchanges, server, 1, name)
        assert isinstance(problem, str)
        assert problem.startswith(f"tls://127.0.0.1:{server.address[1]}@{name}: its certificate does not verify: ")
        assert "mismatch" in problem
    assert server.queries == []
    assert len(server.errors) == 1, "it has been told, by an alert"


def test_a_certificate_of_an_authority_that_is_not_trusted() -> None:
    with serving() as server, asking("") as exchanges:
        problem = ask(exchanges, server, 1)
        assert isinstance(problem, str)
        assert "its certificate does not verify: self" in problem
    assert server.queries == []


def test_a_server_that_does_not_speak_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, asking() as exchanges:
        listener.settimeout(PATIENCE)
        upstream = Upstream(*listener.getsockname(), "localhost")
        exchanges.open(Send(1, 0, upstream, True, message(b"query")))
        connection, _ = listener.accept()
        with connection:
            connection.sendall(framed(message(b"reply")))
            arrivals: list[object] = []
            while not arrivals:
                assert select.select([exchanges], [], [], PATIENCE)[0]
                arrivals += exchanges.receive()
        assert arrivals == [(1, 0, None, f"{upstream}: TLS: WRONG_VERSION_NUMBER")]


def test_versions_that_are_too_old() -> None:
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context().verify_mode is ssl.CERT_REQUIRED
    assert client_context().check_hostname


@pytest.mark.parametrize(("content", "problem"), [(None, "No such file"), (b"nothing", "TLS: NO_CERTIFICATE")])
def test_authorities_that_can_not_be_read(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartError, match=f"no certificate authorities from {path}: {problem}"):
        client_context(str(path))


def test_octets_in_any_pieces() -> None:
    """A server's octets one by one, through the handshake and after it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context().wrap_bio(incoming, outgoing, server_side=True)
    client = Tls(client_context(AUTHORITY), "localhost", None)

    def step(call: Callable[[], object]) -> bytes:
        """Both sides' octets once to and fro; what the client read."""
        incoming.write(client.take_outgoing())
        with contextlib.suppress(ssl.SSLWantReadError):
            call()
        octets = outgoing.read()
        return b"".join(client.decode(octets[place : place + 1]) for place in range(len(octets)))

    while not client.ready:
        assert step(server.do_handshake) == b""
    step(server.do_handshake)
    incoming.write(client.encode(b"query"))
    assert server.read(100) == b"query"
    assert step(lambda: server.write(bytes(40_000))) == bytes(40_000)
    with pytest.raises(ConnectionError, match="connection closed"):
        step(server.unwrap)


def test_without_tls_octets_are_what_they_are() -> None:
    clear = Clear()
    assert (clear.ready, clear.session, clear.take_outgoing()) == (True, None, b"")
    assert clear.encode(bytearray(b"x")) == clear.decode(b"x") == b"x"


def test_words_for_errors() -> None:
    assert explain(ConnectionRefusedError(111, "Connection refused")) == "Connection refused"
    assert explain(TimeoutError("no connection in time")) == "no connection in time"


def test_who_is_trusted_can_be_changed() -> None:
    with serving() as server, asking() as exchanges:
        assert ask(exchanges, server, 1) == message(b"reply", 1)
        exchanges.reconfigure(512, PATIENCE, client_context())
        assert ask(exchanges, server, 2) == message(b"reply", 2), "on the connection that is open"
        exchanges.pool.close_all()
        assert "its certificate does not verify: " in str(ask(exchanges, server, 3))
        exchanges.reconfigure(512, PATIENCE, None)
        upstream = Upstream(*server.address, "localhost")
        assert exchanges.open(Send(4, 0, upstream, True, message(b"query"))) is not None
