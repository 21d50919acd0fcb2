from __future__ import annotations

import pytest

from hsdnsd.admin.families import Families
from hsdnsd.admin.readings import read_all
from hsdnsd.admin.sources import Sources
from hsdnsd.cache.store import Key, Kind
from hsdnsd.engine.counters import TYPES, Counters
from hsdnsd.engine.counters import Outcome as Answered
from hsdnsd.engine.upstreams import Server, Upstream
from hsdnsd.kube.source import WatchState
from hsdnsd.native.contract import COUNTED_TYPES, Outcome
from hsdnsd.wire.answer import Answer
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.name import ROOT, from_text
from hsdnsd.wire.query import Refused
from tests.support.observed import NOW, BatchFigures, Sized, sources

SERVER = "dns://:5353"


def read(given: Sources) -> dict[tuple[str, ...], float]:
    """(sample's name, label values but `le`, `le`) -> value, what is 0 left out."""
    families = Families()
    read_all(families, given)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.value
    }


def test_a_quiet_daemon() -> None:
    given = read(sources())
    assert given["hsdnsd_build_info", "1.2.3", "cython"] == 1
    assert given["coredns_build_info", "hsdnsd-1.2.3", "", ""] == 1
    assert not [key for key in given if key[0] == "coredns_dns_requests_total"]


def test_requests_of_the_engine_and_of_the_packet_path_are_put_together() -> None:
    counters = Counters()
    counters.request(v6=False, tcp=False, qtype=RRType.A)
    counters.request(v6=True, tcp=False, qtype=RRType.A, own=True, do=True)
    counters.request(v6=True, tcp=True, qtype=RRType.ANY, own=True)
    counters.request(v6=False, tcp=True, qtype=65280)
    v4 = BatchFigures(hits=10, hits_do=3, types={(False, COUNTED_TYPES.index(1)): 5, (True, len(COUNTED_TYPES)): 4})
    v6 = BatchFigures(hits=7, types={(True, COUNTED_TYPES.index(1)): 7})
    given = read(sources(counters=counters, batches=lambda: [(False, v4), (True, v6), (False, BatchFigures())]))
    assert {key[2:]: value for key, value in given.items() if key[0] == "coredns_dns_requests_total"} == {
        (".", "", "udp", "1", "A"): 6,
        (".", "", "tcp", "1", "other"): 1,
        ("cluster.local.", "", "udp", "1", "other"): 4,
        ("cluster.local.", "", "udp", "2", "A"): 8,
        ("cluster.local.", "", "tcp", "2", "ANY"): 1,
    }
    assert given["coredns_dns_do_requests_total", SERVER, ".", ""] == 4
    assert given["hsdnsd_udp_hits_total", "1"] == 10
    assert given["hsdnsd_udp_hits_total", "2"] == 7


def test_every_type_that_the_packet_path_counts_has_its_name() -> None:
    batch = BatchFigures(types={(False, place): place + 1 for place in range(len(COUNTED_TYPES) + 1)})
    given = read(sources(batches=lambda: [(False, batch)]))
    counted = {key[-1]: value for key, value in given.items() if key[0] == "coredns_dns_requests_total"}
    assert counted == {RRType(qtype).name: place + 1 for place, qtype in enumerate(COUNTED_TYPES)} | {
        "other": len(COUNTED_TYPES) + 1
    }
    assert counted.keys() <= set(TYPES)


def test_responses_by_rcode_and_by_whom() -> None:
    counters = Counters()
    counters.response(Rcode.NOERROR, own=True)
    counters.response(Rcode.SERVFAIL)
    counters.response(15)
    for why in Refused:
        counters.refused(why)
    batch = BatchFigures(rcodes={(True, 0): 5, (True, 3): 2, (False, 0): 30, (False, 3): 4})
    given = read(sources(counters=counters, batches=lambda: [(False, batch)]))
    assert {key[2:]: value for key, value in given.items() if key[0] == "coredns_dns_responses_total"} == {
        ("cluster.local.", "", "NOERROR", "kubernetes"): 6,
        ("cluster.local.", "", "NXDOMAIN", "kubernetes"): 2,
        (".", "", "NOERROR", "cache"): 30,
        (".", "", "NXDOMAIN", "cache"): 4,
        (".", "", "SERVFAIL", "forward"): 1,
        (".", "", "other", "forward"): 1,
        (".", "", "FORMERR", ""): 6,
        (".", "", "NOTIMP", ""): 2,
        (".", "", "REFUSED", ""): 2,
        (".", "", "BADVERS", ""): 1,
    }
    assert {key[1]: value for key, value in given.items() if key[0] == "hsdnsd_refused_queries_total"} == {
        why.value: 1 for why in Refused
    }


