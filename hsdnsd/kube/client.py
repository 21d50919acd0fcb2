"""The API server's HTTP: credentials, TLS and transport of kubernetes_asyncio, and nothing else of it.

This is the one module that knows that package and aiohttp. They are imported when a client is opened, not before: a
daemon that reads manifests never pays for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import logging
import os
import ssl
import sys
import threading
import types
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hsdnsd import __version__
from hsdnsd.errors import HsdnsdError, StartError
from hsdnsd.kube.lines import LineSplitter
from hsdnsd.kube.objects import Status
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

# A line of a watch. An object is at most as large as etcd's request limit (1.5 MiB, if nobody raised it).
LINE_OCTETS = 8 << 20

_ERROR_BODY = 64 << 10
# What the package's reader raises where a kubeconfig is valid YAML, but no kubeconfig.
_SHAPE_ERRORS = (AssertionError, AttributeError, LookupError, TypeError)
_PACKAGE = "kubernetes_asyncio"


class TransportError(HsdnsdError):
    """No answer, or only a part of one: not reachable, TLS, reset, silent, cut short; or no credentials to ask with."""


class Client:
    """GET requests to one API server. Open with `open_client`, close with `close`."""

    def __init__(self, library: _Library, kubeconfig: str, account: Path, read_timeout: float) -> None:
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
        except _SHAPE_ERRORS as error:
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
    library = await asyncio.to_thread(_load_library)
    client = Client(library, kubeconfig, account, read_timeout)
    await client.open()
    return client


class Response:
    """An answer whose body has not been read yet."""

    def __init__(self, raw: Any, library: _Library, read_timeout: float) -> None:
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
        while chunk := await self._chunk():
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
        if chunk := await self._chunk():
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

    async def _chunk(self) -> bytes:
        try:
            chunk: bytes = await self._raw.content.readany()
        except self._library.transport_errors as error:
            raise TransportError(self._why_cut(error)) from error
        return chunk

    def _why_cut(self, error: Exception) -> str:
        if isinstance(error, self._library.silence_errors):
            return f"nothing was heard for {self._read_timeout:g} s"
        if isinstance(error, self._library.cut_errors):  # it would tell what the parser of HTTP still waited for
            return "the connection was closed in the midst of the answer"
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


class _Library(NamedTuple):
    """What is used of kubernetes_asyncio and aiohttp."""

    client_timeout: Any
    api_client: Any
    configuration: Any
    load_kube_config: Any
    load_incluster_config: Any
    transport_errors: tuple[type[Exception], ...]
    cut_errors: tuple[type[Exception], ...]
    silence_errors: tuple[type[Exception], ...]
    tls_errors: tuple[type[Exception], ...]
    config_errors: tuple[type[Exception], ...]
    renewal_errors: tuple[type[Exception], ...]


def _load_library() -> _Library:
    # aiohttp's compiled lists, of which there is nothing here to speed up, bring in the library of C++: 1 MiB.
    os.environ.setdefault("FROZENLIST_NO_EXTENSIONS", "1")
    if _PACKAGE not in sys.modules:
        try:
            with _without_authorities():
                _import_lean()
        except (ImportError, AttributeError) as error:
            log.warning("kubernetes_asyncio is laid out anew: importing all of it, 33 MiB (%s)", one_line(str(error)))
            for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
                del sys.modules[name]
    with _without_authorities():
        import aiohttp
    import kubernetes_asyncio.client
    import kubernetes_asyncio.config
    import yaml

    transport_errors = (aiohttp.ClientError, OSError)
    # A token file is read, and a header made of it, at each request.
    config_errors = (*transport_errors, kubernetes_asyncio.config.ConfigException, yaml.YAMLError, ValueError)
    return _Library(
        aiohttp.ClientTimeout,
        kubernetes_asyncio.client.ApiClient,
        kubernetes_asyncio.client.Configuration,
        kubernetes_asyncio.config.load_kube_config,
        kubernetes_asyncio.config.load_incluster_config,
        transport_errors,
        (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError),
        (aiohttp.SocketTimeoutError,),
        (aiohttp.ClientSSLError, ssl.SSLError),
        config_errors,
        (*config_errors, *_SHAPE_ERRORS),
    )


@contextlib.contextmanager
def _without_authorities() -> Iterator[None]:
    """aiohttp makes two TLS contexts when it is imported, and each reads the system's authorities: 60 ms, for contexts
    that nobody uses here. In other threads they are read as ever."""
    thread, read = threading.get_ident(), ssl.SSLContext.set_default_verify_paths

    def spare(context: ssl.SSLContext) -> None:
        if threading.get_ident() != thread:
            read(context)

    ssl.SSLContext.set_default_verify_paths = spare  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        ssl.SSLContext.set_default_verify_paths = read  # type: ignore[method-assign]


def _import_lean() -> None:
    """Import the package without its API classes and models: 33 MiB and half its start-up time that nothing here uses.

    Its `__init__` modules import all of them, so empty modules take their places first; what the package itself looks
    for there is then put in.

    Raises:
        ImportError, AttributeError: the package is not laid out as it was.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"no package {_PACKAGE}")
    root, client, models = (types.ModuleType(_PACKAGE + part) for part in ("", ".client", ".client.models"))
    folder = Path(spec.submodule_search_locations[0])
    for module, path in ((root, folder), (client, folder / "client"), (models, folder / "client" / "models")):
        module.__path__ = [str(path)]
        sys.modules[module.__name__] = module
    root.client = client  # type: ignore[attr-defined]
    client.models = models  # type: ignore[attr-defined]

    with _put_off():
        import kubernetes_asyncio.client.api_client
        import kubernetes_asyncio.client.configuration

    client.Configuration = kubernetes_asyncio.client.configuration.Configuration  # type: ignore[attr-defined]
    client.ApiClient = kubernetes_asyncio.client.api_client.ApiClient  # type: ignore[attr-defined]

    import kubernetes_asyncio.config


class _Later:
    """A module, or a name in one, that is imported when it is used."""

    def __init__(self, module: str, name: str = "") -> None:
        self._module = module
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._imported(), name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._imported()(*arguments, **named)

    def _imported(self) -> Any:
        module = importlib.import_module(self._module)
        return getattr(module, self._name) if self._name else module


@contextlib.contextmanager
def _put_off() -> Iterator[None]:
    """What the package imports for basic authentication, for dates in models and for requests by threads, none of
    which is asked for here, is imported once somebody does: 4 MiB and a third of its start-up time."""
    absent: dict[str, Any] = {
        "urllib3": _Later("urllib3"),
        "dateutil.parser": types.SimpleNamespace(parse=_Later("dateutil.parser", "parse")),
        "multiprocessing.pool": types.SimpleNamespace(ThreadPool=_Later("multiprocessing.pool", "ThreadPool")),
    }
    for name in absent.keys() & sys.modules.keys():  # here already
        del absent[name]
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
