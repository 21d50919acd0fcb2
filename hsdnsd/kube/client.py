"""The API server's HTTP: credentials, TLS and transport of kubernetes_asyncio, and nothing else of it.

What is used of that package and of aiohttp stands in `hsdnsd.kube.library`. They are imported when they are loaded or a
client is opened, not before: a daemon that reads manifests never pays for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hsdnsd import __version__
from hsdnsd.errors import HsdnsdError, StartError
from hsdnsd.kube.library import SHAPE_ERRORS, Library, load_library
from hsdnsd.kube.lines import LineSplitter
from hsdnsd.kube.objects import OBJECT_OCTETS, Status
from hsdnsd.kube.oneline import one_line
from hsdnsd.kube.session import Session

log = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

CONNECT_TIMEOUT = 10.0  # seconds, TLS included
# Without a single octet for so long a connection is dead: bookmarks come about once a minute, at the latest after 75 s.
READ_TIMEOUT = 90.0
# An API server that asks for more patience than this is asking for a stale zone.
MAX_RETRY_AFTER = 300.0

# An exec plugin of a kubeconfig may have to ask a cloud.
CREDENTIALS_TIMEOUT = 60.0

LINE_OCTETS = OBJECT_OCTETS  # of a watch

# Of a body, in one go. What comes compressed is fifteen times as much, and of objects this is 1 ms of work.
PIECE_OCTETS = 96 << 10

_ERROR_BODY = 64 << 10
_CLOSED = "the connection was closed in the midst of the answer"


class TransportError(HsdnsdError):
    """No answer, or only a part of one: not reachable, TLS, reset, silent, cut short; or no credentials to ask with."""


class Client:
    """GET requests to one API server. Open with `open_client`, close with `close`."""

    def __init__(self, library: Library, kubeconfig: str, account: Path, read_timeout: float) -> None:
        self._library = library
        self._kubeconfig = kubeconfig
        self._account = account
        self._read_timeout = read_timeout
        self._session: Session | None = None
        self._renewing = asyncio.Lock()
        self._renewals = 0
        self._doubted = False  # TLS failed

    async def open(self) -> None:
        """
        Raises:
            StartError: the kubeconfig, or the pod's service account, can't be used.
        """
        try:
            self._session = await self._new_session()
        except self._library.config_errors as error:
            raise StartError(f"{self._origin()}: {_told(error, self._kubeconfig)}") from error
        except SHAPE_ERRORS as error:
            raise StartError(f"{self._origin()}: not of the right shape ({_told(error)})") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def renewals(self) -> int:
        """How often the credentials were read again; to be told to `renew_credentials`."""
        return self._renewals

    async def renew_credentials(self, renewals: int) -> None:
        """Read the credentials again after a 401, unless somebody else did since `renewals` was read: all watches are
        refused at once when a token is rotated.

        Raises:
            TransportError: they can't be read (a token file is replaced in more than one step).
        """
        async with self._renewing:
            if renewals == self._renewals:
                self._renewals += 1
                await self._renew()

    async def _renew(self) -> Session:
        try:
            fresh = await self._new_session()
        except self._library.renewal_errors as error:
            raise TransportError(f"{self._origin()}: {_told(error, self._kubeconfig)}") from error
        old, self._session, self._doubted = self._session, fresh, False
        if old is not None:
            await old.retire()
        return fresh

    async def _present_session(self) -> Session:
        """The session for a request that begins now: a fresh one if a certificate was replaced, or TLS failed (with
        CA data inside a kubeconfig, that is how it shows)."""
        async with self._renewing:
            session = self._session
            if session is None or self._doubted or session.is_outdated():
                session = await self._renew()
            return session

    async def _new_session(self) -> Session:
        configuration = await self._configuration()
        api = self._library.api_client(configuration)
        api.user_agent = f"hsdnsd/{__version__}"
        files = (
            configuration.ssl_ca_cert,
            configuration.cert_file,
            configuration.key_file,
            self._kubeconfig,
        )
        return Session(api, filter(None, files))

    @contextlib.asynccontextmanager
    async def get(
        self, path: str, params: Sequence[tuple[str, str]], *, total: float | None = None
    ) -> AsyncIterator[Response]:
        """One request, for as long as the context is open; `total` bounds it all (seconds), None where it is a watch.

        Raises:
            TransportError: no answer came.
        """
        timeout = self._library.client_timeout(total=total, sock_connect=CONNECT_TIMEOUT, sock_read=self._read_timeout)
        session = await self._present_session()
        session.enter()
        try:
            raw = await self._send(session, path, params, timeout)
            try:
                yield Response(raw, self._library, self._read_timeout)
            finally:
                raw.close()
        finally:
            await session.leave()

    async def _send(self, session: Session, path: str, params: Sequence[tuple[str, str]], limits: Any) -> Any:
        try:
            return await session.api.call_api(
                path,
                "GET",
                {},
                list(params),
                {"Accept": "application/json"},
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=limits,
            )
        except self._library.config_errors as error:
            if isinstance(error, self._library.tls_errors):
                self._doubted = True
            raise TransportError(_told(error)) from error

    async def _configuration(self) -> Any:
        configuration = self._library.configuration()
        if self._kubeconfig:
            _must_open(self._kubeconfig)
            async with asyncio.timeout(CREDENTIALS_TIMEOUT):
                await self._library.load_kube_config(
                    self._kubeconfig, client_configuration=configuration, persist_config=False
                )
        else:
            self._library.load_incluster_config(
                client_configuration=configuration,
                token_filename=str(self._account / "token"),
                cert_filename=str(self._account / "ca.crt"),
            )
            _except_from_proxies(os.environ["KUBERNETES_SERVICE_HOST"])
        _strip_token(configuration)
        return configuration

    def _origin(self) -> str:
        return f"kubeconfig {self._kubeconfig}" if self._kubeconfig else "in-cluster configuration"


async def open_client(
    kubeconfig: str, *, account: Path = SERVICE_ACCOUNT, read_timeout: float = READ_TIMEOUT
) -> Client:
    """A client as a kubeconfig says; "" means as the pod's service account, whose folder is `account`.

    Args:
        read_timeout: seconds of silence after which an answer counts as cut.

    Raises:
        StartError: the kubeconfig, or the service account, can't be used; one line.
    """
    # Half a second of importing, in which others are to be answered.
    library = await asyncio.to_thread(load_library)
    client = Client(library, kubeconfig, account, read_timeout)
    await client.open()
    return client


class Response:
    """An answer whose body has not been read yet."""

    def __init__(self, raw: Any, library: Library, read_timeout: float) -> None:
        self._raw = raw
        self._library = library
        self._read_timeout = read_timeout
        self._splitter = LineSplitter(LINE_OCTETS)
        self.status: int = raw.status

    @property
    def retry_after(self) -> float:
        """Seconds that the server asks to wait (RFC 9110 section 10.2.3; Kubernetes never sends a date), at most
        MAX_RETRY_AFTER; 0.0 if it does not ask."""
        text = self._raw.headers.get("Retry-After", "").strip()
        return min(float(text), MAX_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            TransportError: it was cut short, or has more than `limit` octets.
        """
        chunks, size = [], 0
        while chunk := await self.piece():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise TransportError(f"an answer of more than {limit} octets")
        return b"".join(chunks)

    async def lines(self) -> list[bytes] | None:
        """The lines that came next, in order; None at the end of the body.

        Raises:
            TransportError: it was cut short. LineTooLongError: a line is longer than LINE_OCTETS.
        """
        if chunk := await self.piece():
            return self._splitter.feed(chunk)
        rest = self._splitter.rest()
        if rest and not rest.endswith(b"}"):
            raise TransportError("the answer ends within a line")
        return [rest] if rest else None

    async def problem(self) -> str:
        """What an error answer says, for a log line: the Status's message, else the reason phrase."""
        said = ""
        try:
            said = msgspec.json.decode(await self.read(_ERROR_BODY), type=Status).message or ""
        except (TransportError, ValueError):  # a proxy's page, or nothing: the status line must do
            said = self._raw.reason or ""
        return one_line(f"{self.status} {said}")

    async def piece(self) -> bytes:
        """What came next of the body, at most PIECE_OCTETS; b"" at its end.

        Raises:
            TransportError: it was cut short.
        """
        # aiohttp has the same limit, but forgets it where what comes is no HTTP, and wakes nobody.
        limit = asyncio.timeout(self._read_timeout)
        try:
            async with limit:
                chunk: bytes = await self._raw.content.read(PIECE_OCTETS)
        except RuntimeError as error:  # aiohttp's, who asks for more after that
            raise TransportError(_CLOSED) from error
        except self._library.transport_errors as error:
            raise TransportError(self._why_cut(error, limit.expired())) from error
        return chunk

    def _why_cut(self, error: Exception, late: bool) -> str:
        if late or isinstance(error, self._library.silence_errors):
            return f"nothing was heard for {self._read_timeout:g} s"
        if isinstance(error, self._library.cut_errors):  # it would tell what the parser of HTTP still waited for
            return _CLOSED
        return f"the connection was cut: {_told(error)}"


