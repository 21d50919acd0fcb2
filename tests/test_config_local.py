"""The table [local]: what may stand in it, and what it means to the engine."""

from __future__ import annotations

import pytest

from hsdnsd import settings
from hsdnsd.config import Config, load
from hsdnsd.engine.route import LocalOptions
from hsdnsd.errors import ConfigError
from hsdnsd.wire.name import ROOT, from_text


def test_by_default_what_the_standards_ask_for_is_on_and_the_rest_off() -> None:
    assert settings.local_options(Config()) == LocalOptions(special_names=True, private_reverse=True)
    assert Config().local.hosts_file == ""


def test_everything_can_be_set() -> None:
    text = """
        [local]
        special_names = false
        private_reverse = false
        no_aaaa = true
        [local.rewrite]
        "Old.Example" = "svc.Cluster.local."
    """
    options = settings.local_options(load(text, ["local.rewrite.flat=."]))
    rewrites = {from_text("old.example"): from_text("svc.cluster.local"), from_text("flat"): ROOT}
    assert options == LocalOptions(rewrites=rewrites, no_aaaa=True)


def test_coredns_knows_no_special_names() -> None:
    config = load("", ["zone.compat=coredns", "local.no_aaaa=true"])
    assert settings.local_options(config) == LocalOptions(no_aaaa=True)


@pytest.mark.parametrize(
    ("text", "path", "problem"),
    [
        ('"." = "a.example"', 'local.rewrite."."', '"." is not a domain name: not every name can be another one'),
        ('a = "b..c"', "local.rewrite.a", "\"b..c\" is not a domain name: label b'' has 0 octets, not 1 to 63"),
        ('a = ["b"]', "local.rewrite.a", "expected a domain name, got an array"),
        (
            'a.b = "c"',
            "local.rewrite.a",
            "expected a text, got a table; a name with dots in it needs quotes",
        ),
        ('a = "b"\n"A." = "c"', 'local.rewrite."A."', "the same zone as a"),
    ],
)
def test_what_is_no_rewrite(text: str, path: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f"[local.rewrite]\n{text}")
    assert caught.value.faults == [(path, problem)]
