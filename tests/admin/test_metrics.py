from __future__ import annotations

import socket

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from hsdnsd.admin.catalogue import METRICS
from hsdnsd.admin.metrics import metrics_route, wants_openmetrics
from hsdnsd.admin.sources import Sources
from hsdnsd.engine.counters import BUCKETS, Counters, Outcome
from hsdnsd.kube.source import WatchState
from hsdnsd.native.contract import LATENCY_BUCKETS
from hsdnsd.wire.answer import build_answer
from hsdnsd.wire.const import Rcode, RRType
from hsdnsd.wire.query import Refused
from hsdnsd.wire.rrset import RRset
from tests.support.observed import NOW, BatchFigures, Sized, sources
from tests.support.twins import TWINS, Question, Twin, folded, query

NO_HEADERS: dict[str, str] = {}


def busy() -> Sources:
    """A daemon of which every metric has a series."""
    counters = Counters()
    for own in (False, True):
        counters.request(False, False, RRType.A, own, do=True)
        counters.response(Rcode.NOERROR, own)
    for why in Refused:
        counters.refused(why)
    counters.answered_now(Outcome.OWN)
    counters.answered(Outcome.FORWARDED, 0.02)
    counters.upstream_answered("10.0.0.10:53", Rcode.NOERROR, 0.02)
    counters.upstream_failed("10.0.0.10:53", "timeout")
    slices = WatchState("EndpointSlice")
    slices.lists["start"] += 1
    slices.last_alive = NOW
    return sources(
        counters=counters,
        watches=lambda: [slices],
        snapshot=Sized(0, serving=False, age=1.0, writes=1, failures=0, octets=1),
        batches=lambda: [(False, BatchFigures(received=5))],
    )


def families(given: Sources) -> dict[str, Metric]:
    """What a Prometheus server makes of the page, counters by the name they are asked for."""
    text = metrics_route(given)(NO_HEADERS).body.decode()
    parsed = list(text_string_to_metric_families(text))
    return {family.name + ("_total" if family.type == "counter" else ""): family for family in parsed}


def test_the_page_holds_what_the_catalogue_lists_with_those_types_and_labels() -> None:
    found = families(busy())
    assert set(found) == set(METRICS)
    for name, family in found.items():
        assert family.type == METRICS[name].type, name
        assert family.samples, name
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(METRICS[name].labels), name


def test_what_has_not_happened_yet_is_on_the_page_without_a_series() -> None:
    text = metrics_route(sources())(NO_HEADERS).body.decode()
    assert "# TYPE hsdnsd_upstream_failures_total counter\n" in text
    assert "\nhsdnsd_upstream_failures_total{" not in text
    assert "_created" not in text


def test_openmetrics_for_whoever_asks() -> None:
    accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3"
    response = metrics_route(busy())({"accept": accept})
    assert response.content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    parsed = openmetrics_parser.text_string_to_metric_families(response.body.decode())
    assert {family.name for family in parsed} == {name.removesuffix("_total") for name in METRICS}


def test_the_text_format_for_everybody_else() -> None:
    response = metrics_route(busy())(NO_HEADERS)
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert response.status == 200


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("text/plain, Application/OpenMetrics-Text ; Version=1.0.0 ; q=0.1", True),
        ("application/openmetrics-text; version=0.0.1", False),
        ("application/openmetrics-text; version=0.0.1, application/openmetrics-text; version=1.0.0", True),
        ("application/openmetrics-text; version=zz", False),
        ("application/openmetrics-text; q=0", False),
        ("application/openmetrics-text;;=;;version", True),
        (";,=;,", False),
    ],
)
def test_who_asks_for_openmetrics(accept: str, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted
    assert metrics_route(sources())({"accept": accept}).status == 200


def test_durations_are_counted_in_the_same_buckets_above_and_below_python() -> None:
    assert BUCKETS == LATENCY_BUCKETS


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_hits_of_the_packet_path_are_on_the_page(twin: Twin) -> None:
    table = twin.Table()
    name = folded("www.example")
    answer = build_answer(name, Rcode.NOERROR, [RRset(name, RRType.A, 60, (bytes((192, 0, 2, 1)),))])
    table.put(Question(name, RRType.A), answer, 0.0, 60.0)
    own = build_answer(name, Rcode.NXDOMAIN, aa=True, fixed=True)
    table.put(Question(name, RRType.TXT), own, 0.0, 60.0, owner=b"owner")
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        client.connect(server.getsockname())
        batch = twin.Batch(server, table)
        for qtype in (RRType.A, RRType.TXT, RRType.TXT, RRType.MX):
            client.send(query("www.example", qtype))
        assert len(batch.receive(1.0)) == 1
    found = families(sources(batches=lambda: [(False, batch)], table=table))
    by_type = {
        (sample.labels["zone"], sample.labels["type"]): sample.value
        for sample in found["coredns_dns_requests_total"].samples
    }
    assert by_type == {(".", "A"): 1, ("cluster.local.", "TXT"): 2}
    by_rcode = {
        (sample.labels["plugin"], sample.labels["rcode"]): sample.value
        for sample in found["coredns_dns_responses_total"].samples
    }
    assert by_rcode == {("cache", "NOERROR"): 1, ("kubernetes", "NXDOMAIN"): 2}
    counts = {
        sample.labels["zone"]: sample.value
        for sample in found["coredns_dns_request_duration_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counts == {".": 1, "cluster.local.": 2}
    assert {s.labels["type"]: s.value for s in found["hsdnsd_finished_entries"].samples} == {
        "positive": 1,
        "negative": 1,
    }