def test_answers_by_where_they_came_from() -> None:
    counters = Counters()
    counters.answered_now(Answered.OWN)
    counters.answered_now(Answered.CACHE)
    counters.answered(Answered.FORWARDED, 0.003)
    counters.answered(Answered.FORWARDED, 3.0)
    batch = BatchFigures(rcodes={(True, 0): 5, (False, 3): 4})
    given = read(sources(counters=counters, batches=lambda: [(False, batch), (True, batch)]))
    assert {key[1]: value for key, value in given.items() if key[0] == "hsdnsd_answers_total"} == {
        "own": 1,
        "cache": 1,
        "forwarded": 2,
        "hit_own": 10,
        "hit_cached": 8,
    }
    assert given["hsdnsd_query_wait_seconds_sum", "forwarded"] == pytest.approx(3.003)
    assert ("hsdnsd_query_wait_seconds_bucket", "forwarded", "0.002048") not in given
    assert given["hsdnsd_query_wait_seconds_bucket", "forwarded", "0.004096"] == 1
    assert given["hsdnsd_query_wait_seconds_bucket", "forwarded", "+Inf"] == 2


def test_durations_over_udp() -> None:
    first = BatchFigures(bucket={Outcome.HIT_OWN: 3, Outcome.ENGINE_OWN: 10, Outcome.ENGINE_OTHER: 23})
    second = BatchFigures(bucket={Outcome.HIT_OWN: 4})
    given = read(sources(batches=lambda: [(False, first), (True, second)]))
    name = "coredns_dns_request_duration_seconds"
    assert given[f"{name}_count", SERVER, "cluster.local.", ""] == 3
    assert (f"{name}_bucket", SERVER, "cluster.local.", "", "4e-06") not in given
    assert given[f"{name}_bucket", SERVER, "cluster.local.", "", "8e-06"] == 1
    assert given[f"{name}_bucket", SERVER, "cluster.local.", "", "1.6e-05"] == 2
    assert given[f"{name}_bucket", SERVER, "cluster.local.", "", "0.001024"] == 3
    assert given[f"{name}_sum", SERVER, "cluster.local.", ""] == pytest.approx((8 + 16 + 1024) / 1e6)
    assert (f"{name}_bucket", SERVER, ".", "", "4.194304") not in given
    assert given[f"{name}_bucket", SERVER, ".", "", "+Inf"] == 1
    assert given["hsdnsd_udp_request_duration_seconds_count", "hit_own"] == 2
    assert given["hsdnsd_udp_request_duration_seconds_count", "engine_other"] == 1


def test_sizes_of_hits() -> None:
    given = read(sources())
    assert given["hsdnsd_hit_query_size_bytes_bucket", "cluster.local.", "100"] == 2
    assert given["hsdnsd_hit_query_size_bytes_sum", "."] == 80
    assert ("hsdnsd_hit_response_size_bytes_bucket", ".", "4095") not in given
    assert given["hsdnsd_hit_response_size_bytes_count", "."] == 2


