from __future__ import annotations

import pytest

from hsdnsd import forms
from hsdnsd.engine.following import ClusterService
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.wire.name import ROOT, from_text


def test_zones_are_folded_and_need_no_final_dot() -> None:
    assert forms.parse_zone("Cluster.LOCAL") == forms.parse_zone("cluster.local.") == from_text("cluster.local")
    assert forms.parse_zone(".") == ROOT


def test_an_upstream_has_port_53_unless_told_otherwise() -> None:
    assert forms.parse_upstream("10.0.0.10") == Upstream("10.0.0.10", 53)
    assert forms.parse_upstream("[2001:db8::1]:5353") == Upstream("2001:db8::1", 5353)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tls://1.1.1.1@Cloudflare-DNS.com", "1.1.1.1", 853),
        ("tls://1.1.1.1:8853@cloudflare-dns.com", "1.1.1.1", 8853),
        ("tls://[2606:4700::1111]:8853@cloudflare-dns.com", "2606:4700::1111", 8853),
        ("tls://2606:4700::1111@cloudflare-dns.com", "2606:4700::1111", 853),
    ],
)
def test_an_upstream_over_tls_has_a_name_and_port_853(text: str, host: str, port: int) -> None:
    assert forms.parse_upstream(text) == Upstream(host, port, "cloudflare-dns.com")


def test_an_upstream_can_be_a_service() -> None:
    assert forms.parse_upstream("svc://kube-dns-upstream.kube-system") == ClusterService(
        "kube-system", "kube-dns-upstream"
    )
    assert forms.parse_upstream("svc://dns.infra:5353") == ClusterService("infra", "dns", 5353)


@pytest.mark.parametrize(
    "text", ["10.0.0.10:53", "[::1]:5353", "tls://1.1.1.1:853@dns.example", "svc://dns.infra", "svc://dns.infra:5353"]
)
def test_an_upstream_is_written_as_it_is_read(text: str) -> None:
    assert str(forms.parse_upstream(text)) == text


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (forms.LISTEN, "127.0.0.1:53"),
        (forms.LISTEN, "[::]:0"),
        (forms.UPSTREAM, "fe80::1%lo"),
        (forms.ADDRESS, "2001:db8::1"),
        (forms.OWN_ZONE, "cluster.local"),
        (forms.REVERSE_ZONE, "10.in-addr.arpa."),
        (forms.REVERSE_ZONE, "IP6.ARPA"),
        (forms.FALLTHROUGH, "."),
        (forms.STUB_ZONE, "corp.example"),
        (forms.NAMESPACE, "kube-system"),
        (forms.NAMESPACE, "0" * 63),
        (forms.PATH, "examples/"),
    ],
)
def test_right(form: forms.Form, text: str) -> None:
    form.parse(text)


@pytest.mark.parametrize(
    ("form", "text", "problem"),
    [
        (forms.LISTEN, "127.0.0.1", "the port is missing"),
        (forms.UPSTREAM, "0.0.0.0", "no server can be asked at this address"),
        (forms.UPSTREAM, "[ff02::fb]:5353", "no server can be asked at this address"),
        (forms.UPSTREAM, "10.0.0.10:0", "no server can be asked at port 0"),
        (forms.UPSTREAM, "dns.example", "is not a numeric"),
        (forms.UPSTREAM, "tls://1.1.1.1", "the name in the server's certificate is missing"),
        (forms.UPSTREAM, "tls://1.1.1.1@", "'' is not a host name"),
        (forms.UPSTREAM, "tls://1.1.1.1@-x.example", "is not a host name"),
        (forms.UPSTREAM, "tls://1.1.1.1@" + "a." * 127 + "a", "is not a host name"),
        (forms.UPSTREAM, "tls://dns.example@dns.example", "is not a numeric"),
        (forms.UPSTREAM, "tls://1.1.1.1:0@dns.example", "no server can be asked at port 0"),
        (forms.UPSTREAM, "svc://dns", "svc://SERVICE.NAMESPACE"),
        (forms.UPSTREAM, "svc://dns.", "svc://SERVICE.NAMESPACE"),
        (forms.UPSTREAM, "svc://dns.kube-system.svc", "svc://SERVICE.NAMESPACE"),
        (forms.UPSTREAM, "svc://Dns.kube-system", "svc://SERVICE.NAMESPACE"),
        (forms.UPSTREAM, "svc://dns.infra:", "is not a port"),
        (forms.UPSTREAM, "svc://dns.infra:0", "no server can be asked at port 0"),
        (forms.UPSTREAM, "https://1.1.1.1/", "https:// is not known"),
        (forms.ADDRESS, "fe80::1%lo", "holds no scope"),
        (forms.ADDRESS, "127.0.0.1:53", "is not a numeric"),
        (forms.OWN_ZONE, ".", "the root"),
        (forms.OWN_ZONE, "a" * 64, "octets"),
        (forms.REVERSE_ZONE, "cluster.local", "not within in-addr.arpa"),
        (forms.REVERSE_ZONE, "arpa", "not within in-addr.arpa"),
        (forms.REVERSE_ZONE, "xin-addr.arpa", "not within in-addr.arpa"),
        (forms.STUB_ZONE, ".", "forward.upstreams"),
        (forms.NAMESPACE, "Shop", "lower case"),
        (forms.NAMESPACE, "a.b", "lower case"),
        (forms.NAMESPACE, "-a", "lower case"),
        (forms.NAMESPACE, "a\n", "lower case"),
        (forms.NAMESPACE, "0" * 64, "at most 63"),
        (forms.PATH, "", "empty"),
        (forms.PATH, "a\0b", "NUL"),
    ],
)
def test_wrong(form: forms.Form, text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        form.parse(text)
