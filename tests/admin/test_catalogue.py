from __future__ import annotations

import re
from pathlib import Path

import pytest

from hsdnsd.admin.catalogue import GROUPS, METRICS, page

ROOT = Path(__file__).resolve().parent.parent.parent
BASE_UNITS = ("_seconds", "_bytes")


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/metrics.md").read_text() == page(), "python -m hsdnsd.admin.catalogue > docs/metrics.md"


def test_no_metric_is_there_twice() -> None:
    assert len(METRICS) == sum(len(group.metrics) for group in GROUPS)


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_conventions(name: str) -> None:
    metric = METRICS[name]
    assert re.fullmatch(r"(hsdnsd|coredns|process)(_[a-z0-9]+)+", name)
    assert name.endswith("_total") == (metric.type == "counter")
    if metric.type == "histogram":
        assert name.endswith(BASE_UNITS)
    assert not re.search(r"_(ms|milliseconds|us|microseconds|kilobytes|mib|percent)\b", name)
    assert metric.meaning.endswith(".")
    assert len(set(metric.labels)) == len(metric.labels)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in metric.labels)
    assert not {"le", "quantile", "instance", "job"} & set(metric.labels)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("coredns_build_info", "version revision goversion"),
        ("coredns_dns_requests_total", "server zone view proto family type"),
        ("coredns_dns_do_requests_total", "server zone view"),
        ("coredns_dns_responses_total", "server zone view rcode plugin"),
        ("coredns_dns_request_duration_seconds", "server zone view"),
        ("coredns_cache_entries", "server type zones view"),
        ("coredns_cache_requests_total", "server zones view"),
        ("coredns_cache_hits_total", "server type zones view"),
        ("coredns_cache_misses_total", "server zones view"),
        ("coredns_proxy_request_duration_seconds", "proxy_name to rcode"),
        ("coredns_forward_max_concurrent_rejects_total", ""),
        ("coredns_panics_total", ""),
    ],
)
def test_what_has_the_name_of_a_coredns_metric_has_its_labels(name: str, labels: str) -> None:
    assert METRICS[name].labels == tuple(labels.split())
