"""The table [forward]: what may stand in it."""

from __future__ import annotations

import pytest

from hsdnsd.config import Config, load
from hsdnsd.errors import ConfigError


def test_everything_can_be_set() -> None:
    forward = load(
        """
        [source]
        in_cluster = true
        [forward]
        upstreams = ["10.0.0.1", "tls://1.1.1.1@cloudflare-dns.com", "svc://kube-dns-upstream.kube-system"]
        cluster_dns = ["svc://kube-dns-upstream.kube-system:53"]
        tls_ca = "/etc/ssl/corp.pem"
        policy = "fastest"
        transport = "force_tcp"
        mix_case = true
        [forward.stub_zones]
        "corp.example" = ["tls://[2001:db8::1]:8853@dns.corp.example"]
        """
    ).forward
    assert forward.upstreams[1:] == ("tls://1.1.1.1@cloudflare-dns.com", "svc://kube-dns-upstream.kube-system")
    assert forward.stub_zones == {"corp.example": ("tls://[2001:db8::1]:8853@dns.corp.example",)}
    assert (forward.tls_ca, forward.policy, forward.transport) == ("/etc/ssl/corp.pem", "fastest", "force_tcp")


def test_by_default_the_nodes_resolvers_are_asked_over_udp() -> None:
    forward = Config().forward
    assert (forward.upstreams, forward.resolv_conf, forward.tls_ca) == ((), "/etc/resolv.conf", "")
    assert (forward.policy, forward.transport) == ("sequential", "prefer_udp")


@pytest.mark.parametrize("path", ["upstreams", "cluster_dns", "stub_zones.corp"])
@pytest.mark.parametrize("text", ["tls://1.1.1.1", "svc://dns", "dns.example", "ftp://1.1.1.1"])
def test_what_is_no_server_is_refused_wherever_one_is_given(path: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("", ["source.in_cluster=true", f"forward.{path}={text}"])
    [(place, problem)] = caught.value.faults
    assert place == f"forward.{path}[0]"
    assert problem.startswith(f'"{text}" is not an upstream')
