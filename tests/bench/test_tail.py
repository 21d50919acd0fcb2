"""What the daemon's metrics say of its hits, between two scrapes."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.tail import hit_figures, hits

BUCKETS = """\
hsdnsd_udp_request_duration_seconds_bucket{le="6.4e-05",outcome="hit_own"} 900.0
hsdnsd_udp_request_duration_seconds_bucket{le="0.000128",outcome="hit_own"} 990.0
hsdnsd_udp_request_duration_seconds_bucket{le="0.000256",outcome="hit_own"} 999.0
hsdnsd_udp_request_duration_seconds_bucket{le="+Inf",outcome="hit_own"} 1000.0
hsdnsd_udp_request_duration_seconds_bucket{le="+Inf",outcome="own"} 7.0
"""


def test_hits_alone_are_counted_by_microseconds() -> None:
    assert list(hits(BUCKETS).values()) == [900.0, 990.0, 999.0, 1000.0]
    assert list(hits(BUCKETS)) == pytest.approx([64.0, 128.0, 256.0, float("inf")])


def test_a_quantile_is_the_bound_of_the_bucket_that_it_falls_into() -> None:
    before = {64.0: 100.0, 128.0: 100.0, 256.0: 100.0, float("inf"): 100.0}
    after = {64.0: 600.0, 128.0: 1090.0, 256.0: 1098.9, float("inf"): 1100.0}
    figures = hit_figures(before, after)
    assert figures == {"count": 1000.0, "p50": 64.0, "p99": 128.0, "p999": float("inf"), "max": float("inf")}
    assert hit_figures({}, {64.0: 1.0, float("inf"): 1.0})["p999"] == 64.0


def test_nothing_measured_is_no_figure() -> None:
    with pytest.raises(BenchError, match="do not tell"):
        hits('hsdnsd_udp_request_duration_seconds_bucket{le="+Inf",outcome="own"} 7.0\n')
    with pytest.raises(BenchError, match="no hit"):
        hit_figures({64.0: 5.0}, {64.0: 5.0})
