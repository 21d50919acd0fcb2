"""What dnsperf 2.10 prints, read."""

from __future__ import annotations

import pytest

from bench.dnsperf import parse, parse_latencies
from bench.errors import BenchError

OUTPUT = """DNS Performance Testing Tool
Version 2.10.0

[Status] Command line: dnsperf -s 127.0.0.1 -p 29999 -d questions -l 2
[Status] Sending queries (to 127.0.0.1:29999)
[Status] Started at: Sat Nov 21 11:23:23 2026
[Status] Stopping after 2.000000 seconds
> NOERROR db-000-0.db-000.team-00.svc.cluster.local A 0.000375
> NXDOMAIN host.example.com A 0.014279
> T host.example.com A
[Timeout] Query timed out: msg id 12
[Status] Testing complete (time limit)

Statistics:

  Queries sent:         205994
  Queries completed:    205990 (100.00%)
  Queries lost:         4 (0.00%)

  Response codes:       NOERROR 205000 (99.52%), NXDOMAIN 990 (0.48%)
  Average packet size:  request 31, response 31
  Run time (s):         2.000092
  Queries per second:   102990.262356

  Average Latency (s):  0.000778 (min 0.000025, max 0.012592)
  Latency StdDev (s):   0.001352

"""


def test_the_summary_is_read() -> None:
    run = parse(OUTPUT)
    assert (run.sent, run.completed, run.lost) == (205994, 205990, 4)
    assert run.seconds == pytest.approx(2.000092)
    assert run.per_second == pytest.approx(102990.262356)
    assert run.latency == pytest.approx(0.000778)
    assert run.rcodes == {"NOERROR": 205000, "NXDOMAIN": 990}


def test_a_run_without_an_answer_has_no_rcodes() -> None:
    silent = OUTPUT.replace("NOERROR 205000 (99.52%), NXDOMAIN 990 (0.48%)", "")
    assert parse(silent).rcodes == {}


def test_latencies_are_those_of_replies() -> None:
    assert list(parse_latencies(OUTPUT)) == [0.000375, 0.014279]


def test_anything_else_is_an_error_that_shows_it() -> None:
    with pytest.raises(BenchError, match=r"no sent, completed.*\nunable to open"):
        parse("unable to open questions")
