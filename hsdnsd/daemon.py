"""The composition root: the one place that knows every part. Opens, wires, runs, drains, closes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import importlib.metadata
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from typing import NoReturn

import uvloop

from hsdnsd import native, settings
from hsdnsd.address import parse_endpoint
from hsdnsd.admin.control import CommandError, open_control
from hsdnsd.admin.health import Readiness, health_routes
from hsdnsd.admin.http import open_http
from hsdnsd.admin.metrics import metrics_route
from hsdnsd.admin.sources import Sources
from hsdnsd.cache import contents
from hsdnsd.cache.cache import Cache
from hsdnsd.config import Config
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.upstreams import Forwards, Policy, Upstream
from hsdnsd.errors import HsdnsdError, NameTextError
from hsdnsd.kube.manifests import Manifests
from hsdnsd.kube.source import Source, WatchState
from hsdnsd.net.hosts import HostsFile
from hsdnsd.net.resolvconf import read_resolv_conf
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.records.model import Change
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.name import ROOT, Name, from_text, to_text

log = logging.getLogger("hsdnsd")

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run(config: Config) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after a signal, 1 if a part failed; what failed is told on standard error.

    Raises:
        StartError, ConfigError: the daemon can't start.
    """
    logging.basicConfig(level=config.log.level.upper(), format=_LOG_FORMAT, stream=sys.stderr)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_Daemon(config).serve())
    except ExceptionGroup as group:
        fault = _first(group)
        if isinstance(fault, HsdnsdError):
            raise fault from None
        log.critical("a part failed", exc_info=fault)
        return 1
    return 0


