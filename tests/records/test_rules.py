"""Services, headless Services and ExternalNames: rules C, H and E of the Kubernetes DNS specification and CoreDNS."""

from __future__ import annotations

import pytest

from tests.support.facts import (
    Cluster,
    endpoint,
    endpoint_slice,
    external,
    headless,
    ports,
    service,
)

HTTP = ports("http:tcp:80")
WEB = ports("http:tcp:8080", "metrics:tcp:9090")

FACTS = (
    # Section 2.3: cluster IPs.
    service("api", "10.96.0.1", ports=ports("http:tcp:80", "dns:udp:53", ":tcp:99")),
    service("six", "fd00:96::1", ports=HTTP),
    service("dual", "10.96.0.2", "fd00:96::2", ports=HTTP),
    service("bare", "10.96.0.3"),
    service("pending", ports=HTTP),
    endpoint_slice("api", endpoint("10.1.9.9"), endpoint("10.1.9.8", ready=False), ports=ports("http:tcp:8080")),
    # Section 2.4: headless.
    headless("web", ports=HTTP),
    endpoint_slice(
        "web",
        endpoint("10.1.0.1", host="web-0", pod="web-0"),
        endpoint("10.1.0.2", pod="web-1"),
        endpoint("10.1.0.9", host="web-9", ready=False),
        ports=WEB,
    ),
    endpoint_slice("web", endpoint("fd00:1::1", host="web-0"), ports=WEB, name="web-6"),
    headless("moving"),
    endpoint_slice("moving", endpoint("10.2.0.1", host="m-0"), endpoint("10.2.0.2", host="m-1"), ports=HTTP),
    endpoint_slice("moving", endpoint("10.2.0.1", host="m-0"), ports=HTTP, name="moving-2"),
    headless("idle"),
    endpoint_slice("idle", endpoint("10.3.0.1", host="i-0", ready=False), ports=HTTP),
    headless("sliceless", ports=HTTP),
    headless("eager", unready=True),
    endpoint_slice("eager", endpoint("10.4.0.1", host="e-0", ready=False), ports=HTTP),
    headless("twin"),
    endpoint_slice("twin", endpoint("10.5.0.1", host="both"), endpoint("10.5.0.2", host="both"), ports=HTTP),
    headless("two-addresses"),
    endpoint_slice("two-addresses", endpoint("10.5.1.1", "10.5.1.2"), ports=HTTP),
    headless("spelled"),
    endpoint_slice(
        "spelled", endpoint("FD00:0:0::9"), endpoint("fd00:2::"), endpoint("::1:2"), ports=HTTP
    ),
    headless("loud"),
    endpoint_slice("loud", endpoint("10.5.2.1", host="Loud-0"), ports=ports("HTTP:tcp:80")),
    headless("portless"),
    endpoint_slice("portless", endpoint("10.6.0.1", host="p-0")),
    headless("numberless"),
    endpoint_slice("numberless", endpoint("10.6.1.1", host="n-0"), ports=ports("any:tcp:")),
    headless("unnamed"),
    endpoint_slice("unnamed", endpoint("10.6.2.1", host="u-0"), ports=ports(":tcp:7000")),
    endpoint_slice("orphan", endpoint("10.7.0.1", host="o-0"), ports=HTTP),
    endpoint_slice("web", endpoint("10.7.1.1"), ports=HTTP, namespace="elsewhere"),
    # Section 2.5: ExternalName.
    external("out", "www.example.com"),
    external("shout", "WWW.Example.com."),
    external("in", "api.shop.svc.cluster.local"),
    external("in-in", "In.shop.svc.cluster.local"),
    external("to-host", "web-0.web.shop.svc.cluster.local"),
    external("missing", "nobody.shop.svc.cluster.local"),
    external("apex", "cluster.local"),
    external("self", "self.shop.svc.cluster.local"),
    external("below-self", "x.below-self.shop.svc.cluster.local"),
    external("ping", "pong.shop.svc.cluster.local"),
    external("pong", "ping.shop.svc.cluster.local"),
    external("ip", "192.0.2.1"),
    external("ip6", "2001:db8::1"),
    external("nothing", ""),
    external("broken", "bad..name"),
    external("by-reverse", "1.0.96.10.in-addr.arpa"),
)
NAMESPACES = ("shop", "elsewhere")

SAME = object()
NX, NODATA, SERVFAIL = "NXDOMAIN", "NODATA", "SERVFAIL"
CHAIN = ["in.shop.svc.cluster.local.", "api.shop.svc.cluster.local."]


@pytest.fixture(scope="module")
def mended() -> Cluster:
    from tests.support.facts import NamespaceFact

    return Cluster(*FACTS, *map(NamespaceFact, NAMESPACES))
