from __future__ import annotations

import pytest

from hsdnsd.admin.catalogue import METRICS
from hsdnsd.admin.families import Families


def test_there_is_a_family_for_each_entry_but_the_processes_own() -> None:
    made = {family.name + ("_total" if family.type == "counter" else "") for family in Families()}
    assert made == {name for name in METRICS if not name.startswith("process_")}


def test_a_histogram_is_cumulative() -> None:
    families = Families()
    families.add_histogram("hsdnsd_hit_query_size_bytes", (100, 200), ([1, 0, 2], 700.0), ".")
    [family] = [family for family in families if family.name == "hsdnsd_hit_query_size_bytes"]
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in family.samples}
    assert samples == {
        ("hsdnsd_hit_query_size_bytes_bucket", "100"): 1,
        ("hsdnsd_hit_query_size_bytes_bucket", "200"): 1,
        ("hsdnsd_hit_query_size_bytes_bucket", "+Inf"): 3,
        ("hsdnsd_hit_query_size_bytes_count", None): 3,
        ("hsdnsd_hit_query_size_bytes_sum", None): 700,
    }


def test_what_is_not_in_the_catalogue_cannot_be_added() -> None:
    families = Families()
    with pytest.raises(KeyError):
        families.add("hsdnsd_nothing_total", 1)
    with pytest.raises(TypeError, match="is no counter or gauge"):
        families.add("hsdnsd_hit_query_size_bytes", 1, ".")
    with pytest.raises(TypeError, match="is no histogram"):
        families.add_histogram("hsdnsd_records", (1,), ([0, 0], 0))
    with pytest.raises(TypeError, match="has the labels to, problem"):
        families.add("hsdnsd_upstream_failures_total", 1, "10.0.0.10:53")
    with pytest.raises(ValueError, match="zip"):
        families.add_histogram("hsdnsd_hit_query_size_bytes", (100, 200), ([1, 0], 0), ".")