class _Daemon:
    """Every part, wired to the others."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._counters = Counters()
        self._cache = Cache(settings.cache_limits(config))
        self._finished = native.Table(config.cache.finished_bytes, config.cache.finished_bytes // 8)
        self._source = _source(config)
        options = settings.zone_options(config)
        self._records = Table(options) if options else None
        self._forward_zones = settings.forward_zones(config, _nameservers(config))
        self._engine = Engine(
            Zone(options, self._records) if options and self._records else None,
            Forwards(self._forward_zones, Policy(config.forward.policy), secrets.randbelow, config.forward.max_fails),
            self._cache,
            self._finished,
            self._counters,
            os.urandom,
            bounds=settings.bounds(config),
            exchange=settings.exchange_options(config),
            ttls=settings.ttl_limits(config),
            local=settings.local_options(config),
            coredns=options is not None and options.coredns,
        )
        local = config.local
        self._hosts = HostsFile(local.hosts_file, local.hosts_ttl) if local.hosts_file else None
        self._readiness = Readiness(self._watches)
        self._synced = False

    async def serve(self) -> None:
        """From the first socket to the last."""
        config = self._config
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if self._hosts is not None:
            await self._hosts.poll(self._engine.static_changed)
        async with contextlib.AsyncExitStack() as opened:
            listeners = await opened.enter_async_context(
                open_listeners(config.listen, config.tcp, self._engine, self._finished, config.threads)
            )
            await self._open_admin(opened, listeners)
            commands = {"flush": self._flush, "dump": self._dump}
            await opened.enter_async_context(open_control(str(listeners.endpoints[0]), commands))
            self._readiness.listening = True
            self._tell(listeners)
            async with asyncio.TaskGroup() as running:
                parts = [running.create_task(_for_ever("listeners", listeners.run()))]
                if self._source is not None and self._records is not None:
                    sink = functools.partial(self._take, self._records)
                    parts.append(running.create_task(_for_ever("source", self._source.run(sink))))
                if self._hosts is not None:
                    hosts = self._hosts.run(self._engine.static_changed)
                    parts.append(running.create_task(_for_ever("hosts", hosts)))
                await stop.wait()
                log.info("stopping: what is in hand is answered, for at most %g s", config.drain)
                self._readiness.stopping = True
                await listeners.drain(time.monotonic() + config.drain)
                for part in parts:
                    part.cancel()
        log.info("stopped")

    def _take(self, records: Table, change: Change) -> None:
        """One change of the cluster: nobody is told what was before, once this returns."""
        self._engine.records_changed(records.apply(change, int(time.time())))
        if not self._synced and records.synced:
            self._synced = True
            counts = ", ".join(f"{count} {kind}" for kind, count in records.counts().items())
            log.info("synced: %s", counts)
            # What is held now is held for long: the collector need not walk it again (and stop the loop for that).
            gc.collect()
            gc.freeze()

    def _flush(self, words: Sequence[str]) -> list[str]:
        if len(words) != 1:
            raise CommandError("flush what? A name, a zone, or `all`")
        try:
            name = ROOT if words[0] == "all" else Name(from_text(words[0]).lower())
        except NameTextError as error:
            raise CommandError(str(error)) from None
        count = contents.flush(self._cache, name)
        # The packet path's answers are made again from what is left at the next question.
        self._finished.clear()
        log.info("cache: %d answers forgotten: %s", count, to_text(name))
        return [f"{count} answers forgotten"]

    def _dump(self, words: Sequence[str]) -> Iterator[str]:
        if words:
            raise CommandError("dump takes no argument")
        return contents.dump(self._cache, time.monotonic())

    def _watches(self) -> tuple[WatchState, ...]:
        return self._source.watches() if self._source is not None else ()

    async def _open_admin(self, opened: contextlib.AsyncExitStack, listeners: Listeners) -> None:
        if not self._config.admin:
            return
        sources = Sources(
            version=importlib.metadata.version("hsdnsd"),
            native=native.which(),
            port=listeners.endpoints[0].port,
            zone=self._config.zone.name.rstrip(".") + "." if self._records else None,
            counters=self._counters,
            cache=self._cache,
            table=self._finished,
            batches=lambda: [(listener.is_v6, listener.batch) for listener in listeners.udp],
            driver=listeners.driver,
            upstreams=listeners.exchanges,
            tcp=listeners.tcp,
            in_flight=lambda: self._engine.in_flight,
            counts=self._records.counts if self._records else dict,
            watches=self._watches,
            http_rejects=lambda: http.turned_away,
            clock=time.monotonic,
        )
        routes = health_routes(lambda: (), self._readiness.problems, metrics_route(sources))
        http = await opened.enter_async_context(open_http(parse_endpoint(self._config.admin), routes))
        log.info("metrics and health on http://%s", http.endpoint)

    def _tell(self, listeners: Listeners) -> None:
        version = importlib.metadata.version("hsdnsd")
        where = ", ".join(str(endpoint) for endpoint in listeners.endpoints)
        log.info("hsdnsd %s (packet path: %s) answers on %s (UDP, TCP)", version, native.which(), where)
        if self._records is None:
            log.warning("no source of Kubernetes objects: every name is forwarded")
        for zone, upstreams in self._forward_zones.items():
            log.info("%s is asked of %s", to_text(zone), ", ".join(map(str, upstreams)) or "nobody")


async def _for_ever(name: str, part: Coroutine[object, object, object]) -> NoReturn:
    """A part that is to run as long as the daemon: if it ends by itself, that is a fault."""
    await part
    raise RuntimeError(f"{name} ended by itself")


def _source(config: Config) -> Source | None:
    source, zone = config.source, config.zone
    if source.manifests:
        return Manifests(source.manifests, labels=zone.labels, namespace_labels=zone.namespace_labels)
    if source.kubeconfig or source.in_cluster:
        # kubernetes_asyncio costs memory and time, and is loaded only where it is needed.
        from hsdnsd.kube.apiserver import ApiServer

        return ApiServer(
            source.kubeconfig,
            settings.watched_kinds(config),
            labels=zone.labels,
            namespace_labels=zone.namespace_labels,
        )
    return None


def _nameservers(config: Config) -> list[Upstream]:
    if config.forward.upstreams or not config.forward.resolv_conf:
        return []
    return read_resolv_conf(config.forward.resolv_conf)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The fault that ended the others."""
    fault: Exception = group
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return fault
