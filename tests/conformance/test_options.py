"""Every option of a data set has its place in the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from hsdnsd import config
from hsdnsd.config import Config
from tests.conformance.options import UnknownOptionError, settings

VARIABLES = {"SERVER_IP": "127.0.0.1", "UPSTREAM": "127.0.0.1:5300"}


def configured(options: dict[str, Any]) -> Config:
    return config.load("", settings(options, VARIABLES))


def test_what_is_not_named_is_off() -> None:
    bare = configured({})
    assert (bare.zone.reverse_zones, bare.zone.fallthrough, bare.cache.positive_bytes) == ((), (), 0)


@pytest.mark.parametrize(
    ("option", "value", "path", "wanted"),
    [
        ("namespaces", ["a", "b"], "zone.namespaces", ("a", "b")),
        ("labels", "app in (a,b),x=y", "zone.labels", "app in (a,b),x=y"),
        ("labels", {"app": "a", "tier": "b"}, "zone.labels", "app=a,tier=b"),
        ("namespace_labels", "istio-injection=enabled", "zone.namespace_labels", "istio-injection=enabled"),
        ("pods", "verified", "zone.pods", "verified"),
        ("ttl", 0, "zone.ttl", 0),
        ("reverse_zones", ["10.in-addr.arpa"], "zone.reverse_zones", ("10.in-addr.arpa",)),
        ("fallthrough", True, "zone.fallthrough", (".",)),
        ("fallthrough", ["."], "zone.fallthrough", (".",)),
        ("fallthrough", ["in-addr.arpa"], "zone.fallthrough", ("in-addr.arpa",)),
        ("forward", "$UPSTREAM", "forward.upstreams", ("127.0.0.1:5300",)),
        ("cache", True, "cache.positive_bytes", 1000000),
        ("cache", 30, "cache.max_ttl", 30),
        ("cache", {"success": 10, "denial": 5}, "cache.max_negative_ttl", 5),
        ("endpoint_pod_names", True, "zone.endpoint_pod_names", True),
        ("ignore_empty_service", True, "zone.ignore_empty_service", True),
        ("noendpoints", True, "zone.noendpoints", True),
        ("own_addresses", ["$SERVER_IP"], "zone.own_addresses", ("127.0.0.1",)),
    ],
)
def test_an_option_sets_its_key(option: str, value: object, path: str, wanted: object) -> None:
    table, key = path.split(".")
    assert getattr(getattr(configured({option: value}), table), key) == wanted


@pytest.mark.parametrize("options", [{"autopath": True}, {"cache": {"prefetch": 1}}, {"cache": "much"}])
def test_what_is_not_understood_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(UnknownOptionError):
        settings(options, VARIABLES)
