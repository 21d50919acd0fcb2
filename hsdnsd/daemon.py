"""The composition root: the one place that knows every part. Opens, wires, runs, drains, closes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

import uvloop

from hsdnsd import __version__, native, settings
from hsdnsd.address import parse_endpoint
from hsdnsd.admin.control import CommandError, open_control
from hsdnsd.admin.health import Readiness, health_routes
from hsdnsd.cache import contents
from hsdnsd.cache.cache import Cache
from hsdnsd.collector import Collector
from hsdnsd.config import Config
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.following import Following
from hsdnsd.engine.static import StaticRecords
from hsdnsd.engine.upstreams import CLUSTER, Forwards, Policy, Upstream
from hsdnsd.errors import HsdnsdError, NameTextError
from hsdnsd.kube.keeper import Keeper
from hsdnsd.kube.source import Source, Watched
from hsdnsd.named_files import NamedFile, open_hosts, open_resolv_conf
from hsdnsd.net.descriptors import for_upstreams, raise_limit
from hsdnsd.net.driver import Driver
from hsdnsd.net.service import Listeners, open_listeners
from hsdnsd.net.tls import client_context
from hsdnsd.net.upstream import Exchanges
from hsdnsd.priority import going_first
from hsdnsd.records.model import Change
from hsdnsd.records.result import Owner
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.reload import Reloader
from hsdnsd.wire.name import ROOT, Name, from_text, to_text

log = logging.getLogger("hsdnsd")

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Seconds until cycles are collected again, if the cluster has not been listed by then.
_COLLECTS_AFTER = 5.0


def run(config: Config, path: str | None, read: Callable[[], Config]) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        path, read: the file that `config` is from, if it is from one, and how to read it again (`reload.Reloader`).

    Returns:
        The exit code: 0 after a signal, 1 if a part failed; what failed is told on standard error.

    Raises:
        StartError, ConfigError: the daemon can't start.
    """
    logging.basicConfig(level=config.log.level.upper(), format=_LOG_FORMAT, stream=sys.stderr)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_Daemon(config).serve(path, read))
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
        self._collector = Collector()
        self._cache = Cache(settings.cache_limits(config))
        self._finished = native.Table(config.cache.finished_bytes, config.cache.finished_bytes // 8)
        options = settings.zone_options(config)
        self._records = Table(options) if options else None
        self._source = _source(config, self._records) if self._records else None
        self._following = Following({}, lambda _: False)
        self._forwards = Forwards({})
        # Without a rule until `_configure`, as everything that the configuration can be changed of while we run.
        self._engine = Engine(None, self._forwards, self._cache, self._finished, self._counters, os.urandom)
        self._exchanges = Exchanges(spend=self._engine.spend)
        self._hosts: NamedFile[StaticRecords] | None = None
        self._resolv_conf: NamedFile[list[Upstream]] | None = None
        self._running: asyncio.TaskGroup | None = None
        self._readiness = Readiness(self._watches)
        self._keeper = self._open_keeper()
        self._synced = False
        self._driver: Driver | None = None

    async def serve(self, path: str | None, read: Callable[[], Config]) -> None:
        """From the first socket to the last. Arguments as of `run`."""
        config = self._config
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        reloader = Reloader(config, path, read, self._configure)
        loop.add_signal_handler(signal.SIGHUP, reloader.ask)
        if self._keeper is not None:
            self._readiness.recalled = self._keeper.recall()
        await self._configure(config)
        self._collector.settle()
        async with contextlib.AsyncExitStack() as opened:
            with going_first(config.threads):
                listeners = await opened.enter_async_context(
                    open_listeners(
                        config.listen,
                        config.tcp,
                        self._engine,
                        self._finished,
                        config.threads,
                        self._exchanges,
                        sharing=self._engine if settings.may_fly(config) else None,
                    )
                )
            # An event is taken in as it comes, not when the turn of whoever has the core is over.
            native.be_prompt()
            self._driver = listeners.driver
            commands = {"flush": self._flush, "dump": self._dump}
            await opened.enter_async_context(open_control(str(listeners.endpoints[0]), commands))
            self._readiness.listening = True
            self._tell(listeners)
            loop.call_later(config.forward.loop_probe_after, self._watch_for_loops, listeners)
            async with asyncio.TaskGroup() as running:
                parts = [running.create_task(_for_ever("listeners", listeners.run()))]
                if self._source is not None and self._records is not None:
                    await self._source.load()
                    self._collector.rest(_COLLECTS_AFTER)
                    sink = functools.partial(self._take, self._records)
                    parts.append(running.create_task(_for_ever("source", self._source.run(sink))))
                # While the API server makes its lists.
                await self._open_admin(opened, listeners, reloader)
                if self._keeper is not None:
                    keeper = self._keeper.run(self._end_answers)
                    parts.append(running.create_task(_for_ever("snapshot", keeper)))
                parts.append(running.create_task(_for_ever("configuration", reloader.run())))
                self._running = running
                self._follow_files(running)
                await stop.wait()
                log.info("stopping: what is in hand is answered, for at most %g s", self._config.drain)
                self._readiness.stopping = True
                await listeners.drain(time.monotonic() + self._config.drain)
                for part in parts:
                    part.cancel()
                for file in (self._hosts, self._resolv_conf):
                    if file is not None:
                        file.stop()
                if self._keeper is not None:
                    await self._keeper.write()
        # Its default is to end the process at once, and with an error.
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        log.info("stopped")

    async def _configure(self, config: Config) -> None:
        """Go by a configuration from now on; of one that we run on already, only what needs no start may differ.

        What takes time, or may fail, comes first. Then everything changes in one step between two packets.

        Raises:
            ConfigError, StartError: nothing has changed.
        """
        forward = config.forward
        hosts = await open_hosts(config, self._hosts)
        resolv_conf = await open_resolv_conf(config, self._resolv_conf)
        context = await asyncio.to_thread(client_context, forward.tls_ca) if settings.takes_tls(config) else None
        given = settings.forward_zones(config, resolv_conf.value)
        now = time.monotonic()
        asked = self._following.present
        self._config = config
        self._following = Following(given, functools.partial(settings.is_own_address, config))
        self._following.changed(self._records)
        forwards = Forwards(self._following.present, Policy(forward.policy), secrets.randbelow, forward.max_fails)
        forwards.inherit(self._forwards)
        self._forwards = forwards
        options = settings.zone_options(config)
        zone = Zone(options, self._records) if options and self._records else None
        self._engine.reconfigure(zone, forwards, now, static=hosts.value, **settings.rules(config))
        self._cache.resize(settings.cache_limits(config))
        self._exchanges.reconfigure(_sockets_for(config), forward.attempt_timeout, context)
        logging.getLogger().setLevel(config.log.level.upper())
        for before, after in ((self._hosts, hosts), (self._resolv_conf, resolv_conf)):
            if before is not None and before is not after:
                before.stop()
        self._hosts, self._resolv_conf = hosts, resolv_conf
        if self._running is not None:
            self._follow_files(self._running)
        if self._driver is not None:
            self._tell_upstreams(asked)
            self._driver.settle(now)

    def _follow_files(self, running: asyncio.TaskGroup) -> None:
        if self._hosts is not None:
            self._hosts.follow(running, self._engine.static_changed)
        if self._resolv_conf is not None:
            self._resolv_conf.follow(running, self._take_nameservers)

    def _take(self, records: Table, change: Change) -> None:
        """One change of the cluster: nobody is told what was before, once this returns."""
        if owners := records.apply(change, int(time.time())):
            self._end_answers(owners)
        if self._keeper is not None:
            self._keeper.changed()
        if self._following.follows_services:
            self._follow()
        if not self._synced and records.synced:
            self._synced = True
            counts = ", ".join(f"{count} {kind}" for kind, count in records.counts().items())
            log.info("synced: %s", counts)
            self._collector.settle()

    def _end_answers(self, owners: Iterable[Owner]) -> None:
        self._engine.records_changed(owners, time.monotonic())

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
        asked = self._following.present
        changed = self._following.changed(self._records)
        for zone, upstreams in changed.items():
            self._engine.replace_upstreams(zone, upstreams, time.monotonic())
        self._tell_upstreams(asked)
        if changed and self._driver is not None:
            self._driver.settle(time.monotonic())

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
        self._catch_up()
        count = contents.flush(self._cache, name)
        # The packet path's answers are made again from what is left at the next question.
        self._finished.clear()
        log.info("cache: %d answers forgotten: %s", count, to_text(name))
        return [f"{count} answers forgotten"]

    def _dump(self, words: Sequence[str]) -> Iterator[str]:
        if words:
            raise CommandError("dump takes no argument")
        self._catch_up()
        return contents.dump(self._cache, time.monotonic())

    def _catch_up(self) -> None:
        """Learn of what the packet path has asked by itself."""
        if self._driver is not None:
            self._driver.catch_up()

    def _watches(self) -> Sequence[Watched]:
        return self._source.watches() if self._source is not None else ()

    async def _open_admin(self, opened: contextlib.AsyncExitStack, listeners: Listeners, reloader: Reloader) -> None:
        if not self._config.admin:
            return
        # A fifth of all that is imported until now; meanwhile whoever asks is answered from the snapshot.
        await asyncio.to_thread(importlib.import_module, "hsdnsd.admin.metrics")
        from hsdnsd.admin.http import open_http
        from hsdnsd.admin.metrics import metrics_route
        from hsdnsd.admin.sources import Sources

        sources = Sources(
            version=__version__,
            native=native.which(),
            port=listeners.endpoints[0].port,
            zone=self._config.zone.name.rstrip(".") + "." if self._records else None,
            counters=self._counters,
            cache=self._cache,
            table=self._finished,
            batches=lambda: [(listener.is_v6, listener.batch) for listener in listeners.udp],
            driver=listeners.driver,
            upstreams=listeners.exchanges,
            servers=lambda: self._forwards.servers(),
            tcp=listeners.tcp,
            in_flight=lambda: self._engine.in_flight,
            counts=self._records.counts if self._records else dict,
            watches=self._watches,
            snapshot=self._keeper,
            reloader=reloader,
            http_rejects=lambda: http.turned_away,
            clock=time.monotonic,
            flights=listeners.driver.flights.flights if listeners.driver.flights is not None else None,
            catch_up=listeners.driver.catch_up,
        )
        routes = health_routes(lambda: (), self._readiness.problems, metrics_route(sources))
        http = await opened.enter_async_context(open_http(parse_endpoint(self._config.admin), routes))
        log.info("metrics and health on http://%s", http.endpoint)

    def _tell(self, listeners: Listeners) -> None:
        where = ", ".join(str(endpoint) for endpoint in listeners.endpoints)
        log.info("hsdnsd %s (packet path: %s) answers on %s (UDP, TCP)", __version__, native.which(), where)
        if self._records is None:
            log.warning("no source of Kubernetes objects: every name is forwarded")
        self._tell_upstreams({})

    def _tell_upstreams(self, before: Mapping[Name, Sequence[Upstream]]) -> None:
        """Who is asked for what, where that is other than before."""
        for zone, upstreams in self._following.present.items():
            if upstreams != before.get(zone):
                log.info("%s is asked of %s", _told(zone), ", ".join(map(str, upstreams)) or "nobody")


async def _for_ever(name: str, part: Coroutine[object, object, object]) -> NoReturn:
    """A part that is to run as long as the daemon: if it ends by itself, that is a fault."""
    await part
    raise RuntimeError(f"{name} ended by itself")


def _told(zone: Name) -> str:
    return "what can't be told of the cluster" if zone == CLUSTER else to_text(zone)


def _source(config: Config, records: Table) -> Source | None:
    source, zone = config.source, config.zone
    # Both cost memory and time, and are loaded only where they are needed.
    if source.manifests:
        from hsdnsd.kube.manifests import Manifests

        return Manifests(source.manifests, labels=zone.labels, namespace_labels=zone.namespace_labels)
    if source.kubeconfig or source.in_cluster:
        from hsdnsd.kube.apiserver import ApiServer

        return ApiServer(
            source.kubeconfig,
            settings.watched_kinds(config),
            records,
            labels=zone.labels,
            namespace_labels=zone.namespace_labels,
            scoped=settings.is_scoped(config),
        )
    return None


def _sockets_for(config: Config) -> int:
    """How many sockets towards upstreams there are descriptors for."""
    forward = config.forward
    limit = raise_limit()
    most = for_upstreams(limit, config.tcp.max_connections, forward.max_in_flight)
    if most < forward.max_in_flight:
        log.warning(
            "%d descriptors leave %d for questions to upstreams, not forward.max_in_flight = %d: raise the limit",
            limit,
            most,
            forward.max_in_flight,
        )
    return most


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The fault that ended the others."""
    fault: Exception = group
    while isinstance(fault, ExceptionGroup):
        fault = fault.exceptions[0]
    return fault
