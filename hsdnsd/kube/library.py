"""What is used of kubernetes_asyncio and aiohttp, imported without what is not.

This is the one module that knows them. Imported as they ask for it they are 38 MiB and most of a daemon's start.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import ssl
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hsdnsd.kube.oneline import one_line

log = logging.getLogger(__name__)

_PACKAGE = "kubernetes_asyncio"
# What the package's reader raises where a kubeconfig is valid YAML, but no kubeconfig.
SHAPE_ERRORS = (AssertionError, AttributeError, LookupError, TypeError)


class Library(NamedTuple):
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


def load_library() -> Library:
    # aiohttp's compiled lists, of which there is nothing here to speed up, bring in the library of C++: 1 MiB.
    os.environ.setdefault("FROZENLIST_NO_EXTENSIONS", "1")
    if _PACKAGE not in sys.modules:
        try:
            with without_authorities():
                _import_lean()
        except (ImportError, AttributeError) as error:
            log.warning("kubernetes_asyncio is laid out anew: importing all of it, 33 MiB (%s)", one_line(str(error)))
            for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
                del sys.modules[name]
    with without_authorities():
        import aiohttp
    import kubernetes_asyncio.client
    import kubernetes_asyncio.config
    import yaml

    transport_errors = (aiohttp.ClientError, OSError)
    # A token file is read, and a header made of it, at each request.
    config_errors = (*transport_errors, kubernetes_asyncio.config.ConfigException, yaml.YAMLError, ValueError)
    return Library(
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
        (*config_errors, *SHAPE_ERRORS),
    )


@contextlib.contextmanager
def without_authorities() -> Iterator[None]:
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