def test_the_cache() -> None:
    counters = Counters()
    for kind in ("success", "success", "denial", "failure"):
        counters.cache_hit(kind)
    counters.cache_misses = 3
    batch = BatchFigures(rcodes={(False, 0): 10, (False, 3): 20, (True, 0): 99})
    given_sources = sources(counters=counters, batches=lambda: [(False, batch)])
    answer = Answer(rcode=0, aa=False, an=1, ns=0, ar=0, body=b"", ttls=b"", ttl=60)
    given_sources.cache.put(Key(from_text("a.example"), 1, False, False, ROOT), answer, 60, 0.0)
    given = read(given_sources)
    hits = {key[2]: value for key, value in given.items() if key[0] == "coredns_cache_hits_total"}
    assert hits == {"success": 12, "denial": 21, "failure": 1}
    assert given["coredns_cache_requests_total", SERVER, ".", ""] == 37
    assert given["coredns_cache_misses_total", SERVER, ".", ""] == 3
    assert given["coredns_cache_entries", SERVER, "success", ".", ""] == 1
    assert given["hsdnsd_cache_bytes", "success"] == given_sources.cache.stores[Kind.SUCCESS].bytes > 0
    assert given["hsdnsd_cache_limit_bytes", "denial"] == 4 << 20
    assert given["hsdnsd_finished_entries", "positive"] == 3
    assert given["hsdnsd_finished_bytes", "negative"] == 200
    assert given["hsdnsd_finished_evictions_total", "positive"] == 1


def test_upstreams() -> None:
    counters = Counters()
    counters.upstream_answered("10.0.0.10:53", Rcode.NOERROR, 0.010)
    counters.upstream_answered("10.0.0.10:53", Rcode.NOERROR, 0.030)
    counters.upstream_answered("10.0.0.10:53", 4000, 0.1)
    counters.upstream_failed("[2001:db8::1]:53", "timeout")
    counters.near_misses = 2
    counters.distrusted = 1
    counters.coalesced = 3
    counters.limited("in_flight")
    counters.limited("waiters")
    given = read(sources(counters=counters))
    name = "coredns_proxy_request_duration_seconds"
    assert given[f"{name}_count", "forward", "10.0.0.10:53", "NOERROR"] == 2
    assert given[f"{name}_sum", "forward", "10.0.0.10:53", "NOERROR"] == pytest.approx(0.04)
    assert given[f"{name}_count", "forward", "10.0.0.10:53", "other"] == 1
    assert given["hsdnsd_upstream_failures_total", "[2001:db8::1]:53", "timeout"] == 1
    assert given[("hsdnsd_upstream_near_misses_total",)] == 2
    assert given[("hsdnsd_upstream_distrusted_total",)] == 1
    assert given[("hsdnsd_upstream_sockets",)] == 2
    assert given[("hsdnsd_upstream_sockets_opened_total",)] == 9
    assert given[("hsdnsd_upstream_in_flight",)] == 6
    assert given[("hsdnsd_coalesced_queries_total",)] == 3
    assert given["hsdnsd_limit_rejects_total", "in_flight"] == given["hsdnsd_limit_rejects_total", "waiters"] == 1
    assert given[("coredns_forward_max_concurrent_rejects_total",)] == 1


def test_kubernetes() -> None:
    given_sources = sources()
    [watch] = given_sources.watches()
    given = read(given_sources)
    assert given[("hsdnsd_records",)] == 70
    assert given["hsdnsd_objects", "Service"] == 7
    assert given["hsdnsd_objects", "Namespace"] == 8
    assert given["hsdnsd_watch_synced", "Service"] == 1
    assert ("hsdnsd_watch_connected", "Service") not in given
    assert given["hsdnsd_watch_age_seconds", "Service"] == 2.5
    assert watch.kind == "Service"
    assert ("hsdnsd_serving_snapshot",) not in given


def test_how_the_api_server_is_followed() -> None:
    watch = WatchState("EndpointSlice")
    watch.lists.update(start=1, gone=2)
    watch.decode_seconds = 1.5
    watch.programming.observe(0.003)
    given = read(sources(watches=lambda: [watch]))
    assert given["hsdnsd_watch_lists_total", "EndpointSlice", "start"] == 1
    assert given["hsdnsd_watch_lists_total", "EndpointSlice", "gone"] == 2
    assert given["hsdnsd_watch_decode_seconds_total", "EndpointSlice"] == 1.5
    name = "coredns_kubernetes_dns_programming_duration_seconds"
    assert given[f"{name}_count", "headless_with_selector"] == 1
    assert given[f"{name}_sum", "headless_with_selector"] == 0.003
    assert (f"{name}_bucket", "headless_with_selector", "0.002048") not in given
    assert given[f"{name}_bucket", "headless_with_selector", "0.004096"] == 1


