from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsdnsd.config import Config, changed_while_running, load, parse, reference_page
from hsdnsd.errors import ConfigError
from hsdnsd.kube.selector import parse_selector
from hsdnsd.schema_text import to_toml

ROOT = Path(__file__).resolve().parent.parent


def faults(text: str, *settings: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(text, settings, selector=parse_selector)
    return caught.value.faults


def test_the_empty_configuration_is_the_default() -> None:
    assert load("") == parse({}) == Config()


def test_every_key_with_its_default_is_printed_and_read_again() -> None:
    assert load(to_toml(Config())) == Config()


EVERYTHING = """
listen = ["127.0.0.1:5353", "[::1]:5353"]
admin = ""
drain = 1

[source]
manifests = ["examples/"]

[zone]
name = "Cluster.Example."
reverse_zones = ["10.in-addr.arpa"]
namespaces = ["shop", "billing"]
labels = "app in (web, api),!canary"
namespace_labels = "team=a"
pods = "verified"
endpoint_pod_names = true
noendpoints = true
ignore_empty_service = true
fallthrough = ["."]
own_addresses = ["192.0.2.1", "2001:db8::1"]
compat = "coredns"
ttl = 0
service_ttl = 1
negative_ttl = 3600

[forward]
upstreams = ["10.0.0.10", "[2001:db8::53]:5353"]
resolv_conf = ""
deadline = 2.5
max_in_flight = 1

[forward.stub_zones]
"corp.example" = ["10.1.0.53"]
"." = ["10.1.0.53"]

[cache]
positive_bytes = 0
max_ttl = 60

[tcp]
idle_timeout = 0.5

[log]
level = "debug"
"""


def test_a_whole_configuration() -> None:
    text = EVERYTHING.replace('"." = ["10.1.0.53"]\n', "")
    config = load(text, selector=parse_selector)
    assert config.listen == ("127.0.0.1:5353", "[::1]:5353")
    assert config.admin == ""
    assert config.drain == 1.0
    assert config.zone.pods == "verified"
    assert (config.zone.service_ttl, config.zone.srv_ttl, config.zone.negative_ttl) == (1, None, 3600)
    assert config.forward.stub_zones == {"corp.example": ("10.1.0.53",)}
    assert config.cache.max_ttl == 60
    assert config.cache.max_negative_ttl == Config().cache.max_negative_ttl
    assert load(to_toml(config)) == config


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ('zone.pods = "sometimes"', "zone.pods", '"sometimes" is not one of disabled, insecure, verified'),
        ("zone.ttl = 3601", "zone.ttl", "expected a whole number from 0 to 3600 (seconds), got 3601"),
        ("zone.srv_ttl = -1", "zone.srv_ttl", "expected a whole number from 0 to 3600 (seconds), got -1"),
        ('zone.name = "."', "zone.name", '"." is not a domain name: the root can\'t be an own zone'),
        (
            'zone.reverse_zones = ["in-addr.arpa", "example"]',
            "zone.reverse_zones[1]",
            '"example" is not a reverse zone: it is not within in-addr.arpa or ip6.arpa',
        ),
        ("listen = []", "listen", "at least one address is needed"),
        ('listen = ["[::1]:53", "[0::1]:53"]', "listen[1]", "[::1]:53 is there twice"),
        ('listen = "127.0.0.1:53"', "listen", None),
        ('listen = ["127.0.0.1:9253"]', "admin", "127.0.0.1:9253 is in listen too"),
        (
            'listen = ["127.0.0.1:5353"]\nforward.upstreams = ["127.0.0.1:5353"]',
            "forward.upstreams[0]",
            "127.0.0.1:5353 is this daemon's own listening address",
        ),
        (
            'listen = ["0.0.0.0:53"]\nforward.upstreams = ["10.0.0.10", "127.0.0.53"]',
            "forward.upstreams[1]",
            "127.0.0.53:53 is this daemon's own listening address",
        ),
        (
            'forward.stub_zones = {"a.example" = ["10.0.0.10", "127.0.0.1"]}',
            'forward.stub_zones."a.example"[1]',
            "127.0.0.1:53 is this daemon's own listening address",
        ),
        (
            'forward.upstreams = ["10.0.0.1", "svc://dns.infra"]',
            "forward.upstreams[1]",
            "svc://dns.infra can't be followed: no source of Kubernetes objects is set",
        ),
        (
            'forward.stub_zones = {"a.example" = ["svc://dns.infra:5353"]}',
            'forward.stub_zones."a.example"[0]',
            "svc://dns.infra:5353 can't be followed: no source of Kubernetes objects is set",
        ),
        ('forward.stub_zones = {"a.example" = []}', 'forward.stub_zones."a.example"', "at least one server is needed"),
        (
            'forward.stub_zones = {"a.example" = ["10.0.0.1"], "A.Example." = ["10.0.0.2"]}',
            'forward.stub_zones."A.Example."',
            'the same zone as "a.example"',
        ),
        (
            'forward.stub_zones = {"." = ["10.0.0.1"]}',
            'forward.stub_zones."."',
            '"." is not a domain name: servers for all names are set in forward.upstreams',
        ),
        (
            'source = {manifests = ["a"], kubeconfig = "b"}',
            "source",
            "manifests and kubeconfig are both set; at most one source can be",
        ),
        ("cache = {min_ttl = 60, max_ttl = 30}", "cache.min_ttl", "60 is more than cache.max_ttl (30)"),
        ('zone.labels = "a in"', "zone.labels", None),
        ('zone.namespace_labels = "=b"', "zone.namespace_labels", None),
        ("max_ttl = 5", "max_ttl", "unknown key; did you mean cache.max_ttl?"),
        ('cache.positive-bytes = "1"', "cache.positive-bytes", "unknown key; did you mean cache.positive_bytes?"),
        ('listen = ["127.0.0.1:53\\n"]', "listen[0]", None),
    ],
)
def test_one_fault(text: str, path: str, problem: str | None) -> None:
    found = faults(text)
    assert [where for where, _ in found] == [path]
    if problem is not None:
        assert found[0][1] == problem
    assert "\n" not in found[0][1]


