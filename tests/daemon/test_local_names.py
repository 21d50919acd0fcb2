"""Names that are answered here, asked of the running daemon."""

from __future__ import annotations

import time
from pathlib import Path

import dns.message
import dns.query
import dns.rcode

from bench.process import free_port
from tests.support.daemon import Daemon, running


def ask(daemon: Daemon, name: str, rtype: str = "A") -> tuple[str, list[str]]:
    """RCODE, and the answers' rdata."""
    host, port = daemon.server
    response = dns.query.udp(dns.message.make_query(name, rtype), host, timeout=5, port=port)
    return dns.rcode.to_text(response.rcode()), [str(rdata) for rrset in response.answer for rdata in rrset]


def nowhere() -> str:
    """An upstream where nobody is."""
    return f"forward.upstreams=127.0.0.1:{free_port()}"


def test_by_default_special_names_and_private_addresses_are_not_asked_elsewhere() -> None:
    with running(settings=[nowhere()]) as daemon:
        assert ask(daemon, "db.localhost") == ("NOERROR", ["127.0.0.1"])
        assert ask(daemon, "db.localhost") == ("NOERROR", ["127.0.0.1"])
        assert ask(daemon, "1.0.0.127.in-addr.arpa", "PTR") == ("NOERROR", ["localhost."])
        assert ask(daemon, "7.0.0.10.in-addr.arpa", "PTR") == ("NXDOMAIN", [])
        assert ask(daemon, "www.onion") == ("NXDOMAIN", [])
        assert 'zone="localhost."' in daemon.get("/metrics")[1]


def test_a_hosts_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("192.0.2.7 db.example\nnonsense\n")
    with running(settings=[nowhere(), f"local.hosts_file={path}"]) as daemon:
        assert ask(daemon, "db.example") == ("NOERROR", ["192.0.2.7"])
        assert f"{path}, line 2" in daemon.log
        (tmp_path / "new").write_text("192.0.2.8 db.example\n")
        (tmp_path / "new").replace(path)
        end = time.monotonic() + 10
        while ask(daemon, "db.example") != ("NOERROR", ["192.0.2.8"]):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert daemon.stop() == 0


def test_a_hosts_file_that_is_not_there_keeps_nobody_from_starting(tmp_path: Path) -> None:
    with running(settings=[nowhere(), f"local.hosts_file={tmp_path / 'hosts'}"]) as daemon:
        assert "No such file" in daemon.log
        assert ask(daemon, "localhost") == ("NOERROR", ["127.0.0.1"])


def test_a_rewrite_and_no_aaaa(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(
        "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, "
        "spec: {clusterIP: 10.96.0.7, ports: [{port: 80}]}}"
    )
    settings = [nowhere(), "local.rewrite.old.example=svc.cluster.local", "local.no_aaaa=true"]
    with running("--manifests", str(tmp_path), settings=settings) as daemon:
        for _ in range(2):
            assert ask(daemon, "Web.shop.old.example") == ("NOERROR", ["10.96.0.7"])
            assert ask(daemon, "www.example.com", "AAAA") == ("NOERROR", [])
