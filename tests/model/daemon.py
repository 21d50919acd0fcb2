"""The daemon's core behind an `ApiServer`, without its sockets: finished answers first, then the engine."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from hsdnsd.cache.cache import Cache, Limits
from hsdnsd.engine.counters import Counters
from hsdnsd.engine.engine import Engine
from hsdnsd.engine.upstreams import Forwards, Policy
from hsdnsd.kube.apiserver import ApiServer
from hsdnsd.records.model import Change, Kind
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from hsdnsd.records.zone import Zone
from hsdnsd.wire.answer import render
from hsdnsd.wire.const import MAX_MESSAGE
from hsdnsd.wire.name import Name, from_text
from hsdnsd.wire.query import Refusal, read_query_untrusted
from tests.model.oracle import ELSEWHERE, ZONE, Answer, Question
from tests.support.world import Finished

_ZONE = dns.name.from_text(ZONE)
KINDS = (Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.NAMESPACE)


class Daemon:
    """Follows an API server, and answers questions about its own zones at any moment."""

    def __init__(
        self,
        kubeconfig: Path,
        told: Callable[[Change], None],
        *,
        scoped: bool = False,
        table: Callable[[ZoneOptions], Table] = Table,
    ) -> None:
        """
        Args:
            told: called after each change that was taken in.
            table: a wrong one is to be found out.
        """
        reverse = (from_text("in-addr.arpa"), from_text("ip6.arpa"))
        options = ZoneOptions(from_text("cluster.local"), reverse_zones=reverse, expect=frozenset(KINDS), scoped=scoped)
        self._table = table(options)
        self._finished = Finished()
        self._engine = Engine(
            Zone(options, self._table),
            Forwards({}, Policy.SEQUENTIAL, lambda below: 0, 3),
            Cache(Limits()),
            self._finished,
            Counters(),
            lambda size: bytes(size),
            coredns=False,
        )
        self._told = told
        self._turn = 0
        source = ApiServer(str(kubeconfig), KINDS, self._table, scoped=scoped)
        self._running = asyncio.create_task(source.run(self._take))

    async def stop(self) -> None:
        assert not self._running.done(), self._running
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    def must_run(self) -> None:
        """Whatever ended it is raised."""
        if self._running.done():
            self._running.result()

    def _take(self, change: Change) -> None:
        self._engine.records_changed(self._table.apply(change, unix_time=1), time.monotonic())
        self._told(change)

    def ask(self, question: Question, now: float) -> Answer:
        wire = _query(question)
        query = read_query_untrusted(wire, False)
        assert not isinstance(query, Refusal)
        key = (Name(query.name.lower()), query.qtype, query.do, query.cd)
        held = self._finished.held.get(key)
        self._turn += 1
        if held is not None:
            self._finished.gave[key] += 1
            return _read(render(held[0], query, MAX_MESSAGE, 0, self._turn))
        reply = self._engine.query(wire, 0, "192.0.2.100", True, now)
        return ELSEWHERE if reply is None else _read(reply)


@functools.lru_cache(maxsize=10_000)
def _query(question: Question) -> bytes:
    return dns.message.make_query(question.name, question.type, id=1).to_wire()


@functools.lru_cache(maxsize=100_000)
def _read(wire: bytes) -> Answer:
    message = dns.message.from_wire(wire)
    asked = message.question[0].rdtype
    if message.answer and message.answer[-1].rdtype == dns.rdatatype.CNAME != asked:
        target = message.answer[-1][0].target
        if not target.is_subdomain(_ZONE):
            return ELSEWHERE  # where there is no upstream the CNAME is all that can be told
    denial = not any(rrset.rdtype != dns.rdatatype.CNAME for rrset in message.answer)
    rcode = dns.rcode.to_text(message.rcode())
    if denial and rcode in ("NOERROR", "NXDOMAIN") and asked != dns.rdatatype.CNAME:
        assert [rrset.rdtype for rrset in message.authority] == [dns.rdatatype.SOA], message
    return Answer(rcode, _records(message.answer), _records(message.additional))


def _records(section: list[dns.rrset.RRset]) -> frozenset[str]:
    return frozenset(
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {record}" for rrset in section for record in rrset
    )
