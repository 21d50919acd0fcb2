from __future__ import annotations

from hsdnsd.config import Config, parse
from hsdnsd.schema_changes import changed_keys, without_start

RUNNING = parse({"listen": ["127.0.0.1:5353"], "forward": {"deadline": 3, "upstreams": ["192.0.2.1"]}})
WANTED = parse(
    {
        "listen": ["127.0.0.1:5354"],
        "threads": 2,
        "zone": {"ttl": 30, "compat": "coredns"},
        "forward": {"upstreams": ["192.0.2.1"], "stub_zones": {"corp.example": ["192.0.2.2"]}},
    }
)


def test_changed_keys() -> None:
    assert list(changed_keys(RUNNING, RUNNING)) == []
    assert list(changed_keys(RUNNING, WANTED)) == [
        "listen", "threads", "zone.compat", "zone.ttl", "forward.stub_zones", "forward.deadline",
    ]  # fmt: skip


def test_what_takes_effect_at_a_start_alone_stays() -> None:
    config = without_start(RUNNING, WANTED)
    assert isinstance(config, Config)
    assert list(changed_keys(RUNNING, config)) == ["zone.ttl", "forward.stub_zones", "forward.deadline"]
    assert list(changed_keys(config, WANTED)) == ["listen", "threads", "zone.compat"]
