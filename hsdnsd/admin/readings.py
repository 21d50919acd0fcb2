"""From plain integers to metrics: what the engine counted, and what the packet path counted below it, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from hsdnsd.admin.families import Counts, Families
from hsdnsd.admin.sources import Sources
from hsdnsd.engine.counters import (
    BUCKETS,
    CACHE_KINDS,
    OTHER_RCODE,
    OTHER_TYPE,
    RCODE_PLACE,
    RCODES,
    REFUSED_RCODE,
    TYPE_PLACE,
    TYPES,
    Outcome,
)
from hsdnsd.native.contract import COUNTED_TYPES, SIZE_BOUNDS
from hsdnsd.native.contract import Outcome as UdpOutcome
from hsdnsd.native.flight_contract import Trouble
from hsdnsd.wire.const import Rcode

_SECONDS: Final = tuple(2**power / 1e6 for power in range(BUCKETS - 1))
_FAMILY: Final = ("1", "2")  # CoreDNS's words for IPv4 and IPv6
_HITS: Final = ("hit_cached", "hit_own")
_SLICES: Final = "EndpointSlice"
# Where there is no cluster, special names and static records are still answered here.
_NO_OWN_ZONE: Final = "localhost."


def read_all(families: Families, sources: Sources) -> None:
    """Add every series."""
    sources.catch_up()
    _read_build(families, sources)
    _read_requests(families, sources)
    _read_responses(families, sources)
    _read_durations(families, sources)
    _read_sizes(families, sources)
    _read_cache(families, sources)
    _read_upstreams(families, sources)
    _read_kubernetes(families, sources)
    _read_udp(families, sources)
    _read_tcp(families, sources)
    _read_configuration(families, sources)


def _read_build(families: Families, sources: Sources) -> None:
    families.add("hsdnsd_build_info", 1, sources.version, sources.native)
    families.add("coredns_build_info", 1, f"hsdnsd-{sources.version}", "", "")


def _zones(sources: Sources) -> list[tuple[bool, str]]:
    """(whether it stands for what is answered here, label)."""
    return [(False, "."), (True, sources.zone or _NO_OWN_ZONE)]


def _server(sources: Sources) -> str:
    return f"dns://:{sources.port}"


def _read_requests(families: Families, sources: Sources) -> None:
    counters = sources.counters
    for own, zone in _zones(sources):
        for tcp, proto in enumerate(("udp", "tcp")):
            for v6, family in enumerate(_FAMILY):
                counts = list(counters.requests[own][tcp][v6])
                if not tcp:
                    _add_hit_types(counts, sources, own, bool(v6))
                for name, count in zip(TYPES, counts, strict=True):
                    if count:
                        labels = (_server(sources), zone, "", proto, family, name)
                        families.add("coredns_dns_requests_total", count, *labels)
    do_requests = counters.do_requests + sum(batch.hits_do for _, batch in sources.batches())
    families.add("coredns_dns_do_requests_total", do_requests, _server(sources), ".", "")
    for reason, count in counters.refusals.items():
        families.add("hsdnsd_refused_queries_total", count, reason.value)
    for limit, count in counters.limits.items():
        families.add("hsdnsd_limit_rejects_total", count, limit)
    families.add("coredns_forward_max_concurrent_rejects_total", counters.limits["in_flight"])
    flights = sources.flights
    families.add("hsdnsd_waiting_queries", sources.driver.pending + (flights.waiting if flights else 0))
    families.add("coredns_panics_total", sources.driver.crashes)


def _add_hit_types(counts: list[int], sources: Sources, own: bool, v6: bool) -> None:
    places = [TYPE_PLACE.get(qtype, OTHER_TYPE) for qtype in COUNTED_TYPES] + [OTHER_TYPE]
    for is_v6, batch in sources.batches():
        if is_v6 == v6:
            for place, count in zip(places, batch.hit_types(own), strict=True):
                counts[place] += count


def _read_responses(families: Families, sources: Sources) -> None:
    counters = sources.counters
    answers = {
        outcome.name.lower(): counters.at_once[outcome] + sum(counters.waits[outcome].counts) for outcome in Outcome
    }
    total: Counter[tuple[str, str, str]] = Counter()
    for own, zone in _zones(sources):
        for name, count in zip(RCODES, counters.responses[own], strict=True):
            total[zone, name, "kubernetes" if own else "forward"] += count
        answers[_HITS[own]] = 0
        for rcode, count in _hit_rcodes(sources, own):
            total[zone, RCODES[RCODE_PLACE.get(rcode, OTHER_RCODE)], "kubernetes" if own else "cache"] += count
            answers[_HITS[own]] += count
    for why, rcode in REFUSED_RCODE.items():
        total[".", RCODES[RCODE_PLACE[rcode]], ""] += counters.refusals[why]
    for (zone, name, plugin), count in total.items():
        if count:
            families.add("coredns_dns_responses_total", count, _server(sources), zone, "", name, plugin)
    for outcome, count in answers.items():
        families.add("hsdnsd_answers_total", count, outcome)


def _hit_rcodes(sources: Sources, own: bool) -> list[tuple[int, int]]:
    """(RCODE, count) of what the table of finished answers gave."""
    return [(rcode, count) for _, batch in sources.batches() for rcode, count in enumerate(batch.hit_rcodes(own))]


def _read_durations(families: Families, sources: Sources) -> None:
    over_udp = {
        outcome: _sum((batch.latency(outcome) for _, batch in sources.batches()), BUCKETS) for outcome in UdpOutcome
    }
    seconds = {outcome: (counts, total / 1e9) for outcome, (counts, total) in over_udp.items()}
    for outcome, counts in seconds.items():
        families.add_histogram("hsdnsd_udp_request_duration_seconds", _SECONDS, counts, outcome.name.lower())
    for own, zone in _zones(sources):
        parts = (UdpOutcome.HIT_OWN, UdpOutcome.ENGINE_OWN) if own else (UdpOutcome.HIT_CACHED, UdpOutcome.ENGINE_OTHER)
        both = _sum((seconds[part] for part in parts), BUCKETS)
        families.add_histogram("coredns_dns_request_duration_seconds", _SECONDS, both, _server(sources), zone, "")
    for waited in Outcome:
        wait = sources.counters.waits[waited]
        families.add_histogram("hsdnsd_query_wait_seconds", _SECONDS, (wait.counts, wait.seconds), waited.name.lower())


def _read_sizes(families: Families, sources: Sources) -> None:
    places = len(SIZE_BOUNDS) + 1
    for own, zone in _zones(sources):
        queries = _sum((batch.hit_query_sizes(own) for _, batch in sources.batches()), places)
        families.add_histogram("hsdnsd_hit_query_size_bytes", SIZE_BOUNDS, queries, zone)
        replies = _sum((batch.hit_reply_sizes(own) for _, batch in sources.batches()), places)
        families.add_histogram("hsdnsd_hit_response_size_bytes", SIZE_BOUNDS, replies, zone)


def _sum(parts: Iterable[Counts], places: int) -> Counts:
    counts, total = [0] * places, 0.0
    for part, part_total in parts:
        counts = [here + there for here, there in zip(counts, part, strict=True)]
        total += part_total
    return counts, total


def _read_cache(families: Families, sources: Sources) -> None:
    hits = dict(sources.counters.cache_hits)
    for rcode, count in _hit_rcodes(sources, False):
        hits["denial" if rcode == Rcode.NXDOMAIN else "success"] += count
    server, misses = _server(sources), sources.counters.cache_misses
    families.add("coredns_cache_requests_total", sum(hits.values()) + misses, server, ".", "")
    families.add("coredns_cache_misses_total", misses, server, ".", "")
    families.add("coredns_cache_served_stale_total", hits["stale"], server, ".", "")
    for kind in CACHE_KINDS:
        families.add("coredns_cache_hits_total", hits[kind], server, kind, ".", "")
    for stored, store in sources.cache.stores.items():
        families.add("coredns_cache_entries", len(store), server, stored.value, ".", "")
        families.add("coredns_cache_evictions_total", store.evictions, server, stored.value, ".", "")
        families.add("hsdnsd_cache_bytes", store.bytes, stored.value)
        families.add("hsdnsd_cache_limit_bytes", store.limit, stored.value)
    table = sources.table
    for place, side in enumerate(("positive", "negative")):
        families.add("hsdnsd_finished_entries", table.entries[place], side)
        families.add("hsdnsd_finished_bytes", table.bytes_held[place], side)
        families.add("hsdnsd_finished_evictions_total", table.evictions[place], side)


def _read_upstreams(families: Families, sources: Sources) -> None:
    counters = sources.counters
    for (to, place), histogram in counters.upstreams.items():
        counts: tuple[Sequence[int], float] = (histogram.counts, histogram.seconds)
        name = "coredns_proxy_request_duration_seconds"
        families.add_histogram(name, _SECONDS, counts, "forward", to, RCODES[place])
    for (to, problem), count in counters.upstream_failures.items():
        families.add("hsdnsd_upstream_failures_total", count, to, problem)
    families.add("hsdnsd_upstream_near_misses_total", counters.near_misses)
    families.add("hsdnsd_upstream_distrusted_total", counters.distrusted)
    families.add("hsdnsd_upstream_sockets", len(sources.upstreams))
    flights = sources.flights
    families.add("hsdnsd_upstream_sockets_opened_total", sources.upstreams.opened + (flights.opened if flights else 0))
    families.add("hsdnsd_upstream_connections", len(sources.upstreams.pool))
    families.add("hsdnsd_upstream_resent_total", sources.upstreams.pool.resent)
    families.add("hsdnsd_upstream_unmatched_total", sources.upstreams.pool.unmatched)
    now = sources.clock()
    looping: dict[str, bool] = {}
    for server in sources.servers():
        looping[server.name] = looping.get(server.name, False) or now < server.looping_until
    for to, loops in looping.items():
        families.add("hsdnsd_upstream_looping", loops, to)
        families.add("hsdnsd_upstream_loops_total", counters.upstream_loops.get(to, 0), to)
    families.add("hsdnsd_upstream_in_flight", sources.in_flight() + (flights.in_flight if flights else 0))
    for trouble in Trouble:
        ended = flights.handed_over_count(trouble) if flights else 0
        families.add("hsdnsd_flights_total", ended, trouble.name.lower())
    families.add("hsdnsd_flights_total", flights.landed_count if flights else 0, "answered")
    families.add("hsdnsd_flights_untold_total", flights.untold if flights else 0)
    families.add("hsdnsd_coalesced_queries_total", counters.coalesced)


def _read_kubernetes(families: Families, sources: Sources) -> None:
    for kind, count in sources.counts().items():
        if kind == "records":
            families.add("hsdnsd_records", count)
        else:
            families.add("hsdnsd_objects", count, kind)
    now = sources.clock()
    for watch in sources.watches():
        families.add("hsdnsd_watch_synced", watch.synced, watch.kind)
        families.add("hsdnsd_watch_connected", watch.connected, watch.kind)
        families.add("hsdnsd_watch_events_total", watch.events, watch.kind)
        families.add("hsdnsd_watch_relists_total", watch.relists, watch.kind)
        families.add("hsdnsd_watch_failures_total", watch.failures, watch.kind)
        families.add("hsdnsd_watch_skipped_total", watch.skipped, watch.kind)
        families.add("hsdnsd_watch_decode_seconds_total", watch.decode_seconds, watch.kind)
        for reason, count in watch.lists.items():
            families.add("hsdnsd_watch_lists_total", count, watch.kind, reason)
        if watch.last_alive:
            families.add("hsdnsd_watch_age_seconds", now - watch.last_alive, watch.kind)
        if watch.kind == _SLICES:
            counts = (watch.programming.counts, watch.programming.seconds)
            bounds = tuple(2**power / 1e6 for power in range(len(counts[0]) - 1))
            name = "coredns_kubernetes_dns_programming_duration_seconds"
            families.add_histogram(name, bounds, counts, "headless_with_selector")
    snapshot = sources.snapshot
    if snapshot is not None:
        families.add("hsdnsd_serving_snapshot", snapshot.serving)
        if snapshot.age is not None:
            families.add("hsdnsd_snapshot_age_seconds", snapshot.age)
        families.add("hsdnsd_snapshot_writes_total", snapshot.writes)
        families.add("hsdnsd_snapshot_failures_total", snapshot.failures)
        families.add("hsdnsd_snapshot_bytes", snapshot.octets)


def _read_udp(families: Families, sources: Sources) -> None:
    for v6, family in enumerate(_FAMILY):
        batches = [batch for is_v6, batch in sources.batches() if is_v6 == bool(v6)]
        if not batches:
            continue
        for name in ("received", "sent", "hits", "refused_source", "send_errors", "send_full", "kernel_drops"):
            families.add(f"hsdnsd_udp_{name}_total", sum(getattr(batch, name) for batch in batches), family)


def _read_tcp(families: Families, sources: Sources) -> None:
    tcp = sources.tcp
    families.add("hsdnsd_tcp_connections", len(tcp))
    families.add("hsdnsd_tcp_accepted_total", tcp.accepted)
    families.add("hsdnsd_tcp_accept_errors_total", tcp.accept_errors)
    for reason, count in (("refused", tcp.refused), ("evicted", tcp.evicted), ("timed_out", tcp.timed_out)):
        families.add("hsdnsd_tcp_closed_total", count, reason)
    families.add("hsdnsd_http_rejects_total", sources.http_rejects())


def _read_configuration(families: Families, sources: Sources) -> None:
    reloader = sources.reloader
    families.add("hsdnsd_config_good", reloader.good)
    families.add("hsdnsd_config_waiting_keys", len(reloader.waiting))
    families.add("hsdnsd_config_reloads_total", reloader.applied)
    families.add("coredns_reload_failed_total", reloader.failed)