@pytest.mark.parametrize("age", [7.5, None])
def test_the_snapshot(age: float | None) -> None:
    keeper = Sized(0, serving=True, age=age, writes=3, failures=2, octets=1000)
    given = read(sources(snapshot=keeper))
    assert given[("hsdnsd_serving_snapshot",)] == 1
    assert given.get(("hsdnsd_snapshot_age_seconds",)) == age
    assert given[("hsdnsd_snapshot_writes_total",)] == 3
    assert given[("hsdnsd_snapshot_failures_total",)] == 2
    assert given[("hsdnsd_snapshot_bytes",)] == 1000


def test_sockets() -> None:
    batch = BatchFigures(received=9, sent=8, refused_source=1, send_errors=2, send_full=3, kernel_drops=4)
    given = read(sources(batches=lambda: [(False, batch), (False, batch)], tcp=Sized(3, **TCP)))
    udp = {key: value for key, value in given.items() if key[0].startswith("hsdnsd_udp_") and len(key) == 2}
    assert udp == {
        ("hsdnsd_udp_received_total", "1"): 18,
        ("hsdnsd_udp_sent_total", "1"): 16,
        ("hsdnsd_udp_refused_source_total", "1"): 2,
        ("hsdnsd_udp_send_errors_total", "1"): 4,
        ("hsdnsd_udp_send_full_total", "1"): 6,
        ("hsdnsd_udp_kernel_drops_total", "1"): 8,
    }
    assert given[("hsdnsd_tcp_connections",)] == 3
    assert given[("hsdnsd_tcp_accepted_total",)] == 10
    assert given[("hsdnsd_tcp_accept_errors_total",)] == 5
    closed = {key[1]: value for key, value in given.items() if key[0] == "hsdnsd_tcp_closed_total"}
    assert closed == {"refused": 1, "evicted": 2, "timed_out": 4}
    assert given[("hsdnsd_http_rejects_total",)] == 11
    assert given[("hsdnsd_waiting_queries",)] == 4
    assert given[("coredns_panics_total",)] == 1


TCP = {"accepted": 10, "refused": 1, "evicted": 2, "timed_out": 4, "accept_errors": 5}


def test_without_own_zones_nothing_is_told_of_them() -> None:
    given = read(sources(zone=None, counts=dict, watches=list))
    assert not [
        key for key in given if "cluster.local." in key or key[0].startswith(("hsdnsd_watch", "hsdnsd_records"))
    ]


def test_without_own_zones_what_is_answered_here_is_told_as_localhost() -> None:
    counters = Counters()
    counters.request(v6=False, tcp=True, qtype=1, own=True)
    counters.response(Rcode.NOERROR, own=True)
    given = read(sources(zone=None, counts=dict, watches=list, counters=counters, batches=list))
    assert given["coredns_dns_requests_total", SERVER, "localhost.", "", "tcp", "1", "A"] == 1
    assert given["coredns_dns_responses_total", SERVER, "localhost.", "", "NOERROR", "kubernetes"] == 1


def test_upstreams_that_lead_back_here() -> None:
    counters = Counters()
    counters.upstream_looped("192.0.2.1:53")
    servers = [Server(Upstream(f"192.0.2.{number}", 53), 3) for number in (1, 1, 2)]
    servers[0].looped(NOW - 1)
    given = read(sources(counters=counters, servers=lambda: servers))
    assert {key[1]: value for key, value in given.items() if key[0] == "hsdnsd_upstream_looping"} == {"192.0.2.1:53": 1}
    assert given["hsdnsd_upstream_loops_total", "192.0.2.1:53"] == 1


def test_connections_to_upstreams() -> None:
    given = read(sources())
    assert given["hsdnsd_upstream_connections",] == 1
    assert given["hsdnsd_upstream_resent_total",] == 3
    assert given["hsdnsd_upstream_unmatched_total",] == 2


def test_the_configuration() -> None:
    given = read(sources())
    assert given[("hsdnsd_config_good",)] == 1
    assert given[("hsdnsd_config_waiting_keys",)] == 2
    assert given[("hsdnsd_config_reloads_total",)] == 12
    assert given[("coredns_reload_failed_total",)] == 13
