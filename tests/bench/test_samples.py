"""Medians of rounds."""

from __future__ import annotations

from bench.samples import FLOOD, RATE, Key, Sample, Spread, median, summarise

KEY = Key("hsdnsd", "pod-a", RATE)


def test_a_median_does_not_follow_an_outlier() -> None:
    samples = [Sample(KEY, number, {"cpu": value}) for number, value in enumerate((3.0, 90.0, 3.2, 3.1, 2.9))]
    assert summarise(samples) == {KEY: {"cpu": Spread(3.1, 2.9, 90.0)}}


def test_what_is_not_the_same_measurement_is_kept_apart() -> None:
    others = [KEY._replace(edns=True), KEY._replace(measure=FLOOD), KEY._replace(server="nsd"), KEY]
    summary = summarise(Sample(key, 1, {"cpu": float(place)}) for place, key in enumerate(others))
    assert [median(summary, key, "cpu") for key in others] == [0, 1, 2, 3]


def test_what_was_not_measured_has_no_median() -> None:
    assert median({}, KEY, "cpu") is None
    assert median(summarise([Sample(KEY, 1, {"cpu": 1.0})]), KEY, "lost") is None
