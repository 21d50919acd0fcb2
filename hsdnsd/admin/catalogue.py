"""Every metric: name, type, labels, meaning. `python -m hsdnsd.admin.catalogue` prints docs/metrics.md."""

from __future__ import annotations

import sys
from typing import Final, Literal, NamedTuple

Type = Literal["counter", "gauge", "histogram"]


class MetricEntry(NamedTuple):
    """One metric; `name` as it is asked for in PromQL, so a counter's ends in _total."""

    name: str
    type: Type
    labels: tuple[str, ...]
    meaning: str


class Group(NamedTuple):
    """Metrics that belong together, with what is to be known of all of them."""

    title: str
    note: str
    metrics: tuple[MetricEntry, ...]


def _counter(name: str, labels: str, meaning: str) -> MetricEntry:
    return MetricEntry(name, "counter", tuple(labels.split()), meaning)


def _gauge(name: str, labels: str, meaning: str) -> MetricEntry:
    return MetricEntry(name, "gauge", tuple(labels.split()), meaning)


def _histogram(name: str, labels: str, meaning: str) -> MetricEntry:
    return MetricEntry(name, "histogram", tuple(labels.split()), meaning)


GROUPS: Final = (
    Group(
        "Build",
        "",
        (
            _gauge("hsdnsd_build_info", "version native", "1. `native` says which packet path runs: cython or python."),
            _gauge(
                "coredns_build_info",
                "version revision goversion",
                "1, for dashboards that look for it; only `version` is set.",
            ),
        ),
    ),
    Group(
        "Queries and answers",
        "`zone` is the cluster domain for names that are answered here (own zones, static records, special names; "
        "without own zones it is `localhost.`), and `.` for all others.",
        (
            _counter(
                "coredns_dns_requests_total",
                "server zone view proto family type",
                "Well-formed queries. `family`: 1 for IPv4, 2 for IPv6. `type`: a fixed list, else `other`.",
            ),
            _counter(
                "coredns_dns_do_requests_total", "server zone view", "Those with the DO bit; not told apart by zone."
            ),
            _counter(
                "coredns_dns_responses_total",
                "server zone view rcode plugin",
                "Answers, error replies of the gate included. `plugin`: kubernetes for names answered here, cache for "
                "what the table of finished answers gave, forward for the rest, empty for the gate.",
            ),
            _histogram(
                "coredns_dns_request_duration_seconds",
                "server zone view",
                "Over UDP, from the kernel's receive timestamp to the reply handed to the kernel.",
            ),
            _histogram(
                "hsdnsd_udp_request_duration_seconds",
                "outcome",
                "The same by who answered: hit_own and hit_cached from the table of finished answers, engine_own and "
                "engine_other by the engine.",
            ),
            _histogram(
                "hsdnsd_query_wait_seconds",
                "outcome",
                "Over UDP and TCP, how long clients waited whose answer was not known at once.",
            ),
            _counter(
                "hsdnsd_answers_total",
                "outcome",
                "Answers by where they came from: hit_own and hit_cached out of the table of finished answers, own, "
                "cache and forwarded out of the engine.",
            ),
            _counter(
                "hsdnsd_refused_queries_total", "reason", "Messages that the gate let go no further (docs/gate.md)."
            ),
            _counter(
                "hsdnsd_limit_rejects_total",
                "limit",
                "Queries answered SERVFAIL because of a limit: in_flight, waiters, per_client (forward.max_*).",
            ),
            _gauge("hsdnsd_waiting_queries", "", "Queries that wait for an upstream now."),
            _histogram(
                "hsdnsd_hit_query_size_bytes",
                "zone",
                "Sizes of the queries answered from the table of finished answers.",
            ),
            _histogram("hsdnsd_hit_response_size_bytes", "zone", "Sizes of their replies."),
            _counter("coredns_panics_total", "", "Messages whose handling ended in an error that nobody foresaw."),
        ),
    ),
    Group(
        "Cache",
        "What upstreams said. Answers of the own zones are not cached and not counted here.",
        (
            _gauge("coredns_cache_entries", "server type zones view", "Answers held: success, denial, failure."),
            _counter("coredns_cache_requests_total", "server zones view", "Questions that the cache was asked."),
            _counter(
                "coredns_cache_hits_total",
                "server type zones view",
                "Questions it knew: success, denial, failure, stale. NODATA out of the table of finished answers is "
                "success.",
            ),
            _counter("coredns_cache_misses_total", "server zones view", "Questions it did not know."),
            _counter("coredns_cache_served_stale_total", "server zones view", "Hits that were past their TTL."),
            _counter("coredns_cache_evictions_total", "server type zones view", "Answers that made room for others."),
            _gauge("hsdnsd_cache_bytes", "type", "Octets that the held answers are counted as."),
            _gauge("hsdnsd_cache_limit_bytes", "type", "Their budget (cache.*_bytes)."),
            _gauge("hsdnsd_finished_entries", "type", "Entries of the table of finished answers: positive, negative."),
            _gauge("hsdnsd_finished_bytes", "type", "Octets that they weigh."),
            _counter("hsdnsd_finished_evictions_total", "type", "Entries that made room for others."),
        ),
    ),
    Group(
        "Upstreams",
        "`to` is an upstream of the configuration, address and port.",
        (
            _histogram(
                "coredns_proxy_request_duration_seconds",
                "proxy_name to rcode",
                "From a message to an upstream to the reply that was believed.",
            ),
            _counter(
                "hsdnsd_upstream_failures_total",
                "to problem",
                "Messages to an upstream that came to nothing: timeout, network, malformed, rcode, lame, loop.",
            ),
            _counter(
                "hsdnsd_upstream_near_misses_total",
                "",
                "Replies whose id or question was wrong; more than a few are somebody's guesses (RFC 5452).",
            ),
            _counter(
                "hsdnsd_upstream_distrusted_total",
                "",
                "Questions for which there were so many of them that nothing more was believed over UDP. Alert on it: "
                "somebody forges replies.",
            ),
            _gauge("hsdnsd_upstream_sockets", "", "Sockets open to upstreams now; each message over UDP has its own."),
            _counter("hsdnsd_upstream_sockets_opened_total", "", "Sockets opened to upstreams."),
            _gauge("hsdnsd_upstream_connections", "", "Those of them over TCP or TLS, kept open for the next message."),
            _counter(
                "hsdnsd_upstream_resent_total",
                "",
                "Messages sent once more because the open connection that they were sent on turned out to be dead.",
            ),
            _counter(
                "hsdnsd_upstream_unmatched_total",
                "",
                "Replies over TCP or TLS that belonged to no question; counted when their connection is closed.",
            ),
            _gauge(
                "hsdnsd_upstream_looping", "to", "1: what is sent there comes back, so nothing is sent. Alert on it."
            ),
            _counter("hsdnsd_upstream_loops_total", "to", "Times that a message came back."),
            _gauge("hsdnsd_upstream_in_flight", "", "Questions that upstreams are being asked now."),
            _counter(
                "hsdnsd_flights_total",
                "end",
                "Questions that the packet path's threads asked upstreams by themselves. end: answered, or why the "
                "engine went on with it: silence, reply (not a plain one), refused, looped, claimed (the engine wanted "
                "to ask the same), closed (at the daemon's end).",
            ),
            _counter(
                "hsdnsd_flights_untold_total",
                "",
                "Those answers that the cache was not told of, for want of room: they are given until they run out, "
                "but never when stale.",
            ),
            _counter(
                "hsdnsd_coalesced_queries_total", "", "Queries that joined a question which was being asked already."
            ),
            _counter(
                "coredns_forward_max_concurrent_rejects_total",
                "",
                "Queries answered SERVFAIL because forward.max_in_flight was reached.",
            ),
        ),
    ),
    Group(
        "Kubernetes",
        "`kind`: those of Service, EndpointSlice, Namespace and Pod that are watched; of manifests also `other`.",
        (
            _gauge("hsdnsd_records", "", "Records that the own zones hold."),
            _gauge("hsdnsd_objects", "kind", "Objects held."),
            _gauge("hsdnsd_watch_synced", "kind", "1: listed at least once."),
            _gauge("hsdnsd_watch_connected", "kind", "1: the watch is open (manifests: the last read succeeded)."),
            _counter("hsdnsd_watch_events_total", "kind", "Events of watches (manifests: changes delivered)."),
            _counter("hsdnsd_watch_relists_total", "kind", "Lists after the first."),
            _counter(
                "hsdnsd_watch_lists_total",
                "kind reason",
                "Lists that came to their end, by why they were begun: start, gone (410), backwards (the version to go "
                "on from is newer than the server), error (an ERROR event), junk (what could not be understood).",
            ),
            _counter("hsdnsd_watch_failures_total", "kind", "Lists, watches or reads that failed."),
            _counter("hsdnsd_watch_skipped_total", "kind", "Objects left out: not understood, or of another kind."),
            _gauge("hsdnsd_watch_age_seconds", "kind", "Since the last sign of life; absent before the first."),
            _counter("hsdnsd_watch_decode_seconds_total", "kind", "Spent on turning what came into changes."),
            _histogram(
                "coredns_kubernetes_dns_programming_duration_seconds",
                "service_kind",
                "From what made Kubernetes change an EndpointSlice until the change was in the answers, of headless "
                "Services with a selector (headless_with_selector), in buckets up to 134 s. Two machines' clocks.",
            ),
            _gauge("hsdnsd_serving_snapshot", "", "1: answers come from the snapshot, marked as stale."),
            _gauge(
                "hsdnsd_snapshot_age_seconds",
                "",
                "How long ago what the snapshot on disk says was known to be true; absent if there is none.",
            ),
            _counter("hsdnsd_snapshot_writes_total", "", "Times that the snapshot was written."),
            _counter("hsdnsd_snapshot_failures_total", "", "Times that it could not be written."),
            _gauge("hsdnsd_snapshot_bytes", "", "Size of the last one that was written or read."),
        ),
    ),
    Group(
        "Sockets",
        "",
        (
            _counter("hsdnsd_udp_received_total", "family", "Datagrams read."),
            _counter("hsdnsd_udp_sent_total", "family", "Datagrams that the kernel took."),
            _counter("hsdnsd_udp_hits_total", "family", "Datagrams answered from the table of finished answers."),
            _counter(
                "hsdnsd_udp_refused_source_total",
                "family",
                "Datagrams dropped because nobody may be answered there: port 0, or our own socket.",
            ),
            _counter("hsdnsd_udp_send_errors_total", "family", "Replies that the kernel would not take."),
            _counter("hsdnsd_udp_send_full_total", "family", "Replies dropped because the socket's buffer was full."),
            _counter(
                "hsdnsd_udp_kernel_drops_total",
                "family",
                "Datagrams that the kernel dropped because they were not read fast enough.",
            ),
            _gauge("hsdnsd_tcp_connections", "", "DNS connections open now."),
            _counter("hsdnsd_tcp_accepted_total", "", "DNS connections accepted."),
            _counter(
                "hsdnsd_tcp_closed_total",
                "reason",
                "DNS connections closed by us: refused (too many of one client, or in all), evicted (idle, to make "
                "room), timed_out (tcp.*_timeout).",
            ),
            _counter(
                "hsdnsd_tcp_accept_errors_total", "", "Times that accepting paused: descriptors or memory ran out."
            ),
            _counter(
                "hsdnsd_http_rejects_total", "", "Connections to /metrics and health turned away: too many at once."
            ),
        ),
    ),
    Group(
        "Configuration",
        "It is read again when its file changes, and on SIGHUP.",
        (
            _gauge(
                "hsdnsd_config_good", "", "0: the last configuration could not be taken. Alert on it; the log says why."
            ),
            _gauge("hsdnsd_config_waiting_keys", "", "Keys that were changed and take effect at the next start."),
            _counter("hsdnsd_config_reloads_total", "", "Times that a configuration was taken while running."),
            _counter("coredns_reload_failed_total", "", "Times that one could not be."),
        ),
    ),
    Group(
        "Process",
        "From /proc, as every Prometheus client library gives them.",
        (
            _counter("process_cpu_seconds_total", "", "User and system time."),
            _gauge("process_resident_memory_bytes", "", "Resident memory."),
            _gauge("process_virtual_memory_bytes", "", "Virtual memory."),
            _gauge("process_start_time_seconds", "", "When the process began, Unix time."),
            _gauge("process_open_fds", "", "Open file descriptors."),
            _gauge("process_max_fds", "", "How many there may be."),
        ),
    ),
)

METRICS: Final = {metric.name: metric for group in GROUPS for metric in group.metrics}


def page() -> str:
    """docs/metrics.md."""
    parts = [
        """# Metrics

Made from hsdnsd/admin/catalogue.py by `python -m hsdnsd.admin.catalogue > docs/metrics.md`; a test compares.

`/metrics` on the `admin` address gives them in Prometheus' text format, or in OpenMetrics to whoever asks for it. Where
the meaning is that of a CoreDNS metric it has CoreDNS's name, so that existing dashboards and alerts work. `server` is
`dns://:PORT`, `view` is always empty, `zones` is always `.`; no label is ever taken from a packet.

Durations are counted in buckets of powers of two of microseconds, from 1 us to 4.2 s. Series by type, RCODE or upstream
appear with their first count.
"""
    ]
    for group in GROUPS:
        parts.append(f"\n## {group.title}\n\n" + (f"{group.note}\n\n" if group.note else ""))
        parts.append("| metric | type | labels | meaning |\n|---|---|---|---|\n")
        parts += [
            f"| `{metric.name}` | {metric.type} | {', '.join(metric.labels)} | {metric.meaning} |\n"
            for metric in group.metrics
        ]
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