def _told(error: BaseException, path: str = "") -> str:
    """What an exception says; `path` is the file that the reader of it knows already."""
    if isinstance(error, TimeoutError):
        return one_line(f"timed out {error}")
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return one_line(error.strerror if error.filename == path else f"{error.filename}: {error.strerror}")
    return one_line(str(error)) or type(error).__name__


def _must_open(path: str) -> None:
    """The package takes a file that is not there for an empty one.

    Raises:
        OSError: it can't be opened.
    """
    with Path(path).expanduser().open("rb"):
        pass


def _strip_token(configuration: Any) -> None:
    """A token file written by hand ends in a line end, which is no part of a header. The package re-reads an
    in-cluster token in a hook of its own before each request, so its result is stripped too."""
    hook = configuration.refresh_api_key_hook

    def strip(live: Any) -> None:
        if hook is not None:
            hook(live)
        if "BearerToken" in live.api_key:
            live.api_key["BearerToken"] = live.api_key["BearerToken"].strip()

    strip(configuration)
    configuration.refresh_api_key_hook = strip


def _except_from_proxies(host: str) -> None:
    """Never ask a proxy for the API server of the pod's own cluster: aiohttp knows NO_PROXY's names, but not the
    networks (10.0.0.0/8) with which clusters say so."""
    for variable in ("NO_PROXY", "no_proxy"):
        excepted = os.environ.get(variable, "")
        if variable == "NO_PROXY" or excepted:  # urllib prefers no_proxy where both are set
            names = [name for name in excepted.split(",") if name]
            if host not in names:
                os.environ[variable] = ",".join((*names, host))