def test_every_fault_is_reported_at_once() -> None:
    text = """
        admim = "127.0.0.1:9253"
        listen = ["127.0.0.1:53", "localhost:53"]
        source = {in_cluster = true, kubeconfig = "a"}
        [zone]
        ttl = "5"
        pods = "all"
        labels = "a in"
        [forward]
        upstreams = ["127.0.0.1", "x"]
        [cache]
        min_ttl = 2
        max_ttl = 1
    """
    assert [path for path, _ in faults(text, "zone.nmae=x", "log.level=loud")] == [
        "zone.nmae",
        "admim",
        "listen[1]",
        "zone.ttl",
        "zone.pods",
        "forward.upstreams[1]",
        "log.level",
        "zone.labels",
        "source",
        "cache.min_ttl",
        "forward.upstreams[0]",
    ]


def test_the_error_has_a_line_for_each_fault() -> None:
    with pytest.raises(ConfigError, match=r"\Azone\.ttl: expected .*\nzone\.pods: 1 is not one of .*\Z"):
        parse({"zone": {"ttl": -1, "pods": 1}})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("listen = [\n", "line 2, column 1"),
        ("a = 1\nb = = 2\n", "line 2, column 5"),
        ("a = 1\na = 2", "line 2, column 6"),
        ('a = """', "line 1, column 8"),
        ("[zone\n", "line 1, column 6"),
    ],
)
def test_what_is_not_toml_is_told_with_line_and_column(text: str, place: str) -> None:
    [(where, problem)] = faults(text, "zone.ttl=nonsense")
    assert where == place
    assert problem
    assert "(at" not in problem


def test_settings_count_before_the_file_and_the_last_before_the_first() -> None:
    config = load("[zone]\nttl = 1\npods = 'insecure'", ["zone.ttl=2", "zone.namespaces=a,b", "zone.ttl=3"])
    assert config.zone.ttl == 3
    assert config.zone.pods == "insecure"
    assert config.zone.namespaces == ("a", "b")


def test_a_stub_zone_on_the_command_line() -> None:
    config = load('[forward.stub_zones]\n"corp.example" = ["10.0.0.1"]', ["forward.stub_zones.corp.example=10.0.0.2"])
    assert config.forward.stub_zones == {"corp.example": ("10.0.0.2",)}


@pytest.mark.parametrize("given", [{"listen": ("127.0.0.1:0", "127.0.0.1:0"), "admin": "127.0.0.1:0"}])
def test_port_0_may_be_asked_for_more_than_once(given: dict[str, Any]) -> None:
    assert parse(given).listen == given["listen"]


def test_a_selector_is_not_looked_at_unless_somebody_knows_how() -> None:
    assert parse({"zone": {"labels": "a in"}}).zone.labels == "a in"


def test_the_reference_page_is_up_to_date() -> None:
    assert (ROOT / "docs/configuration.md").read_text() == reference_page(), (
        "python -m hsdnsd.config > docs/configuration.md"
    )


def test_a_running_daemon_goes_on_with_what_needs_no_start() -> None:
    running = load("", ["listen=127.0.0.1:5353", "drain=1"])
    wanted = load("", ["listen=127.0.0.1:5354", "drain=2", "threads=3", "local.no_aaaa=true"])
    assert changed_while_running(running, wanted) == load(
        "", ["listen=127.0.0.1:5353", "drain=2", "local.no_aaaa=true"]
    )


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        (["listen=127.0.0.1:5354", "forward.upstreams=127.0.0.1:5353"], "forward.upstreams[0]"),
        (["source.in_cluster=true", "forward.upstreams=svc://dns.kube-system"], "forward.upstreams[0]"),
        (["source.in_cluster=true", "forward.cluster_dns=192.0.2.1"], "forward.cluster_dns"),
    ],
)
def test_but_not_with_half_of_what_belongs_together(settings: list[str], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        changed_while_running(load("", ["listen=127.0.0.1:5353"]), load("", settings))
    ((place, problem),) = caught.value.faults
    assert place == path
    assert "next start" in problem
