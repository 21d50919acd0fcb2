from __future__ import annotations

from hsdnsd.records.options import Pods, TTLs, ZoneOptions
from hsdnsd.wire.name import from_text


def test_the_defaults_are_a_clusters_own_zone_and_nothing_else() -> None:
    options = ZoneOptions(from_text("cluster.local"))
    assert set(TTLs.__struct_fields__) == {"service", "endpoint", "srv", "ptr", "external", "pod", "negative"}
    assert {getattr(options.ttls, name) for name in TTLs.__struct_fields__} == {5}
    assert options.pods is Pods.DISABLED
    assert options.namespaces is None
    assert options.endpoints
    assert (options.reverse_zones, options.fallthrough, options.coredns) == ((), (), False)
