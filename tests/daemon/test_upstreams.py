"""How the daemon comes by its upstreams, and follows them as they change; seen from outside."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest

from bench.process import free_port
from hsdnsd.net.descriptors import WANTED
from tests.support.daemon import Daemon, running

AUTHORITY = Path(__file__).parents[1] / "support" / "tls" / "loopback.crt"  # for 127.0.0.1 and localhost
NAME = "www.example."


class Upstream:
    """A server on an address of loopback that answers every question for A with its own address."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self.host, self.port = host, port
        self.names: list[str] = []
        self.connections = 0
        self._context = context
        self._sock = socket.socket(type=socket.SOCK_DGRAM if context is None else socket.SOCK_STREAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind((host, port))
        if context is not None:
            self._sock.listen()
        self._thread = threading.Thread(target=self._serve_udp if context is None else self._serve_tls, daemon=True)
        self._thread.start()

    def respond(self, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        name = query.question[0].name
        self.names.append(name.to_text())
        response = dns.message.make_response(query, recursion_available=True)
        if name.to_text() == NAME:
            response.answer.append(dns.rrset.from_text(name, 0, "IN", "A", self.host))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, client = self._sock.recvfrom(4096)
                if not wire:
                    return
                self._sock.sendto(self.respond(wire), client)

    def _serve_tls(self) -> None:
        assert self._context is not None
        while True:
            try:
                plain, _ = self._sock.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as sock:
                self.connections += 1
                stream = sock.makefile("rb")
                while prefix := stream.read(2):
                    response = self.respond(stream.read(int.from_bytes(prefix)))
                    sock.sendall(len(response).to_bytes(2) + response)

    def close(self) -> None:
        if self._context is None:
            with socket.socket(type=socket.SOCK_DGRAM) as sock:
                sock.sendto(b"", (self.host, self.port))
        else:
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._sock.close()


@contextlib.contextmanager
def upstream(host: str, port: int, context: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    server = Upstream(host, port, context)
    try:
        yield server
    finally:
        server.close()


def ask(daemon: Daemon, name: str = NAME) -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, "A"), daemon.server[0], timeout=10, port=daemon.server[1])


def addresses(daemon: Daemon) -> list[str]:
    return [str(rdata) for rrset in ask(daemon).answer for rdata in rrset]


def eventually(condition: Callable[[], object], daemon: Daemon, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, daemon.log
        time.sleep(0.02)


def metric(daemon: Daemon, name: str) -> float:
    """The sum of a metric's series."""
    _, page = daemon.get("/metrics")
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page, re.MULTILINE))


def test_resolv_conf_is_followed(tmp_path: Path) -> None:
    """Port 53 is the only one that it can name."""
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 127.0.99.1\n")
    with running(settings=[f"forward.resolv_conf={path}", "forward.attempt_timeout=0.1", "forward.deadline=0.2"]) as it:
        assert ". is asked of 127.0.99.1:53" in it.log
        replacement = tmp_path / "new"
        replacement.write_text("nameserver 127.0.99.2\nnameserver 127.0.99.3\n")
        replacement.rename(path)
        eventually(lambda: ". is asked of 127.0.99.2:53, 127.0.99.3:53" in it.log, it)
        path.write_text("search example.org\n")
        eventually(lambda: f"no nameservers in {path}" in it.log, it)
        assert it.log.count("is asked of") == 2


SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: dns, namespace: infra}}
spec: {{clusterIP: {address}, ports: [{{name: dns, protocol: UDP, port: {port}}}]}}
"""
SLICE = """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: dns-1, namespace: infra, labels: {{kubernetes.io/service-name: dns}}}}
addressType: IPv4
ports: [{{name: dns, protocol: UDP, port: {port}}}]
endpoints:
- addresses: [127.0.0.4]
  conditions: {{ready: false}}
