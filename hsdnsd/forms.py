"""What texts in the configuration have to be, and what they stand for."""

from __future__ import annotations

import re

from hsdnsd.address import DNS_OVER_TLS_PORT, DNS_PORT, Endpoint, parse_address, parse_endpoint, parse_port
from hsdnsd.engine.following import ClusterService, Given
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.schema import Form
from hsdnsd.wire.name import ROOT, Name, from_text, is_within

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MAX_HOST_NAME = 253
_ARPA = (from_text("in-addr.arpa"), from_text("ip6.arpa"))


def parse_zone(text: str) -> Name:
    """The folded wire form of a domain name in the configuration.

    Raises:
        ValueError: it is none.
    """
    return Name(from_text(text).lower())


def parse_upstream(text: str) -> Given:
    """An upstream server: an address, tls://ADDRESS@NAME, or svc://SERVICE.NAMESPACE, each with or without a port.

    Raises:
        ValueError: it is none, or nothing that can be asked.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        endpoint = _server(text, DNS_PORT)
        return Upstream(endpoint.host, endpoint.port)
    if scheme == "tls":
        place, at, name = rest.rpartition("@")
        if not at:
            raise ValueError("the name in the server's certificate is missing (tls://ADDR@NAME)")
        endpoint = _server(place, DNS_OVER_TLS_PORT)
        return Upstream(endpoint.host, endpoint.port, _host_name(name))
    if scheme == "svc":
        return _cluster_service(rest)
    raise ValueError(f"{scheme}:// is not known; tls:// and svc:// are")


def _server(text: str, default_port: int) -> Endpoint:
    endpoint = parse_endpoint(text, default_port)
    address = parse_address(endpoint.host)
    if address.is_unspecified or address.is_multicast:
        raise ValueError("no server can be asked at this address")
    if endpoint.port == 0:
        raise ValueError("no server can be asked at port 0")
    return endpoint


def _host_name(text: str) -> str:
    if len(text) > _MAX_HOST_NAME or not all(_LABEL.fullmatch(label) for label in text.lower().split(".")):
        raise ValueError(f"{text!r} is not a host name")
    return text.lower()


def _cluster_service(text: str) -> ClusterService:
    path, colon, port = text.partition(":")
    name, dot, namespace = path.partition(".")
    if not dot or not _LABEL.fullmatch(name) or not _LABEL.fullmatch(namespace):
        raise ValueError("a Service is written svc://SERVICE.NAMESPACE")
    if not colon:
        return ClusterService(namespace, name)
    number = parse_port(port)
    if number == 0:
        raise ValueError("no server can be asked at port 0")
    return ClusterService(namespace, name, number)


def _own_zone(text: str) -> Name:
    zone = parse_zone(text)
    if zone == ROOT:
        raise ValueError("the root can't be an own zone")
    return zone


def _reverse_zone(text: str) -> Name:
    zone = parse_zone(text)
    if not any(is_within(zone, arpa) for arpa in _ARPA):
        raise ValueError("it is not within in-addr.arpa or ip6.arpa")
    return zone


def _stub_zone(text: str) -> Name:
    zone = parse_zone(text)
    if zone == ROOT:
        raise ValueError("servers for all names are set in forward.upstreams")
    return zone


def _rewrite(text: str) -> Name:
    suffix = parse_zone(text)
    if suffix == ROOT:
        raise ValueError("not every name can be another one")
    return suffix


def _namespace(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError("lower case letters, digits and hyphens, at most 63, no hyphen at either end")
    return text


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("it is empty or holds a NUL")
    return text


def _plain_address(text: str) -> object:
    if "%" in text:
        raise ValueError("an A or AAAA record holds no scope")
    return parse_address(text)


LISTEN = Form("a listening address (ADDR:PORT or [ADDR]:PORT)", parse_endpoint)
UPSTREAM = Form("an upstream (ADDR, ADDR:PORT, [ADDR]:PORT, tls://ADDR@NAME, svc://SERVICE.NAMESPACE)", parse_upstream)
ADDRESS = Form("an IP address", _plain_address)
OWN_ZONE = Form("a domain name", _own_zone)
REVERSE_ZONE = Form("a reverse zone", _reverse_zone)
FALLTHROUGH = Form("a domain name", parse_zone)
STUB_ZONE = Form("a domain name", _stub_zone)
REWRITE = Form("a domain name", _rewrite)
REWRITTEN = Form("a domain name", parse_zone)
NAMESPACE = Form("a namespace", _namespace)
PATH = Form("a path", _path)
# What selects objects is Kubernetes' matter; `parse` is told by its caller how to look at one.
SELECTOR = Form("a label selector", str)
