from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_origin

import msgspec
import pytest

from hsdnsd.config import Config
from hsdnsd.schema import Field, fields, join


def keys(tree: type[msgspec.Struct] = Config, path: str = "") -> Iterator[tuple[str, Field]]:
    for field in fields(tree):
        here = join(path, field.name)
        if field.key is None:
            yield from keys(field.type, here)
        else:
            yield here, field


KEYS = dict(keys())
CONTRACT = {
    "": "listen admin threads drain",
    "source": "manifests kubeconfig in_cluster snapshot snapshot_pod_age snapshot_service_age",
    "zone": "name reverse_zones namespaces labels namespace_labels pods endpoint_pod_names endpoints noendpoints "
    "fallthrough ignore_empty_service own_addresses compat ttl service_ttl endpoint_ttl srv_ttl ptr_ttl external_ttl "
    "pod_ttl negative_ttl",
    "forward": "upstreams resolv_conf cluster_dns stub_zones policy transport tls_ca mix_case max_fails deadline "
    "attempt_timeout loop_probe_after max_in_flight max_waiters max_per_client",
    "cache": "finished_bytes positive_bytes negative_bytes failure_bytes max_ttl max_negative_ttl min_ttl "
    "min_negative_ttl max_stale stale_after failure_ttl",
    "tcp": "max_connections max_per_source max_pipelined message_timeout idle_timeout",
    "local": "special_names private_reverse hosts_file hosts_ttl rewrite no_aaaa",
    "log": "level",
}


def test_the_keys_are_a_contract_with_every_file_that_was_written() -> None:
    assert {table: set(names.split()) for table, names in CONTRACT.items()} == {
        table: {path.rpartition(".")[2] for path in KEYS if path.rpartition(".")[0] == table} for table in CONTRACT
    }
    assert len(KEYS) == sum(len(names.split()) for names in CONTRACT.values())


@pytest.mark.parametrize("path", KEYS)
def test_every_key_says_what_it_means_and_why(path: str) -> None:
    key = KEYS[path].key
    assert key is not None
    assert key.meaning.endswith(".")
    assert key.why
    assert not key.why.endswith(".")


@pytest.mark.parametrize("path", [path for path, field in KEYS.items() if field.type in (int, float)])
def test_every_number_has_a_range_around_its_default_and_a_unit_unless_it_counts(path: str) -> None:
    field = KEYS[path]
    key = field.key
    assert key is not None
    assert key.low is not None
    assert key.high is not None
    if field.default is not None:
        assert key.low <= field.default <= key.high
    name = path.rpartition(".")[2]
    times = ("ttl", "timeout", "deadline", "drain", "stale", "after", "age")
    expected = dict.fromkeys(times, "seconds") | {"bytes": "bytes"}
    assert key.unit == expected.get(name.rpartition("_")[2], "")


def texts(field: Field) -> list[str]:
    default: Any = field.default
    if get_origin(field.type) is tuple:
        return list(default)
    return [default] if field.type is str and default else []


@pytest.mark.parametrize("path", [path for path, field in KEYS.items() if texts(field)])
def test_every_default_has_the_form_that_is_asked_for(path: str) -> None:
    key = KEYS[path].key
    assert key is not None
    assert key.form is not None
    for text in texts(KEYS[path]):
        key.form.parse(text)
