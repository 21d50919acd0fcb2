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
from hsdnsd.engine.following import Following
from hsdnsd.engine.upstreams import CLUSTER, Forwards, Policy, Upstream
from hsdnsd.errors import HsdnsdError, NameTextError
from hsdnsd.kube.keeper import Keeper
from hsdnsd.kube.manifests import Manifests
from hsdnsd.kube.source import Source, Watched
from hsdnsd.net.descriptors import for_upstreams, raise_limit
from hsdnsd.net.driver import Driver
from hsdnsd.net.hosts import HostsFile
from hsdnsd.net.resolvconf import ResolvConf
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.net.tls import client_context
from hsdnsd.net.upstream import Exchanges
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
        forward = config.forward
        by_file = forward.resolv_conf and not forward.upstreams
        self._resolv_conf = ResolvConf(forward.resolv_conf) if by_file else None
        nameservers = (self._resolv_conf and self._resolv_conf.read_if_changed()) or ()
        self._following = Following(
            settings.forward_zones(config, nameservers), functools.partial(settings.is_own_address, config)
        )
        self._forwards = Forwards(self._following.present, Policy(forward.policy), secrets.randbelow, forward.max_fails)
        self._engine = Engine(
            Zone(options, self._records) if options and self._records else None,
            self._forwards,
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
        self._keeper = self._open_keeper()
        self._synced = False
        self._driver: Driver | None = None

    async def serve(self) -> None:
        """From the first socket to the last."""
        config = self._config
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if self._hosts is not None:
            await self._hosts.poll(self._engine.static_changed)
        if self._keeper is not None:
            self._readiness.recalled = self._keeper.recall()
            self._follow()
        # What is there now is there for good: the collector need not walk it again.
        gc.freeze()
        async with contextlib.AsyncExitStack() as opened:
            listeners = await opened.enter_async_context(
                open_listeners(
                    config.listen, config.tcp, self._engine, self._finished, config.threads, self._exchanges()
                )
            )
            self._driver = listeners.driver
            await self._open_admin(opened, listeners)
            commands = {"flush": self._flush, "dump": self._dump}
            await opened.enter_async_context(open_control(str(listeners.endpoints[0]), commands))
            self._readiness.listening = True
            self._tell(listeners)
            loop.call_later(config.forward.loop_probe_after, self._watch_for_loops, listeners)
            async with asyncio.TaskGroup() as running:
                parts = [running.create_task(_for_ever("listeners", listeners.run()))]
                if self._source is not None and self._records is not None:
                    sink = functools.partial(self._take, self._records)
                    parts.append(running.create_task(_for_ever("source", self._source.run(sink))))
                if self._keeper is not None:
                    keeper = self._keeper.run(self._engine.records_changed)
                    parts.append(running.create_task(_for_ever("snapshot", keeper)))
                if self._hosts is not None:
                    hosts = self._hosts.run(self._engine.static_changed)
                    parts.append(running.create_task(_for_ever("hosts", hosts)))
                if self._resolv_conf is not None:
                    nameservers = self._resolv_conf.run(self._take_nameservers)
                    parts.append(running.create_task(_for_ever("resolv.conf", nameservers)))
                await stop.wait()
                log.info("stopping: what is in hand is answered, for at most %g s", config.drain)
                self._readiness.stopping = True
                await listeners.drain(time.monotonic() + config.drain)
                for part in parts:
                    part.cancel()
                if self._keeper is not None:
                    await self._keeper.write()
        log.info("stopped")

    def _take(self, records: Table, change: Change) -> None:
        """One change of the cluster: nobody is told what was before, once this returns."""
        self._engine.records_changed(records.apply(change, int(time.time())))
        if self._keeper is not None:
            self._keeper.changed()
        if self._following.follows_services:
            self._follow()
        if not self._synced and records.synced:
            self._synced = True
            counts = ", ".join(f"{count} {kind}" for kind, count in records.counts().items())
            log.info("synced: %s", counts)
            # What is held now is held for long: the collector need not walk it again (and stop the loop for that, as
            # one last walk before would).
            gc.freeze()

    def _open_keeper(self) -> Keeper | None:
        config = self._config
        if self._records is None or config.source.manifests or not config.source.snapshot:
            return None
        return Keeper(
            config.source.snapshot,
            self._records,
            self._watches,
            settings.snapshot_limits(config),
            config.zone.name,
            settings.snapshot_origin(config),
        )

    def _take_nameservers(self, nameservers: list[Upstream]) -> None:
        """resolv.conf was written anew."""
        for server in nameservers:
            if settings.is_own_address(self._config, server):
                path = self._config.forward.resolv_conf
                log.error("nameserver %s of %s is this daemon's own listening address: not asked", server, path)
        self._following.give(ROOT, nameservers)
        self._follow()

    def _follow(self) -> None:
        """Ask whom the forward zones stand for now."""
        changed = self._following.changed(self._records)
        for zone, upstreams in changed.items():
            self._engine.replace_upstreams(zone, upstreams, time.monotonic())
            log.info("%s is asked of %s", _told(zone), ", ".join(map(str, upstreams)) or "nobody")
        if changed and self._driver is not None:
            self._driver.settle(time.monotonic())

    def _exchanges(self) -> Exchanges:
        """The sockets towards upstreams: as many as there are descriptors for.

        Raises:
            StartError: the authorities that vouch for upstreams can't be read.
        """
        forward = self._config.forward
        limit = raise_limit()
        most = for_upstreams(limit, self._config.tcp.max_connections, forward.max_in_flight)
        if most < forward.max_in_flight:
            log.warning(
                "%d descriptors leave %d for questions to upstreams, not forward.max_in_flight = %d: raise the limit",
                limit,
                most,
                forward.max_in_flight,
            )
        return Exchanges(
            most,
            connect_timeout=forward.attempt_timeout,
            context=client_context(forward.tls_ca) if settings.takes_tls(self._config) else None,
            spend=self._engine.spend,
        )

    def _watch_for_loops(self, listeners: Listeners) -> None:
        now = time.monotonic()
        self._engine.watch_for_loops(now)
        listeners.driver.settle(now)

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

    def _watches(self) -> Sequence[Watched]:
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
            servers=self._forwards.servers,
            tcp=listeners.tcp,
            in_flight=lambda: self._engine.in_flight,
            counts=self._records.counts if self._records else dict,
            watches=self._watches,
            snapshot=self._keeper,
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
        for zone, upstreams in self._following.present.items():
            log.info("%s is asked of %s", _told(zone), ", ".join(map(str, upstreams)) or "nobody")


async def _for_ever(name: str, part: Coroutine[object, object, object]) -> NoReturn:
    """A part that is to run as long as the daemon: if it ends by itself, that is a fault."""
    await part
    raise RuntimeError(f"{name} ended by itself")


def _told(zone: Name) -> str:
    return "what can't be told of the cluster" if zone == CLUSTER else to_text(zone)


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
            scoped=settings.is_scoped(config),
        )
    return None


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The fault that ended the others."""
    fault: Exception = group
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return fault