- addresses: [{address}]
"""


def test_a_service_of_the_cluster_is_followed(tmp_path: Path) -> None:
    port = free_port()
    manifest = tmp_path / "dns.yaml"
    manifest.write_text("")
    settings = ["forward.upstreams=svc://dns.infra", "cache.positive_bytes=0"]
    with (
        upstream("127.0.0.2", port),
        upstream("127.0.0.3", port),
        running("--manifests", str(tmp_path), settings=settings) as daemon,
    ):
        assert ". is asked of nobody" in daemon.log
        assert ask(daemon).rcode() == dns.rcode.SERVFAIL
        manifest.write_text(SERVICE.format(address="127.0.0.2", port=port))
        eventually(lambda: addresses(daemon) == ["127.0.0.2"], daemon)
        assert f". is asked of 127.0.0.2:{port}" in daemon.log
        headless = SERVICE.format(address="None", port=1) + SLICE.format(address="127.0.0.3", port=port)
        manifest.write_text(headless)
        eventually(lambda: addresses(daemon) == ["127.0.0.3"], daemon)
        assert f". is asked of 127.0.0.3:{port}" in daemon.log


def test_an_upstream_over_tls() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(AUTHORITY), str(AUTHORITY.with_suffix(".key")))
    port = free_port()
    settings = [
        f"forward.upstreams=tls://127.0.0.1:{port}@localhost",
        f"forward.tls_ca={AUTHORITY}",
        "cache.positive_bytes=0",
    ]
    with upstream("127.0.0.1", port, context) as server, running(settings=settings) as daemon:
        for _ in range(5):
            assert addresses(daemon) == ["127.0.0.1"]
        assert server.connections == 1
        assert server.names.count(NAME) == 5


def test_an_upstream_over_tls_that_is_not_who_it_should_be() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(AUTHORITY), str(AUTHORITY.with_suffix(".key")))
    port = free_port()
    settings = [f"forward.upstreams=tls://127.0.0.1:{port}@dns.example", f"forward.tls_ca={AUTHORITY}"]
    with upstream("127.0.0.1", port, context) as server, running(settings=settings) as daemon:
        assert ask(daemon).rcode() == dns.rcode.SERVFAIL
        assert server.names == []
        line = f"upstream tls://127.0.0.1:{port}@dns.example: its certificate does not verify: Hostname mismatch"
        assert daemon.log.count(line) == 1, "however often it is tried"


def test_authorities_that_can_not_be_read_keep_it_from_starting(tmp_path: Path) -> None:
    settings = ["forward.upstreams=tls://127.0.0.1@localhost", f"forward.tls_ca={tmp_path / 'none.pem'}"]
    options = [part for setting in settings for part in ("--set", setting)]
    listen = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "hsdnsd", "serve", "--listen", listen, "--admin", "", *options]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert result.returncode != 0
    assert f"no certificate authorities from {tmp_path / 'none.pem'}: No such file or directory" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("transport", ["prefer_udp", "force_tcp"])
def test_two_daemons_that_ask_each_other(transport: str) -> None:
    """One is up first and finds nobody; the other finds that its questions come back. Neither ends for it."""
    settings = [
        f"forward.transport={transport}",
        "forward.loop_probe_after=0",
        "forward.attempt_timeout=1",
        "forward.deadline=3",
    ]
    one, two = (f"127.0.0.1:{free_port()}" for _ in range(2))

    def asked(daemon: Daemon) -> float:
        """Questions for addresses that it was asked, by clients and by the other one."""
        return metric(daemon, r'coredns_dns_requests_total(?=[^ ]*type="A")')

    with (
        running("--listen", one, settings=[*settings, f"forward.upstreams={two}"]) as first,
        running("--listen", two, settings=[*settings, f"forward.upstreams={one}"]) as second,
    ):
        eventually(lambda: metric(second, "hsdnsd_upstream_loops_total") == 1, second)
        assert metric(second, "hsdnsd_upstream_looping") == 1
        assert second.log.count(f"upstream {one} leads back to this daemon") == 1
        for daemon in (first, second):
            before = asked(first) + asked(second)
            assert ask(daemon).rcode() == dns.rcode.SERVFAIL
            assert 1 <= asked(first) + asked(second) - before <= 1 + 6
        assert (first.stop(), second.stop()) == (0, 0)


def test_it_allows_itself_the_descriptors_that_it_may_have() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, {0})); sys.argv[0] = 'hsdnsd'; "
    )
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    script = few.format(hard) + "runpy.run_module('hsdnsd', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", script, "serve", "--listen", listen, "--admin", admin]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            while "answers on" not in process.stderr.readline():
                assert process.poll() is None
            limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert limits == (min(hard, WANTED), hard)
